//! `put`: one file, one upload, one callback. The callback's body goes to standard output untouched, so
//! that it can be piped on; everything for people goes to standard error.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use oss_callback::{Body, Callback, CallbackReply, Client, UploadOptions, UploadRequest};
use serde_json::{Value, json};

use crate::duration;
use crate::failure::{EXIT_CODES, Failure};
use crate::flags::Group;
use crate::interrupt;
use crate::progress::Bar;
use crate::text::{Warnings, printable, tell};
use crate::write_out;

/// How long a seal holds unless said otherwise: longer than uploads usually take.
const SEAL_EXPIRES: Duration = Duration::from_secs(3600);

const EXAMPLES: &str = "Examples:
  Upload a file under its own name and print what the application server answers:
    oss-callback put cat.jpg oss://photos/ --callback-url https://app.example/oss

  Hand two values of your own to the application server:
    oss-callback put cat.jpg oss://photos/pets/cat.jpg --callback-url https://app.example/oss \\
        --var order=1024 --var user=alice

  Write the callback's body yourself (single quotes keep the shell away from ${…}):
    oss-callback put cat.jpg oss://photos/cat.jpg --callback-url https://app.example/oss \\
        --callback-body-type json --callback-body '{\"key\":${object},\"size\":${size}}'

  Upload something large over a bad line, and go on after Ctrl-C or a crash by the same command:
    oss-callback put film.mp4 oss://films/ --checkpoint film.checkpoint \\
        --callback-url https://app.example/oss

  Let the application server tell your uploads from forged ones (listen --seal-secret-env checks it):
    export SEAL_SECRET=…
    oss-callback put cat.jpg oss://photos/ --callback-url https://app.example/oss \\
        --seal-secret-env SEAL_SECRET --seal-expires 10m

  Upload what another program writes, and use the answer in a script:
    mysqldump shop | oss-callback put - oss://backup/shop.sql --json \\
        --callback-url https://app.example/oss | jq -r .etag";

/// The subcommand.
pub fn command() -> Command {
    let command = Command::new("put")
        .about("Upload a file and have OSS call your application server")
        .long_about(
            "Upload a file to OSS with a callback: OSS stores the object, posts the callback's body to your \
             application server, and hands its answer back. That answer, and nothing else, is written to \
             standard output.\n\nNo flag takes credentials: they come from OSS_ACCESS_KEY_ID and \
             OSS_ACCESS_KEY_SECRET, with OSS_SESSION_TOKEN for temporary ones, or else from a profile or a \
             role (see --credentials-source). OSS_ENDPOINT, OSS_REGION and \
             OSS_CALLBACK_URL stand in for flags that are not given.\n\nWhat is shorter than --threshold goes in \
             one request, the rest in parts; the application server is called once, at the end. With \
             --checkpoint, the same command goes on where it was interrupted, killed or failed.",
        )
        .after_long_help(format!("{EXAMPLES}\n\n{EXIT_CODES}"))
        .arg(
            Arg::new("FILE")
                .help("File to upload, or - for standard input")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath),
        )
        .arg(
            Arg::new("TARGET")
                .value_name("oss://BUCKET/KEY")
                .help("Where to; a key that is absent or ends in / takes the file's name")
                .long_help(
                    "Where to. The key is taken as it is, without percent-decoding. A key that is absent or \
                     ends in / takes the file's name: `put cat.jpg oss://photos/pets/` stores pets/cat.jpg.",
                )
                .required(true)
                .value_parser(value_parser!(String)),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .help("Print one JSON object instead: the answer and all facts, or the error")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("quiet")
                .long("quiet")
                .short('q')
                .help("Say nothing on standard error unless the upload fails: no warnings either")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("callback-url")
                .long("callback-url")
                .help_heading("Callback")
                .value_name("URL")
                .help("URL that OSS calls; up to five, tried in turn until one succeeds")
                .long_help(
                    "URL of the application server that OSS calls after the upload, by http or https. Give \
                     it again, up to five times in all, for URLs that are tried in turn until one succeeds.",
                )
                .action(ArgAction::Append)
                .env("OSS_CALLBACK_URL")
                .hide_env_values(true)
                .required_unless_present("callback-policy")
                .value_hint(ValueHint::Url),
        )
        .arg(
            Arg::new("seal-secret-env")
                .long("seal-secret-env")
                .help_heading("Callback")
                .value_name("NAME")
                .help("Seal the upload with the secret in this environment variable")
                .long_help(
                    "Seal the upload with the secret in this environment variable, of at least 16 bytes, \
                     which the application server shares: it can then tell your uploads from forged ones. The \
                     seal travels as the variable x:seal; a body that is written out must hold it, ${bucket}, \
                     ${object} and every variable.",
                ),
        )
        .arg(
            Arg::new("seal-expires")
                .long("seal-expires")
                .help_heading("Callback")
                .value_name("DURATION")
                .help("How long the seal holds, from the start of the upload on [default: 1h]")
                .requires("seal-secret-env")
                .value_parser(duration::parse),
        );
    Group::ALL.into_iter().fold(command, |command, group| command.args(group.args()))
}

