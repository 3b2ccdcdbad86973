//! The files of the tree, as git knows them: what is ignored or built is no part of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub struct File {
    /// From the root, with `/` on every system.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

pub struct Tree;

impl Tree {
    /// Every text file; one that is not UTF-8 is left out.
    pub fn files() -> &'static [File] {
        static FILES: OnceLock<Vec<File>> = OnceLock::new();
        FILES.get_or_init(|| {
            let read =
                |path: String| Some(File { text: std::fs::read_to_string(root().join(&path)).ok()?, path });
            paths().into_iter().filter_map(read).collect()
        })
    }

    pub fn file(path: &str) -> &'static File {
        Self::files().iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is missing"))
    }

    pub fn exists(path: &str) -> bool {
        root().join(path).exists()
    }

    /// The vector files by name, as bytes.
    pub fn vectors() -> Vec<(String, Vec<u8>)> {
        let folder = root().join("tests/vectors");
        let entries = std::fs::read_dir(&folder).expect("tests/vectors is there");
        let mut vectors: Vec<_> = entries
            .map(|entry| entry.expect("tests/vectors can be listed").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (name, std::fs::read(&path).expect("a vector can be read"))
            })
            .collect();
        vectors.sort();
        vectors
    }
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("these tests lie two levels below the root").to_path_buf()
}

fn paths() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git must be installed: the layout checks ask it for the files");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let paths: Vec<String> = names.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    assert!(paths.len() > 40, "git lists too few files: is this a clone?");
    paths
}
