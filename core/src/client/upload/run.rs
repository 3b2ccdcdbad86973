//! The course of an upload: begin or go on, send parts side by side, complete, and leave things in order
//! however it ends.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior};

use super::checkpoint::{self, Checkpoint};
use super::lanes::Lanes;
use super::parts::{Part, Supply};
use super::sizes::Layout;
use super::steps::{DoneParts, Steps};
use super::{Plan, Progress, Watch, md5_of_whole};
use crate::body::Source;
use crate::client::careful::Trail;
use crate::client::exchange::{Budget, Deadline, known_to, without_object};
use crate::client::reply::CallbackReply;
use crate::client::{Inner, put};
use crate::engine::{self, Cancel};
use crate::error::{Error, ErrorKind, Result};
use crate::options::CallbackRetry;
use crate::transport::{Gauge, Transport};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// The checkpoint is written no more often: OSS's own list makes up for what it lacks.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);

/// Tidying up behind an upload that failed must not hold the caller up for long.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(
    client: Arc<Inner>,
    transport: Arc<dyn Transport>,
    mut plan: Plan,
) -> Result<CallbackReply> {
    let source = std::mem::replace(&mut plan.source, Source::Bytes(bytes::Bytes::new()));
    if !plan.in_parts {
        return in_one(&client, transport, plan, source).await;
    }
    if !matches!(source, Source::Stream { length: None, .. }) {
        return Upload::new(client, transport, plan)?.run(Work::Source(source)).await;
    }
    // How long it is, is seen when it ends: within the first part, one request will do.
    let mut supply = Supply::of(source, plan.layout)?;
    let first = async { supply.next(&DoneParts::new()).await.transpose() };
    let first = until_cancelled(&plan.cancels, plan.deadline.bound(first)).await.map_err(without_object)?;
    let first = first.ok_or_else(|| Error::new(ErrorKind::Bug, "the stream gave no part"))?;
    if let (true, Some(bytes)) = (first.is_last, first.parcel.bytes()) {
        return in_one(&client, transport, plan, Source::Bytes(bytes)).await;
    }
    Upload::new(client, transport, plan)?.run(Work::Begun { supply, first }).await
}

/// What is to be sent.
enum Work {
    Source(Source),
    /// A stream whose first part has been read.
    Begun {
        supply: Supply,
        first: Part,
    },
}