/// Runs it.
pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if matches.get_flag("quiet") {
        Warnings::silence();
    }
    let result = upload(matches);
    if matches.get_flag("json") {
        let value = match &result {
            Ok(done) => done.to_json(),
            Err(failure) => failure.to_json(),
        };
        // An upload that failed is worse news than a standard output that is closed.
        return match (result, print_line(&value)) {
            (Err(failure), _) => Err(failure),
            (Ok(_), printed) => printed.map_err(after_upload),
        };
    }
    let done = result?;
    if !matches.get_flag("quiet") {
        tell(done.summary());
    }
    write_body(&done.reply).map_err(after_upload)
}

/// The callback's body and no more, so that a script gets its very bytes; a person's prompt goes on a
/// line of its own.
pub fn write_body(reply: &CallbackReply) -> Result<(), Failure> {
    write_out(reply.body())?;
    let line_ended = reply.body().last().is_none_or(|byte| *byte == b'\n');
    if std::io::stdout().is_terminal() && !line_ended { write_out(b"\n") } else { Ok(()) }
}

fn after_upload(failure: Failure) -> Failure {
    failure.with_hint("The upload itself is done and its callback answered: do not repeat it for this")
}

/// Prints an object on a line of its own.
pub fn print_line(value: &Value) -> Result<(), Failure> {
    write_out(format!("{value}\n").as_bytes())
}

/// A finished upload.
struct Done {
    target: Target,
    size: u64,
    reply: CallbackReply,
}

impl Done {
    fn summary(&self) -> String {
        let mut line = format!("stored {}, {} bytes", printable(&self.target.to_string()), self.size);
        for (name, value) in [
            ("ETag", self.reply.etag()),
            ("version", self.reply.version_id()),
            ("request id", self.reply.request_id()),
        ] {
            if let Some(value) = value {
                line.push_str(&format!(", {name} {}", printable(value)));
            }
        }
        line.push_str("; the application server answered");
        if let Some(content_type) = self.reply.content_type() {
            line.push_str(&format!(" ({})", printable(content_type)));
        }
        line
    }

    fn to_json(&self) -> Value {
        let reply = &self.reply;
        json!({
            "ok": true,
            "bucket": self.target.bucket,
            "key": self.target.key,
            "size": self.size,
            "etag": reply.etag(),
            // A number above 2^53 would lose digits in most JSON readers.
            "crc64": reply.crc64().map(|crc| crc.to_string()),
            "version_id": reply.version_id(),
            "request_id": reply.request_id(),
            "callback_content_type": reply.content_type(),
            "callback_body": reply.text(),
            "callback_json": reply.json().ok(),
        })
    }
}

fn upload(matches: &ArgMatches) -> Result<Done, Failure> {
    // All that can be wrong with the arguments is found before anything is sent.
    let file = matches.get_one::<PathBuf>("FILE").ok_or_else(|| Failure::usage("FILE is missing"))?;
    let target = matches.get_one::<String>("TARGET").map_or("", String::as_str);
    let target = Target::parse(target, file)?;
    let callback = callback(matches)?;
    let mut options = UploadOptions::default();
    Group::Put.apply(matches, |name, value| options.set(name, value))?;
    let client = client(matches)?;
    let (source, length) = match is_stdin(file) {
        true => (Body::reader(std::io::stdin(), None), None),
        false => (Body::from(file.as_path()), length(file)?),
    };
    let interrupted =
        interrupt::watch().map_err(|error| Failure::other(format!("cannot wait for signals: {error}")))?;
    let bar = Bar::new(matches, &target, length);
    let sent = Arc::new(AtomicU64::new(0));
    let (shown, counted) = (bar.clone(), Arc::clone(&sent));
    let request = UploadRequest::new(&target.bucket, &target.key, source, &callback)
        .options(options)
        .progress(move |progress| {
            counted.store(progress.bytes_done, Ordering::Relaxed);
            shown.show(progress);
        });
    let outcome = client.upload_while(request, || interrupted.load(Ordering::Relaxed));
    bar.clear();
    let reply = outcome.map_err(|error| Failure::library(error, None))?;
    Ok(Done { target, size: sent.load(Ordering::Relaxed), reply })
}

