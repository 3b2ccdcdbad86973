//! `serve`: an OSS on this machine for as long as one likes. Standard output gets what a shell can take
//! over, standard error one line for each request and callback.

use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use oss_callback_emulator::{AccessKey, CallbackAttempt, Emulator, Event, Fault, RequestRecord};
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::flags::parse_pair;
use crate::local_oss::{self, Settings};
use crate::text::{Paint, printable, tell};
use crate::{stderr, write_out};

const EXAMPLES: &str = "Examples:
  Run it in one terminal:
    oss-callback serve --port 9000

  Paste the lines that it prints into another, and upload:
    oss-callback put cat.jpg oss://photos/ --callback-url http://127.0.0.1:8000/oss

  See what a client makes of a lost answer:
    oss-callback serve --faults 'close answer=0 on=PutObject'

  Or let the shell take them over, and stop it at the end:
    coproc OSS { exec oss-callback serve; }
    for _ in 1 2 3 4 5 6; do read -r line <&${OSS[0]}; eval \"$line\"; done
    …
    kill $OSS_PID";

/// The subcommand.
pub fn command() -> Command {
    let defaults = Settings::default();
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).value_parser(value_parser!(String))
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new("serve")
        .about("Run an OSS on this machine that really calls back")
        .long_about(
            "Runs an emulator of OSS until Ctrl-C or SIGTERM. It verifies every signature and calls back as \
             OSS does, on loopback addresses too. Prints the environment for its users on standard output, \
             then one line for each request and callback on standard error.\n\nBuckets come into being at \
             their first use, and objects live in memory unless --data-dir keeps them.",
        )
        .after_long_help(EXAMPLES)
        .arg(
            Arg::new("port")
                .long("port")
                .short('p')
                .value_name("PORT")
                .help("Port to listen on; 0 takes a free one")
                .default_value("0")
                .value_parser(value_parser!(u16)),
        )
        .arg(text("host", "HOST", "Address to listen on").default_value(defaults.host))
        .arg(switch("allow-remote", "Let --host name an address that other machines can reach").long_help(
            "Let --host name an address that other machines can reach. Whoever reaches it can have this \
             machine send requests to any address that it can reach itself.",
        ))
        .arg(
            Arg::new("data-dir")
                .long("data-dir")
                .value_name("DIR")
                .help("Keep objects in this directory instead of memory")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::DirPath),
        )
        .arg(switch("strict", "Be as strict as OSS: create buckets first, no callbacks to private addresses"))
        .arg(
            text("key-url", "URL", "URL of the public key that callbacks announce")
                .value_hint(ValueHint::Url),
        )
        .arg(
            Arg::new("control")
                .long("control")
                .value_name("PORT")
                .help("Open the control API, on a free port or this one")
                .long_help(
                    "Open the control API, on a free port or this one, for programs on this machine: GET \
                     /uploads and GET /callbacks tell in JSON which multipart uploads are unfinished and which \
                     callbacks were made (?bucket=B for those of one bucket); POST /faults takes a script as \
                     --faults does, GET and DELETE show and end the faults. Its address is printed as \
                     CONTROL_URL.",
                )
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("0")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            text("faults", "SCRIPT|@FILE", "Misbehave on purpose: what goes wrong, with which requests")
                .long_help(
                    "Misbehave on purpose. A script is faults separated by `;` or line ends, such as \
                     `error status=503 code=SlowDown on=PutObject times=2; close answer=0 key=films/*`.\n\
                     \n\
                     What goes wrong: refuse, reset or close (request=BYTES|all or answer=BYTES), stall (seconds= \
                     done=yes|no), delay (seconds=), drip (bytes= seconds=), error (status= code= message= done=), \
                     gateway (status= done=), redirect (to=), truncate (bytes=), oversize (bytes=), crc, etag, \
                     callback (cause=too-many|too-slow|connect-timeout|unreachable|tls|status-N|length-missing|\
                     length-invalid|length-too-long|not-json|image-info), skew (seconds=).\n\
                     \n\
                     With which requests: on=OPERATION,… bucket=PATTERN key=PATTERN nth=N times=N|always; \
                     otherwise with the next one.",
                ),
        )
        .arg(text("region", "REGION", "Region to play").default_value(defaults.region))
        .arg(text("access-key-id", "ID", "AccessKey id of the emulator's user").requires("access-key-secret"))
        .arg(
            text("access-key-secret", "TEXT", "Its secret: printed for all to see, so never a real one")
                .requires("access-key-id"),
        )
        .arg(
            text("security-token", "TEXT", "A token, without which the pair is refused, as one of STS is")
                .requires("access-key-id"),
        )
        .arg(
            Arg::new("cname")
                .long("cname")
                .value_name("HOST=BUCKET")
                .help("Take this host name for this bucket, as a CNAME record does. Can be given again")
                .action(ArgAction::Append)
                .value_parser(parse_pair),
        )
        .arg(switch("quiet", "Do not log requests and callbacks").short('q'))
        .arg(switch("exit-when-stdin-closes", "Also stop at the end of standard input").long_help(
            "Also stop at the end of standard input: a program that started this one then leaves no orphan \
             behind, even when it is killed.",
        ))
}

