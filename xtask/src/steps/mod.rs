//! The steps of `cargo xtask test`. To add one: a file here with a `STEP`, and its name in `STEPS`.

mod c;
mod codegen;
mod cpp;
mod go;
mod node;
mod packaging_c;
mod peers;
mod python;
mod readme;
mod rust;

use std::process::{Command, Stdio};

pub use c::{NATIVE_LIBRARIES, VALGRIND};
pub use peers::install_once;

use crate::runner::Run;

/// All steps, in the order in which they run.
pub const STEPS: &[Step] = &[
    codegen::STEP,
    rust::STEP,
    c::STEP,
    cpp::STEP,
    packaging_c::STEP,
    python::STEP,
    python::PACKAGING,
    node::STEP,
    node::PACKAGING,
    go::STEP,
    go::PACKAGING,
    crate::bench::STEP,
    peers::STEP,
    readme::STEP,
];

pub struct Step {
    pub name: &'static str,
    /// What the step shows, in a few words.
    pub about: &'static str,
    /// What must be installed for it, beside Rust.
    pub tools: &'static [Tool],
    pub run: fn(&mut Run) -> Result<(), String>,
}

pub struct Tool {
    pub name: &'static str,
    /// A command that succeeds when the tool is there and new enough.
    pub probe: &'static [&'static str],
    pub how_to_get: &'static str,
}

impl Tool {
    pub fn is_installed(&self) -> bool {
        Command::new(self.probe[0])
            .args(&self.probe[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

pub const PYTHON: Tool = Tool {
    name: "Python 3.10 or newer with venv",
    probe: &["python3", "-c", "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))"],
    how_to_get: "apt-get install python3 python3-venv, or python.org",
};

pub const NODE: Tool = Tool {
    name: "Node.js 20 or newer",
    probe: &["node", "-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)"],
    how_to_get: "nodejs.org",
};

pub const NPM: Tool = Tool { name: "npm", probe: &[NPM_PROGRAM, "--version"], how_to_get: "nodejs.org" };

pub const NPM_PROGRAM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

pub const GO: Tool = Tool {
    name: "Go 1.21 or newer",
    // The list begins with go1.1; there is an error where it has no go1.21.
    probe: &["go", "list", "-f", "{{index (context).ReleaseTags 20}}", "unsafe"],
    how_to_get: "go.dev",
};

pub const BASH: Tool =
    Tool { name: "bash", probe: &["bash", "-c", "true"], how_to_get: "your system's packages" };
