//! How an upload begins: anew, or where an earlier one was when it ended.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::checkpoint::{self, Checkpoint, SourceId, TargetId};
use super::run::Upload;
use super::sizes::Layout;
use super::steps::{Done, DoneParts, Listed, whole_crc64};
use crate::body::FileSource;
use crate::client::careful::{self, Trail};
use crate::client::look::{Begun, Found, Sought, look};
use crate::engine::{self, Cancel};
use crate::error::{Error, ErrorKind, Result};
use crate::options::CallbackRetry;

impl Upload {
    /// The id of the upload to send parts to; those that are there already are noted as done.
    pub(super) async fn begin(&mut self, file: Option<&Arc<FileSource>>) -> Result<String> {
        let begun = match (self.checkpoint_path.clone(), file) {
            (Some(path), Some(file)) => {
                let source = SourceId::of(file)
                    .ok_or_else(|| checkpoint::refuse(&path, "needs a source that is the path of a file"))?;
                let old = Checkpoint::load(&path)?;
                let found = match old {
                    Some(old) => self.take_up(&path, old, &source, file).await?,
                    None => None,
                };
                match found {
                    Some(id) => return Ok(id),
                    None => Some((path, source)),
                }
            }
            _ => None,
        };
        let mut budget = self.budget();
        let Some((path, source)) = begun else {
            let id = self.steps.initiate(&mut budget).await?;
            self.id = Some(id.clone());
            return Ok(id);
        };
        // Before the request too: killed right after it, the next run knows that there may be an upload.
        let mut checkpoint = Checkpoint::new(
            source,
            self.target(),
            self.steps.fingerprint(),
            SystemTime::now(),
            self.layout.part_size,
        );
        write(&checkpoint, &path).await?;
        let id = match self.steps.initiate(&mut budget).await {
            Ok(id) => id,
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout) {
                    self.forget();
                }
                return Err(error);
            }
        };
        self.id = Some(id.clone());
        checkpoint.upload_id = Some(id.clone());
        write(&checkpoint, &path).await?;
        self.checkpoint = Some(checkpoint);
        Ok(id)
    }

    fn target(&self) -> TargetId {
        TargetId {
            endpoint: self.steps.client.endpoint.to_string(),
            bucket: self.steps.bucket.clone(),
            key: self.steps.key.clone(),
        }
    }

    /// Goes on with an earlier upload; `None` if there is nothing (left) to go on with.
    async fn take_up(
        &mut self,
        path: &Path,
        mut old: Checkpoint,
        source: &SourceId,
        file: &Arc<FileSource>,
    ) -> Result<Option<String>> {
        if old.target != self.target() || old.source.path != source.path {
            let TargetId { bucket, key, .. } = &old.target;
            let message = format!("belongs to the upload of {} to {bucket}/{key}", old.source.path);
            return Err(checkpoint::refuse(path, &message).with_hint("Name another file for each upload."));
        }
        if old.options != self.steps.fingerprint() {
            let message = "belongs to an upload with other options: content type, metadata and the like are fixed when \
                           an upload begins";
            let error = checkpoint::refuse(path, message).with_hint(
                "Give those of the first call, or delete the checkpoint to upload from the beginning.",
            );
            return Err(if old.completing { error.undecided() } else { error });
        }
        let asked_at = UNIX_EPOCH.checked_add(Duration::from_secs(old.asked_at)).unwrap_or(UNIX_EPOCH);
        let Some(upload_id) = old.upload_id.clone() else {
            self.sweep(asked_at).await;
            return Ok(None);
        };
        let mut budget = self.budget();
        if old.source.size != source.size {
            tracing::info!(path = source.path, "the source has another length: its upload begins anew");
            if let Err(error) = self.steps.abort(&upload_id, &mut budget).await {
                // Its parts would stay for ever when the checkpoint no longer names it.
                if error.is_retryable() {
                    return Err(error);
                }
                tracing::warn!(id = upload_id, %error, "the earlier upload could not be aborted");
            }
            return Ok(None);
        }
        let layout = Layout { part_size: old.part_size.max(1), length: Some(source.size) };
        self.trail = Trail { since: Begun::earlier(asked_at), maybe_sent: old.completing };
        let Some(listed) = self.steps.list(&upload_id, &mut budget).await? else {
            return if old.completing && self.is_the_one_sent(&old, layout, source, file).await? {
                self.look_back(&old, layout).await
            } else {
                self.trail = Trail::new();
                Ok(None)
            };
        };
        // The time of change may differ: whether the data does is seen part by part.
        old.source = source.clone();
        let (file, saved) = (Arc::clone(file), old.clone());
        self.done = self.read(move |go_on| unchanged_parts(&file, layout, &listed, &saved, go_on)).await?;
        // Only now: whoever has an id and no checkpoint aborts the upload when it fails.
        (self.checkpoint, self.id, self.layout) = (Some(old), Some(upload_id.clone()), layout);
        Ok(Some(upload_id))
    }

    /// Has `work` read the file, as long as somebody waits for what comes of it: it asks before each piece whether to
    /// go on.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Fn() -> Result<()>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (cancels, awaited) = (self.cancels.clone(), Arc::new(()));
        let wanted = Arc::downgrade(&awaited);
        let go_on = move || match wanted.strong_count() == 0 || cancels.iter().any(Cancel::is_cancelled) {
            true => Err(engine::cancelled()),
            false => Ok(()),
        };
        let outcome = tokio::task::spawn_blocking(move || work(&go_on)).await;
        drop(awaited);
        outcome.unwrap_or_else(|_| Err(Error::new(ErrorKind::Bug, "checking the parts panicked")))
    }

    /// Whether the file still holds what the earlier run sent.
    async fn is_the_one_sent(
        &self,
        old: &Checkpoint,
        layout: Layout,
        source: &SourceId,
        file: &Arc<FileSource>,
    ) -> Result<bool> {
        if old.source.modified_ns == source.modified_ns && source.modified_ns > 0 {
            return Ok(true);
        }
        let (file, length, sent) = (Arc::clone(file), source.size, whole_crc64(&saved_parts(old, layout)));
        self.read(move |go_on| Ok(file.crc64(0, length, go_on)? == sent)).await
    }

    /// The upload has gone, and Complete may have been sent: did it make the object?
    async fn look_back(&self, old: &Checkpoint, layout: Layout) -> Result<Option<String>> {
        if self.mode == CallbackRetry::Always {
            return Ok(None);
        }
        let sought = Sought {
            bucket: &self.steps.bucket,
            key: &self.steps.key,
            crc64: Some(whole_crc64(&saved_parts(old, layout))),
            since: self.trail.since,
            headers: self.steps.payer(),
        };
        let lost = |message: &str| Error::new(ErrorKind::Service, message.to_owned());
        match look(&self.steps.client, &*self.steps.transport, &sought).await {
            Found::Stored(object) => {
                self.forget();
                let message = "an earlier run completed the upload, and did not see the answer";
                Err(careful::outcome_unknown(object, lost(message)))
            }
            // An upload ends by being completed, mostly. The object may be about to come, or have been moved since.
            Found::Absent | Found::Older | Found::CannotTell => Err(lost(
                "an earlier run ended while it completed the upload, and what became of it cannot be seen",
            )
            .undecided()
            .and_hint(
                "Make the same call later, or ask the application server. To upload again delete the checkpoint; \
                 the application server may then be called twice.",
            )),
        }
    }
}

