//! `explain`: what a callback, a presigned URL, a POST policy or a captured callback request means, whether
//! OSS would take it, what OSS would send, and why a verification fails. It decides what it was given; all
//! that it says of OSS's rules comes from the library.

mod callback;
mod input;
mod policy;
mod request;
mod url;

use std::io::Read;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::failure::Failure;
use crate::{trust, write_out};
use input::Input;

/// More than any of these; a captured request has at most 1 MiB of body.
const MAX_INPUT: u64 = 2 * 1024 * 1024;

const EXAMPLES: &str = "Examples:
  What does the header of a request mean, and would OSS take it?
    oss-callback explain eyJjYWxsYmFja1VybCI6Imh0dHBzOi8vYXBwLmV4YW1wbGUvb3NzIn0=

  And together with its variables?
    printf 'x-oss-callback: %s\\nx-oss-callback-var: %s\\n' \"$CALLBACK\" \"$VARS\" | oss-callback explain

  Why is a callback refused? (the request's bytes as they arrived, head and body)
    oss-callback explain < request.http

Exit codes:
  0  explained; OSS would take it, or the request verifies
  1  explained; something is wrong with it
  2  not understood, or wrong arguments";

/// The subcommand.
pub fn command() -> Command {
    Command::new("explain")
        .about("Tell what a callback, a presigned URL, a policy or a callback request means")
        .long_about(
            "Takes the value of an x-oss-callback header (or the JSON in it), a presigned URL, a POST policy, \
             or a captured HTTP request, and tells on standard output what it means, whether OSS would take \
             it, what OSS would send, and why a verification fails. Nothing is sent, except that the key of a \
             callback request is fetched from OSS if it is not the well-known one. Signatures and tokens are \
             not shown.",
        )
        .after_long_help(EXAMPLES)
        .arg(
            Arg::new("INPUT")
                .help("What to explain; `-` or nothing reads standard input")
                .value_parser(value_parser!(String)),
        )
        .arg(
            Arg::new("as")
                .long("as")
                .value_name("KIND")
                .help("What the input is, if it is not recognised")
                .value_parser(PossibleValuesParser::new(input::KINDS)),
        )
        .args(trust::args().map(|arg| arg.help_heading("Verifying a callback request")))
}

/// Runs it.
pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    // The library's warnings are part of the report.
    log::set_max_level(log::LevelFilter::Off);
    let given = read(matches.get_one::<String>("INPUT").map(String::as_str))?;
    let mut report = Report::default();
    match Input::recognise(given, matches.get_one::<String>("as").map(String::as_str))? {
        Input::Callback { callback, vars } => callback::explain(&mut report, &callback, vars.as_deref()),
        Input::Vars(vars) => callback::explain_vars(&mut report, &vars),
        Input::Policy(policy) => policy::explain(&mut report, &policy),
        Input::Url(url) => url::explain(&mut report, &url)?,
        Input::Request(message) => request::explain(&mut report, message, matches)?,
    }
    write_out(report.text.as_bytes())?;
    match report.wrong {
        None => Ok(()),
        Some(summary) => Err(Failure::other(summary)),
    }
}

fn read(argument: Option<&str>) -> Result<Vec<u8>, Failure> {
    if let Some(text) = argument.filter(|text| *text != "-") {
        return Ok(text.as_bytes().to_vec());
    }
    let mut given = Vec::new();
    let stdin = std::io::stdin();
    stdin
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_end(&mut given)
        .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    if given.len() as u64 > MAX_INPUT {
        return Err(Failure::usage(format!("standard input is longer than {MAX_INPUT} bytes")));
    }
    Ok(given)
}

/// What is told, in sections.
#[derive(Default)]
pub struct Report {
    text: String,
    wrong: Option<String>,
}

impl Report {
    /// Begins a section.
    pub fn section(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(title);
        self.text.push('\n');
    }

    /// A line within the section; what came from outside must be printable.
    pub fn line(&mut self, text: impl std::fmt::Display) {
        self.text.push_str(&format!("  {text}\n"));
    }

    /// A name and its value.
    pub fn fact(&mut self, name: &str, value: impl std::fmt::Display) {
        self.line(format_args!("{name:<15} {value}"));
    }

    /// Notes that something is wrong; the first finding is what the command ends with.
    pub fn wrong(&mut self, summary: impl Into<String>) {
        self.wrong.get_or_insert(summary.into());
    }
}
