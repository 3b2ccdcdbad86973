//! What can go wrong with a command, how it is told, and which exit code a script sees.

use oss_callback::{ERROR_FACTS, Error, ErrorKind, FactValue};
use serde_json::{Map, Value, json};

use crate::flags::{Group, flag_of_field, split_field};
use crate::text::printable;

/// Exit codes; `put --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// A defect, or the machine refused something: a port in use, a closed standard output.
    Other = 1,
    /// Wrong arguments or no credentials; nothing was stored. clap's own code, too.
    Usage = 2,
    /// OSS answered with an error.
    Service = 3,
    /// The object is stored, the callback failed.
    CallbackFailed = 4,
    /// Network or timeout.
    Network = 5,
    /// The stored bytes are not those that were sent.
    Integrity = 6,
    /// The file could not be read.
    Source = 7,
    /// The object is stored, but the answer was lost.
    OutcomeUnknown = 8,
    /// Ended by Ctrl-C; what shells say of it.
    Interrupted = 130,
}

/// The exit codes as `--help` prints them.
pub const EXIT_CODES: &str = "Exit codes:
  0  the object is stored and the application server answered
  2  wrong arguments or missing credentials; nothing was stored
  3  OSS refused the request
  4  the object IS stored, but the callback failed
  5  network error or timeout
  6  the stored object differs from what was sent: upload it again
  7  FILE could not be read
  8  the object is stored, but the application server's answer was lost
  130  interrupted by Ctrl-C
  1  anything else, such as a standard output that was closed";

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    kind: &'static str,
    message: String,
    hint: Option<String>,
    flag: Option<String>,
    error: Option<Error>,
}

impl Failure {
    fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Failure {
        Failure { exit, kind, message: message.into(), hint: None, flag: None, error: None }
    }

