use bytes::Bytes;

use super::*;

fn meta(size: usize) -> ObjectMeta {
    ObjectMeta {
        size: size as u64,
        etag: "E".into(),
        crc64: 7,
        content_md5: None,
        modified_ms: 1,
        multipart: false,
        properties: Properties::default(),
    }
}

fn put(store: &Store, key: &str, data: &'static str) -> Result<(), StoreError> {
    let mut draft = store.draft().unwrap();
    draft.write(Bytes::from(data)).unwrap();
    store.put("bkt", key, meta(data.len()), draft, Condition::Any).map(|_| ())
}

fn get(store: &Store, key: &str) -> Option<Bytes> {
    store.get("bkt", key).unwrap().map(|(_, blob)| blob.read_all().unwrap())
}

fn page(store: &Store, query: &ListQuery<'_>) -> (Vec<String>, Vec<String>, Option<String>) {
    let listing = store.list("bkt", query).unwrap();
    (listing.objects.into_iter().map(|(key, _)| key).collect(), listing.common_prefixes, listing.next)
}

#[test]
fn pages_hold_every_key_and_prefix_once() {
    let store = Store::open(None).unwrap();
    store.put_bucket("bkt", None, 0).unwrap();
    for key in ["a", "b/1", "b/2", "b/3/x", "b0", "c/", "d"] {
        put(&store, key, "").unwrap();
    }
    for limit in 1..8 {
        let (mut keys, mut prefixes, mut after) = (Vec::new(), Vec::new(), String::new());
        loop {
            let query = ListQuery { delimiter: "/", after: &after, limit, ..ListQuery::default() };
            let (some, more, next) = page(&store, &query);
            assert!(some.len() + more.len() <= limit);
            keys.extend(some);
            prefixes.extend(more);
            let Some(next) = next else { break };
            after = next;
        }
        assert_eq!(keys, ["a", "b0", "d"], "limit {limit}");
        assert_eq!(prefixes, ["b/", "c/"], "limit {limit}");
    }
    let inside = ListQuery { prefix: "b/", delimiter: "/", limit: 100, ..ListQuery::default() };
    assert_eq!(page(&store, &inside), (vec!["b/1".into(), "b/2".into()], vec!["b/3/".into()], None));
    let after = ListQuery { after: "b/2", limit: 100, ..ListQuery::default() };
    assert_eq!(page(&store, &after).0, ["b/3/x", "b0", "c/", "d"]);
}

#[test]
fn a_reader_keeps_the_object_that_it_opened() {
    let directory = tempfile::tempdir().unwrap();
    for store in [Store::open(None).unwrap(), Store::open(Some(directory.path())).unwrap()] {
        store.put_bucket("bkt", None, 0).unwrap();
        put(&store, "k", "old").unwrap();
        let (_, blob) = store.get("bkt", "k").unwrap().unwrap();
        put(&store, "k", "newer").unwrap();
        assert_eq!(get(&store, "k").unwrap(), "newer");
        assert_eq!(blob.read_all().unwrap(), "old");
        assert!(store.delete("bkt", "k").unwrap());
        assert!(!store.delete("bkt", "k").unwrap());
        assert!(get(&store, "k").is_none());
    }
}

#[test]
fn conditions_decide_under_the_lock() {
    let store = Store::open(None).unwrap();
    store.put_bucket("bkt", None, 0).unwrap();
    let put_if = |condition| {
        let draft = store.draft().unwrap();
        store.put("bkt", "k", meta(0), draft, condition)
    };
    let first = put_if(Condition::Absent).unwrap();
    assert!(matches!(put_if(Condition::Absent), Err(StoreError::Conflict)));
    put_if(Condition::Unchanged(Arc::clone(&first))).unwrap();
    assert!(matches!(put_if(Condition::Unchanged(first)), Err(StoreError::Conflict)));
}

