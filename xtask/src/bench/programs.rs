//! The drivers: built from the tree, or installed for the peers. What cannot be had is named and left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::runner::Run;
use crate::steps::{NPM_PROGRAM, install_once};

/// Versions of the peers, where no lock file pins them.
const PYTHON_PEERS: &[(&str, &[&str])] = &[
    ("oss2", &["oss2==2.19.1"]),
    // Apart from the other: both install a module `crcmod`.
    ("oss_v2", &["alibabacloud-oss-v2==1.4.1"]),
    ("opendal", &["opendal==0.47.12"]),
    ("obstore", &["obstore==0.12.1"]),
];

/// opendal 0.49.1 is the newest that loads where glibc is 2.36.
const NODE_PEERS: &[&str] = &["ali-oss@6.23.0", "agentkeepalive@4.6.0", "opendal@0.49.1"];

pub struct Programs<'a> {
    run: &'a Run,
    release: bool,
    /// Everything that is made here.
    pub folder: PathBuf,
    /// What was made, or why it could not be.
    made: BTreeMap<&'static str, Result<PathBuf, String>>,
}

impl<'a> Programs<'a> {
    pub fn new(run: &'a Run, release: bool) -> Result<Programs<'a>, String> {
        let folder = run.target.join("bench").join(if release { "release" } else { "dev" });
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Programs { run, release, folder, made: BTreeMap::new() })
    }

    fn here(&self) -> PathBuf {
        self.run.root.join("tests/bench")
    }

    /// Builds packages of the workspace, and says where a file of theirs lies.
    fn cargo(&self, package: &str, file: &str) -> Result<PathBuf, String> {
        let mut build = self.run.cargo(&["build", "--quiet", "--package", package]);
        if self.release {
            build.arg("--release");
        }
        self.run.prepare(build)?;
        Ok(self.run.target.join(if self.release { "release" } else { "debug" }).join(file))
    }

    pub fn rust(&self, program: &str) -> Result<PathBuf, String> {
        self.cargo("oss-callback-bench", program)
    }

    pub fn cli(&self) -> Result<PathBuf, String> {
        self.cargo("oss-callback-cli", "oss-callback")
    }

    /// The command that has `who` do a workload; what it needs is made first.
    pub fn command(
        &mut self,
        who: &'static str,
        workload: &str,
        given: &[String],
    ) -> Result<Command, String> {
        let maker = maker(who);
        if !self.made.contains_key(maker) {
            let made = self.make(maker);
            if let Err(message) = &made {
                println!("left out: {maker}: {message}");
            }
            self.made.insert(maker, made);
        }
        let made = self.made[maker].clone()?;
        let mut command = match maker {
            "python" => {
                let mut python = self.run.command(interpreter());
                python.env("PYTHONPATH", made).arg("-B").arg(self.here().join("python/driver.py"));
                python
            }
            "node" | "node-peers" => {
                let mut node = self.run.command("node");
                node.arg(self.here().join("node/driver.mjs"));
                node
            }
            name if PYTHON_PEERS.iter().any(|(peer, _)| *peer == name) => {
                let mut python = self.run.command(made.join("bin/python"));
                python.arg("-B").arg(self.here().join("python/driver.py"));
                python
            }
            _ => self.run.command(&made),
        };
        command.arg(who).arg(workload).args(given);
        if maker.starts_with("node") {
            let folder = self.made[maker].clone()?;
            command.arg(format!("modules={}", folder.display()));
        }
        Ok(command)
    }

    fn make(&self, maker: &str) -> Result<PathBuf, String> {
        match maker {
            "rust" => self.rust("bench-rust"),
            "c" => self.c(),
            "go" => self.go("go", "driver-go"),
            "go-peer" => self.go("go-peer", "driver-go-peer"),
            "python" => self.python(),
            "node" => self.node(),
            "node-peers" => self.node_peers(),
            "rust-peers" => self.rust_peers(),
            peer => self.python_peer(peer),
        }
    }

    fn library(&self) -> Result<PathBuf, String> {
        self.cargo("oss-callback-ffi-c", "liboss_callback.a")
    }

    fn c(&self) -> Result<PathBuf, String> {
        let library = self.library()?;
        let program = self.folder.join("driver-c");
        let mut cc = self.run.command("cc");
        cc.args(["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Iinclude", "tests/bench/c/driver.c"]);
        cc.arg(library).args(crate::steps::NATIVE_LIBRARIES.split(' ')).arg("-o").arg(&program);
        self.run.prepare(cc).map(|()| program)
    }

