//! Just enough HTTP/1.1 to play a server badly: a well-behaved library would not let the tests send
//! what they must.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Raw request target.
    pub target: String,
    /// Headers, in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Reads one request; `None` when the connection ended before it.
    pub fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
        let Some(mut request) = Request::read_head(reader)? else { return Ok(None) };
        request.body = request.read_body(reader)?;
        Ok(Some(request))
    }

    /// Reads all of a request but its body; `None` when the connection ended before it.
    pub fn read_head(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let mut request = Request {
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            ..Request::default()
        };
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) => request.headers.push((name.to_owned(), value.trim().to_owned())),
                None => return Ok(Some(request)),
            }
        }
    }

    /// The whole body that follows this head; an error if the client leaves before its end.
    pub fn read_body(&self, reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_none() {
            let length = self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
            return Ok(body);
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim_end(), 16)
                .map_err(|_| std::io::Error::other("not the length of a chunk"))?;
            let start = body.len();
            body.resize(start + length, 0);
            reader.read_exact(&mut body[start..])?;
            reader.read_line(&mut line)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

/// What a handler wants done with the connection.
pub enum Then {
    /// Read the next request from it.
    KeepAlive,
    /// Close it in order.
    Close,
}

/// A server on a free loopback port, a thread for each connection, gone when dropped.
pub struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Calls `handle` for each request.
    pub fn start(
        handle: impl Fn(&Request, &mut TcpStream) -> std::io::Result<Then> + Send + Sync + 'static,
    ) -> std::io::Result<Server> {
        let handle = Arc::new(handle);
        Server::start_raw(move |stream| {
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut stream = stream;
            while let Some(request) = Request::read(&mut reader)? {
                if let Then::Close = handle(&request, &mut stream)? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Calls `serve` for each connection, before anything is read.
    pub fn start_raw(
        serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> std::io::Result<Server> {
        let listener = listen()?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (connections, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let serve = Arc::new(serve);
        let acceptor = std::thread::spawn({
            let (stopping, connections) = (Arc::clone(&stopping), Arc::clone(&connections));
            let closed = Arc::clone(&closed);
            move || {
                for stream in listener.incoming() {
                    if stopping.load(Ordering::Acquire) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    connections.fetch_add(1, Ordering::Relaxed);
                    let (serve, closed) = (Arc::clone(&serve), Arc::clone(&closed));
                    std::thread::spawn(move || {
                        let _ = stream.set_nodelay(true);
                        // A peer that goes away is part of the play.
                        let _ = serve(stream);
                        closed.fetch_add(1, Ordering::Release);
                    });
                }
            }
        });
        Ok(Server { address, stopping, connections, closed, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many of them it has closed.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::Acquire)
    }
}

/// A loopback port that refuses connections, and that nobody else gets while this lives.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _socket: socket2::Socket,
}

impl ClosedPort {
    /// Takes a free port without listening there.
    pub fn take() -> std::io::Result<ClosedPort> {
        let socket = bound()?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| std::io::Error::other("not an internet address"))?;
        Ok(ClosedPort { address, _socket: socket })
    }

    /// Where nobody listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Takes hundreds of connections at once: the standard library's listener takes 128, and whoever comes beyond
/// them tries again only a second later.
fn listen() -> std::io::Result<TcpListener> {
    let socket = bound()?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn bound() -> std::io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    Ok(socket)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Writes an answer with a Content-Length.
pub fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut whole = head.into_bytes();
    whole.extend_from_slice(body);
    stream.write_all(&whole)
}
