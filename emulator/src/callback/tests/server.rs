//! An application server that does on purpose what real ones do by accident.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it does with each connection.
#[derive(Clone)]
pub(super) enum Behaviour {
    /// Reads the request, answers these bytes, closes.
    Answer(Vec<u8>),
    /// Reads the request, answers these bytes, and keeps the connection open.
    AnswerAndHold(Vec<u8>),
    /// Answers before it reads anything, and closes.
    AnswerUnread(Vec<u8>),
    /// Closes with the request unread, which resets the connection.
    Reset,
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = &found.next().unwrap_or_else(|| panic!("no {name} in {self:?}")).1;
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(behaviour: Behaviour) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (sink, stopped) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    serve(stream, &behaviour, &sink, &mut held);
                }
            }
        });
        Server { address, seen, stop, thread: Some(thread) }
    }

    pub(super) fn answering(answer: impl Into<Vec<u8>>) -> Server {
        Server::start(Behaviour::Answer(answer.into()))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that it got.
    pub(super) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A port where nothing listens, and that nobody else gets while this lives.
pub(super) struct ClosedPort(tokio::net::TcpSocket);

impl ClosedPort {
    pub(super) fn take() -> ClosedPort {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        ClosedPort(socket)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.local_addr().unwrap())
    }
}

fn serve(mut stream: TcpStream, behaviour: &Behaviour, seen: &Mutex<Vec<Seen>>, held: &mut Vec<TcpStream>) {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    match behaviour {
        Behaviour::Answer(answer) | Behaviour::AnswerAndHold(answer) => {
            let Some(request) = read_request(&mut stream) else { return };
            seen.lock().unwrap().push(request);
            let _ = stream.write_all(answer);
            if matches!(behaviour, Behaviour::AnswerAndHold(_)) {
                held.push(stream);
            }
        }
        Behaviour::AnswerUnread(answer) => {
            let _ = stream.write_all(answer);
            held.push(stream);
        }
        Behaviour::Reset => {
            let _ = stream.peek(&mut [0; 1]);
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(seen) = parse(&bytes) {
            return Some(seen);
        }
        let mut some = [0; 4096];
        match stream.read(&mut some) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&some[..count]),
            _ => return None,
        }
    }
}

/// The request, once its whole body is there.
pub(super) fn parse(bytes: &[u8]) -> Option<Seen> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let line = lines.next()?;
    let header = |line: String| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
    let seen = Seen { line, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() };
    (seen.body.len() == seen.header("Content-Length").parse::<usize>().unwrap()).then_some(seen)
}
