//! A log for programs that have none: what this library tells by `tracing`, as lines on standard error.

use std::env;
use std::fmt::Write;
use std::sync::OnceLock;
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};
use time::OffsetDateTime;
use time::macros::format_description;

const VARIABLE: &str = "OSS_CALLBACK_LOG";

/// Writes this library's events to standard error from now on, one line each, if the environment asks for it by
/// `OSS_CALLBACK_LOG`: `error`, `warn`, `info` or `debug`. Returns whether it has begun with this call.
///
/// For programs that do not collect the events of [`tracing`](https://docs.rs/tracing) themselves: the command,
/// and those in other languages. Without the variable, and where a logger of the `log` crate is installed already,
/// nothing happens.
pub fn log_by_environment() -> bool {
    log_by_environment_to(to_standard_error)
}

/// [`log_by_environment`] that hands each line to `write`, without its end, on whatever thread it comes about.
pub fn log_by_environment_to(write: fn(&str)) -> bool {
    let Some(level) = env::var_os(VARIABLE).and_then(|asked| level(&asked.to_string_lossy())) else {
        return false;
    };
    let begins = log::set_logger(&Lines).is_ok();
    if begins {
        let _ = WRITE.set(write);
        log::set_max_level(level);
    }
    begins
}

/// None for silence. Whoever asks for something else is taken to want all there is: to be silent would hide the
/// mistake.
fn level(asked: &str) -> Option<LevelFilter> {
    match asked.trim() {
        "" => None,
        asked => match asked.parse().unwrap_or(LevelFilter::Debug) {
            LevelFilter::Off => None,
            level => Some(level),
        },
    }
}

static WRITE: OnceLock<fn(&str)> = OnceLock::new();

struct Lines;

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Others' events may hold what must not be shown.
        metadata.target().starts_with("oss_callback")
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(write) = WRITE.get().filter(|_| self.enabled(record.metadata())) {
            write(&line(SystemTime::now(), record));
        }
    }

    fn flush(&self) {}
}

/// `2026-11-30T17:16:10.123Z WARN oss_callback::client: the checkpoint cannot be written error=…`
fn line(now: SystemTime, record: &Record<'_>) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let mut line = OffsetDateTime::from(now).format(form).unwrap_or_default();
    // A string takes it all.
    let _ = write!(line, " {} {}: ", record.level(), record.target());
    for character in record.args().to_string().chars() {
        // What a server has said cannot begin a line of its own.
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// In one call, so that lines of several processes do not mix; and without the lock of the standard library's
/// stream, which another thread may hold when the process forks.
#[cfg(target_os = "linux")]
fn to_standard_error(line: &str) {
    // There is nobody else to tell.
    let _ = rustix::io::write(std::io::stderr(), format!("{line}\n").as_bytes());
}

#[cfg(not(target_os = "linux"))]
fn to_standard_error(line: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn levels_are_read_and_mistakes_are_heard() {
        for (asked, expected) in [
            ("warn", Some(LevelFilter::Warn)),
            (" DEBUG ", Some(LevelFilter::Debug)),
            ("off", None),
            ("", None),
            ("1", Some(LevelFilter::Debug)),
        ] {
            assert_eq!(level(asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let record = Record::builder()
            .level(log::Level::Warn)
            .target("oss_callback::client")
            .args(format_args!("对象\r\nforged"))
            .build();
        let line = line(UNIX_EPOCH + Duration::from_millis(1_702_743_657_020), &record);
        assert_eq!(line, "2023-12-16T16:20:57.020Z WARN oss_callback::client: 对象\\r\\nforged");
    }

    #[test]
    fn others_are_not_shown() {
        let metadata = |target| Metadata::builder().target(target).build();
        assert!(Lines.enabled(&metadata("oss_callback::client")));
        assert!(!Lines.enabled(&metadata("hyper_util::client")));
    }
}
