//! Runs the commands of a test step: with an environment that does not make cargo rebuild, with their
//! output passed on as it comes, and with their tests counted.
//!
//! Children stay in our process group, so that Ctrl-C at a terminal reaches each of them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::steps::Tool;
use crate::tally::{Counter, Tally};
use crate::test;

/// No single command of the tests takes this long on two slow cores; one that does hangs.
const LIMIT: Duration = Duration::from_secs(40 * 60);
/// How long a command that has ended may keep its output open. After that it left a process behind.
const AFTERMATH: Duration = Duration::from_secs(10);

pub struct Run {
    pub root: PathBuf,
    /// cargo's target directory; what the steps install goes there too, and `cargo clean` removes it.
    pub target: PathBuf,
    /// Where cargo puts this run's programs: `<target>/debug`.
    pub programs: PathBuf,
    pub tally: Tally,
    /// Off in our own tests, whose made-up output would else be counted by the run around them.
    echo: bool,
}

impl Run {
    pub fn new() -> Result<Run, String> {
        let exe = std::env::current_exe().map_err(|e| format!("where this program lies: {e}"))?;
        let programs = exe.parent().ok_or("this program lies nowhere")?.to_path_buf();
        let target = target_of(&programs).unwrap_or_else(|| crate::root().join("target"));
        Ok(Run { root: crate::root(), target, programs, tally: Tally::default(), echo: true })
    }

    /// A command in the root of the tree.
    ///
    /// `cargo run`, which started us, exports the variables of this package. Build scripts watch them:
    /// passed on, they would make each `cargo` below us rebuild the TLS library and all that uses it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_of_this_package) {
                command.env_remove(name);
            }
        }
        command
    }

    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(args);
        command
    }

    /// The path of one of the workspace's own programs, once it is built.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// Runs something that the tests need; its failure is the step's.
    pub fn prepare(&self, mut command: Command) -> Result<(), String> {
        let shown = show(&command);
        println!("    {shown}");
        let (status, _) = self.stream(&mut command, &shown)?;
        if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
    }

    /// Runs tests and counts them. Failed tests are counted and are no error, so that the tests behind
    /// them still run; a runner that breaks, or that runs no test at all, is one.
    pub fn tests(&mut self, mut command: Command) -> Result<(), String> {
        let shown = show(&command);
        println!("    {shown}");
        let (status, counted) = self.stream(&mut command, &shown)?;
        self.tally += counted;
        if !status.success() && counted.failed == 0 {
            return Err(format!("{shown}: {status}"));
        }
        if counted.is_empty() {
            return Err(format!("{shown}: ran no test"));
        }
        Ok(())
    }

    /// Runs a command and gives what it printed, on both streams.
    pub fn output(&self, mut command: Command) -> Result<String, String> {
        let shown = show(&command);
        println!("    {shown}");
        let output = command.output().map_err(|e| format!("{shown}: {e}"))?;
        let text = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        if output.status.success() { Ok(text) } else { Err(format!("{shown}: {}\n{text}", output.status)) }
    }

    /// Notes that `what`, a part of a step, cannot run without `tool`.
    pub fn lacks(&mut self, what: &str, tool: &Tool) {
        self.tally += test::lack_in_part(what, tool);
    }

    /// Counts a check that the step made itself, and says how it went.
    pub fn check(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                println!("ok   {name}");
                self.tally += Tally::PASSED;
            }
            Err(message) => {
                println!("FAIL {name}: {message}");
                self.tally += Tally::FAILED;
            }
        }
    }

    /// Runs a command to its end, passes its output on line by line, and counts the tests in it.
    fn stream(&self, command: &mut Command, shown: &str) -> Result<(ExitStatus, Tally), String> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", command.get_program().display()))?;
        let counter = Arc::new(Mutex::new(Counter::default()));
        let (ended, ends) = mpsc::channel();
        let out = child.stdout.take().expect("stdout is piped");
        let err = child.stderr.take().expect("stderr is piped");
        pass_on(out, self.echo.then(std::io::stdout), counter.clone(), ended.clone());
        pass_on(err, self.echo.then(std::io::stderr), counter.clone(), ended);
        let status = wait(&mut child, LIMIT).map_err(|e| format!("{shown}: {e}"))?;
        for _ in 0..2 {
            ends.recv_timeout(AFTERMATH).map_err(|_| {
                format!("{shown}: ended ({status}) but left a process behind that holds its output")
            })?;
        }
        let tally = counter.lock().map_err(|_| "a reader of the output panicked")?.tally;
        Ok((status, tally))
    }
}

/// cargo marks its target directory with a `CACHEDIR.TAG`; a target triple may stand in between.
fn target_of(programs: &Path) -> Option<PathBuf> {
    programs.ancestors().skip(1).take(2).find(|dir| dir.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf)
}

fn is_of_this_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || ["CARGO_CRATE_NAME", "CARGO_BIN_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&name)
}

/// The command as a person would type it, without the long folders.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let root = format!("{}{}", crate::root().display(), std::path::MAIN_SEPARATOR);
    words.map(|word| word.to_string_lossy().replace(&root, "")).collect::<Vec<_>>().join(" ")
}

fn pass_on(
    from: impl Read + Send + 'static,
    mut to: Option<impl Write + Send + 'static>,
    counter: Arc<Mutex<Counter>>,
    ended: mpsc::Sender<()>,
) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if let Some(to) = &mut to {
                // Our own output may be closed (`… | head`); the child must still not block on its own.
                let _ = to.write_all(&line).and_then(|()| to.flush());
            }
            if let Ok(mut counter) = counter.lock() {
                counter.line(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
        let _ = ended.send(());
    });
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("still running after {} minutes; killed", limit.as_secs() / 60));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run { echo: false, ..Run::new().unwrap() }
    }

    fn sh(script: &str) -> Command {
        let mut command = run().command("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn children_do_not_see_the_variables_of_this_package() {
        assert!(is_of_this_package("CARGO_PKG_VERSION") && is_of_this_package("CARGO_MANIFEST_DIR"));
        assert!(!is_of_this_package("CARGO_HOME") && !is_of_this_package("CARGO_TARGET_DIR"));
        let command = run().command("true");
        let removed = |name: &str| command.get_envs().any(|(key, value)| key == name && value.is_none());
        assert!(removed("CARGO_MANIFEST_DIR") && removed("CARGO_PKG_NAME"));
    }

    #[test]
    #[cfg(unix)]
    fn tests_of_a_child_are_counted_from_both_streams() {
        let mut run = run();
        run.tests(sh("echo '# pass 2'; echo '# fail 1' >&2; exit 1")).unwrap();
        assert_eq!(run.tally, Tally { passed: 2, failed: 1, skipped: 0 });
    }

    #[test]
    #[cfg(unix)]
    fn a_runner_that_breaks_or_runs_nothing_is_an_error() {
        assert!(run().tests(sh("echo '# pass 2'; exit 3")).unwrap_err().contains("exit status: 3"));
        assert!(run().tests(sh("true")).unwrap_err().contains("ran no test"));
        assert!(run().tests(run().command("no-such-program")).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_command_past_its_limit_is_killed() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let error = wait(&mut child, Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("killed"), "{error}");
        assert!(child.try_wait().unwrap().is_some());
    }
}
