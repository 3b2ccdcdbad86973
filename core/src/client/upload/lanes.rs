//! Parts on their way, side by side: each is read, summed and sent by a thread of its own, with an engine of
//! its own, so that a part's bytes stay in one processor's cache from the file to the socket.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::parts::Part;
use super::steps::{Done, Steps};
use crate::client::exchange::Budget;
use crate::engine::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// How long lanes may take to stop. Only one that waits for a file system takes longer, and what it may
/// still send OSS refuses, once the upload is aborted.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The parts under way.
pub(super) struct Lanes {
    stop: Cancel,
    end: mpsc::UnboundedSender<(u32, Result<Done>)>,
    ended: mpsc::UnboundedReceiver<(u32, Result<Done>)>,
    under_way: usize,
}

impl Lanes {
    pub fn new() -> Lanes {
        let (end, ended) = mpsc::unbounded_channel();
        Lanes { stop: Cancel::new(), end, ended, under_way: 0 }
    }

    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Starts to send a part.
    pub fn start(&mut self, steps: &Arc<Steps>, id: &str, part: Part, mut budget: Budget) -> Result<()> {
        let (steps, id) = (Arc::clone(steps), id.to_owned());
        let (stop, end) = (self.stop.clone(), self.end.clone());
        let number = part.number;
        let (parcel, lease) = part.parcel.leased();
        let send = move || {
            let engines = &steps.client.engines;
            engines.block_on(Some(&stop), None, &lease, |transport| {
                let steps = &steps;
                async move { steps.part(&*transport, &id, number, &parcel, &mut budget).await }
            })
        };
        let lane = move || {
            let outcome = catch_unwind(AssertUnwindSafe(send))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Bug, "sending a part panicked")));
            // Nobody is there to be told when the upload has ended without it.
            let _ = end.send((number, outcome));
        };
        std::thread::Builder::new()
            .name("oss-callback-part".to_owned())
            .spawn(lane)
            .map_err(|e| Error::new(ErrorKind::Source, format!("no thread could be started: {e}")))?;
        self.under_way += 1;
        Ok(())
    }

    /// The next part that has ended. `None` if none is under way.
    pub async fn next(&mut self) -> Option<(u32, Result<Done>)> {
        if self.under_way == 0 {
            return None;
        }
        let ended = self.ended.recv().await;
        self.under_way -= 1;
        ended
    }

    /// Ends all, and waits until they have: none may arrive after the upload was aborted, as it would stay,
    /// and cost.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
