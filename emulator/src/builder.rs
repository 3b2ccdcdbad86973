//! Settings of an emulator, and its start.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use tokio::sync::watch;

use crate::address::check_bucket_name;
use crate::auth::AccessKey;
use crate::callback::{CallbackConfig, CallbackObserver};
use crate::clock::Clock;
use crate::event::{Event, Journal, Observer};
use crate::fault::{Fault, Faults};
use crate::store::Store;
use crate::{Emulator, Shared, server};

/// Threads that serve requests. Waiting for callbacks and disks takes none.
const WORKERS: usize = 2;
const DEFAULT_KEY: (&str, &str) = ("emulator-access-key-id", "emulator-access-key-secret");
const DEFAULT_REGION: &str = "cn-hangzhou";
/// The account that owns all buckets; OSS's are numbers of this length.
const DEFAULT_OWNER: &str = "1000000000000001";

/// Settings of an [`Emulator`]; everything has a default.
pub struct Builder {
    host: String,
    port: u16,
    region: String,
    owner_id: String,
    keys: Vec<AccessKey>,
    data_dir: Option<PathBuf>,
    strict: bool,
    clock_offset_seconds: i64,
    cnames: Vec<(String, String)>,
    callback: CallbackConfig,
    observer: Option<Observer>,
    control_port: Option<u16>,
    faults: Vec<Fault>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            host: "127.0.0.1".to_owned(),
            port: 0,
            region: DEFAULT_REGION.to_owned(),
            owner_id: DEFAULT_OWNER.to_owned(),
            keys: Vec::new(),
            data_dir: None,
            strict: false,
            clock_offset_seconds: 0,
            cnames: Vec::new(),
            callback: CallbackConfig::default(),
            observer: None,
            control_port: None,
            faults: Vec::new(),
        }
    }
}

impl Builder {
    /// Address or name to listen on. Default: `127.0.0.1`. On anything but loopback, everybody who can reach
    /// it and knows the credentials can read and write what the emulator holds, and have it call URLs.
    pub fn host(mut self, host: impl Into<String>) -> Builder {
        self.host = host.into();
        self
    }

