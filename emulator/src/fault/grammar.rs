//! Faults as text: one small language for the command line, the control API and Rust.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{CallbackCause, Cut, Fault, FaultAction};

/// What would end a word or a fault.
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b';').add(b'#');
const SELECTORS: &[&str] = &["on", "bucket", "key", "nth", "times"];
const LONGEST_SECONDS: f64 = 3600.0;
const OVERSIZE_MAX: u64 = 256 * 1024 * 1024;
const CAUSES: &[(&str, CallbackCause)] = &[
    ("too-many", CallbackCause::TooMany),
    ("too-slow", CallbackCause::TooSlow),
    ("connect-timeout", CallbackCause::ConnectTimeout),
    ("unreachable", CallbackCause::Unreachable),
    ("tls", CallbackCause::Tls),
    ("length-missing", CallbackCause::LengthMissing),
    ("length-invalid", CallbackCause::LengthInvalid),
    ("length-too-long", CallbackCause::LengthTooLong),
    ("not-json", CallbackCause::NotJson),
    ("image-info", CallbackCause::ImageInfo),
];

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError {
    line: usize,
    message: String,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault in line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for FaultError {}

pub(super) fn script(text: &str) -> Result<Vec<Fault>, FaultError> {
    let mut faults = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.split('#').next().unwrap_or_default();
        for text in text.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            faults.push(one(text).map_err(|message| FaultError { line, message })?);
        }
    }
    Ok(faults)
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        one(text.trim()).map_err(|message| FaultError { line: 1, message })
    }
}

fn one(text: &str) -> Result<Fault, String> {
    let mut words = text.split_whitespace();
    let name = words.next().ok_or("there is no action")?;
    let mut values = Values::new(words)?;
    let action = action(name, &mut values)?;
    let mut fault = Fault::new(action);
    if let Some(names) = values.take("on") {
        fault.operations = names.split(',').map(str::parse).collect::<Result<_, _>>()?;
    }
    fault.bucket = values.take("bucket");
    fault.key = values.take("key");
    fault.nth = values.number("nth", 1, 1, u64::MAX)?;
    fault.times = match values.take("times").as_deref() {
        None => Some(1),
        Some("always") => None,
        Some(text) => Some(in_range("times", text, 1, u64::MAX)?),
    };
    let selects = !fault.operations.is_empty() || fault.bucket.is_some() || fault.key.is_some();
    if fault.action == FaultAction::Refuse && selects {
        return Err("`refuse` meets connections, before they ask for anything: it takes nth and times".into());
    }
    values.end(name)?;
    Ok(fault)
}

fn action(name: &str, values: &mut Values) -> Result<FaultAction, String> {
    Ok(match name {
        "refuse" => FaultAction::Refuse,
        "reset" | "close" => FaultAction::Cut { at: cut(values)?, reset: name == "reset" },
        "stall" => FaultAction::Stall { duration: values.seconds(60.0)?, done: values.done()? },
        "delay" => FaultAction::Delay(values.seconds(1.0)?),
        "drip" => FaultAction::Drip {
            bytes: usize::try_from(values.number("bytes", 1, 1, OVERSIZE_MAX)?).unwrap_or(1),
            pause: values.seconds(0.1)?,
        },
        "error" => FaultAction::Error {
            status: values.status(500)?,
            code: values.take("code").unwrap_or_else(|| "InternalError".to_owned()),
            message: values.take("message").unwrap_or_else(|| "A fault that was ordered.".to_owned()),
            done: values.done()?,
        },
        "gateway" => FaultAction::Gateway { status: values.status(502)?, done: values.done()? },
        "redirect" => {
            FaultAction::Redirect(values.take("to").unwrap_or_else(|| "http://127.0.0.1:9/".to_owned()))
        }
        "truncate" => FaultAction::Truncate(values.number("bytes", 0, 0, OVERSIZE_MAX)?),
        "oversize" => {
            let bytes = values.number("bytes", 64 * 1024 * 1024, 1, OVERSIZE_MAX)?;
            FaultAction::Oversize(usize::try_from(bytes).unwrap_or(usize::MAX))
        }
        "crc" => FaultAction::WrongCrc,
        "etag" => FaultAction::WrongETag,
        "callback" => FaultAction::Callback(cause(values.take("cause"))?),
        "skew" => FaultAction::Skew(match values.take("seconds") {
            None => 3600,
            Some(text) => text.parse().map_err(|_| format!("seconds={text}: must be a whole number"))?,
        }),
        _ => {
            return Err(format!(
                "`{name}` is no action; there are refuse, reset, close, stall, delay, drip, error, gateway, \
                 redirect, truncate, oversize, crc, etag, callback and skew"
            ));
        }
    })
}

