//! Does the README tell the truth? Its code blocks run against the emulator, and print what it says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{BASH, Step};
use crate::markdown::{self, Block, Mark};
use crate::runner::Run;
use crate::serve::{self, Emulator};

pub const STEP: Step = Step { name: "readme", about: "the README's code blocks", tools: &[BASH], run };

/// Pages whose code blocks are held to be true.
const PAGES: [&str; 7] = [
    "README.md",
    "docs/credentials.md",
    "docs/direct-upload.md",
    "docs/emulator.md",
    "docs/troubleshooting.md",
    "docs/uploading.md",
    "docs/verifying.md",
];
/// What the application server of the examples answers.
const ANSWER: &str = r#"{"Status":"OK"}"#;

fn run(run: &mut Run) -> Result<(), String> {
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-cli"]))?;
    let room = Room::open(run)?;
    for page in PAGES {
        let path = run.root.join(page);
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{page}: {e}"))?;
        let mut printed = HashMap::new();
        for block in markdown::blocks(&text).map_err(|e| format!("{page}: {e}"))? {
            let Some(name) = name(&block.mark) else { continue };
            let outcome = room.hold_true(run, &block, &mut printed);
            run.check(&format!("{page}:{} {name}", block.line), outcome);
        }
    }
    Ok(())
}

fn name(mark: &Mark) -> Option<&str> {
    match mark {
        Mark::Run(name) | Mark::RunAtRoot(name) | Mark::Output(name) | Mark::File(name) => Some(name),
        Mark::NotRun => None,
    }
}

/// An empty folder, an emulator and an application server.
struct Room {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    _emulator: Emulator,
}

impl Room {
    fn open(run: &Run) -> Result<Room, String> {
        let folder = run.target.join("readme");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let program = run.command(run.program("oss-callback"));
        let emulator = Emulator::start(program, &run.target.join("readme-emulator.log"))?;
        let mut environment = emulator.environment.clone();
        environment.push(("CALLBACK_URL".to_owned(), serve::application_server(ANSWER)?));
        environment.push(("SEAL_SECRET".to_owned(), "for these examples only, 32 bytes".to_owned()));
        Ok(Room { folder, environment, _emulator: emulator })
    }

    /// Runs or compares one block. `printed` holds what the blocks before it printed, by name.
    fn hold_true(
        &self,
        run: &Run,
        block: &Block,
        printed: &mut HashMap<String, String>,
    ) -> Result<(), String> {
        match &block.mark {
            Mark::Run(name) => {
                printed.insert(name.clone(), self.output(self.bash(run, block, &self.folder))?);
            }
            Mark::RunAtRoot(name) => {
                printed.insert(name.clone(), self.output(self.bash(run, block, &run.root))?);
            }
            Mark::Output(name) => {
                let printed = printed.get(name).ok_or("no block of that name ran before")?;
                same(printed, &block.text)?;
            }
            Mark::File(path) => {
                let source = std::fs::read_to_string(run.root.join(path)).map_err(|e| e.to_string())?;
                same(&markdown::without_head(&source), &block.text)?;
                if let Some((package, example)) = rust_example(path) {
                    let mut cargo = run.cargo(&["run", "--quiet", "--package", package, "--example"]);
                    cargo.arg(example);
                    printed.insert(example.to_owned(), self.output(cargo)?);
                }
            }
            Mark::NotRun => {}
        }
        Ok(())
    }

    fn bash(&self, run: &Run, block: &Block, folder: &Path) -> Command {
        let mut command = run.command("bash");
        command.args(["-euo", "pipefail", "-c", &block.text]).current_dir(folder);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = vec![run.programs.clone()];
        folders.extend(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command
    }

    /// What a command prints on its standard output.
    fn output(&self, mut command: Command) -> Result<String, String> {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.stderr(Stdio::piped()).output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
        String::from_utf8(output.stdout).map_err(|e| format!("its output is not UTF-8: {e}"))
    }
}

/// Package and name of `core/examples/NAME.rs`. Examples of other languages are run by the steps of their
/// language.
fn rust_example(path: &str) -> Option<(&'static str, &str)> {
    let (folder, name) = path.strip_suffix(".rs")?.split_once("/examples/")?;
    match folder {
        "core" => Some(("oss-callback", name)),
        "emulator" => Some(("oss-callback-emulator", name)),
        _ => None,
    }
}

fn same(real: &str, shown: &str) -> Result<(), String> {
    if real.trim_end() == shown.trim_end() {
        return Ok(());
    }
    Err(format!("the page shows\n{shown}but it is\n{real}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_differs_from_the_truth_is_refused() {
        assert!(same("a\nb\n", "a\nb").is_ok());
        assert!(same("a\nb\n", "a\nc\n").unwrap_err().contains("the page shows\na\nc\n"));
    }

    #[test]
    fn only_examples_in_rust_are_run_by_cargo() {
        assert_eq!(rust_example("core/examples/put.rs"), Some(("oss-callback", "put")));
        assert_eq!(rust_example("emulator/examples/a.rs"), Some(("oss-callback-emulator", "a")));
        assert_eq!(rust_example("py/examples/put.py"), None);
    }
}
