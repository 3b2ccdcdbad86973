//! The official clients, unchanged, against the emulator with its signature checks on: what passes here
//! was not judged by our own client.
//!
//! Each client has an environment of its own under the target directory: two of them ship different
//! packages that install the same module (`crcmod`).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{NODE, NPM, NPM_PROGRAM, PYTHON, Step};
use crate::runner::Run;

pub const STEP: Step = Step {
    name: "peers",
    about: "official OSS clients against the emulator",
    tools: &[PYTHON, NODE, NPM],
    run,
};

fn run(run: &mut Run) -> Result<(), String> {
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-cli"]))?;
    let here = run.root.join("tests/peers");
    for name in ["oss2", "oss_v2"] {
        let python = python(run, &here, name)?;
        let mut tests = run.command(python);
        tests.args(["-B", "-m", "unittest", "-v", &format!("peer_{name}")]).current_dir(&here);
        run.tests(with_cli(run, tests))?;
    }
    let packages = node(run, &here)?;
    let mut tests = run.command("node");
    tests.arg("--test").arg(here.join("peer_ali_oss.mjs")).env("OSS_CALLBACK_PEERS_NODE", packages);
    run.tests(with_cli(run, tests))
}

fn with_cli(run: &Run, mut command: Command) -> Command {
    command.env("OSS_CALLBACK_CLI", run.program("oss-callback"));
    command
}

/// A Python with what `requirements-<name>.txt` pins; made anew when that file changes.
fn python(run: &Run, here: &Path, name: &str) -> Result<PathBuf, String> {
    let venv = run.target.join(format!("peers/{name}"));
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let wanted = here.join(format!("requirements-{name}.txt"));
    install_once(&venv, &[&wanted], || {
        let mut create = run.command("python3");
        create.args(["-m", "venv", "--clear"]).arg(&venv);
        run.prepare(create)?;
        let mut install = run.command(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        install.arg(&wanted);
        run.prepare(install)
    })?;
    Ok(python)
}

/// A folder with what `package-lock.json` pins. npm works where the lock file lies, so that is copied: an
/// install must not write into the source tree.
fn node(run: &Run, here: &Path) -> Result<PathBuf, String> {
    let dir = run.target.join("peers/ali_oss");
    let wanted = ["package.json", "package-lock.json"].map(|name| here.join(name));
    install_once(&dir, &[&wanted[0], &wanted[1]], || {
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        for file in &wanted {
            let to = dir.join(file.file_name().expect("a file"));
            std::fs::copy(file, &to).map_err(|e| format!("{} to {}: {e}", file.display(), to.display()))?;
        }
        let mut install = run.command(NPM_PROGRAM);
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        install.current_dir(&dir);
        run.prepare(install)
    })?;
    Ok(dir)
}

/// Installs unless the last install that succeeded was made from the same files.
pub fn install_once(
    dir: &Path,
    wanted: &[&Path],
    install: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let stamp = dir.join("installed-from.txt");
    let mut text = String::new();
    for file in wanted {
        text += &std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if std::fs::read_to_string(&stamp).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let _ = std::fs::remove_file(&stamp);
    install()?;
    std::fs::write(&stamp, text).map_err(|e| format!("{}: {e}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_install_is_repeated_when_its_list_changes_or_it_failed() {
        let dir = std::env::temp_dir().join(format!("xtask-install-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let list = dir.join("list.txt");
        let mut installs = 0;
        let mut go = |text: &str, outcome: Result<(), String>| {
            std::fs::write(&list, text).unwrap();
            let _ = install_once(&dir, &[&list], || {
                installs += 1;
                outcome
            });
            installs
        };
        assert_eq!(go("a==1", Ok(())), 1);
        assert_eq!(go("a==1", Ok(())), 1);
        assert_eq!(go("a==2", Err("no network".into())), 2);
        assert_eq!(go("a==2", Ok(())), 3);
        assert_eq!(go("a==2", Ok(())), 3);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