fn cut(values: &mut Values) -> Result<Cut, String> {
    match (values.take("request"), values.take("answer")) {
        (Some(_), Some(_)) => Err("either request or answer, not both".to_owned()),
        (Some(text), None) if text == "all" => Ok(Cut::WholeRequest),
        (Some(text), None) => Ok(Cut::Request(in_range("request", &text, 0, u64::MAX)?)),
        (None, Some(text)) => Ok(Cut::Answer(in_range("answer", &text, 0, u64::MAX)?)),
        (None, None) => Ok(Cut::Request(0)),
    }
}

fn cause(text: Option<String>) -> Result<CallbackCause, String> {
    let Some(text) = text else { return Ok(CallbackCause::Status(502)) };
    if let Some(status) = text.strip_prefix("status-") {
        return Ok(CallbackCause::Status(in_range("cause=status-N", status, 100, 999)? as u16));
    }
    let known = CAUSES.iter().find(|(name, _)| *name == text);
    known.map(|(_, cause)| *cause).ok_or_else(|| {
        let names: Vec<&str> = CAUSES.iter().map(|(name, _)| *name).collect();
        format!("cause={text}: there are status-N, {}", names.join(", "))
    })
}

fn in_range(name: &str, text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ if most == u64::MAX => Err(format!("{name}={text}: must be a whole number from {least} on")),
        _ => Err(format!("{name}={text}: must be a whole number from {least} to {most}")),
    }
}

/// The qualifiers of one fault, each taken once.
struct Values(Vec<(String, String)>);

impl Values {
    fn new<'t>(words: impl Iterator<Item = &'t str>) -> Result<Values, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not NAME=VALUE"))?;
            if pairs.iter().any(|(known, _)| known == name) {
                return Err(format!("{name} is given twice"));
            }
            let value =
                percent_decode_str(value).decode_utf8().map_err(|_| format!("{name} is not UTF-8"))?;
            pairs.push((name.to_owned(), value.into_owned()));
        }
        Ok(Values(pairs))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> Result<u64, String> {
        self.take(name).map_or(Ok(default), |text| in_range(name, &text, least, most))
    }

    fn status(&mut self, default: u64) -> Result<u16, String> {
        Ok(u16::try_from(self.number("status", default, 200, 599)?).unwrap_or(500))
    }

    fn seconds(&mut self, default: f64) -> Result<Duration, String> {
        let Some(text) = self.take("seconds") else { return Ok(Duration::from_secs_f64(default)) };
        let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=LONGEST_SECONDS).contains(seconds));
        let seconds =
            seconds.ok_or_else(|| format!("seconds={text}: must be from 0 to {LONGEST_SECONDS}"))?;
        Duration::try_from_secs_f64(seconds).map_err(|error| format!("seconds={text}: {error}"))
    }

    fn done(&mut self) -> Result<bool, String> {
        match self.take("done").as_deref() {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(text) => Err(format!("done={text}: must be yes or no")),
        }
    }

    /// Nothing may be left.
    fn end(self, action: &str) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let selectors = SELECTORS.join(", ");
                Err(format!("`{action}` takes no {name} (which requests it meets is told by {selectors})"))
            }
        }
    }
}

/// The text that [`Fault::from_str`] reads.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        if !self.operations.is_empty() {
            let names: Vec<&str> = self.operations.iter().map(|operation| operation.name()).collect();
            write!(f, " on={}", names.join(","))?;
        }
        for (name, pattern) in [("bucket", &self.bucket), ("key", &self.key)] {
            if let Some(pattern) = pattern {
                write!(f, " {name}={}", word(pattern))?;
            }
        }
        if self.nth != 1 {
            write!(f, " nth={}", self.nth)?;
        }
        match self.times {
            Some(1) => Ok(()),
            Some(times) => write!(f, " times={times}"),
            None => write!(f, " times=always"),
        }
    }
}