    /// Wrong arguments.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, ErrorKind::InvalidArgument.name(), message)
    }

    /// The data could not be read.
    pub fn source(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Source, ErrorKind::Source.name(), message)
    }

    /// Something that this command does not tell apart.
    pub fn other(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Other, "other", message)
    }

    /// What to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// An error of the library; `group` tells whose option is meant when the field's name does not.
    pub fn library(error: Error, group: Option<Group>) -> Failure {
        let flag = error.field().and_then(|field| flag_of_field(field, group));
        // The texts name other options beside the one in question.
        let groups = match error.field().map(|field| split_field(field, group).0) {
            Some(Some(group)) => vec![group],
            Some(None) => vec![Group::Put, Group::Client],
            None => vec![],
        };
        let with = |text: &str, change: fn(Group, &str) -> String| {
            groups.iter().fold(text.to_owned(), |text, group| change(*group, &text))
        };
        let text = with(error.message(), Group::message_in_flags);
        let message = match flag.as_deref().or(error.field()) {
            Some(subject) => format!("{subject}: {text}"),
            None => text,
        };
        let hint = match error.kind() {
            // The library's own hint also names ways that a command line must not have.
            ErrorKind::Credentials => Some(
                "Set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET in the environment, and OSS_SESSION_TOKEN \
                 for temporary credentials"
                    .to_owned(),
            ),
            _ => error.hint().map(|hint| with(hint, Group::in_flags)),
        };
        Failure {
            exit: exit_of(error.kind()),
            kind: error.kind().name(),
            message,
            hint,
            flag,
            error: Some(error),
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.exit as u8
    }

    /// The failure as lines for a person: what happened, then the facts, then what to do.
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!("error: {}", printable(&self.message))];
        if let Some(error) = &self.error {
            let facts = [
                ("cause", error.cause().map(|cause| cause.name().to_owned())),
                ("callback status", error.callback_status().map(|status| status.to_string())),
                ("status", error.status().map(|status| status.to_string())),
                ("code", error.code().map(str::to_owned)),
                ("EC", error.ec().map(str::to_owned)),
                ("request id", error.request_id().map(str::to_owned)),
                ("stored", error.stored().then(|| "yes".to_owned())),
                ("ETag", error.etag().map(str::to_owned)),
                ("version id", error.version_id().map(str::to_owned)),
                ("see", error.recommend_doc().map(str::to_owned)),
            ];
            lines.extend(
                facts
                    .into_iter()
                    .filter_map(|(name, value)| Some(format!("  {name:<16}{}", printable(&value?)))),
            );
        }
        if self.error.as_ref().is_some_and(|error| error.string_to_sign().is_some()) {
            lines.push("  --json shows the string that OSS signed, as string_to_sign".to_owned());
        }
        if let Some(hint) = &self.hint {
            lines.push(format!("  hint: {}", printable(hint)));
        }
        lines.join("\n")
    }

    /// The failure with all its facts, for a program.
    pub fn to_json(&self) -> Value {
        let mut facts = Map::new();
        for (name, ty) in ERROR_FACTS {
            let value = match self.error.as_ref().and_then(|error| error.fact(name)) {
                Some(FactValue::Text(text)) => json!(text),
                // Most JSON readers lose digits above 2^53.
                Some(FactValue::Integer(number)) if *ty == "u64" => json!(number.to_string()),
                Some(FactValue::Integer(number)) => json!(number),
                Some(FactValue::Bool(yes)) => json!(yes),
                _ if *ty == "bool" => json!(false),
                _ => Value::Null,
            };
            facts.insert((*name).to_owned(), value);
        }
        facts.insert("kind".to_owned(), json!(self.kind));
        facts.insert("exit_code".to_owned(), json!(self.exit_code()));
        facts.insert("message".to_owned(), json!(self.message));
        facts.insert("hint".to_owned(), json!(self.hint));
        facts.insert("flag".to_owned(), json!(self.flag));
        facts.insert("retryable".to_owned(), json!(self.error.as_ref().is_some_and(Error::is_retryable)));
        json!({ "ok": false, "error": facts })
    }
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::Credentials => Exit::Usage,
        ErrorKind::Service => Exit::Service,
        ErrorKind::CallbackFailed => Exit::CallbackFailed,
        ErrorKind::Network | ErrorKind::Timeout => Exit::Network,
        ErrorKind::Integrity => Exit::Integrity,
        ErrorKind::Source => Exit::Source,
        ErrorKind::OutcomeUnknown => Exit::OutcomeUnknown,
        ErrorKind::Cancelled => Exit::Interrupted,
        _ => Exit::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_exit_code_that_the_help_lists() {
        let others = [ErrorKind::Verification, ErrorKind::Bug];
        for kind in ErrorKind::ALL {
            let exit = exit_of(*kind);
            assert_eq!(exit == Exit::Other, others.contains(kind), "{kind:?}");
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit as u8)), "{kind:?}");
        }
    }

    #[test]
    fn a_failure_is_told_as_text_and_as_json() {
        let failure = Failure::usage("no").with_hint("yes");
        assert_eq!(failure.to_text(), "error: no\n  hint: yes");
        let json = failure.to_json();
        assert_eq!((&json["ok"], &json["error"]["exit_code"]), (&json!(false), &json!(2)));
        assert_eq!(json["error"]["kind"], "invalid_argument");
        // Facts that there are none of are told all the same, so that scripts need not look for them.
        assert_eq!(json["error"].get("stored"), Some(&json!(false)));
        assert_eq!(json["error"].get("etag"), Some(&Value::Null));
    }

    #[test]
    fn a_wrong_value_is_told_by_its_flag() {
        let error = oss_callback::PutOptions::default()
            .set("acl", oss_callback::OptionValue::Text("publik".into()))
            .unwrap_err();
        let failure = Failure::library(error, Some(Group::Put));
        assert!(
            failure.to_text().starts_with("error: --acl: `publik` is not one of"),
            "{}",
            failure.to_text()
        );
        assert_eq!(failure.exit_code(), 2);
    }
}
