//! An application server: what a user of OSS callbacks writes on their own side. It takes the callback,
//! has it verified, and answers with JSON. It knows no more of HTTP than that needs. The demo has one, and
//! `listen` is one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// More than any callback's head; a peer that sends more is no OSS.
const MAX_HEAD: u64 = 64 * 1024;
/// More than any callback's body: its template is 5 KB at most.
const MAX_BODY: u64 = 1024 * 1024;
const LIMITS: Limits = Limits { connections: 64, time: Duration::from_secs(5) };

/// What peers may take of it.
#[derive(Clone, Copy)]
struct Limits {
    /// Served at a time; those above are turned away.
    connections: usize,
    /// For a whole request to arrive, and again for its answer to leave. OSS itself gives up after 5 s.
    time: Duration,
}

/// An HTTP message as it went over the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Request line or status line.
    pub start: String,
    /// Header lines, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// A header's value, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// A request's method and target.
    pub fn method_and_target(&self) -> Option<(&str, &str)> {
        let mut words = self.start.split(' ');
        Some((words.next()?, words.next()?))
    }
}

/// One callback, from the application server's view.
#[derive(Clone, Debug)]
pub struct Call {
    /// What came in.
    pub request: Message,
    /// Whether it is proven to come from OSS; else why not.
    pub verified: Result<(), String>,
    /// What was answered.
    pub answer: Message,
}

/// Tells whether a callback comes from OSS.
pub type Verify = Box<dyn Fn(&Message) -> Result<(), String> + Send + Sync>;

/// Answers a request; called on several threads at once.
type Respond = Box<dyn Fn(Message) -> Message + Send + Sync>;

/// The running server; stops when dropped.
pub struct AppServer {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl AppServer {
    /// The demo's: listens on a free port of the loopback interface, and remembers what it was sent.
    pub fn start(verify: Verify) -> std::io::Result<AppServer> {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let mut server = AppServer::listen("127.0.0.1", 0, move |request| {
            let verified = verify(&request);
            let answer = demo_answer(&request, &verified);
            // Before the answer leaves: who has it may ask for the calls at once.
            let call = Call { request, verified, answer: answer.clone() };
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            answer
        })?;
        server.calls = calls;
        Ok(server)
    }

    /// Listens, and has `respond` answer.
    pub fn listen(
        host: &str,
        port: u16,
        respond: impl Fn(Message) -> Message + Send + Sync + 'static,
    ) -> std::io::Result<AppServer> {
        AppServer::listen_within(LIMITS, host, port, respond)
    }

    fn listen_within(
        limits: Limits,
        host: &str,
        port: u16,
        respond: impl Fn(Message) -> Message + Send + Sync + 'static,
    ) -> std::io::Result<AppServer> {
        let listener = TcpListener::bind((host, port))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let respond: Arc<Respond> = Arc::new(Box::new(respond));
        let busy = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::Builder::new().name("application server".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                // A peer that breaks off, or speaks no HTTP, is shown by the callback's failure.
                let Ok(stream) = stream else { continue };
                let (respond, place) = (Arc::clone(&respond), Place::take(&busy));
                if busy.load(Ordering::Acquire) > limits.connections {
                    turn_away(&stream);
                    continue;
                }
                let work = move || {
                    let _ = serve(&stream, limits.time, &respond);
                    drop(place);
                };
                // Without a thread the peer finds its connection closed.
                let _ = std::thread::Builder::new().name("callback".to_owned()).spawn(work);
            }
        })?;
        Ok(AppServer { address, calls: Arc::default(), stopping, thread: Some(thread) })
    }

    /// Address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where OSS shall call.
    pub fn callback_url(&self) -> String {
        format!("http://{}/oss/uploaded", self.address)
    }

    /// The callbacks so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for AppServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // `incoming` only looks up when somebody connects.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// One of the connections that are being served.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(busy: &Arc<AtomicUsize>) -> Place {
        busy.fetch_add(1, Ordering::AcqRel);
        Place(Arc::clone(busy))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Never waits for the peer: whoever waits for this thread, waits for the whole server.
fn turn_away(mut stream: &TcpStream) {
    let refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if stream.set_nonblocking(true).is_ok() && stream.write_all(refusal).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
        // Closing a connection with something unread in it resets it, and the refusal may be lost.
        let _ = stream.read(&mut [0; 16 * 1024]);
    }
}

