//! TLS for the sink. A record is decrypted where it arrived and dropped there: rustls' buffered interface
//! would copy it twice more, at a higher price than that of deciphering it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

/// Sixteen records or so for one system call.
const INCOMING_BYTES: usize = 256 << 10;

/// The server's end of a connection.
pub struct TlsStream {
    session: UnbufferedServerConnection,
    stream: TcpStream,
    incoming: Vec<u8>,
    /// Bytes that are received and not yet deciphered: from here …
    start: usize,
    /// … to here.
    end: usize,
    outgoing: Vec<u8>,
    /// Deciphered bytes beyond those that were asked for.
    left_over: Vec<u8>,
}

/// What the next record was.
enum Step {
    Data,
    Other,
    NeedsMore,
    Answered,
    Closed,
}

impl TlsStream {
    /// A fresh connection, whose handshake comes with the first read.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn new(config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<TlsStream> {
        Ok(TlsStream {
            session: UnbufferedServerConnection::new(config).map_err(io::Error::other)?,
            stream,
            incoming: vec![0; INCOMING_BYTES],
            start: 0,
            end: 0,
            outgoing: Vec::new(),
            left_over: Vec::new(),
        })
    }

    /// Takes up to `most` bytes, hands them to `take`, and says how many they were; 0 once the client has
    /// closed.
    pub fn take(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        if !self.left_over.is_empty() {
            let ready = most.min(self.left_over.len());
            take(&self.left_over[..ready]);
            self.left_over.drain(..ready);
            return Ok(ready);
        }
        let mut taken = 0;
        loop {
            let hand_over = |record: &[u8], left_over: &mut Vec<u8>| {
                let ready = record.len().min(most - taken);
                take(&record[..ready]);
                left_over.extend_from_slice(&record[ready..]);
                taken += ready;
            };
            let step = self.step(hand_over, None)?;
            match step {
                _ if taken > 0 => return Ok(taken),
                Step::Closed => return Ok(0),
                Step::NeedsMore if !self.fill()? => return Ok(0),
                _ => {}
            }
        }
    }

    /// Deciphers or sends what is next in line; at last the answer, once nothing else has to go before it.
    fn step(&mut self, mut take: impl FnMut(&[u8], &mut Vec<u8>), answer: Option<&[u8]>) -> io::Result<Step> {
        let UnbufferedStatus { mut discard, state, .. } =
            self.session.process_tls_records(&mut self.incoming[self.start..self.end]);
        let step = match state.map_err(io::Error::other)? {
            ConnectionState::ReadTraffic(mut records) => {
                while let Some(record) = records.next_record() {
                    let record = record.map_err(io::Error::other)?;
                    discard += record.discard;
                    take(record.payload, &mut self.left_over);
                }
                Step::Data
            }
            ConnectionState::EncodeTlsData(mut data) => {
                let written = self.outgoing.len();
                self.outgoing.resize(written + (32 << 10), 0);
                let more = data.encode(&mut self.outgoing[written..]).map_err(io::Error::other)?;
                self.outgoing.truncate(written + more);
                Step::Other
            }
            ConnectionState::TransmitTlsData(data) => {
                self.stream.write_all(&self.outgoing)?;
                self.outgoing.clear();
                data.done();
                Step::Other
            }
            ConnectionState::WriteTraffic(mut traffic) => match answer {
                None => Step::NeedsMore,
                Some(answer) => {
                    self.outgoing.resize(answer.len() + 1024, 0);
                    let length = traffic.encrypt(answer, &mut self.outgoing).map_err(io::Error::other)?;
                    self.stream.write_all(&self.outgoing[..length])?;
                    self.outgoing.clear();
                    Step::Answered
                }
            },
            ConnectionState::BlockedHandshake => Step::NeedsMore,
            _ => Step::Closed,
        };
        self.start += discard;
        Ok(step)
    }

    /// Receives more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.incoming.len() {
            self.incoming.copy_within(self.start.., 0);
            self.end -= self.start;
            self.start = 0;
        }
        let received = self.stream.read(&mut self.incoming[self.end..])?;
        self.end += received;
        Ok(received > 0)
    }

    /// Sends an answer.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.step(|record, left_over| left_over.extend_from_slice(record), Some(bytes))? {
                Step::Answered => return Ok(()),
                Step::Closed | Step::NeedsMore => return Err(io::ErrorKind::ConnectionAborted.into()),
                Step::Data | Step::Other => {}
            }
        }
    }
}