/// Runs it.
pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let settings = settings(matches)?;
    // Signals are caught before the environment is printed: who reads it may stop us at once.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot wait for signals: {error}")))?;
    let stop = runtime
        .block_on(async { Stop::install(matches.get_flag("exit-when-stdin-closes")) })
        .map_err(|error| Failure::other(format!("cannot wait for signals: {error}")))?;
    let paint = Paint::for_stderr();
    let quiet = matches.get_flag("quiet");
    let _queued = stderr::queue()?;
    let oss = local_oss::start(&settings, move |event| {
        let text = match event {
            _ if quiet => return,
            Event::Callback(attempt) => callback_line(paint, attempt),
            Event::Answered(record) => request_line(paint, record),
            _ => return,
        };
        tell(format_args!("{} {text}", paint.dim(time_of_day(SystemTime::now()))));
    })?;
    write_out(environment(&oss).as_bytes())?;
    tell(format_args!("OSS (an emulator) listens on {}; Ctrl-C stops it", oss.endpoint()));
    tell(format_args!("callbacks are signed with the key of {}", oss.public_key_url()));
    let why = runtime.block_on(stop.wait());
    tell(format_args!("stopping: {why}"));
    oss.stop();
    Ok(())
}

fn settings(matches: &ArgMatches) -> Result<Settings, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let host = text("host");
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !loopback {
        if !matches.get_flag("allow-remote") {
            return Err(Failure::usage(format!("--host: `{host}` can be reached from other machines"))
                .with_hint(
                    "Leave --host out for 127.0.0.1, or add --allow-remote if the network is your own: \
                     whoever reaches the emulator can have this machine send requests for them",
                ));
        }
        tell(format_args!(
            "warning: {} may be reached from other machines. The emulator's keys are public: its signatures \
             prove nothing, and whoever reaches it can have this machine send requests for them.",
            printable(&host)
        ));
    }
    Ok(Settings {
        host,
        port: matches.get_one::<u16>("port").copied().unwrap_or(0),
        access_key: matches.contains_id("access-key-id").then(|| {
            let (id, secret) = (text("access-key-id"), text("access-key-secret"));
            match matches.get_one::<String>("security-token") {
                Some(token) => AccessKey::temporary(id, secret, token, None),
                None => AccessKey::new(id, secret),
            }
        }),
        region: text("region"),
        data_dir: matches.get_one::<PathBuf>("data-dir").cloned(),
        strict: matches.get_flag("strict"),
        cnames: matches.get_many("cname").unwrap_or_default().cloned().collect(),
        key_url: matches.get_one::<String>("key-url").cloned(),
        faults: faults(matches.get_one::<String>("faults").map(String::as_str))?,
        control_port: matches.get_one::<u16>("control").copied(),
    })
}

/// The script itself, or that of the file behind an `@`.
fn faults(value: Option<&str>) -> Result<Vec<Fault>, Failure> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let script = match value.strip_prefix('@') {
        None => value.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("--faults: cannot read {}: {error}", printable(path))))?,
    };
    Fault::parse_script(&script).map_err(|error| Failure::usage(format!("--faults: {error}")))
}

