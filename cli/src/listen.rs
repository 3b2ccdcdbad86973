//! `listen`: an application server for trying things out. It verifies every callback, tells what it says,
//! and answers as OSS wants it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use oss_callback::receive::answer::{self, Reply};
use oss_callback::receive::{CallbackEvent, CallbackVerifier, FieldKind};
use oss_callback::{Error, VerificationReason};
use serde_json::{Map, Value, json};

use crate::app_server::{AppServer, Message};
use crate::failure::Failure;
use crate::put::print_line;
use crate::serve::{Stop, time_of_day};
use crate::stderr;
use crate::text::{Paint, printable, tell};
use crate::trust;

const EXAMPLES: &str = "Examples:
  Try uploads with callbacks on one machine, in three terminals:
    oss-callback serve --port 9000
    oss-callback listen --emulator
    oss-callback put cat.jpg oss://photos/ --callback-url http://127.0.0.1:8000/

  Look at callbacks of the real OSS, behind your own proxy or tunnel:
    oss-callback listen --reply '{\"Status\":\"OK\"}'";

/// The subcommand.
pub fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new("listen")
        .about("Run an application server that verifies callbacks, shows them and answers")
        .long_about(
            "Runs an application server for trying things out, until Ctrl-C or SIGTERM. It takes callbacks at \
             every path, verifies them, tells on standard error what they say or why they are refused, and \
             answers: with --reply, or with status 403.",
        )
        .after_long_help(EXAMPLES)
        .arg(
            Arg::new("port")
                .long("port")
                .short('p')
                .value_name("PORT")
                .help("Port to listen on; 0 takes a free one")
                .default_value("8000")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            Arg::new("host")
                .long("host")
                .value_name("HOST")
                .help("Address to listen on")
                .default_value("127.0.0.1")
                .value_parser(value_parser!(String)),
        )
        .arg(
            Arg::new("reply")
                .long("reply")
                .value_name("JSON")
                .help("What verified callbacks are answered; the uploader gets it")
                .default_value(r#"{"Status":"OK"}"#)
                .value_parser(value_parser!(String)),
        )
        .args(trust::args())
        .arg(switch("json", "Write one line of JSON for each callback to standard output"))
        .arg(switch("quiet", "Do not tell of callbacks on standard error").short('q'))
        .arg(switch("exit-when-stdin-closes", "Also stop at the end of standard input"))
}

/// Runs it.
pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let host = matches.get_one::<String>("host").cloned().unwrap_or_default();
    let port = matches.get_one::<u16>("port").copied().unwrap_or_default();
    let reply = matches.get_one::<String>("reply").cloned().unwrap_or_default();
    let reply = answer::reply(reply).map_err(|error| {
        let failure = Failure::usage(format!("--reply: {}", error.message()));
        failure.with_hint("Write JSON, such as '{\"Status\":\"OK\"}': OSS takes nothing else")
    })?;
    let mut builder = trust::verifier(matches)?;
    if matches.contains_id("seal-secret-env") {
        let nonces = Nonces::default();
        builder = builder.first_use(move |nonce, expires_at| nonces.is_first(nonce, expires_at));
    }
    let listener = Listener {
        verifier: trust::build(builder)?,
        reply,
        paint: Paint::for_stderr(),
        json: matches.get_flag("json"),
        quiet: matches.get_flag("quiet"),
        emulator: trust::build(CallbackVerifier::builder().trusted_key(trust::emulator_key()))?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot wait for signals: {error}")))?;
    let stop = runtime
        .block_on(async { Stop::install(matches.get_flag("exit-when-stdin-closes")) })
        .map_err(|error| Failure::other(format!("cannot wait for signals: {error}")))?;
    let _queued = stderr::queue()?;
    let server = AppServer::listen(&host, port, move |request| listener.respond(&request))
        .map_err(|error| cannot_listen(&host, port, &error))?;
    let address = server.address();
    tell(format_args!("listening on http://{address}/; Ctrl-C stops it"));
    if !address.ip().is_loopback() {
        tell("other machines can reach it: it does nothing but show what verifies, and answer");
    }
    tell(format_args!("stopping: {}", runtime.block_on(stop.wait())));
    Ok(())
}

fn cannot_listen(host: &str, port: u16, error: &std::io::Error) -> Failure {
    let failure = Failure::other(format!("cannot listen on port {port} of {}: {error}", printable(host)));
    match error.kind() {
        ErrorKind::AddrInUse => {
            failure.with_hint("Stop what listens there, or name another --port; 0 takes a free one")
        }
        ErrorKind::PermissionDenied => failure.with_hint("Name a --port from 1024 on"),
        _ => failure,
    }
}

