use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::support::{Serve, Server, outcome, text};

const ANSWER: &str = r#"{"Status":"OK","größe":1}"#;

fn file(name: &str, data: &[u8]) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, data).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn put_writes_the_callback_body_and_nothing_else_to_standard_output() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.txt", b"Hello OSS");
    let (stdout, stderr) =
        outcome(&mut serve.put(&[&path, "oss://photos/a b/cat.txt", "--callback-url", &app.url()]), 0);
    assert_eq!(stdout, ANSWER);
    assert!(stderr.starts_with("stored oss://photos/a b/cat.txt, 9 bytes, ETag "), "{stderr}");
    let body = app.body();
    for part in ["bucket=photos", "size=9", "mimeType=text%2Fplain"] {
        assert!(body.contains(part), "{body}");
    }
    assert!(serve.logged("callback POST").contains("200"));
    assert!(serve.logged("PUT /photos/a%20b/cat.txt").contains("200"));
}

#[test]
fn put_goes_through_the_proxy_that_the_environment_names() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.txt", b"Hello OSS");
    let endpoint = "http://oss-cn-hangzhou.example";
    let put = |proxied: &str, excepted: &str, code: i32| {
        let mut command =
            serve.put(&[&path, "oss://photos/k", "--callback-url", &app.url(), "--retries", "0"]);
        // The local OSS takes requests in a proxy's form for any host's name.
        command.env("OSS_ENDPOINT", endpoint).env("HTTP_PROXY", proxied).env("NO_PROXY", excepted);
        outcome(&mut command, code)
    };
    assert_eq!(put(serve.variable("OSS_ENDPOINT"), "", 0).0, ANSWER);
    // No name server knows the host.
    put(serve.variable("OSS_ENDPOINT"), "oss-cn-hangzhou.example", 5);
}

#[test]
fn put_says_that_it_knows_no_socks_proxy() {
    let serve = Serve::start(&[]);
    let (_directory, path) = file("cat.txt", b"Hello OSS");
    let mut command = serve.put(&[&path, "oss://photos/k", "--callback-url", "http://app.example/cb"]);
    command.env("OSS_ENDPOINT", "http://oss-cn-hangzhou.example").env("ALL_PROXY", "socks5://127.0.0.1:1080");
    let (_, stderr) = outcome(&mut command, 2);
    assert!(stderr.contains("names a `socks5` proxy"), "{stderr}");
}

#[test]
fn put_goes_to_the_environments_endpoint_whatever_region_is_given() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.txt", b"Hello OSS");
    let region = serve.variable("OSS_REGION").to_owned();
    let args = [&path, "oss://photos/k", "--callback-url", &app.url(), "--retries", "0", "--region"];
    let put = |region: &str| serve.put(&[&args[..], &[region]].concat());
    // Not to the public endpoint of that region.
    assert_eq!(outcome(&mut put(&region), 0).0, ANSWER);
    let mut elsewhere = put("cn-beijing");
    let (_, stderr) = outcome(elsewhere.env("OSS_ENDPOINT", "https://oss-cn-hangzhou.aliyuncs.com"), 2);
    assert!(stderr.contains("belongs to `cn-hangzhou`") && stderr.contains("OSS_ENDPOINT"), "{stderr}");
}

#[test]
fn put_says_nothing_on_standard_error_when_asked_to_be_quiet() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.txt", b"x");
    let (stdout, stderr) =
        outcome(&mut serve.put(&["-q", &path, "oss://photos/k", "--callback-url", &app.url()]), 0);
    assert_eq!((stdout.as_str(), stderr.as_str()), (ANSWER, ""));
}

#[test]
fn put_takes_the_key_from_the_file_when_the_target_names_none() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("größe.txt", b"x");
    let (stdout, _) =
        outcome(&mut serve.put(&["--json", &path, "oss://photos/pets/", "--callback-url", &app.url()]), 0);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&json["bucket"], &json["key"]), (&Value::from("photos"), &Value::from("pets/größe.txt")));
}

#[test]
fn put_reads_standard_input() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let mut command = serve.put(&["-", "oss://backup/shop.sql", "--callback-url", &app.url()]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&[b'x'; 100_000]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), ANSWER);
    assert!(app.body().contains("size=100000"), "{}", app.body());
}