    fn go(&self, folder: &str, name: &str) -> Result<PathBuf, String> {
        let library = self.library()?;
        let program = self.folder.join(name);
        let mut go = self.run.command("go");
        go.args(["build", "-tags", "osscallback_static", "-o"]).arg(&program).arg(".");
        go.current_dir(self.here().join(folder)).env("CGO_ENABLED", "1").env("GOWORK", "off");
        go.env("CGO_CFLAGS", format!("-O2 -I{}", self.run.root.join("include").display()));
        go.env("CGO_LDFLAGS", library);
        self.run.prepare(go).map(|()| program)
    }

    /// A folder for PYTHONPATH: the package's sources and the module beside them.
    fn python(&self) -> Result<PathBuf, String> {
        let module = self.cargo("oss-callback-py", &dynamic("_native"))?;
        let folder = self.folder.join("python");
        let package = folder.join("oss_callback");
        copy_files(&self.run.root.join("py/python/oss_callback"), &package)?;
        copy(&module, &package.join("_native.abi3.so"))?;
        Ok(folder)
    }

    /// A folder with `node_modules/oss-callback`.
    fn node(&self) -> Result<PathBuf, String> {
        let module = self.cargo("oss-callback-node", &dynamic("oss_callback_node"))?;
        let folder = self.folder.join("node");
        let package = folder.join("node_modules/oss-callback");
        let source = self.run.root.join("node");
        copy_files(&source, &package)?;
        copy_files(&source.join("lib"), &package.join("lib"))?;
        copy(&module, &package.join("oss-callback.node"))?;
        Ok(folder)
    }

    fn python_peer(&self, name: &str) -> Result<PathBuf, String> {
        let (_, wanted) = PYTHON_PEERS.iter().find(|(peer, _)| *peer == name).ok_or("no such peer")?;
        let venv = self.run.target.join("bench/peers").join(name);
        self.install(&venv, wanted, |venv| {
            let mut create = self.run.command("python3");
            create.args(["-m", "venv", "--clear"]).arg(venv);
            self.run.prepare(create)?;
            let mut pip = self.run.command(venv.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(*wanted);
            self.run.prepare(pip)
        })
    }

    fn node_peers(&self) -> Result<PathBuf, String> {
        let folder = self.run.target.join("bench/peers/node");
        self.install(&folder, NODE_PEERS, |folder| {
            let package = folder.join("package.json");
            std::fs::write(&package, "{ \"private\": true }\n")
                .map_err(|e| format!("{}: {e}", package.display()))?;
            let mut npm = self.run.command(NPM_PROGRAM);
            npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            npm.args(NODE_PEERS).current_dir(folder);
            self.run.prepare(npm)
        })
    }

    fn install(
        &self,
        folder: &Path,
        wanted: &[&str],
        install: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let list = folder.with_extension("wanted.txt");
        std::fs::write(&list, wanted.join("\n")).map_err(|e| format!("{}: {e}", list.display()))?;
        install_once(folder, &[&list], || install(folder))?;
        Ok(folder.to_owned())
    }

    /// Outside the workspace, whose lock need not know them.
    fn rust_peers(&self) -> Result<PathBuf, String> {
        let target = self.run.target.join("bench/rust-peers");
        let mut build = self.run.cargo(&["build", "--quiet", "--release", "--manifest-path"]);
        build.arg(self.here().join("rust-peers/Cargo.toml")).env("CARGO_TARGET_DIR", &target);
        self.run.prepare(build)?;
        Ok(target.join("release/bench-rust-peers"))
    }
}

/// Which program does what `who` does.
fn maker(who: &str) -> &'static str {
    match who {
        "c" => "c",
        "go" => "go",
        "go-oss_v2" => "go-peer",
        "python" | "python-aio" => "python",
        "node" => "node",
        "ali-oss" | "js-opendal" => "node-peers",
        "rust-opendal" | "rust-object_store" => "rust-peers",
        "oss2" | "oss2-no-crc" => "oss2",
        "oss_v2" => "oss_v2",
        "opendal" | "opendal-aio" => "opendal",
        "obstore" => "obstore",
        _ => "rust",
    }
}

fn dynamic(name: &str) -> String {
    format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// A program that runs keeps the old file; the new one is put in its place.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).map(drop).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))
}

/// The plain files of a folder, without those in folders below.
fn copy_files(from: &Path, to: &Path) -> Result<(), String> {
    let said = |e: std::io::Error| format!("{} to {}: {e}", from.display(), to.display());
    std::fs::create_dir_all(to).map_err(said)?;
    for entry in std::fs::read_dir(from).map_err(said)? {
        let file = entry.map_err(said)?;
        if file.file_type().map_err(said)?.is_file() {
            copy(&file.path(), &to.join(file.file_name()))?;
        }
    }
    Ok(())
}

/// The interpreter itself: `python3` may be a script of a version manager, which takes its own time.
pub fn interpreter() -> PathBuf {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let named = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let path = named.map(|name| PathBuf::from(name.trim())).filter(|path| path.is_file());
    path.unwrap_or_else(|| PathBuf::from("python3"))
}
