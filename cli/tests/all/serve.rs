use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Killed, PATIENCE, Serve, Server, oss_callback, outcome, plain};

fn address(serve: &Serve) -> String {
    serve.variable("OSS_ENDPOINT").strip_prefix("http://").unwrap().to_owned()
}

#[test]
fn serve_prints_an_environment_that_is_ready_to_paste() {
    let serve =
        Serve::start(&["--region", "cn-beijing", "--access-key-id", "me", "--access-key-secret", "it's"]);
    let names: Vec<&str> = serve.environment.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..4], ["OSS_ENDPOINT", "OSS_REGION", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"]);
    assert_eq!(names[4..], ["OSS_SESSION_TOKEN", "CALLBACK_KEY"]);
    assert_eq!((serve.variable("OSS_REGION"), serve.variable("OSS_ACCESS_KEY_ID")), ("cn-beijing", "me"));
    assert_eq!(serve.variable("OSS_ACCESS_KEY_SECRET"), r"'it'\''s'");
    assert!(address(&serve).starts_with("127.0.0.1:"), "{}", address(&serve));
}

/// What a shell makes of the lines that `serve` prints, in a script that goes on with `then`.
#[cfg(unix)]
fn pasted(serve: &Serve, then: &str) -> String {
    let mut script = String::new();
    for (name, value) in &serve.environment {
        script +=
            &if value.is_empty() { format!("unset {name}\n") } else { format!("export {name}={value}\n") };
    }
    let mut shell = plain("sh");
    shell.args(["-euc", &(script + then)]).env("OSS_SESSION_TOKEN", "left-over");
    outcome(&mut shell, 0).0
}

