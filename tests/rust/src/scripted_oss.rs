//! An OSS that stores objects and uploads in memory, counts the callbacks that it would make, and meets
//! chosen requests with chosen faults. It checks no signature.
//!
//! What it is for: after any fault, its state says what really happened, and the client's outcome can be
//! held against it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use oss_callback::checksum::crc64;

use crate::http::{Request, Server, answer};

/// Which request a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// PutObject.
    Put,
    /// HeadObject.
    Head,
    /// InitiateMultipartUpload.
    Initiate,
    /// UploadPart.
    Part,
    /// ListParts.
    List,
    /// CompleteMultipartUpload.
    Complete,
    /// AbortMultipartUpload.
    Abort,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends after the head, its data unread.
    Hangup,
    /// The connection ends after so many bytes of the data.
    CutRequest(usize),
    /// All is read, nothing is done, and the connection ends.
    LoseRequest,
    /// All is read and done, and the connection ends without an answer.
    LoseAnswer,
    /// All is done, and the connection ends in the middle of the answer.
    CutAnswer,
    /// All is done, and no answer comes for longer than the client waits.
    Stall,
    /// Nothing is done; OSS's error document with this status and code.
    Refuse(u16, &'static str),
    /// All is done; a gateway's page with status 502.
    Gateway,
    /// Nothing is done; a gateway's page with status 502.
    GatewayUndone,
    /// All is done; the answer has another CRC-64.
    WrongCrc,
    /// All is done; 203, as the application server failed.
    CallbackFailed,
    /// Nothing is done; 307.
    Redirect,
    /// Nothing is done; the clocks are an hour apart.
    Skewed,
    /// All is done, a second late.
    Slow,
}

/// What the server holds and has seen.
#[derive(Debug, Default)]
pub struct State {
    /// Objects by path, `/bucket/key`.
    pub objects: HashMap<String, Object>,
    /// Uploads under way, by id.
    pub uploads: HashMap<String, BTreeMap<u32, Vec<u8>>>,
    /// How many callbacks were made.
    pub callbacks: usize,
    /// Every request whose head arrived.
    pub requests: Vec<(Op, Request)>,
    /// How long each part is made to take.
    pub pace: Duration,
    /// Parts that came again after ListParts had shown them.
    pub repeated: usize,
    listed: HashSet<(String, u32)>,
    faults: HashMap<Op, VecDeque<Option<Fault>>>,
    next_upload: usize,
}

/// A stored object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was stored.
    pub modified: SystemTime,
}

/// The running server.
pub struct ScriptedOss {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl ScriptedOss {
    /// Starts on a free loopback port.
    pub fn start() -> std::io::Result<ScriptedOss> {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let server = Server::start_raw(move |stream| serve(stream, &shared))?;
        Ok(ScriptedOss { server, state })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The next request of that kind meets this fault; called again, the one after it.
    pub fn fault(&self, op: Op, fault: Fault) -> &ScriptedOss {
        self.state().faults.entry(op).or_default().push_back(Some(fault));
        self
    }

    /// The next request of that kind is met well.
    pub fn well(&self, op: Op) -> &ScriptedOss {
        self.state().faults.entry(op).or_default().push_back(None);
        self
    }

    /// What the server holds and has seen.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many callbacks were made.
    pub fn callbacks(&self) -> usize {
        self.state().callbacks
    }

    /// How many uploads are neither completed nor aborted.
    pub fn uploads_left(&self) -> usize {
        self.state().uploads.len()
    }

    /// How many requests of that kind have come.
    pub fn count(&self, op: Op) -> usize {
        self.state().requests.iter().filter(|(seen, _)| *seen == op).count()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(mut request) = Request::read_head(&mut reader)? {
        let Some(op) = op_of(&request) else {
            return answer(&mut stream, 405, &[], b"");
        };
        let (fault, pace) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.requests.push((op, request.clone()));
            let pace = if op == Op::Part { state.pace } else { Duration::ZERO };
            (state.faults.get_mut(&op).and_then(VecDeque::pop_front).flatten(), pace)
        };
        std::thread::sleep(pace);
        match fault {
            Some(Fault::Hangup) => return Ok(()),
            Some(Fault::CutRequest(bytes)) => return reader.read_exact(&mut vec![0; bytes]),
            _ => {}
        }
        request.body = request.read_body(&mut reader)?;
        if let Some(undone) = refuse(fault, &mut stream)? {
            if undone {
                continue;
            }
            return Ok(());
        }
        if fault == Some(Fault::Slow) {
            std::thread::sleep(Duration::from_secs(1));
        }
        let reply = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.perform(op, &request)
        };
        if !reply.send(fault, &mut stream)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Faults that leave the request undone: whether the connection goes on, or nothing if it is to be done.
fn refuse(fault: Option<Fault>, stream: &mut TcpStream) -> std::io::Result<Option<bool>> {
    match fault {
        Some(Fault::LoseRequest) => return Ok(Some(false)),
        Some(Fault::Refuse(status, code)) => answer(stream, status, &[], error(code).as_bytes())?,
        Some(Fault::GatewayUndone) => answer(stream, 502, &[], b"<html><br></html>")?,
        Some(Fault::Redirect) => answer(stream, 307, &[("Location", "http://127.0.0.1:9/")], b"")?,
        Some(Fault::Skewed) => {
            let theirs = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
            answer(stream, 403, &[("Date", &theirs)], error("RequestTimeTooSkewed").as_bytes())?;
        }
        _ => return Ok(None),
    }
    Ok(Some(true))
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.</Message></Error>")
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    has_callback: bool,
}

impl Reply {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), has_callback: false }
    }

