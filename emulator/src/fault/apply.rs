//! A request that meets a fault.

use std::time::Duration;

use bytes::Bytes;

use super::{Cut, FaultAction, Sighting};
use crate::error::OssError;
use crate::line::Line;
use crate::operation::Operation;
use crate::ops::Exchange;
use crate::reply::{Content, Reply};

const GATEWAY_PAGE: &str =
    "<html><head><title>Bad gateway</title></head><body><h1>Bad gateway<br></h1></body></html>";

impl Exchange {
    /// The fault of this request. What it asks for is seen as its likeliest reading has it: a signature that
    /// would settle the rest has not been looked at.
    pub(crate) fn fault(&mut self) -> Option<FaultAction> {
        let likeliest = self.readings().ok()?.into_iter().next()?;
        let operation = Operation::of(&self.request, &likeliest.target, &likeliest.query);
        let fault = self.shared.faults.of(&Sighting {
            operation,
            bucket: likeliest.target.bucket.as_deref().unwrap_or_default(),
            key: likeliest.target.key.as_deref().unwrap_or_default(),
        })?;
        // For the log, should it be all that is ever known of it.
        self.operation = operation.map_or("", Operation::name);
        self.request.target = likeliest.target;
        Some(fault)
    }

    /// Answers as the fault has it.
    pub(crate) async fn answer_with(&mut self, fault: FaultAction, line: &Line) -> Reply {
        match fault {
            FaultAction::Refuse => self.answer().await,
            FaultAction::Cut { at, reset } => self.cut(at, reset, line).await,
            FaultAction::Stall { duration, done } => {
                let reply = self.done_or(done, Reply::new(200)).await;
                tokio::time::sleep(duration).await;
                line.cut_after(0, false);
                reply
            }
            FaultAction::Delay(duration) => {
                let reply = self.answer().await;
                tokio::time::sleep(duration).await;
                reply
            }
            FaultAction::Drip { bytes, pause } => {
                line.drip(bytes, pause);
                self.answer().await
            }
            FaultAction::Error { status, code, message, done } => {
                self.done_or(done, Reply::new(status)).await;
                Reply::of_error(OssError::new(status, code, message), &self.request)
            }
            FaultAction::Gateway { status, done } => {
                self.done_or(done, Reply::new(status)).await;
                let mut reply = Reply::new(status);
                reply.set_body("text/html", GATEWAY_PAGE);
                reply
            }
            FaultAction::Redirect(to) => {
                let mut reply = Reply::new(307);
                reply.more_headers.push(("location".to_owned(), to));
                reply
            }
            FaultAction::Truncate(bytes) => {
                let mut reply = self.answer().await;
                pad(&mut reply, bytes);
                line.cut_body_after(bytes);
                reply
            }
            FaultAction::Oversize(bytes) => {
                let mut reply = self.answer().await;
                reply.content = Content::Bytes(Bytes::from(vec![b'a'; bytes]));
                reply
            }
            FaultAction::WrongCrc => self.with_wrong("x-oss-hash-crc64ecma", wrong_crc).await,
            FaultAction::WrongETag => self.with_wrong("etag", wrong_etag).await,
            FaultAction::Callback(cause) => {
                self.callback_cause = Some(cause);
                self.answer().await
            }
            FaultAction::Skew(seconds) => {
                let distance = Duration::from_secs(seconds.unsigned_abs());
                let now = self.request.now;
                let moved = if seconds < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
                self.request.now = moved.unwrap_or(now);
                self.answer().await
            }
        }
    }

    async fn done_or(&mut self, done: bool, reply: Reply) -> Reply {
        if done { self.answer().await } else { reply }
    }

    async fn cut(&mut self, at: Cut, reset: bool, line: &Line) -> Reply {
        let wanted = match at {
            Cut::Answer(bytes) => {
                let reply = self.answer().await;
                line.cut_after(bytes, reset);
                return reply;
            }
            Cut::Request(bytes) => bytes,
            Cut::WholeRequest => u64::MAX,
        };
        while self.body.received < wanted && matches!(self.body.chunk().await, Ok(Some(_))) {}
        line.cut_after(0, reset);
        self.is_cut = true;
        Reply::new(500)
    }

    async fn with_wrong(&mut self, name: &str, wrong: fn(&str) -> String) -> Reply {
        let mut reply = self.answer().await;
        for (_, value) in reply.headers.iter_mut().filter(|(known, _)| *known == name) {
            *value = wrong(value);
        }
        reply
    }
}

fn wrong_crc(right: &str) -> String {
    right.parse::<u64>().map_or(0, |right| right ^ 1).to_string()
}

/// One hexadecimal digit is another.
fn wrong_etag(right: &str) -> String {
    let mut digits: Vec<char> = right.chars().collect();
    if let Some(digit) = digits.iter_mut().find(|digit| digit.is_ascii_hexdigit()) {
        *digit = if *digit == '0' { '1' } else { '0' };
    }
    digits.into_iter().collect()
}

/// Sees to it that the body has more than so many bytes.
fn pad(reply: &mut Reply, bytes: u64) {
    let least = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_add(1);
    let mut content = match &reply.content {
        Content::Bytes(content) => content.to_vec(),
        Content::Empty => Vec::new(),
        // Files are as long as they are, and HEAD has no body.
        Content::Blob(_) | Content::Length(_) => return,
    };
    if content.len() < least {
        content.resize(least, b' ');
        reply.content = Content::Bytes(content.into());
    }
}
