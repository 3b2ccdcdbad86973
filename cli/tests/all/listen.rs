use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;

use super::support::{Serve, oss_callback, outcome};

const OFFICIAL: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs\n\
    C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ==\n\
    -----END PUBLIC KEY-----\n";

/// `oss-callback listen`, killed at the latest when dropped.
struct Listen {
    child: Child,
    url: String,
    log: Receiver<String>,
    out: Receiver<String>,
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    heard
}

impl Listen {
    fn start(args: &[&str]) -> Listen {
        let own = ["listen", "--port", "0", "--exit-when-stdin-closes"];
        let mut command = oss_callback(own.iter().chain(args).copied());
        command.env("SEAL", "a secret of more than sixteen bytes");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (log, out) = (lines(child.stderr.take().unwrap()), lines(child.stdout.take().unwrap()));
        let mut listen = Listen { child, url: String::new(), log, out };
        let started = listen.logged("listening on ");
        listen.url = started.split(' ').nth(2).unwrap().trim_end_matches(';').to_owned();
        listen
    }

    #[track_caller]
    fn logged(&self, part: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(Duration::from_secs(60)) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with `{part}` in:\n{}", seen.join("\n"));
    }

    fn exchange(&self, request: &str) -> String {
        let address = self.url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn upload(serve: &Serve, url: &str, code: i32) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cat.txt");
    std::fs::write(&path, "Hello OSS").unwrap();
    let mut command = serve.put(&[path.to_str().unwrap(), "oss://photos/größe 1.txt"]);
    outcome(command.args(["--callback-url", url, "--var", "order=42"]), code)
}

#[test]
fn listen_verifies_shows_and_answers_a_callback() {
    let serve = Serve::start(&[]);
    let listen = Listen::start(&["--emulator", "--bucket", "photos", "--reply", r#"{"id":7}"#, "--json"]);
    let (stdout, _) = upload(&serve, &format!("{}cb?a=1", listen.url), 0);
    assert_eq!(stdout, r#"{"id":7}"#);
    assert!(listen.logged("POST /cb?a=1").ends_with("verified, answered 200"));
    for (name, value) in [("bucket", "photos"), ("key", "größe 1.txt"), ("size", "9"), ("x:order", "42")] {
        assert!(listen.logged(&format!("  {name} ")).ends_with(&format!(" {value}")));
    }
    let line: Value =
        serde_json::from_str(&listen.out.recv_timeout(Duration::from_secs(60)).unwrap()).unwrap();
    assert_eq!((&line["ok"], &line["size"]), (&Value::from(true), &Value::from(9)));
    assert_eq!(line["variables"]["order"], "42");
}

#[test]
fn listen_refuses_what_is_not_proven_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("oss.pem");
    std::fs::write(&key, OFFICIAL).unwrap();
    let serve = Serve::start(&[]);
    let listen = Listen::start(&["--key", key.to_str().unwrap()]);
    let (_, stderr) = upload(&serve, &listen.url, 4);
    assert!(stderr.contains("Error status : 403"), "{stderr}");
    listen.logged("refused: wrong_signature, answered 403");
    listen.logged("add --emulator");

    let forged = "POST /\u{1b}[2J HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbucket=b";
    let answer = listen.exchange(forged);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(!answer.contains("bad_target") && !answer.contains("missing"), "{answer}");
    assert!(listen.logged("refused: bad_target").contains("\\u{1b}"));
    let answer = listen.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    listen.logged("refused: wrong_method");
}

#[test]
fn listen_demands_a_seal_and_its_own_bucket_when_told_to() {
    let serve = Serve::start(&[]);
    let sealed = Listen::start(&["--emulator", "--seal-secret-env", "SEAL"]);
    upload(&serve, &sealed.url, 4);
    sealed.logged("refused: seal_missing");
    let quiet = Listen::start(&["--emulator", "--json", "--quiet"]);
    upload(&serve, &quiet.url, 0);
    quiet.out.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(quiet.log.try_iter().count(), 0);
    let films = Listen::start(&["--emulator", "--bucket", "films"]);
    upload(&serve, &films.url, 4);
    films.logged("refused: wrong_bucket");
}

#[test]
fn listen_ends_with_its_standard_input_and_refuses_what_cannot_work() {
    let mut listen = Listen::start(&["--emulator"]);
    drop(listen.child.stdin.take());
    listen.logged("stopping: standard input is closed");
    assert!(listen.child.wait().unwrap().success());
    for (args, words) in [
        (vec!["--reply", "OK"], "--reply: is not valid JSON"),
        (vec!["--seal-secret-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (vec!["--key", "/no/such/file"], "--key: cannot read /no/such/file"),
        (vec!["--emulator", "--template", "a=${"], "--template: "),
    ] {
        let args = ["listen", "--port", "0"].into_iter().chain(args);
        let (_, stderr) = outcome(&mut oss_callback(args), 2);
        assert!(stderr.contains(words), "{stderr}");
    }
    let busy = Listen::start(&["--emulator"]);
    let port = busy.url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let (_, stderr) = outcome(&mut oss_callback(["listen", "--port", &port]), 1);
    assert!(stderr.contains("another --port"), "{stderr}");
}