#[cfg(unix)]
#[test]
fn the_lines_give_a_shell_the_key_and_take_a_token_that_is_left_over_from_it() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", "{}"));
    let put = format!(
        "{} put {}/Cargo.toml oss://photos/k --callback-url {}",
        env!("CARGO_BIN_EXE_oss-callback"),
        env!("CARGO_MANIFEST_DIR"),
        app.url()
    );
    assert_eq!(pasted(&serve, &put), "{}");
    let mut stream = TcpStream::connect(address(&serve)).unwrap();
    stream.write_all(b"GET /oss-callback-emulator.pem HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    let mut key = String::new();
    stream.read_to_string(&mut key).unwrap();
    let key = key.split_once("\r\n\r\n").unwrap().1;
    assert!(key.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{key}");
    assert_eq!(pasted(&serve, "echo \"$CALLBACK_KEY\""), key);
}

#[test]
fn serve_plays_temporary_credentials_and_a_cname() {
    let (serve, app) = (
        Serve::start(&[
            "--access-key-id=id",
            "--access-key-secret=secret",
            "--security-token=t0ken",
            "--cname=img.example=photos",
        ]),
        Server::app("200 OK", "{}"),
    );
    assert_eq!(serve.variable("OSS_SESSION_TOKEN"), "t0ken");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let args = [file, "oss://photos/k", "--callback-url", &app.url()];
    // By the emulator as a proxy, the name needs no address.
    let mut by_cname = serve.put(&args);
    by_cname.args(["--proxy", serve.variable("OSS_ENDPOINT"), "--endpoint", "http://img.example"]);
    outcome(by_cname.args(["--addressing", "cname"]), 0);
    assert!(serve.logged("PUT /k ").contains(" 200 "));
    let (_, stderr) = outcome(serve.put(&args).env_remove("OSS_SESSION_TOKEN"), 3);
    assert!(stderr.contains("InvalidAccessKeyId"), "{stderr}");
}

/// The last example of the help, with something to do in the middle.
#[cfg(unix)]
#[test]
fn a_shell_that_takes_serve_over_can_stop_it() {
    let is_new = Command::new("bash").args(["-c", "((BASH_VERSINFO >= 4))"]).status();
    if !is_new.is_ok_and(|status| status.success()) {
        return eprintln!("not tested: there is no bash that has coproc");
    }
    let (help, _) = outcome(&mut oss_callback(["serve", "--help"]), 0);
    let example = help.rsplit_once("coproc ").unwrap().1.split("\n\n").next().unwrap();
    let in_the_middle = "echo $OSS_ENDPOINT ${#CALLBACK_KEY}";
    let script = format!("coproc {}\nwait", example.replace('…', in_the_middle));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_oss-callback"));
    let path = std::env::join_paths([program.parent().unwrap(), "/usr/bin".as_ref(), "/bin".as_ref()]);
    let mut bash = plain("bash");
    // One that is left behind must not keep a pipe open that is read to its end here.
    bash.args(["-euc", &script]).env("PATH", path.unwrap()).stderr(Stdio::null());
    let (stdout, _) = outcome(&mut bash, 0);
    let (endpoint, length) = stdout.trim_end().split_once(' ').unwrap();
    assert!(length.parse::<usize>().unwrap() > 100, "{stdout}");
    let address = endpoint.strip_prefix("http://").unwrap();
    assert!(TcpStream::connect(address).is_err(), "it still runs");
}

#[test]
fn the_control_api_is_opened_on_request_and_tells_what_was_called() {
    let (serve, app) = (Serve::start(&["--control"]), Server::app("200 OK", "{}"));
    let control = serve.variable("CONTROL_URL").strip_prefix("http://").unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    outcome(&mut serve.put(&[file, "oss://photos/k", "--callback-url", &app.url()]), 0);
    let mut stream = TcpStream::connect(control).unwrap();
    let request = format!("GET /callbacks HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#""bucket":"photos","key":"k","outcome":"answered""#), "{answer}");
}

#[test]
fn faults_are_committed_as_a_script_or_file_orders() {
    let app = Server::app("200 OK", "{}");
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), "# the application server is there, but OSS says no\ncallback cause=tls\n")
        .unwrap();
    let by_file = format!("@{}", script.path().display());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (faults, code) in [(by_file.as_str(), 4), ("error status=403 code=AccessDenied", 3)] {
        let serve = Serve::start(&["--faults", faults]);
        for code in [code, 0] {
            outcome(&mut serve.put(&[file, "oss://photos/k", "--callback-url", &app.url()]), code);
        }
    }
    for (faults, says) in [("crc\nexplode", "line 2: `explode`"), ("@/no/such/file", "/no/such/file")] {
        let (_, stderr) = outcome(&mut oss_callback(["serve", "--faults", faults]), 2);
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn serve_stops_with_success_on_each_signal() {
    for signal in ["-TERM", "-INT"] {
        let serve = Serve::start(&[]);
        let address = address(&serve);
        assert!(Command::new("kill").args([signal, &serve.pid().to_string()]).status().unwrap().success());
        let (status, log) = serve.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("stopping"), "{log}");
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn serve_stops_when_its_parent_is_gone() {
    let mut serve = Serve::start(&[]);
    serve.close_stdin();
    let (status, log) = serve.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A log that nobody reads fills its pipe (64 KiB) and then holds up whoever writes.
#[test]
fn serve_answers_and_stops_though_nobody_reads_its_log() {
    for level in ["off", "debug"] {
        answers_and_stops_unread(level);
    }
}

fn answers_and_stops_unread(level: &str) {
    let mut command = oss_callback(["serve", "--exit-when-stdin-closes"]);
    command.env("OSS_CALLBACK_LOG", level);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut serve = Killed(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(serve.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("export OSS_ENDPOINT=http://").unwrap();
    let target = "a".repeat(4096);
    for number in 0..100 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /bkt/{target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("request {number}: {error}"));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    drop(serve.0.stdin.take());
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match serve.0.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "serve does not stop"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn quiet_commands_log_no_requests() {
    let (mut serve, app) = (Serve::start(&["--quiet"]), Server::app("200 OK", "{}"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    outcome(&mut serve.put(&[file, "oss://photos/k", "--callback-url", &app.url()]), 0);
    serve.close_stdin();
    let (_, log) = serve.wait();
    assert!(log.contains("listens on") && !log.contains("photos"), "{log}");
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (stdout, stderr) = outcome(&mut oss_callback(["serve", "--port", &port]), 1);
    assert_eq!(stdout, "");
    assert!(stderr.contains(&format!("port {port} of 127.0.0.1 is in use")), "{stderr}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_word() {
    for host in ["0.0.0.0", "::", "oss.example"] {
        let (stdout, stderr) = outcome(&mut oss_callback(["serve", "--host", host]), 2);
        assert_eq!(stdout, "");
        assert!(stderr.contains("--allow-remote"), "{stderr}");
    }
    let serve = Serve::start(&["--host", "0.0.0.0", "--allow-remote"]);
    assert!(serve.logged("warning").contains("prove nothing"));
}

#[test]
fn serve_keeps_objects_in_the_directory_that_is_named() {
    let (directory, app) = (tempfile::tempdir().unwrap(), Server::app("200 OK", "{}"));
    let serve = Serve::start(&["--data-dir", directory.path().to_str().unwrap()]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    outcome(&mut serve.put(&[file, "oss://photos/k", "--callback-url", &app.url()]), 0);
    // The directory has files of its own from the start.
    let objects = std::fs::read_dir(directory.path().join("buckets/photos/objects")).unwrap();
    assert_eq!(objects.count(), 1);
    let mut second = oss_callback(["serve", "--data-dir", directory.path().to_str().unwrap()]);
    let (_, stderr) = outcome(&mut second, 1);
    assert!(stderr.contains("another emulator is using it") && stderr.contains("hint:"), "{stderr}");
}

#[test]
fn strict_is_as_strict_as_the_real_service() {
    let (serve, app) = (Serve::start(&["--strict"]), Server::app("200 OK", "{}"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let (_, stderr) = outcome(&mut serve.put(&[file, "oss://photos/k", "--callback-url", &app.url()]), 3);
    assert!(stderr.contains("Private address is forbidden to callback"), "{stderr}");
    assert!(app.requests().is_empty());
}

#[test]
fn the_key_url_that_callbacks_announce_can_be_named() {
    let (serve, app) =
        (Serve::start(&["--key-url", "http://k.example/key.pem"]), Server::app("200 OK", "{}"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    outcome(&mut serve.put(&[file, "oss://photos/k", "--callback-url", &app.url()]), 0);
    // Base64 of the URL.
    let header = "x-oss-pub-key-url: ahr0cdovl2suzxhhbxbszs9rzxkucgvt";
    assert!(app.requests()[0].to_ascii_lowercase().contains(header), "{:?}", app.requests());
}
