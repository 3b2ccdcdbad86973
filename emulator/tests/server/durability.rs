//! What a data directory holds after restarts and kills.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oss_callback::checksum::crc64;
use oss_callback_emulator::Emulator;

use crate::client::{call, connect, read_answer};

const DIRECTORY: &str = "OSS_EMULATOR_TEST_DIRECTORY";

fn on_disk(directory: &Path) -> Emulator {
    Emulator::builder().data_dir(directory).start().unwrap()
}

#[test]
fn objects_uploads_and_buckets_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let emulator = on_disk(directory.path());
    call("PUT", "bkt", "dir/k").header("x-oss-meta-a", "1").body("hello").send(&emulator);
    call("PUT", "empty", "").send(&emulator);
    let begun = call("POST", "bkt", "big").query("uploads", "").send(&emulator).element("UploadId").unwrap();
    call("PUT", "bkt", "big").query("partNumber", "1").query("uploadId", &begun).body("part").send(&emulator);
    call("PUT", "bkt", "gone").send(&emulator);
    call("DELETE", "bkt", "gone").send(&emulator);
    emulator.stop();

    let emulator = on_disk(directory.path());
    assert_eq!(call("GET", "", "").send(&emulator).elements("Name"), ["bkt", "empty"]);
    let answer = call("GET", "bkt", "dir/k").send(&emulator);
    assert_eq!((answer.text().as_str(), answer.header("x-oss-meta-a")), ("hello", Some("1")));
    let range = call("GET", "bkt", "dir/k").header("Range", "bytes=1-3").send(&emulator);
    assert_eq!(range.text(), "ell", "the record behind the bytes is no part of them");
    let complete = call("POST", "bkt", "big").query("uploadId", &begun).header("x-oss-complete-all", "yes");
    assert_eq!(complete.send(&emulator).status, 200);
    assert_eq!(emulator.object("bkt", "big").unwrap().data, "part");
    assert_eq!(emulator.keys("bkt"), ["big", "dir/k"]);
    assert!(emulator.uploads("bkt").is_empty());
}

#[test]
fn a_directory_serves_one_emulator_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = on_disk(directory.path());
    let wire = call("PUT", "bkt", "k").body("hello").wire(&first);
    let (begin, end) = wire.split_at(wire.len() - 1);
    let mut upload = connect(first.address());
    upload.write_all(begin).unwrap();
    let draft = || std::fs::read_dir(directory.path().join("tmp")).unwrap().count();
    while draft() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = Emulator::builder().data_dir(directory.path()).start().unwrap_err();
    assert!(second.to_string().ends_with(": another emulator is using it"), "{second}");
    upload.write_all(end).unwrap();
    assert_eq!(read_answer(&mut upload, false).status, 200, "what is under way is not touched");
    first.stop();
    assert_eq!(on_disk(directory.path()).object("bkt", "k").unwrap().data, "hello");
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "run by the test below, as a process of its own"]
fn a_server_to_be_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let emulator = on_disk(Path::new(&directory));
    println!("\nlistening on {}", emulator.address());
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

fn start_victim(directory: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::a_server_to_be_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ")?.parse().ok());
    (child, address.expect("it says where it listens"))
}

/// A body that tells its number and length, so that a mixture of two would show.
fn body(number: u64) -> Vec<u8> {
    let mut body = vec![(number % 251) as u8; 200_000 + (number as usize * 7919) % 50_000];
    body[..8].copy_from_slice(&number.to_le_bytes());
    body
}

#[test]
fn a_kill_leaves_every_acknowledged_object_and_no_half_one() {
    let directory = tempfile::tempdir().unwrap();
    // Signs like the victims, whose credentials are the same.
    let twin = Emulator::builder().start().unwrap();
    let (acknowledged, tried) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for round in 0..4 {
        let (mut victim, address) = start_victim(directory.path());
        let sending = {
            let (acknowledged, tried) = (Arc::clone(&acknowledged), Arc::clone(&tried));
            let first = tried.load(Ordering::SeqCst) + 1;
            let wires: Vec<Vec<u8>> = (first..first + 60)
                .map(|number| call("PUT", "bkt", "k").body(body(number)).wire(&twin))
                .collect();
            std::thread::spawn(move || {
                for (number, wire) in (first..).zip(wires) {
                    tried.store(number, Ordering::SeqCst);
                    let Ok(mut stream) = TcpStream::connect(address) else { break };
                    let mut line = String::new();
                    if stream.write_all(&wire).is_err()
                        || BufReader::new(stream).read_line(&mut line).is_err()
                    {
                        break;
                    }
                    if !line.starts_with("HTTP/1.1 200") {
                        break;
                    }
                    acknowledged.store(number, Ordering::SeqCst);
                }
            })
        };
        // In the middle of something, however slow the machine is.
        let before = tried.load(Ordering::SeqCst);
        while acknowledged.load(Ordering::SeqCst) <= before && !sending.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(37 * round));
        victim.kill().unwrap();
        victim.wait().unwrap();
        sending.join().unwrap();

        let survivor = on_disk(directory.path());
        let (last, tried) = (acknowledged.load(Ordering::SeqCst), tried.load(Ordering::SeqCst));
        if let Some(stored) = survivor.object("bkt", "k") {
            let number = u64::from_le_bytes(stored.data[..8].try_into().unwrap());
            assert!(
                (last..=tried).contains(&number),
                "round {round}: {last} was acknowledged, {number} is there"
            );
            assert!(stored.data == body(number), "round {round}: half an object");
            assert_eq!(stored.crc64, crc64(&stored.data));
        } else {
            assert_eq!(last, 0, "round {round}: an acknowledged object is gone");
        }
        assert_eq!(std::fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
    }
    assert!(acknowledged.load(Ordering::SeqCst) > 0, "nothing was uploaded");
}
