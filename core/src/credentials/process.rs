//! An external program that writes credentials to its standard output as JSON.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer;
use super::{Credentials, CredentialsProvider, Secret};
use crate::error::{Error, Result};

/// A program may ask a person for a second factor.
const TIMEOUT: Duration = Duration::from_secs(60);

const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// How often is looked whether the program has ended.
const TICK: Duration = Duration::from_millis(10);

/// Runs a command line, without a shell, and reads `{"mode", "access_key_id", "access_key_secret",
/// "sts_token", "expiration"}`, as the Alibaba Cloud CLI does for its mode `External`.
pub(super) struct Process {
    command: Vec<String>,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Output {
    access_key_id: String,
    #[serde(deserialize_with = "answer::secret")]
    access_key_secret: Option<Secret>,
    #[serde(default, deserialize_with = "answer::secret")]
    sts_token: Option<Secret>,
    expiration: Option<String>,
}

impl Process {
    /// A command line, cut into words as a POSIX shell would, without anything else that a shell does.
    pub fn new(command_line: &str) -> Result<Process> {
        let command = split(command_line, cfg!(windows))
            .map_err(|why| Error::credentials(format!("the external program's command line {why}")))?;
        Ok(Process { command, timeout: TIMEOUT })
    }

    fn run(&self) -> Result<Zeroizing<Vec<u8>>> {
        let fail = |what: String| Error::credentials(format!("the external program {what}"));
        let (name, arguments) = self.command.split_first().ok_or_else(|| fail("has no name".to_owned()))?;
        let mut child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| fail(format!("`{name}` cannot be started: {error}")))?;
        let output = child.stdout.take();
        let (sender, receiver) = mpsc::channel();
        // Read beside the wait, as a full pipe would block the program; and not joined, as a
        // grandchild may keep the pipe open for ever.
        std::thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
            let outcome = output.map_or(Ok(0), |pipe| pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes));
            let _ = sender.send(outcome.map(|_| bytes));
        });
        let deadline = Instant::now() + self.timeout;
        let late = || fail(format!("`{name}` did not end within {:?}", self.timeout));
        let status = wait(&mut child, deadline)
            .map_err(|error| fail(format!("`{name}` cannot be waited for: {error}")))?
            .ok_or_else(late)?;
        if !status.success() {
            return Err(fail(format!("`{name}` failed ({status}); run it by hand to see why")));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let output = receiver.recv_timeout(left).map_err(|_| late())?;
        output.map_err(|error| fail(format!("`{name}`: its output cannot be read: {error}")))
    }
}

/// Waits until the deadline, and kills the program then.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        std::thread::sleep(TICK);
    }
}

impl CredentialsProvider for Process {
    fn provide(&self) -> Result<Credentials> {
        let bytes = self.run()?;
        let about =
            |error: Error| Error::credentials(format!("the external program's output: {}", error.message()));
        let output: Output = answer::parse(&bytes).map_err(about)?;
        let secret = output.access_key_secret.unwrap_or_default();
        let mut credentials = Credentials::new(output.access_key_id, secret).map_err(about)?;
        if let Some(token) = output.sts_token.filter(|token| !token.expose().is_empty()) {
            credentials = credentials.with_security_token(token).map_err(about)?;
        }
        answer::with_expiry(credentials, output.expiration.as_deref()).map_err(about)
    }
}

/// Words with quotes. On Windows, a backslash is part of a path unless a quotation mark follows.
fn split(line: &str, windows: bool) -> std::result::Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, _) if char.is_whitespace() => words.extend(word.take()),
            (Some('"') | None, '\\') => {
                let escapes = match chars.peek() {
                    None if windows => false,
                    None => return Err("ends with a backslash"),
                    Some('"') => true,
                    Some(_) if windows => false,
                    Some(next) => quote.is_none() || matches!(next, '\\' | '$' | '`' | '\n'),
                };
                let next = if escapes { chars.next().unwrap_or(char) } else { char };
                word.get_or_insert_default().push(next);
            }
            _ => word.get_or_insert_default().push(char),
        }
    }
    if quote.is_some() {
        return Err("has a quotation mark that is not closed");
    }
    words.extend(word);
    if words.is_empty() { Err("is empty") } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_cut_like_a_shell_would() {
        let cut = |line| split(line, false).unwrap();
        assert_eq!(cut("a  b\tc"), ["a", "b", "c"]);
        assert_eq!(cut(r#"'a b' "c\"d" e\ f g''h """#), ["a b", "c\"d", "e f", "gh", ""]);
        assert_eq!(cut(r#"'\n' "\n" "\\""#), [r"\n", r"\n", r"\"]);
        for bad in ["", "  ", "'a", "\"a", "a\\"] {
            split(bad, false).unwrap_err();
        }
        let windows = split(r#""C:\Program Files\t.exe" C:\b --x "a\"b""#, true).unwrap();
        assert_eq!(windows, [r"C:\Program Files\t.exe", r"C:\b", "--x", "a\"b"]);
    }

    #[cfg(unix)]
    #[test]
    fn credentials_are_read_from_the_programs_output() {
        let json = r#"{"mode":"StsToken","access_key_id":"ext","access_key_secret":"s","sts_token":"t",
            "expiration":"2999-01-01T00:00:00Z"}"#;
        let credentials = Process::new(&format!("printf %s '{json}'")).unwrap().provide().unwrap();
        assert_eq!(credentials.access_key_id(), "ext");
        assert_eq!(credentials.security_token().unwrap().expose(), "t");
        assert!(credentials.expires_at().is_some());
        let json = r#"{"mode":"AK","access_key_id":"ext","access_key_secret":"s"}"#;
        let credentials = Process::new(&format!("printf %s '{json}'")).unwrap().provide().unwrap();
        assert_eq!((credentials.security_token(), credentials.expires_at()), (None, None));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_fails_or_babbles_is_reported_without_its_output() {
        for (command, part) in [
            ("sh -c 'echo s3cret; exit 3'", "exit status: 3"),
            ("echo s3cret", "is not valid JSON"),
            (r#"echo '{"access_key_id":"i","access_key_secret":""}'"#, "access_key_secret"),
            ("/nowhere/program", "cannot be started"),
        ] {
            let error = Process::new(command).unwrap().provide().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_hangs_is_stopped() {
        let process = Process { timeout: Duration::from_millis(50), ..Process::new("sleep 20").unwrap() };
        let started = Instant::now();
        let error = process.provide().unwrap_err();
        assert!(error.message().contains("did not end within"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
