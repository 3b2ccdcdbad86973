//! `cargo xtask header [--check]`: include/oss_callback.h, made of ffi-c's sources by cbindgen, with the causes
//! and reasons of api/errors.toml.
//!
//! Not in a build script: that would write into the source tree of everyone who only wants to build. Like
//! `codegen --check`, `--check` rewrites a stale header and then fails.

use std::path::Path;

use crate::codegen::{Api, c};

/// In the order in which their items stand in the header.
const SOURCES: &[&str] = &[
    "library",
    "text",
    "error",
    "function",
    "options",
    "generated",
    "credentials",
    "callback",
    "cancel",
    "client",
    "source",
    "progress",
    "upload",
    "completions",
    "start",
    "in_flight",
    "reply",
    "pairs",
    "signer_options",
    "signer",
    "signed",
    "verifier_options",
    "verifier",
    "event",
    "sealing",
    "confirm",
    "answer",
];

pub const PATH: &str = "include/oss_callback.h";

pub fn run(check: bool) -> Result<(), String> {
    let root = crate::root();
    let text = generate(&root)?;
    let path = root.join(PATH);
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    if check {
        return Err(format!("{PATH} was stale and is now rewritten: review and commit it"));
    }
    println!("wrote {PATH}");
    Ok(())
}

fn generate(root: &Path) -> Result<String, String> {
    let here = root.join("ffi-c");
    let mut config = cbindgen::Config::from_file(here.join("cbindgen.toml"))?;
    let constants = config.after_includes.get_or_insert_default();
    constants.push_str(&c::texts(&Api::load(root)?));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(here.join(format!("src/{source}.rs")));
    }
    let bindings = builder.generate().map_err(|e| format!("cbindgen: {e}"))?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).map_err(|e| format!("{PATH}: {e}"))
}