/// The parts that a checkpoint tells of.
fn saved_parts(checkpoint: &Checkpoint, layout: Layout) -> DoneParts {
    let size = |number| layout.part(number).map_or(0, |(_, length)| length);
    let parts = checkpoint.parts.iter();
    parts
        .map(|part| {
            let done = Done { etag: part.etag.clone(), crc64: part.crc64, size: size(part.number) };
            (part.number, done)
        })
        .collect()
}

async fn write(checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    let (checkpoint, place) = (checkpoint.clone(), path.to_owned());
    let saved = tokio::task::spawn_blocking(move || checkpoint.save(&place)).await;
    let saved = saved.unwrap_or_else(|_| Err(std::io::Error::other("writing it panicked")));
    saved.map_err(|error| checkpoint::refuse(path, &format!("cannot be written: {error}")))
}

/// The parts that OSS holds and that are still what the file says. The file is read for it: a part of
/// other data would make an object that never was.
fn unchanged_parts(
    file: &FileSource,
    layout: Layout,
    listed: &[Listed],
    saved: &Checkpoint,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<DoneParts> {
    let mut done = DoneParts::new();
    for part in listed {
        let etag = part.etag.trim_matches('"').to_owned();
        let fitting = layout.part(part.part_number).filter(|(_, length)| *length == part.size);
        let remembered =
            || saved.parts.iter().find(|s| s.number == part.part_number && s.etag == etag).map(|s| s.crc64);
        let (Some((offset, length)), Some(theirs)) = (fitting, part.crc64.or_else(remembered)) else {
            continue;
        };
        let crc64 = file.crc64(offset, length, go_on)?;
        if crc64 == theirs {
            done.insert(part.part_number, Done { etag, crc64, size: length });
        } else {
            tracing::info!(part = part.part_number, "the source has changed: the part is sent again");
        }
    }
    Ok(done)
}
