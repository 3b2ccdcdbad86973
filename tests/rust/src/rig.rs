//! An emulator that can be told to misbehave, an application server that it calls, and a client of both.
//! After any fault they say what really happened, and the client's outcome can be held against it.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use oss_callback::{Callback, Client, ClientBuilder};
use oss_callback_emulator::{Emulator, Operation, RequestRecord, StoredObject};

use crate::app_server::AppServer;

/// The bucket of all uploads.
pub const BUCKET: &str = "examplebucket";
/// The key of all uploads but those that say otherwise.
pub const KEY: &str = "a";

/// Both servers.
pub struct Rig {
    /// OSS.
    pub emulator: Emulator,
    /// Who is called back.
    pub app: AppServer,
}

impl Default for Rig {
    fn default() -> Rig {
        Rig::start()
    }
}

impl Rig {
    /// Starts both on free loopback ports.
    pub fn start() -> Rig {
        Rig { emulator: Emulator::builder().start().unwrap(), app: AppServer::start().unwrap() }
    }

    /// A rig whose OSS meets its first requests with these faults.
    pub fn with(faults: &str) -> Rig {
        let rig = Rig::start();
        rig.fault(faults);
        rig
    }

    /// Orders faults; see [`oss_callback_emulator::Fault`].
    pub fn fault(&self, script: &str) -> &Rig {
        self.emulator.inject_script(script).unwrap();
        self
    }

    /// Where to send uploads to, and as whom.
    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder()
            .endpoint(self.emulator.endpoint())
            .region(self.emulator.region())
            .access_key_id(self.emulator.access_key_id())
            .access_key_secret(self.emulator.access_key_secret())
    }

    /// A client that waits a second for an answer, and no longer.
    pub fn client(&self) -> Client {
        self.client_builder().read_timeout(Duration::from_secs(1)).build().unwrap()
    }

    /// A callback that the application server answers with `{"Status":"OK"}`.
    pub fn callback(&self) -> Callback {
        Callback::new(self.app.url("/ok")).unwrap()
    }

    /// The uploaded object.
    pub fn object(&self) -> Option<StoredObject> {
        self.emulator.object(BUCKET, KEY)
    }

    /// Whether the object is there with these bytes, or not at all.
    ///
    /// # Panics
    /// If it is there with others.
    pub fn holds(&self, data: &[u8]) -> bool {
        match self.object() {
            None => false,
            Some(object) => {
                assert!(object.data == data, "the object is damaged");
                true
            }
        }
    }

    /// How many callbacks the application server has had.
    pub fn callbacks(&self) -> usize {
        self.app.callbacks().len()
    }

    /// How many uploads are neither completed nor aborted.
    pub fn uploads_left(&self) -> usize {
        self.emulator.uploads(BUCKET).len()
    }

    /// The requests for this operation, those that met a fault included.
    pub fn requests(&self, operation: Operation) -> Vec<RequestRecord> {
        let mut requests = self.emulator.requests();
        requests.retain(|request| request.operation == operation.name());
        requests
    }

    /// How many requests there were for this operation.
    pub fn count(&self, operation: Operation) -> usize {
        self.requests(operation).len()
    }

    /// How many parts were sent again after a list of parts had shown them.
    pub fn repeated_parts(&self) -> usize {
        let (mut stored, mut listed) = (BTreeSet::new(), HashSet::new());
        let mut repeated = 0;
        for request in self.emulator.requests().iter().filter(|request| request.status == 200) {
            let part = (parameter(request, "uploadId"), parameter(request, "partNumber"));
            if request.operation == Operation::UploadPart.name() {
                repeated += usize::from(listed.contains(&part));
                stored.insert(part);
            } else if request.operation == Operation::ListParts.name() {
                listed.extend(stored.iter().filter(|(id, _)| *id == part.0).cloned());
            }
        }
        repeated
    }
}

/// A parameter of the query, as it stands there.
pub fn parameter(request: &RequestRecord, name: &str) -> Option<String> {
    let (_, query) = request.head.target.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// A header of a request.
pub fn header<'r>(request: &'r RequestRecord, name: &str) -> Option<&'r str> {
    request.head.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
