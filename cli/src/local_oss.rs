//! The emulator as the commands start it: with which settings, and what becomes of a failure to start.

use std::io::ErrorKind;
use std::path::PathBuf;

use oss_callback::receive::{PublicKey, signature};
use oss_callback_emulator::{AccessKey, CallbackConfig, Emulator, Event, Fault, StartError};

use crate::app_server::Verify;
use crate::failure::Failure;

/// How the emulator shall run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Credentials of its one user; the emulator's own if none. All of them is printed.
    pub access_key: Option<AccessKey>,
    /// Region to play.
    pub region: String,
    /// Where objects are kept; in memory if nowhere.
    pub data_dir: Option<PathBuf>,
    /// Whether to refuse what only OSS itself has a reason to refuse.
    pub strict: bool,
    /// Host names that stand for buckets.
    pub cnames: Vec<(String, String)>,
    /// URL of the public key that callbacks announce.
    pub key_url: Option<String>,
    /// What goes wrong on purpose.
    pub faults: Vec<Fault>,
    /// Port of the control API, if it shall be open; 0 takes a free one.
    pub control_port: Option<u16>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            host: "127.0.0.1".to_owned(),
            port: 0,
            access_key: None,
            region: "cn-hangzhou".to_owned(),
            data_dir: None,
            strict: false,
            cnames: Vec::new(),
            key_url: None,
            faults: Vec::new(),
            control_port: None,
        }
    }
}

/// Starts the emulator; `watch` is told of everything that happens.
pub fn start(
    settings: &Settings,
    watch: impl Fn(&Event) + Send + Sync + 'static,
) -> Result<Emulator, Failure> {
    let mut builder = Emulator::builder()
        .host(&settings.host)
        .port(settings.port)
        .region(&settings.region)
        .strict(settings.strict)
        .faults(settings.faults.clone())
        .observer(watch);
    if let Some(key) = &settings.access_key {
        builder = builder.access_key(key.clone());
    }
    for (host, bucket) in &settings.cnames {
        builder = builder.cname(host, bucket);
    }
    if let Some(directory) = &settings.data_dir {
        builder = builder.data_dir(directory);
    }
    if let Some(key_url) = &settings.key_url {
        let mut callback = CallbackConfig::default();
        callback.key_url.clone_from(key_url);
        builder = builder.callback(callback);
    }
    if let Some(port) = settings.control_port {
        builder = builder.control_port(port);
    }
    builder.start().map_err(|error| cannot_start(&error))
}

fn cannot_start(error: &StartError) -> Failure {
    match error {
        StartError::Invalid { .. } => Failure::usage(format!("the emulator cannot start: {error}")),
        StartError::Bind { host, port, source } if source.kind() == ErrorKind::AddrInUse => {
            Failure::other(format!("port {port} of {host} is in use"))
                .with_hint("Stop what listens there, name another port, or leave it out for a free one")
        }
        StartError::Bind { port: 1..1024, source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Failure::other(format!("the emulator cannot start: {error}"))
                .with_hint("Name a --port from 1024 on")
        }
        StartError::DataDir { source, .. } if source.kind() == ErrorKind::ResourceBusy => {
            Failure::other(format!("the emulator cannot start: {error}"))
                .with_hint("Stop the other one, or name another --data-dir")
        }
        _ => Failure::other(format!("the emulator cannot start: {error}")),
    }
}

/// The application server's check, with the emulator's public key.
pub fn verifier(emulator: &Emulator) -> Result<Verify, Failure> {
    let key =
        PublicKey::from_pem(emulator.public_key_pem()).map_err(|error| Failure::library(error, None))?;
    Ok(Box::new(move |request| {
        let (_, target) = request.method_and_target().ok_or("no request line")?;
        let authorization = request.header("authorization").ok_or("it carries no signature")?;
        if signature::is_valid(&key, target, &request.body, authorization) {
            Ok(())
        } else {
            Err("the signature does not fit path, query and body".to_owned())
        }
    }))
}
