//! What OSS may take without a word, but what would not do what is meant: refused, or warned of.

use super::check::Parameters;
use super::template::{Value, ValueKind, is_text, system_variable};
use super::url;
use super::{SYSTEM_VARIABLES, names};
use crate::error::{Error, Result};
use crate::options::BodyType;

/// The option of a body that is written out.
pub(super) const BODY: &str = "callback.body";

/// Headers of the callback request that OSS itself sets, and the way to say what is in them.
const RESERVED_HEADERS: [(&str, &str); 6] = [
    ("host", "Use `host`."),
    ("content-type", "Use `body_type`."),
    ("authorization", "OSS puts its signature there; use another name, such as `x-app-token`."),
    ("content-length", "Leave it out."),
    ("content-md5", "Leave it out."),
    ("transfer-encoding", "Leave it out."),
];

/// Refuses what would misbehave. `given_by` is the option that the body comes from.
///
/// Returns warnings: what is legal, but is seldom meant.
pub(super) fn review(parameters: &Parameters, given_by: &'static str) -> Result<Vec<String>> {
    review_vars(&parameters.vars)?;
    review_headers(&parameters.headers)?;
    if let Some(host) = &parameters.host {
        review_host(host)?;
    }
    let mut warnings = Vec::new();
    for given in &parameters.urls {
        if let Some((what, advice)) = url::misfit(given) {
            return Err(Error::invalid_argument("callback.url", what).with_hint(advice));
        }
        let doubt =
            url::doubts(given).map(|doubt| format!("callback.url: {} {doubt}", url::shown(given.as_str())));
        warnings.extend(doubt);
    }
    // A stored policy's body is not known here.
    if parameters.policy.is_none() {
        review_body(parameters, given_by, &mut warnings)?;
    }
    Ok(warnings)
}

fn review_vars(vars: &[(String, String)]) -> Result<()> {
    let refuse = |message: String| Err(Error::invalid_argument("callback.vars", message));
    for (index, (name, _)) in vars.iter().enumerate() {
        if name.chars().any(|c| c.is_control() || c.is_whitespace() || "${}\"\\".contains(c)) {
            let message = format!("holds `{}`, a name that no template can spell", name.escape_debug());
            return Err(Error::invalid_argument("callback.vars", message)
                .with_hint("Leave out blanks, control characters, and `$`, `{`, `}`, `\"`, `\\`."));
        }
        if vars.iter().take(index).any(|(earlier, _)| earlier == name) {
            return refuse(format!("holds `{name}` twice"));
        }
    }
    Ok(())
}

fn review_headers(headers: &[(String, String)]) -> Result<()> {
    for (name, value) in headers {
        let reserved = RESERVED_HEADERS.iter().find(|(reserved, _)| name.eq_ignore_ascii_case(reserved));
        if let Some((_, advice)) = reserved {
            let message = format!("holds `{name}`, which OSS sets itself");
            return Err(Error::invalid_argument("callback.headers", message).with_hint(*advice));
        }
        if !value.is_ascii() {
            let message = format!("gives `{name}` a value with characters above ASCII");
            return Err(
                Error::invalid_argument("callback.headers", message).with_hint("Percent-encode them.")
            );
        }
    }
    Ok(())
}

fn review_host(host: &str) -> Result<()> {
    let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let port_is_fine = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if name.is_empty()
        || !port_is_fine
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    {
        return Err(Error::invalid_argument("callback.host", "is no host name or IPv4 address")
            .with_hint("Write `app.example.com`, without scheme and path."));
    }
    Ok(())
}

fn review_body(parameters: &Parameters, given_by: &'static str, warnings: &mut Vec<String>) -> Result<()> {
    let body = &parameters.body;
    for name in body.variables() {
        let declared = parameters.vars.iter().any(|(var, _)| var == name);
        if !declared && system_variable(name).is_none() {
            return Err(unknown_variable(name, &parameters.vars, given_by));
        }
    }
    match parameters.body_type {
        BodyType::Json => review_json(parameters, given_by, warnings)?,
        BodyType::Form => review_form(parameters, given_by, warnings)?,
    }
    for (name, _) in &parameters.vars {
        if !body.variables().any(|used| used == name) {
            warnings
                .push(format!("callback.vars: `{name}` is never used: the body does not hold `${{{name}}}`"));
        }
    }
    Ok(())
}

