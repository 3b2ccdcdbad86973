//! What is kept: buckets, objects and multipart uploads, in memory or on disk.
//!
//! One index in memory says what exists; the bytes lie in memory too, or in files. A change is made on
//! disk first and in the index second, both under one lock, so that readers see the old object whole or
//! the new one whole. The store knows names, sizes and order; what OSS makes of them is not its business.

mod blob;
mod disk;
mod listing;
mod uploads;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub(crate) use blob::{Blob, BlobReader, Draft};
use blob::{Place, Sealed};
use disk::{Disk, Record};
pub(crate) use listing::{ListQuery, Listing};
use uploads::Upload;
pub(crate) use uploads::{PartInfo, UploadInfo};

/// All that is known of a stored object beside its name and bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectMeta {
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub crc64: u64,
    /// Base64; only of an object that came in one piece.
    pub content_md5: Option<String>,
    pub modified_ms: i64,
    /// Whether it was put together from parts.
    pub multipart: bool,
    pub properties: Properties,
}

/// What the uploader said of an object, to be said again to who reads it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Properties {
    pub content_type: String,
    /// `default`, `private`, `public-read` or `public-read-write`.
    pub acl: String,
    pub storage_class: String,
    pub tags: Vec<(String, String)>,
    /// Further headers of the answer to GET and HEAD, lower-case.
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BucketInfo {
    pub created_ms: i64,
    pub acl: String,
}

/// Why the store did not do it.
#[derive(Debug)]
pub(crate) enum StoreError {
    NoSuchBucket,
    BucketNotEmpty,
    NoSuchUpload,
    /// The object does exist and must not, or has changed since it was read.
    Conflict,
    Io(io::Error),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> StoreError {
        StoreError::Io(error)
    }
}

/// What must hold of the object that would be replaced.
pub(crate) enum Condition {
    Any,
    Absent,
    /// Still the one that was read.
    Unchanged(Arc<ObjectMeta>),
}

pub(crate) struct Store {
    index: Mutex<Index>,
    disk: Option<Disk>,
}

#[derive(Default)]
struct Index {
    buckets: BTreeMap<String, Bucket>,
}

struct Bucket {
    info: BucketInfo,
    objects: BTreeMap<String, Entry>,
    /// By key and upload id, the order in which OSS lists them.
    uploads: BTreeMap<(String, String), Upload>,
}

struct Entry {
    meta: Arc<ObjectMeta>,
    place: Place,
}

impl Index {
    fn bucket(&mut self, name: &str) -> Result<&mut Bucket, StoreError> {
        self.buckets.get_mut(name).ok_or(StoreError::NoSuchBucket)
    }
}

impl Bucket {
    fn new(info: BucketInfo) -> Bucket {
        Bucket { info, objects: BTreeMap::new(), uploads: BTreeMap::new() }
    }
}

impl Store {
    /// In memory, or in `data_dir` with all that it holds from before.
    pub fn open(data_dir: Option<&Path>) -> io::Result<Store> {
        let Some(root) = data_dir else {
            return Ok(Store { index: Mutex::default(), disk: None });
        };
        let disk = Disk::open(root)?;
        let mut index = Index::default();
        for record in disk.load()? {
            index.restore(record);
        }
        Ok(Store { index: Mutex::new(index), disk: Some(disk) })
    }

    /// Whether calls may wait for the disk.
    pub fn on_disk(&self) -> bool {
        self.disk.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // The index is changed in single steps, so a panic elsewhere cannot have left it half changed.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn buckets(&self) -> Vec<(String, BucketInfo)> {
        self.lock().buckets.iter().map(|(name, bucket)| (name.clone(), bucket.info.clone())).collect()
    }

    pub fn bucket(&self, name: &str) -> Option<BucketInfo> {
        self.lock().buckets.get(name).map(|bucket| bucket.info.clone())
    }

    /// Creates a bucket, or changes the ACL of one that exists.
    pub fn put_bucket(&self, name: &str, acl: Option<&str>, now_ms: i64) -> io::Result<()> {
        let mut index = self.lock();
        let old = index.buckets.get(name).map(|bucket| bucket.info.clone());
        if old.is_some() && acl.is_none() {
            return Ok(());
        }
        let mut info = old.unwrap_or(BucketInfo { created_ms: now_ms, acl: "private".to_owned() });
        info.acl = acl.unwrap_or(&info.acl).to_owned();
        if let Some(disk) = &self.disk {
            disk.write_bucket(name, &info)?;
        }
        match index.buckets.get_mut(name) {
            Some(bucket) => bucket.info = info,
            None => {
                index.buckets.insert(name.to_owned(), Bucket::new(info));
            }
        }
        Ok(())
    }

