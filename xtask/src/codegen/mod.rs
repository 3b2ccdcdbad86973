//! Writes what is generated from `api/*.toml`. A stale file is rewritten even by `--check`, which
//! then fails: the mend is already in the tree and wants only a commit.

mod api;
pub mod c;
mod cpp;
mod docs;
mod go;
mod node;
mod python;
mod rust;

use std::{fs, path::Path};

pub use api::Api;

/// One generated file: where it goes, relative to the root, and what it holds.
pub struct Output {
    pub path: &'static str,
    pub text: String,
}

pub fn run(check: bool) -> Result<(), String> {
    let root = crate::root();
    let api = Api::load(&root)?;
    let mut outputs = vec![
        rust::kinds(&api),
        rust::options(&api),
        docs::options(&api),
        docs::errors(&api),
        node::types(&api),
    ];
    outputs.extend(python::modules(&api));
    outputs.extend([c::bindings(&api), cpp::header(&api), go::options(&api), go::errors(&api)]);
    let mut stale = Vec::new();
    for output in outputs {
        let text = if output.path.ends_with(".rs") { rustfmt(&output.text)? } else { output.text };
        if write_if_changed(&root.join(output.path), &text)? {
            stale.push(output.path);
        }
    }
    match (check, stale.is_empty()) {
        (true, false) => {
            Err(format!("stale generated files, now rewritten: {}\nreview and commit them", stale.join(", ")))
        }
        _ => {
            for path in stale {
                println!("wrote {path}");
            }
            Ok(())
        }
    }
}

fn write_if_changed(path: &Path, text: &str) -> Result<bool, String> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
    }
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(true)
}

fn rustfmt(text: &str) -> Result<String, String> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("rustfmt: {e} (rustup component add rustfmt)"))?;
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(text.as_bytes()).map_err(|e| format!("rustfmt: {e}"))?;
    drop(input);
    let output = child.wait_with_output().map_err(|e| format!("rustfmt: {e}"))?;
    if !output.status.success() {
        return Err("rustfmt refused the generated code".to_owned());
    }
    String::from_utf8(output.stdout).map_err(|e| format!("rustfmt: {e}"))
}
