//! What a captured request is: OSS's callback, or an upload that asks for one.

use clap::ArgMatches;
use oss_callback::receive::{CallbackEvent, CallbackVerifier};
use oss_callback::{BodyType, VerificationReason};

use super::{Report, url};
use crate::app_server::Message;
use crate::failure::Failure;
use crate::text::printable;
use crate::trust;

/// Explains a request.
pub fn explain(report: &mut Report, mut message: Message, matches: &ArgMatches) -> Result<(), Failure> {
    if message.header("x-oss-callback").is_some() || message.header("x-oss-callback-var").is_some() {
        return upload(report, &message);
    }
    let Some((method, target)) = message.method_and_target().map(|(m, t)| (m.to_owned(), t.to_owned()))
    else {
        return Err(Failure::usage("the HTTP request has no request line")
            .with_hint("It begins like `POST /callback HTTP/1.1`: method and path are signed too"));
    };
    if message.header("x-oss-pub-key-url").is_none() && method != "POST" {
        return upload(report, &message);
    }
    report.section("This is a callback request to an application server.");
    report.fact("method", printable(&method));
    report.fact("target", printable(&target));
    cut(report, &mut message);
    report.fact("body", format_args!("{} bytes", message.body.len()));

    let builder = trust::verifier(matches)?;
    let verifier = trust::build(builder)?;
    let check = |verifier: &CallbackVerifier| {
        let headers = message.headers.iter().map(|(name, value)| (name, value));
        verifier.verify(&method, &target, headers, &message.body)
    };
    report.section("Does it verify?");
    match check(&verifier) {
        Ok(event) => {
            report.line("Yes: the signature fits path, query and body.");
            if event.seal().is_none() {
                report.line(
                    "It proves that OSS sent this body to this path on some host, for some customer of OSS:",
                );
                report.line("see docs/verifying.md for what else to check.");
            }
            says(report, &event);
        }
        Err(error) => {
            let reason = error.reason().map_or(error.kind().name(), VerificationReason::name);
            report.line(format_args!("No: {reason}"));
            for line in trust::refusal_lines(&error) {
                report.line(line.trim_start());
            }
            report.wrong(format!("the request does not verify: {reason}"));
            let emulator = trust::build(CallbackVerifier::builder().trusted_key(trust::emulator_key()))?;
            if check(&emulator).is_ok() {
                report.line("It is signed by the key of `oss-callback serve`: add --emulator to trust that.");
            }
            unverified(report, &message);
        }
    }
    Ok(())
}

/// An editor that saved the request may have put a line end behind the body.
fn cut(report: &mut Report, message: &mut Message) {
    let length = message.header("content-length").and_then(|length| length.parse::<usize>().ok());
    let Some(length) = length.filter(|length| *length < message.body.len()) else { return };
    if message.body.get(length..).is_some_and(|rest| rest.iter().all(|byte| b"\r\n".contains(byte))) {
        message.body.truncate(length);
        report.line("A line end behind the body is left out, as Content-Length says.");
    }
}

fn says(report: &mut Report, event: &CallbackEvent) {
    report.section("What it says");
    for line in trust::event_lines(event) {
        report.line(line.trim_start());
    }
}

/// What the body claims, for whoever looks for the cause.
fn unverified(report: &mut Report, message: &Message) {
    let json = message.header("content-type").is_some_and(|ty| ty.to_ascii_lowercase().contains("json"));
    let body_type = if json { BodyType::Json } else { BodyType::Form };
    if let Ok(event) = CallbackEvent::parse(&message.body, body_type, None) {
        let lines = trust::event_lines(&event);
        if !lines.is_empty() {
            report.section("What it claims, unproven");
            for line in lines {
                report.line(line.trim_start());
            }
        }
    }
}

/// A request to OSS.
fn upload(report: &mut Report, message: &Message) -> Result<(), Failure> {
    report.section("This is a request to OSS.");
    let target = match message.method_and_target() {
        Some((method, target)) => {
            report.fact("method", printable(method));
            report.fact("path", printable(target.split('?').next().unwrap_or_default()));
            target
        }
        None => "",
    };
    let query = target.split_once('?').map_or("", |(_, query)| query);
    url::explain_query(report, query, message.header("x-oss-callback"), message.header("x-oss-callback-var"))
}
