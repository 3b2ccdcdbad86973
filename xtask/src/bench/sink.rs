//! The running sink: where it listens, what it has seen, and how much CPU it took.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};

use serde::Deserialize;

use crate::runner::Run;

pub struct Sink {
    child: Child,
    /// Held open: the sink ends when it closes.
    _stdin: ChildStdin,
    pub places: Places,
    /// Who issued its certificate.
    pub ca: PathBuf,
}

#[derive(Deserialize)]
pub struct Places {
    pub plain: String,
    slow5: String,
    slow1000: String,
    tls: String,
}

/// What the sink has seen.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Counts {
    pub connections: u64,
    pub requests: u64,
    pub callbacks: u64,
    pub body_bytes: u64,
    pub chunked: u64,
}

impl Counts {
    /// What came since then.
    pub fn since(self, before: Counts) -> Counts {
        Counts {
            connections: self.connections - before.connections,
            requests: self.requests - before.requests,
            callbacks: self.callbacks - before.callbacks,
            body_bytes: self.body_bytes - before.body_bytes,
            chunked: self.chunked - before.chunked,
        }
    }
}

impl Sink {
    pub fn start(run: &Run, program: &Path, folder: &Path) -> Result<Sink, String> {
        let ca = folder.join("ca.pem");
        let said = |e: std::io::Error| format!("{}: {e}", program.display());
        let mut command = run.command(program);
        command.arg(&ca).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(said)?;
        let stdin = child.stdin.take().ok_or("the sink has no stdin")?;
        let stdout = child.stdout.take().ok_or("the sink has no stdout")?;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let places = read.map_err(said).and_then(|_| serde_json::from_str(&line).map_err(|e| e.to_string()));
        match places {
            Ok(places) => Ok(Sink { child, _stdin: stdin, places, ca }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("the sink did not start: {error}"))
            }
        }
    }

    /// The endpoint of a port.
    pub fn endpoint(&self, port: &str) -> &str {
        match port {
            "slow5" => &self.places.slow5,
            "slow1000" => &self.places.slow1000,
            "tls" => &self.places.tls,
            _ => &self.places.plain,
        }
    }

    pub fn counts(&self) -> Result<Counts, String> {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.places.plain.trim_start_matches("http://"))?;
            stream.write_all(b"GET /__counts HTTP/1.1\r\nhost: sink\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().map_err(|e| format!("the sink does not answer: {e}"))?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("the sink's answer has no body")?;
        serde_json::from_str(body).map_err(|e| format!("the sink's counts: {e}"))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
