//! How an upload begins: anew, or where an earlier one was when it ended.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::checkpoint::{self, Checkpoint, SourceId, TargetId};
use super::run::Upload;
use super::sizes::Layout;
use super::steps::{Done, DoneParts, Listed, whole_crc64};
use crate::body::FileSource;
use crate::client::careful;
use crate::client::look::{Found, Sought, look};
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
        let mut checkpoint = Checkpoint::new(source, self.target(), SystemTime::now(), self.layout.part_size);
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
        let Some(upload_id) = old.upload_id.clone() else {
            if let Some(asked_at) = UNIX_EPOCH.checked_add(Duration::from_secs(old.asked_at)) {
                self.sweep(asked_at).await;
            }
            return Ok(None);
        };
        let mut budget = self.budget();
        if old.source.size != source.size {
            tracing::info!(path = source.path, "the source has another length: its upload begins anew");
            self.steps.abort(&upload_id, &mut budget).await?;
            return Ok(None);
        }
        let layout = Layout { part_size: old.part_size.max(1), length: Some(source.size) };
        let Some(listed) = self.steps.list(&upload_id, &mut budget).await? else {
            return if old.completing { self.look_back(&old, layout).await } else { Ok(None) };
        };
        // The time of change may differ: whether the data does is seen part by part.
        old.source = source.clone();
        old.completing = false;
        let (file, saved, cancels) = (Arc::clone(file), old.clone(), self.cancels.clone());
        let check = move || unchanged_parts(&file, layout, &listed, &saved, &cancels);
        self.done = tokio::task::spawn_blocking(check)
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Bug, "checking the parts panicked")))?;
        // Only now: whoever has an id and no checkpoint aborts the upload when it fails.
        (self.checkpoint, self.id, self.layout) = (Some(old), Some(upload_id.clone()), layout);
        Ok(Some(upload_id))
    }

    /// The upload has gone, and Complete may have been sent: did it make the object?
    async fn look_back(&self, old: &Checkpoint, layout: Layout) -> Result<Option<String>> {
        if self.mode == CallbackRetry::Always {
            return Ok(None);
        }
        let sizes = |number| layout.part(number).map_or(0, |(_, length)| length);
        let parts: DoneParts = old
            .parts
            .iter()
            .map(|part| {
                let done = Done { etag: part.etag.clone(), crc64: part.crc64, size: sizes(part.number) };
                (part.number, done)
            })
            .collect();
        let sought = Sought {
            bucket: &self.steps.bucket,
            key: &self.steps.key,
            crc64: Some(whole_crc64(&parts)),
            since: None,
        };
        let lost = |message: &str| Error::new(ErrorKind::Service, message.to_owned());
        match look(&self.steps.client, &*self.steps.transport, &sought).await {
            Found::Stored(object) => {
                self.forget();
                let message = "an earlier run completed the upload, and did not see the answer";
                Err(careful::outcome_unknown(object, lost(message)))
            }
            Found::NotStored => Ok(None),
            Found::CannotTell => Err(lost(
                "an earlier run ended while it completed the upload, and what became of it cannot be seen",
            )
            .undecided()
            .with_hint(
                "Delete the checkpoint to upload again; the application server may then be called twice.",
            )),
        }
    }
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
    cancels: &[Cancel; 2],
) -> Result<DoneParts> {
    let mut done = DoneParts::new();
    for part in listed {
        if cancels.iter().any(Cancel::is_cancelled) {
            return Err(engine::cancelled());
        }
        let etag = part.etag.trim_matches('"').to_owned();
        let fitting = layout.part(part.part_number).filter(|(_, length)| *length == part.size);
        let remembered =
            || saved.parts.iter().find(|s| s.number == part.part_number && s.etag == etag).map(|s| s.crc64);
        let (Some((offset, length)), Some(theirs)) = (fitting, part.crc64.or_else(remembered)) else {
            continue;
        };
        let crc64 = file.crc64(offset, length)?;
        if crc64 == theirs {
            done.insert(part.part_number, Done { etag, crc64, size: length });
        } else {
            tracing::info!(part = part.part_number, "the source has changed: the part is sent again");
        }
    }
    Ok(done)
}