    fn missing(code: &str) -> Reply {
        Reply::new(404, error(code))
    }

    fn describe(mut self, bytes: &[u8]) -> Reply {
        self.headers.push(("ETag", format!("\"{:016X}\"", crc64(bytes))));
        self.headers.push(("x-oss-hash-crc64ecma", crc64(bytes).to_string()));
        self
    }

    /// Returns whether the connection goes on.
    fn send(mut self, fault: Option<Fault>, stream: &mut TcpStream) -> std::io::Result<bool> {
        match fault {
            Some(Fault::LoseAnswer) => return Ok(false),
            Some(Fault::CutAnswer) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"St")?;
                return Ok(false);
            }
            Some(Fault::Stall) => {
                // Until the client has had enough.
                let mut rest = Vec::new();
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                let _ = stream.read_to_end(&mut rest);
                return Ok(false);
            }
            Some(Fault::Gateway) => {
                answer(stream, 502, &[], b"<html><br></html>")?;
                return Ok(true);
            }
            Some(Fault::WrongCrc) => {
                self.headers.retain(|(name, _)| *name != "x-oss-hash-crc64ecma");
                self.headers.push(("x-oss-hash-crc64ecma", "1".to_owned()));
            }
            Some(Fault::CallbackFailed) if self.has_callback => {
                (self.status, self.body) = (203, error("CallbackFailed").into());
            }
            _ => {}
        }
        self.headers.push(("Date", httpdate::fmt_http_date(SystemTime::now())));
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        answer(stream, self.status, &headers, &self.body)?;
        Ok(true)
    }
}

impl State {
    fn perform(&mut self, op: Op, request: &Request) -> Reply {
        let path = request.path().to_owned();
        let id = parameter(request, "uploadId").unwrap_or_default();
        match op {
            Op::Put => self.store(path, request.body.clone(), request),
            Op::Head => match self.objects.get(&path) {
                None => Reply::new(404, ""),
                Some(object) => {
                    let mut reply = Reply::new(200, "").describe(&object.bytes);
                    reply.headers.push(("Last-Modified", httpdate::fmt_http_date(object.modified)));
                    reply
                }
            },
            Op::Initiate => {
                self.next_upload += 1;
                let id = format!("UPLOAD{}", self.next_upload);
                self.uploads.insert(id.clone(), BTreeMap::new());
                Reply::new(
                    200,
                    format!(
                        "<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>{id}</UploadId>\
                         </InitiateMultipartUploadResult>"
                    ),
                )
            }
            Op::Part => {
                let number = parameter(request, "partNumber").and_then(|text| text.parse().ok()).unwrap_or(0);
                match self.uploads.get_mut(&id) {
                    None => Reply::missing("NoSuchUpload"),
                    Some(parts) => {
                        self.repeated += usize::from(self.listed.contains(&(id, number)));
                        parts.insert(number, request.body.clone());
                        Reply::new(200, "").describe(&request.body)
                    }
                }
            }
            Op::List => match self.uploads.get(&id) {
                None => Reply::missing("NoSuchUpload"),
                Some(parts) => {
                    self.listed.extend(parts.keys().map(|number| (id.clone(), *number)));
                    Reply::new(200, listing(parts))
                }
            },
            Op::Complete => match self.uploads.remove(&id) {
                None => Reply::missing("NoSuchUpload"),
                Some(parts) => self.store(path, parts.into_values().flatten().collect(), request),
            },
            Op::Abort => match self.uploads.remove(&id) {
                None => Reply::missing("NoSuchUpload"),
                Some(_) => Reply::new(204, ""),
            },
        }
    }

    fn store(&mut self, path: String, bytes: Vec<u8>, request: &Request) -> Reply {
        let has_callback = request.header("x-oss-callback").is_some();
        self.callbacks += usize::from(has_callback);
        let mut reply = Reply::new(200, r#"{"Status":"OK"}"#).describe(&bytes);
        reply.has_callback = has_callback;
        self.objects.insert(path, Object { bytes, modified: SystemTime::now() });
        reply
    }
}

fn listing(parts: &BTreeMap<u32, Vec<u8>>) -> String {
    let mut xml = "<ListPartsResult><IsTruncated>false</IsTruncated>".to_owned();
    for (number, bytes) in parts {
        let (crc, size) = (crc64(bytes), bytes.len());
        xml.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>\"{crc:016X}\"</ETag>\
             <HashCrc64ecma>{crc}</HashCrc64ecma><Size>{size}</Size></Part>"
        ));
    }
    xml + "</ListPartsResult>"
}

fn op_of(request: &Request) -> Option<Op> {
    let has = |name: &str| parameter(request, name).is_some();
    Some(match request.method.as_str() {
        "HEAD" => Op::Head,
        "PUT" if has("uploadId") => Op::Part,
        "PUT" => Op::Put,
        "POST" if has("uploads") => Op::Initiate,
        "POST" if has("uploadId") => Op::Complete,
        "GET" if has("uploadId") => Op::List,
        "DELETE" if has("uploadId") => Op::Abort,
        _ => return None,
    })
}

fn parameter(request: &Request, name: &str) -> Option<String> {
    let (_, query) = request.target.split_once('?')?;
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| value.to_owned())
    })
}
