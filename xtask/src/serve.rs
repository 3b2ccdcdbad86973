//! What an example needs around it: the emulator, by the `oss-callback serve` that users start, and a
//! small application server.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const NAMES: [&str; 4] = ["OSS_ENDPOINT", "OSS_REGION", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"];
const START: Duration = Duration::from_secs(30);

/// A running emulator; it ends with this value, or with this process, however that ends.
pub struct Emulator {
    child: Child,
    /// Held open: the emulator ends when it closes.
    _stdin: ChildStdin,
    /// The environment that it printed for its users.
    pub environment: Vec<(String, String)>,
}

impl Emulator {
    /// Starts `program serve` and waits until it has printed its environment. What it logs goes to `log`.
    pub fn start(mut program: Command, log: &Path) -> Result<Emulator, String> {
        let file = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
        let mut child = program
            .args(["serve", "--exit-when-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|e| format!("{}: {e}", program.get_program().display()))?;
        let out = child.stdout.take().expect("stdout is piped");
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut emulator = Emulator { child, _stdin: stdin, environment: Vec::new() };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that the emulator never waits on a full pipe.
            BufReader::new(out).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        while emulator.environment.len() < NAMES.len() {
            let line = lines.recv_timeout(START).map_err(|_| {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                format!("the emulator did not print {}; it said:\n{log}", NAMES.join(", "))
            })?;
            emulator.environment.extend(variable(&line));
        }
        Ok(emulator)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `export NAME=value`, where NAME is one of those that we wait for
fn variable(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let quoted = |quote| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    let value = quoted('\'').or_else(|| quoted('"')).unwrap_or(value);
    NAMES.contains(&name).then(|| (name.to_owned(), value.to_owned()))
}

/// Starts an application server that answers every POST with `answer`, and gives its URL. It lives as
/// long as this program.
pub fn application_server(answer: &'static str) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("application server: {e}"))?;
    let port = listener.local_addr().map_err(|e| format!("application server: {e}"))?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A caller that hangs up half-way has failed its own test already.
            let _ = serve_one(stream, answer);
        }
    });
    Ok(format!("http://127.0.0.1:{port}/callback"))
}

fn serve_one(stream: TcpStream, answer: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    let mut length = 0;
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_with_and_without_export_and_quotes() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(variable("export OSS_REGION=cn-hangzhou"), pair("OSS_REGION", "cn-hangzhou"));
        assert_eq!(
            variable("  OSS_ENDPOINT='http://127.0.0.1:80/?a=b'"),
            pair("OSS_ENDPOINT", "http://127.0.0.1:80/?a=b")
        );
        assert_eq!(variable("export PATH=/bin"), None);
        assert_eq!(variable("listening"), None);
    }

    #[test]
    #[cfg(unix)]
    fn an_emulator_that_ends_early_is_reported_with_what_it_said() {
        let log = std::env::temp_dir().join(format!("xtask-serve-{}.log", std::process::id()));
        let mut program = Command::new("sh");
        program.args(["-c", "echo export OSS_REGION=a; echo port taken >&2; exit 1"]);
        let error = Emulator::start(program, &log).err().unwrap();
        assert!(error.contains("OSS_ENDPOINT") && error.contains("port taken"), "{error}");
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn the_application_server_answers_each_post() {
        let url = application_server("{}").unwrap();
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"POST /callback HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n{}"), "{answer}");
        }
    }
}
