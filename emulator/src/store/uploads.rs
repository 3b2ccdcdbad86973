//! Multipart uploads: begun, fed, and then completed or given up.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blob::{Place, Sealed};
use super::disk::Record;
use super::{Condition, Draft, Index, ObjectMeta, Properties, Store, StoreError};

/// An upload that was initiated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadInfo {
    pub bucket: String,
    pub key: String,
    pub id: String,
    pub initiated_ms: i64,
    pub properties: Properties,
}

/// One part of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartInfo {
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub crc64: u64,
    pub modified_ms: i64,
}

pub(super) struct Upload {
    info: Arc<UploadInfo>,
    parts: BTreeMap<u32, (PartInfo, Place)>,
    /// While the object is put together nobody else may change the parts.
    completing: bool,
}

impl Upload {
    pub fn new(info: UploadInfo) -> Upload {
        Upload { info: Arc::new(info), parts: BTreeMap::new(), completing: false }
    }

    pub fn restore(&mut self, info: PartInfo, place: Place) {
        self.parts.insert(info.number, (info, place));
    }
}

impl Index {
    /// The upload, unless it is being completed: to everybody else it has ended.
    fn upload(&mut self, bucket: &str, key: &str, id: &str) -> Result<&mut Upload, StoreError> {
        let name = (key.to_owned(), id.to_owned());
        let upload = self.bucket(bucket)?.uploads.get_mut(&name).ok_or(StoreError::NoSuchUpload)?;
        if upload.completing { Err(StoreError::NoSuchUpload) } else { Ok(upload) }
    }
}

impl Store {
    pub fn create_upload(&self, info: UploadInfo) -> Result<(), StoreError> {
        let mut index = self.lock();
        let bucket = index.bucket(&info.bucket)?;
        if let Some(disk) = &self.disk {
            disk.create_upload(&info)?;
        }
        bucket.uploads.insert((info.key.clone(), info.id.clone()), Upload::new(info));
        Ok(())
    }

    /// The upload and its parts, ascending.
    pub fn upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<(Arc<UploadInfo>, Vec<PartInfo>), StoreError> {
        let mut index = self.lock();
        let upload = index.upload(bucket, key, id)?;
        Ok((Arc::clone(&upload.info), upload.parts.values().map(|(info, _)| info.clone()).collect()))
    }

    /// All uploads of a bucket by key, then id.
    pub fn uploads(&self, bucket: &str) -> Result<Vec<Arc<UploadInfo>>, StoreError> {
        let mut index = self.lock();
        let uploads = index.bucket(bucket)?.uploads.values();
        Ok(uploads.filter(|upload| !upload.completing).map(|upload| Arc::clone(&upload.info)).collect())
    }

    /// Adds a part, or replaces the one of that number.
    pub fn put_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        info: PartInfo,
        draft: Draft,
    ) -> Result<(), StoreError> {
        let sealed = Sealed::new(draft, || Record::Part {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            id: id.to_owned(),
            info: info.clone(),
        })?;
        let mut index = self.lock();
        let upload = index.upload(bucket, key, id)?;
        let file = format!("part-{:05}", info.number);
        let place = sealed.publish(|| self.on_disk_path(|disk| disk.upload_dir(id).join(file)))?;
        upload.parts.insert(info.number, (info, place));
        Ok(())
    }

    pub fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), StoreError> {
        let mut index = self.lock();
        index.upload(bucket, key, id)?;
        if let Some(disk) = &self.disk {
            disk.remove_upload(id)?;
        }
        index.bucket(bucket)?.uploads.remove(&(key.to_owned(), id.to_owned()));
        Ok(())
    }

    /// Puts the object together from the parts of these numbers and ends the upload. What `check` refuses
    /// leaves the upload as it was.
    pub fn complete_upload<E: From<StoreError>>(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        condition: Condition,
        check: impl FnOnce(&[PartInfo]) -> Result<(Vec<u32>, ObjectMeta), E>,
        inspect: impl FnOnce(&mut Draft) -> io::Result<()>,
    ) -> Result<Arc<ObjectMeta>, E> {
        let (meta, parts) = {
            let mut index = self.lock();
            let upload = index.upload(bucket, key, id)?;
            let infos: Vec<PartInfo> = upload.parts.values().map(|(info, _)| info.clone()).collect();
            let (numbers, meta) = check(&infos)?;
            let parts: Vec<(u64, Place)> = numbers
                .iter()
                .filter_map(|number| upload.parts.get(number))
                .map(|(info, place)| (info.size, place.clone()))
                .collect();
            upload.completing = true;
            (meta, parts)
        };
        // From here on the flag must be taken back on every way out but success.
        let completed = self.assemble(parts).map_err(StoreError::Io).and_then(|mut draft| {
            inspect(&mut draft)?;
            self.put(bucket, key, meta, draft, condition)
        });
        let mut index = self.lock();
        let meta = match completed {
            Ok(meta) => meta,
            Err(error) => {
                let name = (key.to_owned(), id.to_owned());
                if let Some(upload) = index.bucket(bucket)?.uploads.get_mut(&name) {
                    upload.completing = false;
                }
                return Err(error.into());
            }
        };
        // The object is there for all to see, so the upload has ended whatever becomes of its files.
        if let Some(disk) = &self.disk
            && let Err(error) = disk.remove_upload(id)
        {
            tracing::warn!(bucket, key, id, %error, "the files of a completed upload could not be removed");
        }
        if let Ok(bucket) = index.bucket(bucket) {
            bucket.uploads.remove(&(key.to_owned(), id.to_owned()));
        }
        Ok(meta)
    }

    fn assemble(&self, parts: Vec<(u64, Place)>) -> io::Result<Draft> {
        let mut draft = self.draft()?;
        for (size, place) in parts {
            let mut reader = place.open(size)?.range(0, size)?;
            while let Some(chunk) = reader.next_chunk()? {
                draft.write(chunk)?;
            }
        }
        Ok(draft)
    }
}