/// What a shell takes over, ready to paste: each line for itself, as scripts read them line by line.
fn environment(oss: &Emulator) -> String {
    let export = |name: &str, value: &str| format!("export {name}={}\n", quoted(value));
    let mut lines = vec![
        export("OSS_ENDPOINT", &oss.endpoint()),
        export("OSS_REGION", oss.region()),
        export("OSS_ACCESS_KEY_ID", oss.access_key_id()),
        export("OSS_ACCESS_KEY_SECRET", oss.access_key_secret()),
        match oss.access_key().security_token() {
            Some(token) => export("OSS_SESSION_TOKEN", token),
            // One that is left over belongs to another pair, and would have every request refused.
            None => "unset OSS_SESSION_TOKEN\n".to_owned(),
        },
        format!("export CALLBACK_KEY={}\n", of_lines(oss.public_key_pem())),
    ];
    lines.extend(oss.control_url().map(|url| export("CONTROL_URL", &url)));
    lines.concat()
}

/// PEM, whose line breaks matter, as one line of a POSIX shell.
fn of_lines(pem: &str) -> String {
    format!("\"$(printf '%b' '{}')\"", pem.trim_end().replace('\n', "\\n"))
}

/// A word for a POSIX shell.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@%+,".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

/// One line of the log: what was asked, what was answered, and why if it was an error.
fn request_line(paint: Paint, record: &RequestRecord) -> String {
    let good = record.status < 300 && record.error.is_none();
    let mut status = record.status.to_string();
    match &record.error {
        // The line of the callback said why.
        Some((code, _)) if record.status == 203 => status.push_str(&format!(" {code}, the object is stored")),
        Some((code, message)) => {
            let ec = record.ec.as_deref().map_or(String::new(), |ec| format!(" (EC {ec})"));
            status.push_str(&format!(" {code}: {message}{ec}"));
        }
        None => {}
    }
    let (method, target) = (printable(&record.head.method), printable(&record.head.target));
    format!("{method} {target} {} {}", outcome(paint, good, &status), paint.dim(millis(record.elapsed)))
}

/// One line of the log: whom the emulator called, and what came of it.
fn callback_line(paint: Paint, attempt: &CallbackAttempt) -> String {
    let mut status = attempt.status.map_or("no answer".to_owned(), |status| status.to_string());
    if let Some((ec, message)) = &attempt.failure {
        status.push_str(&format!(": {message} (EC {ec})"));
    }
    let outcome = outcome(paint, attempt.succeeded(), &status);
    format!("  callback POST {} {outcome} {}", printable(&attempt.url), paint.dim(millis(attempt.elapsed)))
}

fn outcome(paint: Paint, good: bool, text: &str) -> String {
    let text = printable(text);
    if good { paint.green(text) } else { paint.red(text) }
}

fn millis(elapsed: Duration) -> String {
    format!("{:.1} ms", elapsed.as_secs_f64() * 1000.0)
}

/// The time of day, UTC.
pub fn time_of_day(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() % 86_400);
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// What ends the command.
pub struct Stop {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl Stop {
    /// Must run within the runtime: signals are caught from here on.
    pub fn install(watch_stdin: bool) -> std::io::Result<Stop> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Stop {
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
            stdin: if watch_stdin { Some(stdin_closed()?) } else { None },
        })
    }

    /// Waits, and tells why it is over.
    pub async fn wait(mut self) -> &'static str {
        let stdin = async {
            match self.stdin {
                Some(closed) => drop(closed.await),
                None => std::future::pending().await,
            }
        };
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
            () = stdin => "standard input is closed",
        }
        #[cfg(not(unix))]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => "Ctrl-C",
            () = stdin => "standard input is closed",
        }
    }
}

/// Reads standard input away until its end, on a thread of its own: no system can wait for a signal and
/// for any kind of standard input at once.
fn stdin_closed() -> std::io::Result<oneshot::Receiver<()>> {
    let (closed, receiver) = oneshot::channel();
    std::thread::Builder::new().name("standard input".to_owned()).spawn(move || {
        let mut buffer = [0; 512];
        while matches!(std::io::stdin().read(&mut buffer), Ok(1..)) {}
        // The command may have stopped already.
        let _ = closed.send(());
    })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("http://127.0.0.1:9000"), "http://127.0.0.1:9000");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_time_is_utc() {
        assert_eq!(time_of_day(UNIX_EPOCH + Duration::from_secs(86_400 + 3_723)), "01:02:03Z");
    }
}
