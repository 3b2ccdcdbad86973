//! Whom `listen` and `explain` believe: the flags that set up the verifier, and what a verified callback
//! says, as lines for a person.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use oss_callback::receive::{CallbackEvent, CallbackVerifier, CallbackVerifierBuilder, Number};
use oss_callback::{BodyType, Error, Secret};
use oss_callback_emulator::SigningKey;

use crate::failure::Failure;
use crate::text::printable;

/// The flags.
pub fn args() -> [Arg; 6] {
    [
        Arg::new("emulator")
            .long("emulator")
            .help("Trust the key of `oss-callback serve`, in place of OSS's own")
            .long_help(
                "Trust the key of `oss-callback serve`, in place of OSS's own. Everybody has that key: what it \
                 signs is good for trying things out and proves nothing.",
            )
            .action(ArgAction::SetTrue),
        Arg::new("key")
            .long("key")
            .value_name("FILE")
            .help("Trust the public key in this PEM file, in place of OSS's own. Can be given again")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
        Arg::new("bucket")
            .long("bucket")
            .value_name("NAME")
            .help("Accept callbacks about this bucket only. Can be given again")
            .action(ArgAction::Append)
            .value_parser(value_parser!(String)),
        Arg::new("seal-secret-env")
            .long("seal-secret-env")
            .value_name("VARIABLE")
            .help("Demand a seal, by the secret in this environment variable. Can be given again")
            .action(ArgAction::Append)
            .value_parser(value_parser!(String)),
        Arg::new("template")
            .long("template")
            .value_name("BODY")
            .help("The callback body as OSS was given it, if it is not the default one")
            .value_parser(value_parser!(String)),
        Arg::new("template-type")
            .long("template-type")
            .value_name("TYPE")
            .help("Its type")
            .default_value("form")
            .requires("template")
            .value_parser(PossibleValuesParser::new(["form", "json"])),
    ]
}

/// The verifier that the flags ask for, to be built.
pub fn verifier(matches: &ArgMatches) -> Result<CallbackVerifierBuilder, Failure> {
    let mut builder = CallbackVerifier::builder();
    if matches.get_flag("emulator") {
        builder = builder.trusted_key(emulator_key());
    }
    for path in matches.get_many::<PathBuf>("key").unwrap_or_default() {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("--key: cannot read {}: {error}", path.display())))?;
        builder = builder.trusted_key(pem);
    }
    for bucket in matches.get_many::<String>("bucket").unwrap_or_default() {
        builder = builder.bucket(bucket);
    }
    for secret in seal_secrets(matches)? {
        builder = builder.seal_secret(secret);
    }
    if let Some(template) = matches.get_one::<String>("template") {
        let json = matches.get_one::<String>("template-type").is_some_and(|name| name == "json");
        builder =
            builder.template(template).template_type(if json { BodyType::Json } else { BodyType::Form });
    }
    Ok(builder)
}

/// Builds it; what is wrong is told by the flag.
pub fn build(builder: CallbackVerifierBuilder) -> Result<CallbackVerifier, Failure> {
    builder.build().map_err(|error| {
        let flag = match error.field() {
            Some("template") => "--template",
            Some("seal_secret") => "--seal-secret-env",
            Some(_) => "--key",
            None => return Failure::library(error, None),
        };
        let failure = Failure::usage(format!("{flag}: {}", error.message()));
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })
}

/// The public half of the emulator's own key.
pub fn emulator_key() -> String {
    SigningKey::default().public_key_pem().to_owned()
}

/// Secrets come by the environment: other users of the machine can read a command line.
fn seal_secrets(matches: &ArgMatches) -> Result<Vec<Secret>, Failure> {
    let names = matches.get_many::<String>("seal-secret-env").unwrap_or_default();
    names
        .map(|name| match std::env::var(name) {
            Ok(secret) if !secret.is_empty() => Ok(Secret::new(secret)),
            _ => {
                Err(Failure::usage(format!("--seal-secret-env: the environment variable {name} is not set"))
                    .with_hint("Give the variable's name, not the secret itself"))
            }
        })
        .collect()
}

/// What a callback says, one value a line. What the body does not name is left out.
pub fn event_lines(event: &CallbackEvent) -> Vec<String> {
    let number = |number: Number<'_>| match number {
        Number::Absent => None,
        Number::Empty => Some("(empty)".to_owned()),
        Number::Invalid(text) => Some(format!("{text} (no number)")),
        Number::Value(value) => Some(value.to_string()),
    };
    let text = |text: Option<&str>| match text {
        Some("") => Some("(empty)".to_owned()),
        other => other.map(str::to_owned),
    };
    let image = event.image();
    let named = [
        ("bucket", text(event.bucket())),
        ("key", text(event.key())),
        ("size", number(event.size())),
        ("ETag", text(event.etag())),
        ("type", text(event.mime_type())),
        ("CRC-64", number(event.crc64())),
        ("Content-MD5", text(event.content_md5())),
        ("image width", number(image.width)),
        ("image height", number(image.height)),
        ("image format", text(image.format)),
        ("client IP", text(event.client_ip())),
        ("VPC id", text(event.vpc_id())),
        ("request id", text(event.request_id())),
        ("operation", text(event.operation())),
    ];
    let line = |name: &str, value: &str| format!("  {:<14}{}", printable(name), printable(value));
    let mut lines: Vec<String> =
        named.into_iter().filter_map(|(name, value)| Some(line(name, &value?))).collect();
    lines.extend(event.variables().map(|(name, value)| line(&format!("x:{name}"), value)));
    if let Some(seal) = event.seal() {
        let left = seal.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        lines.push(line("seal", &format!("right, for another {} s", left.as_secs())));
    }
    lines
}

/// Why a callback is not believed, and what to do about it.
pub fn refusal_lines(error: &Error) -> Vec<String> {
    let mut lines = vec![format!("  {}", printable(error.message()))];
    if let Some(hint) = error.hint() {
        lines.push(format!("  hint: {}", printable(hint)));
    }
    lines
}
