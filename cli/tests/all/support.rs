//! The binary under test, `serve` as a child process, and small servers to play the other side.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, without what the environment of the test run might tell it.
pub fn oss_callback<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = plain(env!("CARGO_BIN_EXE_oss-callback"));
    command.args(args);
    command
}

/// Any program, in the same way.
pub fn plain(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_uppercase();
        if text.starts_with("OSS_") || text.ends_with("_PROXY") || text.starts_with("ALIBABA_") {
            command.env_remove(name);
        }
    }
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts the exit code and hands out standard output and standard error.
#[track_caller]
pub fn outcome(command: &mut Command, code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(code), "standard output:\n{stdout}\nstandard error:\n{stderr}");
    (stdout, stderr)
}

/// A process that does not outlive its test.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `oss-callback serve`, stopped at the latest when dropped.
pub struct Serve {
    child: Killed,
    /// What it printed on standard output, in order, as it stands there.
    pub environment: Vec<(String, String)>,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Serve {
    pub fn start(args: &[&str]) -> Serve {
        let mut command = oss_callback(["serve", "--exit-when-stdin-closes"].iter().chain(args).copied());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (line, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            for text in stderr.lines().map_while(Result::ok) {
                let _ = line.send(text);
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut environment = Vec::new();
        let lines_to_paste = 6 + usize::from(args.iter().any(|arg| arg.starts_with("--control")));
        for _ in 0..lines_to_paste {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let (name, value) = match line.trim_end().split_once(' ') {
                Some(("export", pair)) => pair.split_once('=').unwrap(),
                // An empty variable is as good as none.
                Some(("unset", name)) => (name, ""),
                _ => panic!("`{line}` is nothing to paste"),
            };
            environment.push((name.to_owned(), value.to_owned()));
        }
        Serve { child: Killed(child), environment, lines, reader: Some(reader) }
    }

    pub fn variable(&self, name: &str) -> &str {
        &self.environment.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// `oss-callback put` in the environment that `serve` printed.
    pub fn put(&self, args: &[&str]) -> Command {
        let mut command = oss_callback(["put"].iter().chain(args).copied());
        command.envs(self.environment.iter().cloned());
        command
    }

    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub fn close_stdin(&mut self) {
        drop(self.child.0.stdin.take());
    }

    /// The first line of the log from now on that contains `part`.
    #[track_caller]
    pub fn logged(&self, part: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with `{part}` in the log:\n{}", seen.join("\n"));
    }

    /// Waits for its end; hands out the rest of the log.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "serve does not stop");
            std::thread::sleep(Duration::from_millis(10));
        };
        self.reader.take().unwrap().join().unwrap();
        (status, self.lines.try_iter().collect::<Vec<_>>().join("\n"))
    }
}

/// A server that reads one request per connection and answers with whatever `answer` makes of it.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // Ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let request = read(&stream);
                seen.lock().unwrap().push(request.clone());
                let _ = (&stream).write_all(answer(&request).as_bytes());
            }
        });
        Server { address, requests }
    }

    /// An application server that always gives this answer.
    pub fn app(status: &'static str, body: &'static str) -> Server {
        Server::start(move |_| response(status, "Content-Type: application/json\r\n", body))
    }

    pub fn url(&self) -> String {
        format!("http://{}/cb", self.address)
    }

    /// Head and body of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The body of the only request.
    #[track_caller]
    pub fn body(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

pub fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn read(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let start = request.len();
        if reader.read_line(&mut request).unwrap_or(0) == 0 || &request[start..] == "\r\n" {
            break;
        }
        if let Some(value) = request[start..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    request + &String::from_utf8_lossy(&body)
}