/// An upload below the threshold.
async fn in_one(
    client: &Inner,
    transport: Arc<dyn Transport>,
    mut plan: Plan,
    source: Source,
) -> Result<CallbackReply> {
    let bytes_total = source.length();
    let put = plan.as_put(client, source)?;
    let mut meter = Meter::new(plan.watch.take(), &plan.cancels);
    let work = put::run(client, transport, &put);
    tokio::pin!(work);
    loop {
        let progress =
            Progress { bytes_done: put.parcel.gauge().taken(), bytes_total, ..Progress::default() };
        meter.tell(progress);
        tokio::select! {
            biased;
            () = any_cancelled(&plan.cancels) => return known_to(&put.parcel.gauge(), Err(engine::cancelled())),
            outcome = &mut work => {
                if outcome.is_ok() {
                    meter.tell(Progress { bytes_done: bytes_total.unwrap_or(progress.bytes_done), ..progress });
                }
                return outcome;
            }
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Tells the watcher what is new.
struct Meter {
    watch: Option<Watch>,
    last: Option<Progress>,
    /// Ends this upload alone.
    stop: Cancel,
}

impl Meter {
    fn new(watch: Option<Watch>, [_, own]: &[Cancel; 2]) -> Meter {
        Meter { watch, last: None, stop: own.clone() }
    }

    fn tell(&mut self, mut progress: Progress) {
        let Some(watch) = &self.watch else { return };
        // A part that is sent again begins anew; a bar that runs backwards helps nobody.
        progress.bytes_done = progress.bytes_done.max(self.last.map_or(0, |last| last.bytes_done));
        if self.last != Some(progress) {
            self.last = Some(progress);
            // One that panics, too, ends the upload in order; the panic has been told of by then.
            if !catch_unwind(AssertUnwindSafe(|| watch(progress))).unwrap_or(false) {
                self.stop.cancel();
            }
        }
    }
}

/// How far the parts under way are.
type Flying = BTreeMap<u32, Gauge>;

/// A multipart upload under way.
pub(super) struct Upload {
    pub steps: Arc<Steps>,
    pub layout: Layout,
    pub cancels: [Cancel; 2],
    pub deadline: Deadline,
    pub mode: CallbackRetry,
    pub checkpoint_path: Option<PathBuf>,
    pub checkpoint: Option<Checkpoint>,
    pub done: DoneParts,
    pub id: Option<String>,
    parallel: usize,
    meter: Meter,
    told: Instant,
    saved: Instant,
    completing: bool,
    /// Of the last request, in this run and earlier ones. It begins before the upload does, as OSS's documents do
    /// not say by which of its requests the object is dated.
    pub trail: Trail,
}

impl Upload {
    fn new(client: Arc<Inner>, transport: Arc<dyn Transport>, plan: Plan) -> Result<Upload> {
        let options = plan.options.of_object();
        if options.content_md5.as_deref().is_some_and(|md5| md5 != "auto") {
            return Err(md5_of_whole());
        }
        let (bucket, key) = plan.object;
        // Once for the upload: should Complete be sent again, it carries the same nonce.
        let callback = plan.callback.sealed_for(&bucket, &key, SystemTime::now())?;
        let now = Instant::now();
        Ok(Upload {
            layout: plan.layout,
            meter: Meter::new(plan.watch, &plan.cancels),
            cancels: plan.cancels,
            deadline: plan.deadline,
            mode: options.callback_retry.unwrap_or(CallbackRetry::IfNotStored),
            checkpoint_path: plan.checkpoint,
            checkpoint: None,
            done: DoneParts::new(),
            id: None,
            parallel: plan.parallel,
            told: now,
            saved: now,
            completing: false,
            trail: Trail::new(),
            steps: Arc::new(Steps {
                client,
                transport,
                bucket,
                key,
                callback,
                options,
                headers: plan.headers,
            }),
        })
    }

    pub fn budget(&self) -> Budget {
        Budget::new(self.deadline, self.steps.client.retries)
    }

    async fn run(mut self, work: Work) -> Result<CallbackReply> {
        let outcome = self.go(work).await;
        self.leave(outcome).await
    }

    async fn go(&mut self, work: Work) -> Result<CallbackReply> {
        let cancels = self.cancels.clone();
        let file = match &work {
            Work::Source(Source::File(file)) => Some(Arc::clone(file)),
            _ => None,
        };
        let id = until_cancelled(&cancels, self.deadline.bound(self.begin(file.as_ref()))).await?;
        let (mut supply, first) = match work {
            Work::Source(source) => (Supply::of(source, self.layout)?, None),
            Work::Begun { supply, first } => (supply, Some(first)),
        };
        let mut lanes = Lanes::new();
        let sent = self.send_parts(&id, &mut lanes, &mut supply, first).await;
        lanes.stop().await;
        sent?;
        if let Some(file) = &file {
            file.check_unchanged()?;
        }
        self.completing = true;
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.completing = true;
            self.save().await.map_err(|error| {
                Error::invalid_argument("checkpoint", format!("cannot be written: {error}"))
            })?;
        }
        let mut budget = self.budget();
        let complete = self.steps.complete(&id, &self.done, self.mode, &mut self.trail, &mut budget);
        until_cancelled(&cancels, complete).await
    }

    async fn send_parts(
        &mut self,
        id: &str,
        lanes: &mut Lanes,
        supply: &mut Supply,
        first: Option<Part>,
    ) -> Result<()> {
        let cancels = self.cancels.clone();
        let mut flying = Flying::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut more = true;
        // Parts go out on threads of their own: told after the first was started, it might begin anywhere.
        self.tell(&flying, true);
        if let Some(part) = first {
            self.start(id, part, lanes, &mut flying)?;
        }
        while more || lanes.under_way() > 0 {
            tokio::select! {
                biased;
                () = any_cancelled(&cancels) => return Err(engine::cancelled()),
                () = tokio::time::sleep_until(self.deadline.at) => return Err(self.deadline.missed()),
                Some((number, outcome)) = lanes.next() => {
                    self.done.insert(number, outcome?);
                    flying.remove(&number);
                    self.save_now_and_then().await;
                }
                part = supply.next(&self.done), if more && lanes.under_way() < self.parallel => match part {
                    Some(part) => self.start(id, part?, lanes, &mut flying)?,
                    None => more = false,
                },
                _ = tick.tick() => {}
            }
            self.tell(&flying, false);
        }
        self.tell(&flying, true);
        Ok(())
    }

    fn start(&self, id: &str, part: Part, lanes: &mut Lanes, flying: &mut Flying) -> Result<()> {
        flying.insert(part.number, part.parcel.gauge());
        lanes.start(&self.steps, id, part, self.budget())
    }

    fn tell(&mut self, flying: &Flying, at_once: bool) {
        if !at_once && self.told.elapsed() < TICK {
            return;
        }
        self.told = Instant::now();
        let sent: u64 = self.done.values().map(|part| part.size).sum();
        let under_way: u64 = flying.values().map(Gauge::taken).sum();
        self.meter.tell(Progress {
            bytes_done: sent + under_way,
            bytes_total: self.layout.length,
            parts_done: u32::try_from(self.done.len()).unwrap_or(u32::MAX),
            parts_total: self.layout.count(),
        });
    }

    async fn save_now_and_then(&mut self) {
        if self.checkpoint.is_some()
            && self.saved.elapsed() >= SAVE_INTERVAL
            && let Err(error) = self.save().await
        {
            // The upload itself is well; going on from here may cost a few parts.
            tracing::warn!(%error, "the checkpoint cannot be written");
        }
    }

    /// Writes the checkpoint, beside the parts under way.
    pub async fn save(&mut self) -> std::io::Result<()> {
        let (Some(checkpoint), Some(path)) = (&mut self.checkpoint, &self.checkpoint_path) else {
            return Ok(());
        };
        checkpoint.set_parts(&self.done);
        let (checkpoint, path) = (checkpoint.clone(), path.clone());
        let saved = tokio::task::spawn_blocking(move || checkpoint.save(&path)).await;
        self.saved = Instant::now();
        saved.unwrap_or_else(|_| Err(std::io::Error::other("writing it panicked")))
    }

    /// Leaves parts only where somebody will come back for them.
    async fn leave(mut self, outcome: Result<CallbackReply>) -> Result<CallbackReply> {
        let error = match outcome {
            Ok(reply) => {
                self.forget();
                return Ok(reply);
            }
            Err(error) => error,
        };
        let cancelled = error.kind() == ErrorKind::Cancelled;
        let error = match self.completing {
            _ if error.stored() => error,
            // The last request's error says itself what may have come of it.
            true if !cancelled => error,
            false if !self.trail.maybe_sent => without_object(error),
            _ => error.undecided(),
        };
        let is_object = error.stored() || self.completing && error.kind() == ErrorKind::Integrity;
        if is_object {
            self.forget();
            return Err(error);
        }
        let Some(id) = self.id.clone() else { return Err(error) };
        // Nothing is left open where OSS has had the last request and said no, each time.
        let open = self.trail.maybe_sent || self.completing && cancelled;
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.completing = open;
            let saved = self.save().await;
            return Err(match saved {
                Ok(()) if open => error,
                Ok(()) => error.with_remains(&format!(
                    "Nothing is stored yet; {} parts are with OSS, and the same call goes on from there.",
                    self.done.len()
                )),
                Err(failed) => error.and_hint(&format!("The checkpoint could not be written: {failed}")),
            });
        }
        let mut budget = Budget::new(Deadline::within(ABORT_TIMEOUT), self.steps.client.retries);
        match self.steps.abort(&id, &mut budget).await {
            Ok(()) if self.completing => Err(error),
            Ok(()) => Err(error.with_remains("Nothing was stored, and OSS keeps no parts.")),
            Err(failed) => {
                tracing::warn!(id, error = %failed, "the upload could not be aborted");
                let parts = match self.completing {
                    true => "Unless it was completed, OSS still keeps the parts of",
                    false => "OSS still keeps the parts of",
                };
                Err(error.and_hint(&format!("{parts} upload {id}: it could not be aborted.")))
            }
        }
    }

    pub fn forget(&self) {
        if let Some(path) = &self.checkpoint_path {
            checkpoint::remove(path);
        }
    }
}

async fn any_cancelled(cancels: &[Cancel; 2]) {
    tokio::select! {
        () = cancels[0].cancelled() => {}
        () = cancels[1].cancelled() => {}
    }
}

async fn until_cancelled<T>(cancels: &[Cancel; 2], work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = any_cancelled(cancels) => Err(engine::cancelled()),
        outcome = work => outcome,
    }
}
