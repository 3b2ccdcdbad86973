//! The testbed that the scenarios of every language run against: an emulator, an application server, and
//! servers that misbehave, in one program that prints where they are.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::runner::Run;

const START: Duration = Duration::from_secs(30);

/// A running testbed; it ends with this value, or with this process, however that ends.
pub struct Testbed {
    child: Child,
    /// Held open: the testbed ends when it closes.
    _stdin: ChildStdin,
    /// `OSS_ENDPOINT`, `APP_URL` and the rest.
    pub environment: Vec<(String, String)>,
}

impl Testbed {
    /// Builds and starts it.
    pub fn start(run: &Run) -> Result<Testbed, String> {
        run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-tests", "--bin", "testbed"]))?;
        let mut child = run
            .command(run.program("testbed"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("testbed: {e}"))?;
        let out = child.stdout.take().expect("stdout is piped");
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut testbed = Testbed { child, _stdin: stdin, environment: Vec::new() };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        loop {
            let line = lines.recv_timeout(START).map_err(|_| "the testbed did not say that it is ready")?;
            match line.split_once('=') {
                Some((name, value)) => testbed.environment.push((name.to_owned(), value.to_owned())),
                None if line == "READY" => break,
                None => {}
            }
        }
        let vectors = run.root.join("tests/vectors").to_string_lossy().into_owned();
        testbed.environment.push(("OSS_CALLBACK_VECTORS".to_owned(), vectors));
        Ok(testbed)
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