/// A connection that ends at a set time, however the peer spreads its bytes.
struct Timed<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl<'a> Timed<'a> {
    fn new(stream: &'a TcpStream, time: Duration) -> Timed<'a> {
        Timed { stream, until: Instant::now() + time }
    }

    fn left(&self) -> std::io::Result<Option<Duration>> {
        match self.until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn serve(stream: &TcpStream, time: Duration, respond: &Respond) -> std::io::Result<()> {
    let answer = respond(read_request(Timed::new(stream, time))?);
    let mut bytes = format!("{}\r\n", answer.start).into_bytes();
    for (name, value) in &answer.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&answer.body);
    Timed::new(stream, time).write_all(&bytes)
}

fn read_request(stream: Timed<'_>) -> std::io::Result<Message> {
    let bad = |what: &'static str| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let mut reader = BufReader::new(stream);
    let mut head = (&mut reader).take(MAX_HEAD);
    let line = move |head: &mut std::io::Take<&mut BufReader<Timed<'_>>>| {
        let mut line = String::new();
        head.read_line(&mut line)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| bad("a head without end"))
    };
    let mut message = Message { start: line(&mut head)?, ..Message::default() };
    loop {
        let header = line(&mut head)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| bad("a header without colon"))?;
        message.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = message.header("content-length").unwrap_or("0");
    let length: u64 = length.parse().map_err(|_| bad("a wrong Content-Length"))?;
    if length > MAX_BODY {
        return Err(bad("too long a body"));
    }
    reader.take(length).read_to_end(&mut message.body)?;
    if (message.body.len() as u64) < length {
        return Err(bad("a body that is cut short"));
    }
    Ok(message)
}

/// What an application would do here: write the object into its database under the order's number. The
/// demo only takes the number out of the callback's body and hands it back.
fn demo_answer(request: &Message, verified: &Result<(), String>) -> Message {
    let fields: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let (start, body) = match verified {
        Ok(()) => ("HTTP/1.1 200 OK", serde_json::json!({ "Status": "OK", "id": fields["order"] })),
        Err(_) => ("HTTP/1.1 403 Forbidden", serde_json::json!({ "Status": "Forbidden" })),
    };
    let body = body.to_string().into_bytes();
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("Content-Length", body.len().to_string()),
        ("Connection", "close".to_owned()),
    ];
    Message {
        start: start.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_exchange(server: &AppServer, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(server.address)?;
        stream.write_all(request.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn exchange(server: &AppServer, request: &str) -> String {
        try_exchange(server, request).unwrap()
    }

    fn post(body: &str) -> String {
        format!("POST /oss/uploaded HTTP/1.1\r\nHost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_verified_callback_is_answered_with_what_it_carried() {
        let server = AppServer::start(Box::new(|_| Ok(()))).unwrap();
        let answer = exchange(&server, &post(r#"{"order":"1024"}"#));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n{\"Status\":\"OK\",\"id\":\"1024\"}"), "{answer}");
        let calls = server.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].request.method_and_target(), Some(("POST", "/oss/uploaded")));
    }

    #[test]
    fn a_callback_that_is_not_proven_is_refused() {
        let server = AppServer::start(Box::new(|_| Err("no".to_owned()))).unwrap();
        assert!(exchange(&server, &post("{}")).starts_with("HTTP/1.1 403 "));
    }

    #[test]
    fn rubbish_does_not_stop_it() {
        let server = AppServer::start(Box::new(|_| Ok(()))).unwrap();
        for rubbish in
            ["", "\r\n", "x", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "POST / HTTP/1.1\r\nx\r\n\r\n"]
        {
            exchange(&server, rubbish);
        }
        assert!(exchange(&server, &post(r#"{"order":"1"}"#)).starts_with("HTTP/1.1 200 "));
    }

    /// A running server that is content with everything.
    fn within(connections: usize, time: Duration) -> AppServer {
        let limits = Limits { connections, time };
        AppServer::listen_within(limits, "127.0.0.1", 0, |request| demo_answer(&request, &Ok(()))).unwrap()
    }

    #[test]
    fn connections_that_are_too_many_are_turned_away_and_do_not_keep_it_from_stopping() {
        let server = within(2, Duration::from_secs(600));
        let silent: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        let mut third = TcpStream::connect(server.address).unwrap();
        let mut answer = String::new();
        third.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        drop(silent);
        let deadline = Instant::now() + Duration::from_secs(60);
        // Their threads need a moment to notice.
        while !try_exchange(&server, &post("{}")).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")) {
            assert!(Instant::now() < deadline, "the places are not free again");
            std::thread::sleep(Duration::from_millis(10));
        }
        let _silent: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        let (address, started) = (server.address, Instant::now());
        drop(server);
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        assert!(TcpStream::connect(address).is_err(), "it still listens");
    }

    #[test]
    fn a_peer_that_drips_is_cut_off_in_time() {
        let server = within(64, Duration::from_millis(200));
        let started = Instant::now();
        let mut stream = TcpStream::connect(server.address).unwrap();
        let mut drip = stream.try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            let _ = drip.write_all(b"POST /oss/uploaded HTTP/1.1\r\nX-Slow: ");
            while started.elapsed() < Duration::from_secs(20) && drip.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        // The end may come as a reset.
        let _ = stream.read_to_end(&mut Vec::new());
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        dripping.join().unwrap();
    }
}