#[test]
fn large_files_and_streams_go_in_parts_and_are_called_back_once() {
    let data: Vec<u8> = (0..450_000_u32).map(|n| (n % 251) as u8).collect();
    let (_directory, path) = file("film.mp4", &data);
    for source in [path.as_str(), "-"] {
        let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
        let mut command = serve.put(&["--json", source, "oss://films/f", "--callback-url", &app.url()]);
        command.args(["--threshold", "200000", "--part-size", "102400", "--parallel", "2"]);
        command.stdin(std::fs::File::open(&path).unwrap());
        let (stdout, _) = outcome(&mut command, 0);
        let json: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(json["size"], data.len());
        assert!(app.body().contains("size=450000"), "{}", app.body());
        assert!(serve.logged("partNumber=5").contains("200"));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_upload_goes_on_from_its_checkpoint() {
    let (directory, path) = file("film.mp4", &[7; 1_000_000]);
    let checkpoint = directory.path().join("film.checkpoint");
    let app = Server::app("200 OK", ANSWER);
    let serve = Serve::start(&["--faults", "delay seconds=0.1 on=UploadPart times=always"]);
    let command = || {
        let mut command = serve.put(&[&path, "oss://films/f", "--callback-url", &app.url()]);
        command.args(["--threshold", "0", "--part-size", "102400", "--parallel", "1"]);
        command.args(["--checkpoint", checkpoint.to_str().unwrap()]);
        command
    };
    let child = command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    serve.logged("partNumber=2");
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("goes on from there") && checkpoint.exists(), "{told}");
    outcome(&mut command(), 0);
    assert!(!checkpoint.exists());
    assert!(app.body().contains("size=1000000"), "{}", app.body());
}

#[test]
fn a_seal_is_made_from_the_secret_in_the_environment() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.txt", b"x");
    let put = |secret: &str, code: i32| {
        let mut command = serve.put(&[&path, "oss://photos/k", "--callback-url", &app.url()]);
        command.args(["--seal-secret-env", "MY_SEAL", "--seal-expires", "10m"]).env("MY_SEAL", secret);
        outcome(&mut command, code)
    };
    put("0123456789abcdef0123456789abcdef", 0);
    assert!(app.body().contains("&seal=1."), "{}", app.body());
    let (_, stderr) = put("short secret", 2);
    assert!(stderr.contains("at least 16 bytes") && !stderr.contains("short secret"), "{stderr}");
    assert!(put("", 2).1.contains("MY_SEAL is not set"));
}

#[test]
fn put_hands_options_of_every_type_to_the_library() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.bin", b"x");
    let mut command = serve.put(&[&path, "oss://photos/k", "--callback-url", &app.url()]);
    command.args(["--callback-body-type", "json", "--var", "order=1024", "--var", "x:user=a=b"]);
    command.args(["--callback-body", r#"{"m":${mimeType},"o":${x:order},"u":${x:user}}"#]);
    command.args(["--content-type", "image/x-cat", "--metadata", "Author=me", "--forbid-overwrite"]);
    command.args(["--traffic-limit", "819200", "--timeout", "30s", "--storage-class", "IA"]);
    command.args(["--callback-sni=false", "--callback-header", "x-app=1", "--signature-version", "v1"]);
    outcome(&mut command, 0);
    assert_eq!(app.body(), r#"{"m":"image/x-cat","o":"1024","u":"a=b"}"#);
    assert!(app.requests()[0].to_ascii_lowercase().contains("\r\nx-app: 1\r\n"), "{:?}", app.requests());
    // The second upload meets the first one's key.
    let (_, stderr) = outcome(&mut command, 3);
    assert!(stderr.contains("FileAlreadyExists") && stderr.contains("409"), "{stderr}");
}

#[test]
fn put_tries_the_urls_in_turn() {
    let (broken, app) = (Server::app("500 Internal Server Error", "{}"), Server::app("200 OK", ANSWER));
    let serve = Serve::start(&[]);
    let (_directory, path) = file("cat.txt", b"x");
    let mut command = serve.put(&[&path, "oss://photos/k", "--callback-url", &broken.url()]);
    let (stdout, _) = outcome(command.args(["--callback-url", &app.url()]), 0);
    assert_eq!(stdout, ANSWER);
    assert_eq!((broken.requests().len(), app.requests().len()), (1, 1));
}

#[test]
fn put_takes_the_callback_url_from_the_environment() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.txt", b"x");
    let mut command = serve.put(&[&path, "oss://photos/k"]);
    let (stdout, _) = outcome(command.env("OSS_CALLBACK_URL", app.url()), 0);
    assert_eq!(stdout, ANSWER);
}

#[test]
fn put_prints_every_fact_as_json() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", ANSWER));
    let (_directory, path) = file("cat.txt", b"123456789");
    let (stdout, _) =
        outcome(&mut serve.put(&["--json", &path, "oss://photos/k", "--callback-url", &app.url()]), 0);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["size"], 9);
    assert_eq!(json["crc64"], "11051210869376104954");
    assert_eq!(json["etag"], "25F9E794323B453885F5181F1B624D0B");
    assert_eq!(json["callback_content_type"], "application/json");
    assert_eq!(json["callback_body"], ANSWER);
    assert_eq!(json["callback_json"]["Status"], "OK");
    assert!(json["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{json}");
    assert_eq!(stdout.matches('\n').count(), 1);
}