fn callback(matches: &ArgMatches) -> Result<Callback, Failure> {
    let mut urls = matches
        .get_many::<String>("callback-url")
        .into_iter()
        .flatten()
        // As with the other variables, an empty OSS_CALLBACK_URL is one that is not set.
        .filter(|url| !url.is_empty());
    let mut builder = Callback::builder(urls.next().map_or("", String::as_str));
    for url in urls {
        builder = builder.url(url);
    }
    Group::Callback.apply(matches, |name, value| builder.set(name, value))?;
    if let Some(name) = matches.get_one::<String>("seal-secret-env") {
        let secret = std::env::var(name).unwrap_or_default();
        if secret.is_empty() {
            return Err(Failure::usage(format!("--seal-secret-env: the variable {name} is not set")));
        }
        let expires = matches.get_one::<Duration>("seal-expires").copied().unwrap_or(SEAL_EXPIRES);
        builder = builder.seal(secret, expires);
    }
    builder.build().map_err(|error| Failure::library(error, Some(Group::Callback)))
}

fn client(matches: &ArgMatches) -> Result<Client, Failure> {
    let mut builder = Client::builder();
    Group::Client.apply(matches, |name, value| builder.set(name, value))?;
    builder.build().map_err(|error| Failure::library(error, Some(Group::Client)))
}

/// The file's length, where it has one; an error for what cannot be uploaded.
fn length(file: &Path) -> Result<Option<u64>, Failure> {
    let name = format!("`{}`", file.display());
    let metadata =
        std::fs::metadata(file).map_err(|error| Failure::source(format!("cannot read {name}: {error}")))?;
    if metadata.is_dir() {
        return Err(Failure::source(format!("{name} is a directory"))
            .with_hint("Name one file; a directory can be packed with `tar c DIR | oss-callback put - …`"));
    }
    Ok(metadata.is_file().then_some(metadata.len()))
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Where an upload goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    bucket: String,
    key: String,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "oss://{}/{}", self.bucket, self.key)
    }
}

impl Target {
    fn parse(text: &str, file: &Path) -> Result<Target, Failure> {
        let hint = "Write oss://BUCKET/KEY, such as oss://photos/pets/cat.jpg";
        let Some(rest) = text.strip_prefix("oss://") else {
            return Err(Failure::usage(format!("`{text}` is not an address of OSS")).with_hint(hint));
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Failure::usage(format!("`{text}` names no bucket")).with_hint(hint));
        }
        let mut key = key.to_owned();
        if key.is_empty() || key.ends_with('/') {
            key.push_str(&file_name(text, file)?);
        }
        Ok(Target { bucket: bucket.to_owned(), key })
    }
}

fn file_name(target: &str, file: &Path) -> Result<String, Failure> {
    if is_stdin(file) {
        return Err(Failure::usage(format!(
            "`{target}` names no key, and standard input has no name to take"
        ))
        .with_hint("Write the whole key, such as oss://backup/shop.sql"));
    }
    let name = file.file_name().map(OsString::from).map(OsString::into_string);
    match name {
        Some(Ok(name)) => Ok(name),
        _ => Err(Failure::usage(format!(
            "`{target}` names no key, and `{}` has no name that could be one",
            file.display()
        ))
        .with_hint("Write the whole key, in UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(target: &str, file: &str) -> Result<String, Failure> {
        Target::parse(target, Path::new(file)).map(|target| target.key)
    }

    #[test]
    fn the_key_is_taken_as_it_is() {
        assert_eq!(parse("oss://b/a//b?c#d%20é/..", "x").unwrap(), "a//b?c#d%20é/..");
    }

    #[test]
    fn an_absent_key_or_a_folder_takes_the_files_name() {
        assert_eq!(parse("oss://b", "dir/cat.jpg").unwrap(), "cat.jpg");
        assert_eq!(parse("oss://b/", "dir/cat.jpg").unwrap(), "cat.jpg");
        assert_eq!(parse("oss://b/pets/", "./cat.jpg").unwrap(), "pets/cat.jpg");
    }

    #[test]
    fn a_target_that_names_nothing_is_refused() {
        for (target, file) in [("photos/cat.jpg", "x"), ("oss://", "x"), ("oss:///k", "x"), ("oss://b/", "-")]
        {
            let failure = parse(target, file).unwrap_err();
            assert_eq!(failure.exit_code(), 2);
            assert!(failure.to_text().contains("Write "), "{}", failure.to_text());
        }
        assert!(parse("oss://b/", "/").is_err());
    }
}