fn upload(store: &Store, id: &str, parts: &[(u32, &'static str)]) {
    let info = UploadInfo {
        bucket: "bkt".into(),
        key: "k".into(),
        id: id.into(),
        initiated_ms: 0,
        properties: Properties::default(),
    };
    store.create_upload(info).unwrap();
    for (number, data) in parts {
        let mut draft = store.draft().unwrap();
        draft.write(Bytes::from(*data)).unwrap();
        let info =
            PartInfo { number: *number, size: data.len() as u64, etag: "E".into(), crc64: 0, modified_ms: 0 };
        store.put_part("bkt", "k", id, info, draft).unwrap();
    }
}

fn complete(store: &Store, id: &str, numbers: Vec<u32>) -> Result<(), StoreError> {
    let check = |parts: &[PartInfo]| {
        let size =
            parts.iter().filter(|part| numbers.contains(&part.number)).map(|part| part.size).sum::<u64>();
        Ok::<_, StoreError>((numbers.clone(), meta(size as usize)))
    };
    store.complete_upload("bkt", "k", id, Condition::Any, check, |_| Ok(())).map(|_| ())
}

#[test]
fn everything_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let key = "目录/../a b?.txt";
    {
        let store = Store::open(Some(directory.path())).unwrap();
        store.put_bucket("bkt", Some("public-read"), 5).unwrap();
        store.put_bucket("gone", None, 5).unwrap();
        store.delete_bucket("gone").unwrap();
        put(&store, key, "hello").unwrap();
        upload(&store, "DONE", &[(1, "one"), (3, "three")]);
        complete(&store, "DONE", vec![1, 3]).unwrap();
        upload(&store, "OPEN", &[(2, "two")]);
        upload(&store, "LOST", &[(2, "two")]);
        store.abort_upload("bkt", "k", "LOST").unwrap();
    }
    let store = Store::open(Some(directory.path())).unwrap();
    assert_eq!(store.buckets().len(), 1);
    assert_eq!(store.bucket("bkt").unwrap().acl, "public-read");
    assert_eq!(get(&store, key).unwrap(), "hello");
    assert_eq!(get(&store, "k").unwrap(), "onethree");
    assert_eq!(store.uploads("bkt").unwrap().len(), 1);
    complete(&store, "OPEN", vec![2]).unwrap();
    assert_eq!(get(&store, "k").unwrap(), "two");
}

#[test]
fn what_a_crash_leaves_behind_is_no_object() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(Some(directory.path())).unwrap();
    store.put_bucket("bkt", None, 0).unwrap();
    put(&store, "whole", "hello").unwrap();
    put(&store, "cut", "hello").unwrap();
    let cut = store.disk.as_ref().unwrap().object_path("bkt", "cut");
    let mut draft = store.draft().unwrap();
    draft.write(Bytes::from("half")).unwrap();
    // A kill runs no destructor: the temporary file and the cut one stay.
    std::mem::forget(draft);
    drop(store);
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 3]).unwrap();
    std::fs::create_dir_all(directory.path().join("uploads/HALFGONE")).unwrap();

    let store = Store::open(Some(directory.path())).unwrap();
    assert_eq!(get(&store, "whole").unwrap(), "hello");
    assert!(get(&store, "cut").is_none());
    assert_eq!(std::fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
    assert!(!directory.path().join("uploads/HALFGONE").exists());
    put(&store, "cut", "again").unwrap();
    assert_eq!(get(&store, "cut").unwrap(), "again");
}

#[test]
fn a_refused_completion_leaves_the_upload_as_it_was() {
    let store = Store::open(None).unwrap();
    store.put_bucket("bkt", None, 0).unwrap();
    upload(&store, "U", &[(1, "one")]);
    let refuse = |_: &[PartInfo]| Err::<(Vec<u32>, ObjectMeta), _>(StoreError::NoSuchBucket);
    assert!(store.complete_upload("bkt", "k", "U", Condition::Any, refuse, |_| Ok(())).is_err());
    let fail = |_: &mut Draft| Err(io::Error::other("disk"));
    let accept = |_: &[PartInfo]| Ok::<_, StoreError>((vec![1], meta(3)));
    assert!(store.complete_upload("bkt", "k", "U", Condition::Any, accept, fail).is_err());
    assert!(get(&store, "k").is_none());
    complete(&store, "U", vec![1]).unwrap();
    assert_eq!(get(&store, "k").unwrap(), "one");
    assert!(matches!(complete(&store, "U", vec![1]), Err(StoreError::NoSuchUpload)));
    assert!(matches!(store.delete_bucket("bkt"), Err(StoreError::BucketNotEmpty)));
}

#[test]
fn a_completed_upload_has_ended_even_if_its_files_cannot_be_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(Some(directory.path())).unwrap();
    store.put_bucket("bkt", None, 0).unwrap();
    upload(&store, "U", &[(1, "one")]);
    let accept = |_: &[PartInfo]| Ok::<_, StoreError>((vec![1], meta(3)));
    // A file where the upload's directory should be: nothing can be removed from it.
    let sabotage = |_: &mut Draft| {
        let files = directory.path().join("uploads/U");
        std::fs::remove_dir_all(&files)?;
        std::fs::write(&files, "")
    };
    let meta = store.complete_upload("bkt", "k", "U", Condition::Any, accept, sabotage).unwrap();
    assert_eq!(meta.size, 3);
    assert_eq!(get(&store, "k").unwrap(), "one");
    assert!(matches!(store.abort_upload("bkt", "k", "U"), Err(StoreError::NoSuchUpload)));
    store.delete("bkt", "k").unwrap();
    store.delete_bucket("bkt").unwrap();
}
