//! The data directory.
//!
//! ```text
//! oss-callback-emulator.json     says that the directory is ours, and its format; locked while it is in use
//! buckets/<bucket>/bucket        one record
//! buckets/<bucket>/objects/<n>   one object each
//! uploads/<upload id>/upload     one record
//! uploads/<upload id>/part-<n>   one part each
//! tmp/                           what is being written; emptied at start
//! ```
//! Each file holds bytes, then a record in JSON that says what they are, then the record's length and a
//! mark. Object and metadata are therefore one file, which is written under `tmp`, synced and renamed:
//! after a crash it is there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::blob::Draft;
use super::uploads::{PartInfo, UploadInfo};
use super::{BucketInfo, ObjectMeta};

const MARKER: &str = "oss-callback-emulator.json";
const FORMAT: &str = "{\"format\": 1}\n";
const END: &[u8; 8] = b"OSSCBEM1";
/// A record is small: names of at most 1023 bytes, headers of at most some ten thousand.
const RECORD_LIMIT: u64 = 4 * 1024 * 1024;

const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What a file is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Record {
    Bucket { name: String, info: BucketInfo },
    Object { bucket: String, key: String, meta: ObjectMeta },
    Upload { info: UploadInfo },
    Part { bucket: String, key: String, id: String, info: PartInfo },
}

impl Record {
    pub fn object(bucket: &str, key: &str, meta: &ObjectMeta) -> Record {
        Record::Object { bucket: bucket.to_owned(), key: key.to_owned(), meta: meta.clone() }
    }

    /// How many bytes precede the record.
    fn data_length(&self) -> u64 {
        match self {
            Record::Bucket { .. } | Record::Upload { .. } => 0,
            Record::Object { meta, .. } => meta.size,
            Record::Part { info, .. } => info.size,
        }
    }
}

pub(super) struct Loaded {
    pub record: Record,
    pub path: PathBuf,
}

pub(super) struct Disk {
    root: PathBuf,
    /// The marker. The system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Disk {
    /// Takes a directory that is ours, empty, or not there yet; any other is left alone.
    pub fn open(root: &Path) -> io::Result<Disk> {
        fs::create_dir_all(root)?;
        let names: Vec<_> =
            fs::read_dir(root)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        if !names.is_empty() && !names.iter().any(|name| name == MARKER) {
            return Err(io::Error::other("it is not empty and was not made by the emulator"));
        }
        let mut marker = lock(&root.join(MARKER))?;
        let mut format = String::new();
        marker.read_to_string(&mut format)?;
        match format.as_str() {
            FORMAT => {}
            // Just made.
            "" => marker.write_all(FORMAT.as_bytes())?,
            _ => return Err(io::Error::other("its data were written by another version of the emulator")),
        }
        let disk = Disk { root: root.to_owned(), _lock: marker };
        // Whatever is here was being written when an earlier run ended.
        match fs::remove_dir_all(disk.tmp()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for directory in [disk.tmp(), root.join("buckets"), root.join("uploads")] {
            fs::create_dir_all(directory)?;
        }
        sync_directory(root)?;
        Ok(disk)
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.root.join("buckets").join(bucket)
    }

    pub fn upload_dir(&self, id: &str) -> PathBuf {
        self.root.join("uploads").join(id)
    }

    pub fn object_path(&self, bucket: &str, key: &str) -> PathBuf {
        self.bucket_dir(bucket).join("objects").join(file_name(key))
    }

    pub fn draft(&self) -> io::Result<Draft> {
        Ok(Draft::File(NamedTempFile::new_in(self.tmp())?))
    }

    /// Writes a record that has no bytes of its own.
    pub fn write_record(&self, record: &Record, path: &Path) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(self.tmp())?;
        seal(file.as_file_mut(), record)?;
        publish(file, path)
    }

    pub fn write_bucket(&self, name: &str, info: &BucketInfo) -> io::Result<()> {
        let directory = self.bucket_dir(name);
        fs::create_dir_all(directory.join("objects"))?;
        sync_directory(&self.root.join("buckets"))?;
        self.write_record(
            &Record::Bucket { name: name.to_owned(), info: info.clone() },
            &directory.join("bucket"),
        )
    }

    pub fn remove_bucket(&self, name: &str) -> io::Result<()> {
        remove(&self.bucket_dir(name).join("bucket"))?;
        fs::remove_dir_all(self.bucket_dir(name))
    }

    pub fn create_upload(&self, info: &UploadInfo) -> io::Result<()> {
        let directory = self.upload_dir(&info.id);
        fs::create_dir_all(&directory)?;
        sync_directory(&self.root.join("uploads"))?;
        self.write_record(&Record::Upload { info: info.clone() }, &directory.join("upload"))
    }

    /// The record goes first: without it the next start takes the directory for a leftover.
    pub fn remove_upload(&self, id: &str) -> io::Result<()> {
        remove(&self.upload_dir(id).join("upload"))?;
        fs::remove_dir_all(self.upload_dir(id))
    }