    /// Port to listen on; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Builder {
        self.port = port;
        self
    }

    /// Region that V4 signatures must name. Default: `cn-hangzhou`.
    pub fn region(mut self, region: impl Into<String>) -> Builder {
        self.region = region.into();
        self
    }

    /// Adds credentials that are accepted. The first ones are those that [`Emulator::access_key`] tells;
    /// without any there is one fixed pair.
    pub fn access_key(mut self, key: AccessKey) -> Builder {
        self.keys.push(key);
        self
    }

    /// Account that owns all buckets, and that callbacks name in `x-oss-requester`.
    pub fn owner_id(mut self, owner_id: impl Into<String>) -> Builder {
        self.owner_id = owner_id.into();
        self
    }

    /// Keeps buckets, objects and uploads in this directory, across restarts and crashes. It is made if need
    /// be; one that holds something else, or that another emulator is using, is refused. Default: in memory.
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.data_dir = Some(directory.into());
        self
    }

    /// Buckets must be created before use, and callbacks to private addresses are refused, as OSS does.
    /// Default: false; a bucket comes into being at its first use, and callbacks may go to loopback.
    pub fn strict(mut self, strict: bool) -> Builder {
        self.strict = strict;
        self
    }

    /// Sets the emulator's clock this far from the machine's, in seconds; negative is back.
    pub fn clock_offset_seconds(mut self, seconds: i64) -> Builder {
        self.clock_offset_seconds = seconds;
        self
    }

    /// A domain name that stands for a bucket, as a CNAME record bound to it does.
    pub fn cname(mut self, host: impl Into<String>, bucket: impl Into<String>) -> Builder {
        self.cnames.push((host.into(), bucket.into()));
        self
    }

    /// How callbacks are signed, sent and judged. Its `strict` is on if [`Builder::strict`] is.
    pub fn callback(mut self, callback: CallbackConfig) -> Builder {
        self.callback = callback;
        self
    }

    /// Is told of every request and callback, on the emulator's threads, and must not block. One that panics
    /// fails the request.
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Builder {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Orders faults, as [`Emulator::inject`] does.
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Builder {
        self.faults.extend(faults);
        self
    }

    /// Opens the control API (see [`Emulator::control_url`]) on a free port. Default: false.
    pub fn control(self, on: bool) -> Builder {
        Builder { control_port: on.then_some(0), ..self }
    }

    /// Opens the control API on this port; 0 takes a free one.
    pub fn control_port(self, port: u16) -> Builder {
        Builder { control_port: Some(port), ..self }
    }

    /// Starts the emulator on threads of its own; when this returns it answers requests. It may be called
    /// within and without an async runtime.
    pub fn start(mut self) -> Result<Emulator, StartError> {
        self.check()?;
        let (listener, address) = bind(&self.host, self.port)?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "the emulator can be reached from other machines");
        }
        // Whoever may use it is on this machine, wherever the emulator itself listens.
        let control = self.control_port.map(|port| bind("127.0.0.1", port)).transpose()?;
        let control_address = control.as_ref().map(|(_, address)| *address);
        let store = Store::open(self.data_dir.as_deref()).map_err(|source| StartError::DataDir {
            path: self.data_dir.clone().unwrap_or_default(),
            source,
        })?;
        if self.keys.is_empty() {
            self.keys.push(AccessKey::new(DEFAULT_KEY.0, DEFAULT_KEY.1));
        }
        let faults = Faults::default();
        faults.add(self.faults);
        let journal = Arc::new(Journal::new(self.observer));
        let shared = Arc::new(Shared {
            address,
            control_address,
            region: self.region,
            owner_id: self.owner_id,
            keys: self.keys,
            strict: self.strict,
            cnames: self.cnames,
            clock: Clock::new(self.clock_offset_seconds),
            callback: observed(self.callback, self.strict, Arc::clone(&journal)),
            journal,
            store,
            faults,
        });

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("oss-emulator")
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let (listener, control) = {
            let _entered = runtime.enter();
            let adopt = |listener| tokio::net::TcpListener::from_std(listener).map_err(StartError::Runtime);
            (adopt(listener)?, control.map(|(control, _)| adopt(control)).transpose()?)
        };
        let (stop, stopped) = watch::channel(false);
        let served = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("oss-emulator-main".to_owned())
            .spawn(move || server::run(runtime, listener, control, served, stopped))
            .map_err(StartError::Runtime)?;
        Ok(Emulator { shared, stop, thread: Some(thread) })
    }

    fn check(&self) -> Result<(), StartError> {
        let invalid = |setting, message: String| Err(StartError::Invalid { setting, message });
        if self.region.is_empty() || self.region.starts_with("oss-") || self.region.contains('/') {
            return invalid("region", format!("{:?} is no region; one is \"cn-hangzhou\"", self.region));
        }
        for (position, key) in self.keys.iter().enumerate() {
            if key.id.is_empty() || key.secret.is_empty() {
                return invalid("access_key", "id and secret must not be empty".to_owned());
            }
            if self.keys.iter().take(position).any(|other| other.id == key.id) {
                return invalid("access_key", format!("the id {:?} is given twice", key.id));
            }
        }
        for (host, bucket) in &self.cnames {
            if check_bucket_name(bucket).is_err() {
                return invalid("cname", format!("{bucket:?}, which {host:?} stands for, is no bucket name"));
            }
        }
        Ok(())
    }
}

fn bind(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind { host: host.to_owned(), port, source };
    let listener = TcpListener::bind((host, port)).map_err(failed)?;
    // The standard library has 128 wait to be accepted; whoever comes beyond them tries again a second later.
    // A system that does not let it be changed afterwards leaves it so.
    let _ = socket2::SockRef::from(&listener).listen(1024);
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The configuration with the journal listening in, beside the observer that the user may have set.
fn observed(mut callback: CallbackConfig, strict: bool, journal: Arc<Journal>) -> CallbackConfig {
    let users = callback.observer.take();
    callback.strict |= strict;
    callback.observer = Some(CallbackObserver::new(move |attempt| {
        if let Some(users) = &users {
            users.tell(attempt);
        }
        journal.record(Event::Callback(attempt.clone()));
    }));
    callback
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Why the emulator could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A setting does not make sense.
    Invalid {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The address cannot be listened on.
    Bind {
        /// As set.
        host: String,
        /// As set.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory cannot be used.
    DataDir {
        /// As set.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The system gave no threads.
    Runtime(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Invalid { setting, message } => write!(f, "{setting}: {message}"),
            StartError::Bind { host, port, source } => write!(f, "cannot listen on {host}:{port}: {source}"),
            StartError::DataDir { path, source } => {
                write!(f, "cannot keep data in {}: {source}", path.display())
            }
            StartError::Runtime(source) => write!(f, "cannot start the emulator's threads: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Invalid { .. } => None,
            StartError::Bind { source, .. }
            | StartError::DataDir { source, .. }
            | StartError::Runtime(source) => Some(source),
        }
    }
}