fn review_form(parameters: &Parameters, given_by: &'static str, warnings: &mut Vec<String>) -> Result<()> {
    let text = parameters.body.as_str();
    if text.trim_start().starts_with(['{', '[']) && parameters.body.variables().next().is_some() {
        return Err(Error::invalid_argument(given_by, "looks like JSON, but the body type is form")
            .with_hint("Set `body_type` to json; as a form, OSS would put no quotes around text."));
    }
    // Fields are encoded here, so there it is text that holds `${` on purpose.
    if given_by == BODY && text.to_ascii_lowercase().contains("%24%7b") {
        return Err(Error::invalid_argument(
            given_by,
            "holds `%24%7B`, an encoded `${`, which OSS does not replace",
        )
        .with_hint("Write variables as `${object}` and encode only what is around them."));
    }
    if text.chars().any(char::is_control) {
        warnings
            .push(format!("{given_by}: holds line breaks or control characters; a form has them as `%0A`"));
    }
    Ok(())
}

fn review_json(parameters: &Parameters, given_by: &'static str, warnings: &mut Vec<String>) -> Result<()> {
    for (name, quoted) in parameters.body.variables_in_json() {
        if quoted && is_text(name) {
            let message = format!(
                "holds `${{{name}}}` inside quotes; OSS puts quotes around text itself, so there would be two"
            );
            return Err(Error::invalid_argument(given_by, message)
                .with_hint(format!("Write it without quotes and alone: `\"name\":${{{name}}}`.")));
        }
        if !quoted && system_variable(name).is_some_and(|known| known.image) {
            warnings.push(format!(
                "{given_by}: a bare `${{{name}}}` breaks the JSON of objects that are not images"
            ));
        }
    }
    let sample = sample_body(parameters);
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&sample) {
        let message = format!("is not JSON once its variables are replaced: {error}");
        return Err(Error::invalid_argument(given_by, message)
            .with_hint(format!("With sample values it becomes `{}`.", shortened(&sample))));
    }
    Ok(())
}

/// The body with `1` and `"text"` for the variables.
fn sample_body(parameters: &Parameters) -> String {
    parameters.body.expand(BodyType::Json, |name| {
        Some(match system_variable(name).map(|known| known.kind) {
            Some(ValueKind::Number) => Value::Number(1),
            _ => Value::text("text"),
        })
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn unknown_variable(name: &str, vars: &[(String, String)], given_by: &'static str) -> Error {
    let error = |message: String| Error::invalid_argument(given_by, message);
    let system = SYSTEM_VARIABLES.iter().map(|known| known.name);
    let known: Vec<&str> = system.clone().chain(vars.iter().map(|(name, _)| name.as_str())).collect();
    if let Some(right) = known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return error(format!("holds `${{{name}}}`, and the case of letters counts"))
            .with_hint(format!("Write `${{{right}}}`."));
    }
    let custom = format!("x:{name}");
    if vars.iter().any(|(var, _)| *var == custom) {
        return error(format!("holds `${{{name}}}`, which is no variable of OSS"))
            .with_hint(format!("Write `${{{custom}}}`."));
    }
    let nearest = names::nearest(name, &known);
    let error = match name.strip_prefix("x:") {
        Some(rest) if nearest.is_none() => {
            return error(format!("holds `${{{name}}}`, but no variable of that name is given")).with_hint(
                format!("Give it a value: `var(\"{}\", …)`.", rest.to_lowercase().escape_debug()),
            );
        }
        Some(_) => error(format!("holds `${{{name}}}`, but no variable of that name is given")),
        None => error(format!("holds `${{{}}}`, which is no variable of OSS", name.escape_debug())),
    };
    match nearest {
        Some(nearest) => error.with_hint(format!("Did you mean `${{{nearest}}}`?")),
        None => error.with_hint(format!(
            "OSS knows {}; your own begin with `x:`.",
            system.collect::<Vec<_>>().join(", ")
        )),
    }
}
