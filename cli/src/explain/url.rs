//! What a presigned URL lets its holder do, and until when.

use oss_callback::callback::check::{Parameter, one_place};
use oss_callback::sign::v4;
use percent_encoding::percent_decode_str;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::{Report, callback};
use crate::failure::Failure;
use crate::text::printable;

const BASIC: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Explains a URL. Its signature and token are not shown.
pub fn explain(report: &mut Report, url: &str) -> Result<(), Failure> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (host, path) = base
        .split_once("://")
        .map(|(_, rest)| rest)
        .and_then(|rest| rest.split_once('/'))
        .unwrap_or((base, ""));
    report.section("This is a URL of OSS.");
    report.fact("host", printable(host));
    report.fact("path", printable(&decoded(&format!("/{path}"))));
    target(report, query);
    explain_query(report, query, None, None)
}

/// The parameters of a signature, and the callback, which may also be in headers.
pub fn explain_query(
    report: &mut Report,
    query: &str,
    callback_header: Option<&str>,
    vars_header: Option<&str>,
) -> Result<(), Failure> {
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let place = |parameter, header, name| one_place(parameter, header, get(name));
    let both = place(Parameter::Callback, callback_header, "callback")
        .and_then(|callback| Ok((callback, place(Parameter::Vars, vars_header, "callback-var")?)));
    match both {
        Ok((Some(callback), vars)) => callback::explain(report, callback, vars),
        Ok((None, Some(vars))) => {
            callback::explain_vars(report, vars);
            report.line("But there is no callback to use them.");
            report.wrong("there are variables without a callback");
        }
        Ok((None, None)) => {
            report.section("The callback");
            report.line("There is none in it. One in the headers x-oss-callback and x-oss-callback-var counts only if");
            report.line("it was signed with the URL, and then the uploader must send it unchanged.");
        }
        Err(rejection) => {
            report.section("Would OSS take it?");
            report.line(format_args!(
                "No: {} (EC {})",
                printable(&rejection.message),
                rejection.ec.unwrap_or("unknown")
            ));
            report.wrong("OSS would refuse this request");
        }
    }
    Ok(())
}

fn target(report: &mut Report, query: &str) {
    let get = |name: &str| {
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| decoded(value))
    };
    if let Some(version) = get("x-oss-signature-version") {
        report.fact("signed by", printable(&format!("V4 ({version})")));
        let who = get("x-oss-credential").unwrap_or_default();
        let mut words = who.split('/');
        report.fact("AccessKey id", printable(words.next().unwrap_or_default()));
        report.fact("region", printable(words.nth(1).unwrap_or("(none)")));
        let start = get("x-oss-date").and_then(|date| PrimitiveDateTime::parse(&date, BASIC).ok());
        let length = get("x-oss-expires").and_then(|seconds| seconds.parse::<u32>().ok());
        match (start, length) {
            (Some(start), Some(length)) => {
                valid_until(report, start.assume_utc().checked_add(Duration::seconds(length.into())));
                let has_token = get("x-oss-security-token").is_some();
                let most = v4::expires_max_seconds(has_token);
                if !(1..=most).contains(&length.into()) {
                    let with_token = if has_token { " with a token" } else { "" };
                    report.line(format_args!("x-oss-expires must be from 1 to {most}{with_token}."));
                    report.wrong("OSS would refuse this URL");
                }
            }
            _ => valid_until(report, None),
        }
    } else if get("Signature").is_some() || get("OSSAccessKeyId").is_some() {
        report.fact("signed by", "V1, which OSS withdraws step by step");
        report.fact("AccessKey id", printable(&get("OSSAccessKeyId").unwrap_or_default()));
        let expires = get("Expires").and_then(|seconds| seconds.parse::<i64>().ok());
        valid_until(report, expires.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()));
    } else {
        report.fact("signed by", "nobody: it has no signature");
    }
    if ["x-oss-security-token", "security-token"].iter().any(|name| get(name).is_some()) {
        report.fact("token", "temporary credentials (not shown); it ends with them, if they end earlier");
    }
}

fn valid_until(report: &mut Report, until: Option<OffsetDateTime>) {
    let Some(until) = until else {
        report.fact("valid until", "missing or unreadable");
        return report.wrong("OSS would refuse this URL");
    };
    let left = (until - OffsetDateTime::now_utc()).whole_seconds();
    report.fact("valid until", format_args!("{until}{}", remaining(left)));
    if left < 0 {
        report.wrong("this URL has expired");
    }
}

/// How long something is valid yet, or since when not.
pub fn remaining(seconds: i64) -> String {
    let amount = match seconds.unsigned_abs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    };
    if seconds < 0 { format!(" (EXPIRED {amount} ago)") } else { format!(" (for another {amount})") }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::remaining;

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        assert_eq!(remaining(90), " (for another 90 s)");
        assert_eq!(remaining(-3600), " (EXPIRED 60 min ago)");
        assert_eq!(remaining(86_400 * 30), " (for another 30 days)");
    }
}
