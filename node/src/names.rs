//! The core's names in JavaScript's spelling: `content_type` is `contentType`, and a length of time says
//! its unit, as JavaScript has no type for it: `read_timeout` is `readTimeoutMs`.

use std::collections::HashMap;
use std::sync::OnceLock;

use napi_derive::napi;
use oss_callback::receive::CallbackVerifierBuilder;
use oss_callback::{
    CallbackBuilder, ClientBuilder, ERROR_FACTS, ErrorKind, OptionInfo, OptionType, PutOptions, UploadOptions,
};

/// Parameters that are no options, and of two words or more.
const PARAMETERS: [&str; 5] =
    ["additional_headers", "credentials_provider", "fetch_key", "first_use", "upload_file_with_callback"];

/// `content_type` as `contentType`.
fn camel(snake: &str) -> String {
    let mut out = String::with_capacity(snake.len());
    for (index, word) in snake.split('_').enumerate() {
        let mut chars = word.chars();
        match chars.next() {
            Some(first) if index > 0 => out.push(first.to_ascii_uppercase()),
            Some(first) => out.push(first),
            None => {}
        }
        out.push_str(chars.as_str());
    }
    out
}

/// An option's name.
pub fn of_option(option: &OptionInfo) -> String {
    let unit = if option.ty == OptionType::Duration { "Ms" } else { "" };
    camel(option.name) + unit
}

/// The property that tells a fact. Two facts give way to properties that every error of Node has: `code`
/// says our kind there, and `cause` is another error.
pub fn of_fact(fact: &str) -> String {
    match fact {
        "code" => "ossCode".to_owned(),
        "cause" => "callbackCause".to_owned(),
        fact => camel(fact),
    }
}

/// A field of an `invalid_argument`, such as `callback.body_type`.
pub fn of_field(field: &str) -> String {
    let segments = field.split('.').map(|segment| known().get(segment).map_or(segment, String::as_str));
    segments.collect::<Vec<_>>().join(".")
}

/// A message about arguments: the options' names in it are spelled as in JavaScript. Names of one word are
/// left alone, for they are words of the language as well.
pub fn in_text(text: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_name) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_name(c)).unwrap_or(from.len()));
        out.push_str(before);
        match known().get(word) {
            Some(name) if word.contains('_') => out.push_str(name),
            _ => out.push_str(word),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Every option and parameter, from the core's spelling to ours. One name has one type in all groups.
fn known() -> &'static HashMap<&'static str, String> {
    static KNOWN: OnceLock<HashMap<&'static str, String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let groups = [
            ClientBuilder::OPTIONS,
            PutOptions::OPTIONS,
            UploadOptions::OPTIONS,
            CallbackBuilder::OPTIONS,
            CallbackVerifierBuilder::OPTIONS,
        ];
        let options = groups.into_iter().flatten().map(|option| (option.name, of_option(option)));
        // A length of time that is no option; and Rust's builder adds keys one by one.
        let others = [("expires_in", "expiresInMs"), ("trusted_key", "trustedKeys")];
        let others = others.map(|(core, here)| (core, here.to_owned()));
        options.chain(PARAMETERS.map(|name| (name, camel(name)))).chain(others).collect()
    })
}

/// The lists of the API as this module spells them, for tests that hold the types against them.
#[napi(object, object_from_js = false)]
pub struct Lists {
    /// Groups `client`, `put`, `upload` (with what it has of `put`), `callback` and `verifier`.
    pub options: HashMap<String, Vec<String>>,
    /// Kinds of errors, in the core's spelling.
    pub kinds: Vec<String>,
    /// Properties that an error can have.
    pub facts: Vec<String>,
}

/// Tells the lists.
#[napi(catch_unwind)]
pub fn lists() -> Lists {
    let names = |options: &[OptionInfo]| options.iter().map(of_option).collect();
    let groups = [
        ("client", ClientBuilder::OPTIONS),
        ("put", PutOptions::OPTIONS),
        ("upload", UploadOptions::OPTIONS),
        ("callback", CallbackBuilder::OPTIONS),
        ("verifier", CallbackVerifierBuilder::OPTIONS),
    ];
    Lists {
        options: groups.map(|(group, options)| (group.to_owned(), names(options))).into(),
        kinds: ErrorKind::ALL.iter().map(|kind| kind.name().to_owned()).collect(),
        facts: ERROR_FACTS.iter().map(|(name, _)| of_fact(name)).collect(),
    }
}