    pub fn delete_bucket(&self, name: &str) -> Result<(), StoreError> {
        let mut index = self.lock();
        let bucket = index.bucket(name)?;
        if !bucket.objects.is_empty() || !bucket.uploads.is_empty() {
            return Err(StoreError::BucketNotEmpty);
        }
        if let Some(disk) = &self.disk {
            disk.remove_bucket(name)?;
        }
        index.buckets.remove(name);
        Ok(())
    }

    /// A place for bytes to come; nothing is visible until it is put.
    pub fn draft(&self) -> io::Result<Draft> {
        match &self.disk {
            Some(disk) => disk.draft(),
            None => Ok(Draft::Memory(Vec::new())),
        }
    }

    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        meta: ObjectMeta,
        draft: Draft,
        condition: Condition,
    ) -> Result<Arc<ObjectMeta>, StoreError> {
        // The slow part, before the lock is taken.
        let sealed = Sealed::new(draft, || Record::object(bucket, key, &meta))?;
        let mut index = self.lock();
        let bucket_entry = index.bucket(bucket)?;
        let old = bucket_entry.objects.get(key).map(|entry| &entry.meta);
        let holds = match &condition {
            Condition::Any => true,
            Condition::Absent => old.is_none(),
            Condition::Unchanged(seen) => old.is_some_and(|old| Arc::ptr_eq(old, seen)),
        };
        if !holds {
            return Err(StoreError::Conflict);
        }
        let place = sealed.publish(|| self.on_disk_path(|disk| disk.object_path(bucket, key)))?;
        let meta = Arc::new(meta);
        bucket_entry.objects.insert(key.to_owned(), Entry { meta: Arc::clone(&meta), place });
        Ok(meta)
    }

    fn on_disk_path(&self, path: impl FnOnce(&Disk) -> std::path::PathBuf) -> std::path::PathBuf {
        self.disk.as_ref().map(path).unwrap_or_default()
    }

    pub fn meta(&self, bucket: &str, key: &str) -> Option<Arc<ObjectMeta>> {
        self.lock().buckets.get(bucket)?.objects.get(key).map(|entry| Arc::clone(&entry.meta))
    }

    /// The object, to be read at leisure: a later PUT or DELETE does not change what is read.
    pub fn get(&self, bucket: &str, key: &str) -> io::Result<Option<(Arc<ObjectMeta>, Blob)>> {
        let index = self.lock();
        let Some(entry) = index.buckets.get(bucket).and_then(|bucket| bucket.objects.get(key)) else {
            return Ok(None);
        };
        Ok(Some((Arc::clone(&entry.meta), entry.place.open(entry.meta.size)?)))
    }

    /// Whether there was something to delete.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<bool, StoreError> {
        let mut index = self.lock();
        let objects = &mut index.bucket(bucket)?.objects;
        let Some(entry) = objects.get(key) else { return Ok(false) };
        entry.place.remove()?;
        objects.remove(key);
        Ok(true)
    }

    pub fn list(&self, bucket: &str, query: &ListQuery<'_>) -> Result<Listing, StoreError> {
        let mut index = self.lock();
        Ok(query.run(&index.bucket(bucket)?.objects))
    }

    /// Number and bytes of a bucket's objects, and number of its uploads.
    pub fn stat(&self, bucket: &str) -> Result<(usize, u64, usize), StoreError> {
        let mut index = self.lock();
        let bucket = index.bucket(bucket)?;
        let bytes = bucket.objects.values().map(|entry| entry.meta.size).sum();
        Ok((bucket.objects.len(), bytes, bucket.uploads.len()))
    }
}

impl Index {
    fn restore(&mut self, record: disk::Loaded) {
        match record.record {
            Record::Bucket { name, info } => {
                self.buckets.insert(name, Bucket::new(info));
            }
            Record::Object { bucket, key, meta } => {
                if let Some(bucket) = self.buckets.get_mut(&bucket) {
                    let entry = Entry { meta: Arc::new(meta), place: Place::File(record.path) };
                    bucket.objects.insert(key, entry);
                }
            }
            Record::Upload { info } => {
                if let Some(bucket) = self.buckets.get_mut(&info.bucket) {
                    bucket.uploads.insert((info.key.clone(), info.id.clone()), Upload::new(info));
                }
            }
            Record::Part { bucket, key, id, info } => {
                let upload =
                    self.buckets.get_mut(&bucket).and_then(|bucket| bucket.uploads.get_mut(&(key, id)));
                if let Some(upload) = upload {
                    upload.restore(info, Place::File(record.path));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