struct Listener {
    verifier: CallbackVerifier,
    reply: Reply,
    paint: Paint,
    json: bool,
    quiet: bool,
    /// Only asked why something was refused.
    emulator: CallbackVerifier,
}

impl Listener {
    /// In one piece: callbacks are answered side by side.
    fn tell(&self, lines: Vec<String>) {
        if !self.quiet {
            tell(lines.join("\n"));
        }
    }

    fn respond(&self, request: &Message) -> Message {
        let (method, target) = request.method_and_target().unwrap_or_default();
        let verify = |verifier: &CallbackVerifier| {
            let headers = request.headers.iter().map(|(name, value)| (name, value));
            verifier.verify(method, target, headers, &request.body)
        };
        let outcome = verify(&self.verifier);
        let from_emulator = || verify(&self.emulator).is_ok();
        let start = format!(
            "{} {} {}",
            self.paint.dim(time_of_day(SystemTime::now())),
            printable(method),
            printable(target)
        );
        let reply = match &outcome {
            Ok(event) => {
                let verdict = self.paint.green("verified, answered 200");
                self.tell([vec![format!("{start} {verdict}")], trust::event_lines(event)].concat());
                self.reply.clone()
            }
            Err(error) => {
                let reason = error.reason().map_or(error.kind().name(), VerificationReason::name);
                let verdict = self.paint.red(format_args!("refused: {reason}, answered 403"));
                let mut lines = vec![format!("{start} {verdict}")];
                lines.extend(trust::refusal_lines(error));
                let keys = [VerificationReason::WrongSignature, VerificationReason::KeyUnavailable];
                if error.reason().is_some_and(|reason| keys.contains(&reason)) && from_emulator() {
                    lines
                        .push("  It is signed by the key of `oss-callback serve`: add --emulator".to_owned());
                }
                self.tell(lines);
                answer::refusal()
            }
        };
        if self.json {
            let line = match &outcome {
                Ok(event) => event_json(method, target, event),
                Err(error) => error_json(method, target, error),
            };
            // Whoever read standard output has gone; the callbacks still want their answers.
            let _ = print_line(&line);
        }
        message(&reply)
    }
}

fn message(reply: &Reply) -> Message {
    let start = match reply.status {
        200 => "HTTP/1.1 200 OK".to_owned(),
        status => format!("HTTP/1.1 {status} Forbidden"),
    };
    let headers = reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let headers = headers.chain([("Connection".to_owned(), "close".to_owned())]).collect();
    Message { start, headers, body: reply.body.to_vec() }
}

fn event_json(method: &str, target: &str, event: &CallbackEvent) -> Value {
    let mut fields = Map::new();
    for field in event.fields() {
        let value = match field.kind() {
            FieldKind::Null => Value::Null,
            FieldKind::Bool => json!(field.text() == "true"),
            // Numbers above 2^53 lose digits in most readers: the text does not.
            _ => json!(field.text()),
        };
        fields.insert(field.name().to_owned(), value);
    }
    json!({
        "ok": true,
        "method": method,
        "target": target,
        "bucket": event.bucket(),
        "key": event.key(),
        "etag": event.etag(),
        "size": event.size().value(),
        "variables": event.variable_map(),
        "sealed": event.seal().is_some(),
        "fields": fields,
    })
}

fn error_json(method: &str, target: &str, error: &Error) -> Value {
    json!({
        "ok": false,
        "method": method,
        "target": target,
        "reason": error.reason().map(VerificationReason::name),
        "message": error.message(),
        "hint": error.hint(),
    })
}

/// The seals that were used, until they expire by themselves.
#[derive(Default)]
struct Nonces(Mutex<HashMap<String, SystemTime>>);

impl Nonces {
    fn is_first(&self, nonce: &str, expires_at: SystemTime) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        used.retain(|_, until| *until > now);
        used.insert(nonce.to_owned(), expires_at).is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_nonce_is_first_once_and_forgotten_when_it_has_expired() {
        let nonces = Nonces::default();
        let later = SystemTime::now() + Duration::from_secs(600);
        assert!(nonces.is_first("a", later) && nonces.is_first("b", SystemTime::now()));
        assert!(!nonces.is_first("a", later));
        assert_eq!(nonces.0.lock().unwrap().len(), 1);
    }
}