    /// Everything that is kept: buckets before objects, uploads before parts.
    pub fn load(&self) -> io::Result<Vec<Loaded>> {
        let mut loaded = Vec::new();
        for bucket in entries(&self.root.join("buckets"))? {
            if read_into(&mut loaded, bucket.join("bucket")) {
                for object in entries(&bucket.join("objects"))? {
                    read_into(&mut loaded, object);
                }
            }
        }
        for upload in entries(&self.root.join("uploads"))? {
            if !upload.join("upload").exists() {
                fs::remove_dir_all(&upload)?;
            } else if read_into(&mut loaded, upload.join("upload")) {
                for part in entries(&upload)? {
                    if part.file_name().is_some_and(|name| name != "upload") {
                        read_into(&mut loaded, part);
                    }
                }
            }
        }
        Ok(loaded)
    }
}

/// Opens the file, which need not be there, for nobody else to lock. Two emulators in one directory would
/// take each other's uploads for leftovers.
fn lock(path: &Path) -> io::Result<File> {
    let mut tries = 0;
    loop {
        match try_lock(path) {
            // A process that was killed is not gone at once.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && tries < LOCK_TRIES => tries += 1,
            result => return result,
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// `File::try_lock` does all of this from Rust 1.89 on.
fn try_lock(path: &Path) -> io::Result<File> {
    let busy = || io::Error::new(io::ErrorKind::ResourceBusy, "another emulator is using it");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(windows)]
    let file = {
        const ERROR_SHARING_VIOLATION: i32 = 32;
        std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
        options.open(path).map_err(|error| match error.raw_os_error() {
            Some(ERROR_SHARING_VIOLATION) => busy(),
            _ => error,
        })?
    };
    #[cfg(unix)]
    let file = {
        use rustix::fs::{FlockOperation, flock};
        let file = options.open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => busy(),
            _ => error.into(),
        })?;
        file
    };
    Ok(file)
}

/// A file that cannot be read is left where it is, and said to be so.
fn read_into(loaded: &mut Vec<Loaded>, path: PathBuf) -> bool {
    match read_record(&path) {
        Ok(record) => {
            loaded.push(Loaded { record, path });
            true
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "left out a file of the data directory");
            false
        }
    }
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A name for any key that every file system takes: the key's hash, so that case and length do not
/// matter, and a few of its letters for people. The key itself is in the record.
fn file_name(key: &str) -> String {
    let hash = Sha256::digest(key.as_bytes());
    let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let last = key.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("{hash}-{}", last.chars().take(40).map(letters).collect::<String>())
}

/// Writes the record behind the bytes and waits until all is on the disk.
pub(super) fn seal(file: &mut File, record: &Record) -> io::Result<()> {
    let json = serde_json::to_vec(record)?;
    file.write_all(&json)?;
    file.write_all(&(json.len() as u64).to_le_bytes())?;
    file.write_all(END)?;
    file.sync_all()
}

/// Makes a sealed file visible under its name, in place of what was there.
pub(super) fn publish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map_err(|error| error.error)?;
    path.parent().map_or(Ok(()), sync_directory)
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    path.parent().map_or(Ok(()), sync_directory)
}

fn read_record(path: &Path) -> io::Result<Record> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    let mut file = File::open(path)?;
    let total = file.metadata()?.len();
    let mut footer = [0; 16];
    let footer_at = total.checked_sub(16).ok_or_else(damaged)?;
    file.seek(SeekFrom::Start(footer_at))?;
    file.read_exact(&mut footer)?;
    let (length, end) = footer.split_at(8);
    let length = u64::from_le_bytes(length.try_into().map_err(|_| damaged())?);
    if end != END || length > RECORD_LIMIT {
        return Err(damaged());
    }
    let record_at = footer_at.checked_sub(length).ok_or_else(damaged)?;
    file.seek(SeekFrom::Start(record_at))?;
    let mut json = Vec::new();
    file.take(length).read_to_end(&mut json)?;
    let record: Record = serde_json::from_slice(&json)?;
    if record.data_length() == record_at { Ok(record) } else { Err(damaged()) }
}

/// Makes names that were added to or taken from a directory survive a crash.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Windows has no such call, and keeps renames in its journal.
#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_differ_for_keys_that_a_file_system_would_confuse() {
        let keys = ["A", "a", "a/", "/a", "..", ".", "a?", "a*", "é", "e\u{301}"];
        let mut names: Vec<String> = keys.iter().map(|key| file_name(key).to_lowercase()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), keys.len());
        assert!(file_name(&"长".repeat(341)).len() < 100);
        assert!(file_name("con/../x y.JPG").ends_with("-x_y_jpg"));
    }

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        fs::write(directory.path().join("tmp/thesis.txt"), "years of work").unwrap();
        assert!(Disk::open(directory.path()).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was added");
        assert!(directory.path().join("tmp/thesis.txt").exists());
    }
}
