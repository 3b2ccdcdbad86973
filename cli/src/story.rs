//! The demo's story: turns what each side sent and saw into text for somebody who has never seen an
//! upload with a callback. Signatures are masked or shortened; everything else is shown as it was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::app_server::{Call, Message};
use crate::text::{Paint, printable};

/// Tells the story, in colour or without.
#[derive(Clone, Copy)]
pub struct Story {
    /// How to highlight.
    pub paint: Paint,
}

/// Who takes part.
pub struct Cast<'a> {
    /// Where the emulator listens.
    pub endpoint: &'a str,
    /// Its region.
    pub region: &'a str,
    /// Where the application server is called.
    pub callback_url: &'a str,
    /// Where the upload goes.
    pub target: &'a str,
}

impl Story {
    /// Before anything happens.
    pub fn opening(self, cast: &Cast<'_>) -> String {
        let bold = |text| self.paint.bold(text);
        [
            format!(
                "{} All of it runs on this machine.\n",
                bold("An upload to OSS with a callback, hop by hop.")
            ),
            "  the caller            uploads a file and wants to know what the application made of it"
                .to_owned(),
            "  OSS                   stores the file, then calls the application server".to_owned(),
            "  application server    is told of the upload by OSS, and answers\n".to_owned(),
            format!("  upload to             {}", cast.target),
            format!("  OSS (an emulator)     {}, region {}", cast.endpoint, cast.region),
            format!("  application server    {}", cast.callback_url),
        ]
        .join("\n")
    }

    /// Hop 1: what the caller signed and sent.
    pub fn upload(self, request: &Message) -> String {
        let mut lines = vec![
            self.heading(1, "The caller signs the upload and sends it to OSS"),
            "   Two headers carry the callback: whom OSS shall call with what, and the caller's own"
                .to_owned(),
            "   variables. Both are Base64 of JSON, and both are covered by the signature.\n".to_owned(),
        ];
        lines.extend(self.message(request, without_base64));
        lines.extend(self.body(&request.body));
        for (name, what) in [("x-oss-callback", "the callback"), ("x-oss-callback-var", "the variables")] {
            if let Some(json) = request.header(name).and_then(decoded) {
                lines.push(format!("\n   {name}, decoded: {what}"));
                lines.extend(json.lines().map(|line| format!("   | {}", printable(line))));
            }
        }
        lines.join("\n")
    }

    /// Hops 2 to 4: the call, its proof, the answer.
    pub fn callback(self, call: &Call) -> String {
        let mut lines = vec![
            self.heading(2, "OSS checks the signature, stores the object, and calls the application server"),
            "   The body is the caller's template, filled in by OSS.\n".to_owned(),
        ];
        lines.extend(self.message(&call.request, shortened));
        lines.extend(self.body(&call.request.body));
        lines.push(self.heading(3, "The application server checks that the call comes from OSS"));
        let why = "   Anybody can post to a public URL, but only OSS can sign path, query and body.";
        lines.push(why.to_owned());
        if let Some(url) = call.request.header("x-oss-pub-key-url").and_then(from_base64) {
            lines.push(
                "   The key to check with is named in x-oss-pub-key-url, here the emulator's own:".to_owned(),
            );
            lines.push(format!("   {}", printable(&url)));
        }
        lines.push(String::new());
        lines.push(match &call.verified {
            Ok(()) => format!("   {}", self.paint.green("✓ the signature verifies")),
            Err(why) => format!("   {}", self.paint.red(format_args!("✗ not proven: {}", printable(why)))),
        });
        lines.push(self.heading(4, "The application server answers OSS"));
        lines.push(
            "   With status 200 and JSON, within 5 seconds: anything else is a failed callback.\n".to_owned(),
        );
        lines.extend(self.message(&call.answer, shortened));
        lines.extend(self.body(&call.answer.body));
        lines.join("\n")
    }

    /// Hop 5: what the caller got.
    pub fn reply(self, facts: &[(&str, Option<String>)]) -> String {
        let mut lines = vec![
            self.heading(5, "OSS hands the answer back to the caller"),
            "   As the body of its own answer to the upload.\n".to_owned(),
        ];
        lines.extend(
            facts
                .iter()
                .filter_map(|(name, value)| Some(format!("   {name:<15}{}", printable(value.as_deref()?)))),
        );
        lines.push(format!("\n   {}\n", self.paint.dim("The callback's body, alone on standard output:")));
        lines.join("\n")
    }

    fn heading(self, number: u8, text: &str) -> String {
        format!("\n{}", self.paint.bold(format_args!("{number}. {text}")))
    }

    fn message(self, message: &Message, show: fn(&str, &str) -> String) -> Vec<String> {
        let start = format!("   | {}", self.paint.bold(printable(&message.start)));
        let headers = message.headers.iter().map(|(name, value)| {
            format!("   | {}: {}", self.paint.dim(printable(name)), printable(&show(name, value)))
        });
        std::iter::once(start).chain(headers).collect()
    }

    fn body(self, body: &[u8]) -> [String; 2] {
        ["   |".to_owned(), format!("   | {}", printable(&String::from_utf8_lossy(body)))]
    }
}

/// A header of the upload, whose signature the emulator masks already: a reader of the screen could
/// repeat the request with it.
fn without_base64(name: &str, value: &str) -> String {
    if name.starts_with("x-oss-callback") { shorten(value) } else { value.to_owned() }
}

/// A header of the callback.
fn shortened(name: &str, value: &str) -> String {
    if name.eq_ignore_ascii_case("authorization") { shorten(value) } else { value.to_owned() }
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(16) {
        Some((end, _)) => {
            format!("{}… ({} characters)", value.get(..end).unwrap_or(""), value.chars().count())
        }
        None => value.to_owned(),
    }
}

/// Base64 of JSON, as indented text.
fn decoded(value: &str) -> Option<String> {
    let json: Value = serde_json::from_str(&from_base64(value)?).ok()?;
    serde_json::to_string_pretty(&json).ok()
}

fn from_base64(value: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(value).ok()?).ok()
}
