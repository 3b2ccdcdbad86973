//! What a callback asks for, whether OSS would take it, and what OSS would send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oss_callback::callback::check::{Parameters, Rejection, check_parameters, check_vars};
use oss_callback::callback::template::Value;
use oss_callback::{Callback, CallbackBuilder, PreviewValues};

use super::Report;
use crate::text::printable;

/// The upload that the preview is made for.
const BUCKET: &str = "examplebucket";
const KEY: &str = "dir/example object.txt";

/// Explains a callback, with its variables if there are any.
pub fn explain(report: &mut Report, callback: &str, vars: Option<&str>) {
    report.section("This is a callback: what OSS shall do once the object is stored.");
    json(report, callback);
    if let Some(vars) = vars {
        report.section("With custom variables:");
        json(report, vars);
    }
    let checked = check_parameters(callback, vars);
    if let Ok(parameters) = &checked {
        asks(report, parameters);
    }
    report.section("Would OSS take it?");
    let parameters = match checked {
        Ok(parameters) => parameters,
        Err(rejection) => return refused(report, &rejection),
    };
    report.line("Yes, as far as its rules are known.");
    advice(report, &parameters, vars.is_some());
    if parameters.policy.is_none() {
        preview(report, &parameters);
    }
}

/// Explains variables that come without a callback.
pub fn explain_vars(report: &mut Report, vars: &str) {
    report.section("These are the custom variables of a callback, for its body to use as ${x:name}.");
    json(report, vars);
    report.section("Would OSS take them?");
    match check_vars(vars) {
        Ok(_) => report.line("Yes, as far as its rules are known, if the callback fits."),
        Err(rejection) => refused(report, &rejection),
    }
}

/// The JSON within Base64, indented; the text as it is if it is no JSON.
pub fn json(report: &mut Report, base64: &str) {
    let Ok(bytes) = STANDARD.decode(base64) else {
        return report.line("(not Base64)");
    };
    let text = String::from_utf8_lossy(&bytes);
    let shown = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
        Err(_) => text.into_owned(),
    };
    for line in shown.lines() {
        report.line(printable(line));
    }
}

fn asks(report: &mut Report, parameters: &Parameters) {
    report.section("What it asks for");
    if let Some(policy) = &parameters.policy {
        report.fact(
            "policy",
            format_args!("{} (stored with the bucket, says all the rest)", printable(policy)),
        );
        return;
    }
    for (index, url) in parameters.urls.iter().enumerate() {
        let name = if index == 0 { "POST to" } else { "if that fails" };
        report.fact(name, printable(url.as_str()));
    }
    if let Some(host) = &parameters.host {
        report.fact("Host", printable(host));
    }
    report.fact("Content-Type", parameters.body_type.media_type());
    if parameters.urls.iter().any(|url| url.is_https()) {
        let sni = match parameters.sni {
            true => "yes",
            false => "no: most https servers then answer with the wrong certificate",
        };
        report.fact("SNI", sni);
    }
    for (name, value) in &parameters.headers {
        report.fact("header", printable(&format!("{name}: {value}")));
    }
    let used: Vec<&str> = parameters.body.variables().collect();
    report.fact(
        "variables used",
        if used.is_empty() { "none".into() } else { printable(&used.join(", ")).into_owned() },
    );
}

fn refused(report: &mut Report, rejection: &Rejection) {
    let ec = rejection.ec.map_or(String::new(), |ec| format!(", EC {ec}"));
    report.line(format_args!(
        "No: status {} {}{ec}, and nothing is stored.",
        rejection.http_status, rejection.code
    ));
    report.line(printable(&rejection.message));
    if let Some(detail) = rejection.detail() {
        report.line(format_args!("{} {}", rejection.argument_name, printable(detail)));
    }
    if let Some(hint) = rejection.hint() {
        report.line(format_args!("hint: {}", printable(hint)));
    }
    report.wrong("OSS would refuse this callback");
}

/// What this library would say, had the callback been built with it.
fn advice(report: &mut Report, parameters: &Parameters, has_vars: bool) {
    let missing: Vec<&str> = parameters
        .body
        .variables()
        .filter(|name| name.starts_with("x:") && !parameters.vars.iter().any(|(var, _)| var == name))
        .collect();
    if !missing.is_empty() && !has_vars {
        report.section("It needs custom variables");
        let names = printable(&missing.join(", ")).into_owned();
        report.line(format_args!("The body uses {names}: the upload must give them (x-oss-callback-var)."));
    }
    // Variables that come by another way are not missing.
    let stand_ins = missing
        .iter()
        .filter(|_| !has_vars)
        .fold(rebuilt(parameters), |builder, name| builder.var(*name, ""));
    match stand_ins.build() {
        Ok(built) => {
            if !built.warnings().is_empty() {
                report.section("Seldom meant");
            }
            for warning in built.warnings() {
                report.line(printable(warning));
            }
        }
        Err(error) => {
            report.section("But it would not do what is meant");
            report.line(printable(&match error.field() {
                Some(field) => format!("{field}: {}", error.message()),
                None => error.message().to_owned(),
            }));
            if let Some(hint) = error.hint() {
                report.line(format_args!("hint: {}", printable(hint)));
            }
            report.wrong("OSS would take this callback, but it would not do what is meant");
        }
    }
}

fn rebuilt(parameters: &Parameters) -> CallbackBuilder {
    if let Some(policy) = &parameters.policy {
        return Callback::policy_builder(policy);
    }
    let urls: Vec<&str> = parameters.urls.iter().map(|url| url.as_str()).collect();
    let mut builder = Callback::builder(urls.join(";"))
        .body(parameters.body.as_str())
        .body_type(parameters.body_type)
        .sni(parameters.sni);
    if let Some(host) = &parameters.host {
        builder = builder.host(host);
    }
    let with_headers =
        |builder: CallbackBuilder, (name, value): &(String, String)| builder.header(name, value);
    builder = parameters.headers.iter().fold(builder, with_headers);
    parameters.vars.iter().fold(builder, |builder, (name, value)| builder.var(name, value))
}

fn preview(report: &mut Report, parameters: &Parameters) {
    let values = PreviewValues::new()
        .bucket(BUCKET)
        .object(KEY)
        .etag("5B3C1A2E053D763E1B002CC607C5A0FE")
        .size(9)
        .mime_type("text/plain")
        .client_ip("203.0.113.7")
        .request_id("6A1B2C3D4E5F60718293A4B5")
        .operation("PutObject");
    let body = parameters.expand(|name| {
        let unknown = || name.starts_with("x:").then(|| Value::text(format!("({name})")));
        values.get(name).or_else(unknown)
    });
    report.section("What OSS would send");
    report.line(format_args!("For 9 bytes as `{KEY}` in the bucket `{BUCKET}`:"));
    for line in body.lines() {
        report.line(format_args!("| {}", printable(line)));
    }
}