impl fmt::Display for FaultAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = |done: &bool| if *done { " done=yes" } else { "" };
        match self {
            FaultAction::Refuse => write!(f, "refuse"),
            FaultAction::Cut { at, reset } => {
                let name = if *reset { "reset" } else { "close" };
                match at {
                    Cut::Request(bytes) => write!(f, "{name} request={bytes}"),
                    Cut::WholeRequest => write!(f, "{name} request=all"),
                    Cut::Answer(bytes) => write!(f, "{name} answer={bytes}"),
                }
            }
            FaultAction::Stall { duration, done: d } => {
                write!(f, "stall seconds={}{}", duration.as_secs_f64(), done(d))
            }
            FaultAction::Delay(duration) => write!(f, "delay seconds={}", duration.as_secs_f64()),
            FaultAction::Drip { bytes, pause } => {
                write!(f, "drip bytes={bytes} seconds={}", pause.as_secs_f64())
            }
            FaultAction::Error { status, code, message, done: d } => {
                write!(f, "error status={status} code={} message={}{}", word(code), word(message), done(d))
            }
            FaultAction::Gateway { status, done: d } => write!(f, "gateway status={status}{}", done(d)),
            FaultAction::Redirect(to) => write!(f, "redirect to={}", word(to)),
            FaultAction::Truncate(bytes) => write!(f, "truncate bytes={bytes}"),
            FaultAction::Oversize(bytes) => write!(f, "oversize bytes={bytes}"),
            FaultAction::WrongCrc => write!(f, "crc"),
            FaultAction::WrongETag => write!(f, "etag"),
            FaultAction::Callback(CallbackCause::Status(status)) => {
                write!(f, "callback cause=status-{status}")
            }
            FaultAction::Callback(cause) => {
                let name = CAUSES.iter().find(|(_, known)| known == cause).map_or("", |(name, _)| name);
                write!(f, "callback cause={name}")
            }
            FaultAction::Skew(seconds) => write!(f, "skew seconds={seconds}"),
        }
    }
}

fn word(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    #[test]
    fn what_is_written_is_read_as_the_same_fault() {
        for text in [
            "refuse nth=2 times=always",
            "reset request=0",
            "close request=all on=PutObject,UploadPart bucket=b* key=a%20b%3B*",
            "close answer=17 times=3",
            "stall seconds=0.5 done=yes",
            "delay seconds=0.015 on=UploadPart times=always",
            "drip bytes=10 seconds=0.01",
            "error status=503 code=SlowDown message=Too%20fast,%20%23%25. done=yes",
            "gateway status=504",
            "redirect to=http://127.0.0.1:9/",
            "truncate bytes=7",
            "oversize bytes=1000",
            "crc",
            "etag on=UploadPart nth=4",
            "callback cause=status-500",
            "callback cause=too-slow",
            "skew seconds=-7200",
        ] {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.to_string(), text);
            assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
        }
        for (_, cause) in CAUSES {
            let fault = Fault::new(FaultAction::Callback(*cause));
            assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
        }
    }

    #[test]
    fn the_page_has_a_row_for_every_action_and_names_every_cause() {
        let page = include_str!("../../faults.md");
        let known = one("explode").unwrap_err();
        let (_, actions) = known.split_once("there are ").unwrap();
        for action in actions.split([',', ' ']).filter(|word| !word.is_empty() && *word != "and") {
            let in_row = |line: &str| line.starts_with('|') && line.contains(&format!("`{action}`"));
            assert!(page.lines().any(in_row), "{action}");
        }
        for name in SELECTORS.iter().chain(CAUSES.iter().map(|(name, _)| name)) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn a_script_has_lines_comments_and_semicolons() {
        let script = "# first\n\n close ; crc on=PutObject # why not\nskew\n";
        let faults = Fault::parse_script(script).unwrap();
        let crc = Fault::new(FaultAction::WrongCrc).on(Operation::PutObject);
        assert_eq!(faults.len(), 3);
        assert_eq!(faults[1], crc);
        assert_eq!(Fault::parse_script(" \n#\n;;"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, says) in [
            ("crc\nexplode", "line 2: `explode` is no action"),
            ("crc bytes=1", "`crc` takes no bytes"),
            ("crc now", "`now` is not NAME=VALUE"),
            ("crc nth=1 nth=2", "nth is given twice"),
            ("crc on=PutObjekt", "`PutObjekt` is no operation; there are Abort"),
            ("crc times=0", "times=0: must be a whole number from 1 on"),
            ("refuse on=PutObject", "takes nth and times"),
            ("reset request=1 answer=1", "not both"),
            ("stall seconds=-1", "seconds=-1: must be from 0"),
            ("stall seconds=nan", "seconds=nan"),
            ("stall done=maybe", "yes or no"),
            ("error status=99", "from 200 to 599"),
            ("callback cause=moon", "there are status-N, too-many"),
            ("callback cause=status-1", "from 100 to 999"),
            ("crc key=%ff", "key is not UTF-8"),
        ] {
            let error = Fault::parse_script(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
