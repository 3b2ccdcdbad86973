//! The file from which an upload goes on: what was begun, for which source and object, and which parts
//! OSS has acknowledged. OSS's own list of parts is asked all the same; this file says what to ask about.
//!
//! It is replaced as a whole (written beside, synced, renamed), so that a kill at any instant leaves the
//! old or the new one.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::steps::{Done, DoneParts};
use crate::body::FileSource;
use crate::error::{Error, Result};

const FORMAT: &str = "oss-callback upload";
const VERSION: u32 = 1;

/// What was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    format: String,
    version: u32,
    pub source: SourceId,
    pub target: TargetId,
    /// Digest of the options that go into the object.
    pub options: String,
    /// When OSS was asked to begin the upload, by this machine's clock, in seconds since 1970.
    pub asked_at: u64,
    /// None until OSS has answered.
    pub upload_id: Option<String>,
    pub part_size: u64,
    pub parts: Vec<SavedPart>,
    /// Complete may have been sent, by the run that wrote this or by one before: what became of it must be found out
    /// before anything else.
    pub completing: bool,
}

/// Which file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceId {
    pub path: String,
    pub size: u64,
    /// Time of change, in nanoseconds since 1970; 0 where the system does not tell.
    pub modified_ns: u64,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetId {
    pub endpoint: String,
    pub bucket: String,
    pub key: String,
}

/// An acknowledged part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedPart {
    pub number: u32,
    pub etag: String,
    pub crc64: u64,
}

/// Enough to tell a file that is no checkpoint, or of another version, from a damaged one.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Checkpoint {
    /// That of an upload which OSS is about to be asked for.
    pub fn new(
        source: SourceId,
        target: TargetId,
        options: String,
        asked_at: SystemTime,
        part_size: u64,
    ) -> Checkpoint {
        Checkpoint {
            format: FORMAT.to_owned(),
            version: VERSION,
            source,
            target,
            options,
            asked_at: asked_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            upload_id: None,
            part_size,
            parts: Vec::new(),
            completing: false,
        }
    }

    pub fn set_parts(&mut self, parts: &DoneParts) {
        let saved = |(number, done): (&u32, &Done)| SavedPart {
            number: *number,
            etag: done.etag.clone(),
            crc64: done.crc64,
        };
        self.parts = parts.iter().map(saved).collect();
    }

    /// What the file holds; `None` if there is none.
    ///
    /// # Errors
    /// `invalid_argument` for `checkpoint` if it cannot be read, or is damaged, or something else.
    pub fn load(path: &Path) -> Result<Option<Checkpoint>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(path, &format!("cannot be read: {error}"))),
        };
        Checkpoint::parse(&text).map(Some).map_err(|message| {
            refuse(path, &message)
                .with_hint("Delete it to upload from the beginning. The source has not been touched.")
        })
    }

    fn parse(text: &str) -> std::result::Result<Checkpoint, String> {
        let head: Head = serde_json::from_str(text).map_err(|error| format!("is damaged: {error}"))?;
        if head.format != FORMAT {
            return Err("is no checkpoint of an upload".to_owned());
        }
        if head.version != VERSION {
            return Err(format!("has version {}, and this library knows {VERSION}", head.version));
        }
        serde_json::from_str(text).map_err(|error| format!("is damaged: {error}"))
    }

    /// Replaces the file.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let beside = beside(path);
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&beside, path)?;
        sync_folder(path)
    }
}

/// Removes the file; that it is gone already is fine.
pub(super) fn remove(path: &Path) {
    for path in [path, &beside(path)] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "the checkpoint cannot be removed");
            }
            _ => {}
        }
    }
}

pub(super) fn refuse(path: &Path, message: &str) -> Error {
    Error::invalid_argument("checkpoint", format!("{} {message}", path.display()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Without it a power failure may undo the renaming. Windows has no such thing for folders.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

impl SourceId {
    /// `None` for a file that is not known by its path.
    pub fn of(file: &FileSource) -> Option<SourceId> {
        let path = file.path.as_ref()?;
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let modified = file.modified.and_then(since).map_or(0, |since| since.as_nanos());
        Some(SourceId {
            path: path.to_string_lossy().into_owned(),
            size: file.length,
            modified_ns: u64::try_from(modified).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let source = SourceId { path: "/data/a".to_owned(), size: 7, modified_ns: u64::MAX };
        let target = TargetId { endpoint: "e".to_owned(), bucket: "b".to_owned(), key: "k\"\n".to_owned() };
        let mut checkpoint = Checkpoint::new(source, target, "o".to_owned(), UNIX_EPOCH, 102_400);
        checkpoint.upload_id = Some("ID".to_owned());
        let done = Done { etag: "E".to_owned(), crc64: u64::MAX, size: 7 };
        checkpoint.set_parts(&DoneParts::from([(3, done)]));
        checkpoint
    }

    fn folder() -> PathBuf {
        let name = format!("oss-callback-checkpoint-{}-{}", std::process::id(), crate::retry::random());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn what_was_saved_is_loaded_and_nothing_else_stays() {
        let folder = folder();
        let path = folder.join("a.checkpoint");
        assert_eq!(Checkpoint::load(&path).unwrap(), None);
        checkpoint().save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), Some(checkpoint()));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "the file beside has gone");
        remove(&path);
        remove(&path);
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn every_cut_off_file_is_said_to_be_damaged() {
        let text = serde_json::to_string(&checkpoint()).unwrap();
        for end in 0..text.len() {
            if let Some(cut) = text.get(..end) {
                assert!(Checkpoint::parse(cut).unwrap_err().contains("damaged"), "{cut}");
            }
        }
        let newer = text.replace("\"version\":1", "\"version\":2");
        assert!(Checkpoint::parse(&newer).unwrap_err().contains("version 2"));
        assert!(Checkpoint::parse(r#"{"format":"x","version":1}"#).unwrap_err().contains("no checkpoint"));
    }
}
