//! Turns the option lists of the library into command-line flags and back, so that an option which is
//! added to `api/options.toml` is a flag at once. What the lists do not say is decided here: the flags'
//! names, how each type of value is written, and that no secret is taken from the command line, where
//! other users of the machine could read it.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use oss_callback::{CallbackBuilder, ClientBuilder, OptionInfo, OptionType, OptionValue, UploadOptions};

use crate::duration;
use crate::failure::Failure;

/// One list of options and how its flags are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where to, and how.
    Client,
    /// The object, and how it travels.
    Put,
    /// The callback.
    Callback,
}

/// Client options whose value is a file's text: the flag takes the file's name.
const FROM_FILE: &[&str] = &["ca_certificates"];

impl Group {
    /// All groups, in the order in which `--help` shows them.
    pub const ALL: [Group; 3] = [Group::Callback, Group::Put, Group::Client];

    /// The options as the library lists them.
    pub fn options(self) -> &'static [OptionInfo] {
        match self {
            Group::Client => ClientBuilder::OPTIONS,
            Group::Put => UploadOptions::OPTIONS,
            Group::Callback => CallbackBuilder::OPTIONS,
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Group::Client => "Connection and signing",
            Group::Put => "Object and upload",
            Group::Callback => "Callback",
        }
    }

    /// The flag of an option, without the dashes; none for what is not taken from the command line.
    pub fn flag(self, option: &OptionInfo) -> Option<String> {
        // A proxy's address holds a password now and then, and is a flag of every command of this kind.
        let secret = option.ty == OptionType::Secret && option.name != "proxy";
        // The id is half of a pair whose other half must not be a flag.
        if secret || option.name == "access_key_id" {
            return None;
        }
        // An upload's own limit takes precedence over the client's, and one command makes one upload.
        if self == Group::Client && Group::Put.options().iter().any(|put| put.name == option.name) {
            return None;
        }
        let name = singular(option).replace('_', "-");
        match self {
            Group::Callback if option.name != "vars" => Some(format!("callback-{name}")),
            _ => Some(name),
        }
    }

    /// One clap argument for each option of the group.
    pub fn args(self) -> impl Iterator<Item = Arg> {
        self.options().iter().filter_map(move |option| Some(self.arg(option, self.flag(option)?)))
    }

    fn arg(self, option: &OptionInfo, flag: String) -> Arg {
        let (short, long) = self.help(option);
        let arg = Arg::new(flag.clone())
            .long(flag.clone())
            .help_heading(self.heading())
            .help(short)
            .long_help(long);
        if FROM_FILE.contains(&option.name) {
            return arg
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath);
        }
        match option.ty {
            OptionType::Bool => arg
                .value_name("true|false")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .hide_possible_values(true)
                .value_parser(value_parser!(bool)),
            OptionType::Integer => arg.value_name("NUMBER").value_parser(value_parser!(i64)),
            OptionType::Duration => arg.value_name("DURATION").value_parser(duration::parse),
            OptionType::Map => {
                arg.value_name("NAME=VALUE").action(ArgAction::Append).value_parser(parse_pair)
            }
            OptionType::Enum => arg
                .value_name(option.name.rsplit('_').next().unwrap_or(option.name).to_uppercase())
                .value_parser(PossibleValuesParser::new(option.values)),
            _ => arg.value_name("TEXT").value_parser(value_parser!(String)),
        }
    }

    /// The option's text for `-h` and for `--help`, speaking of flags where the list speaks of options.
    fn help(self, option: &OptionInfo) -> (String, String) {
        let mut doc = option.doc.to_owned();
        if FROM_FILE.contains(&option.name) {
            doc = doc.replace("as PEM text", "in a PEM file");
        }
        doc = self.in_flags(&doc);
        let short = match doc.find(". ") {
            Some(end) => doc.get(..end).unwrap_or(&doc).to_owned(),
            None => doc.trim_end_matches('.').to_owned(),
        };
        let again = if option.ty == OptionType::Map { " Can be given again." } else { "" };
        let default = match option.default {
            "none" => String::new(),
            default => format!("\n\nDefault: {}.", self.in_flags(default)),
        };
        (short, format!("{doc}{again}{default}"))
    }

    /// The library's advice, with options in backticks named as flags.
    pub fn in_flags(self, text: &str) -> String {
        // What is advised for Rust: var("order", …).
        let text = text.replace("`var(\"", "`--var ").replace("\", …)`", "=VALUE`");
        self.names().fold(text, |text, (name, flag)| text.replace(&format!("`{name}`"), &format!("`{flag}`")))
    }

    /// The library's message, with other options named as flags. There, backticks may also quote what the
    /// user wrote, so that the words before them have to tell.
    pub fn message_in_flags(self, text: &str) -> String {
        self.names().fold(text.to_owned(), |text, (name, flag)| {
            ["beside", "together with", "so is"].iter().fold(text, |text, before| {
                text.replace(&format!("{before} `{name}`"), &format!("{before} `{flag}`"))
            })
        })
    }

    /// Every name by which the library may speak of an option, and the flag for it.
    fn names(self) -> impl Iterator<Item = (&'static str, String)> {
        let url = ["url", "urls"].map(|name| (name, "--callback-url".to_owned()));
        let url = url.into_iter().filter(move |_| self == Group::Callback);
        let listed = self.options().iter().filter_map(move |option| {
            let flag = format!("--{}", self.flag(option)?);
            Some([(option.name, flag.clone()), (singular(option), flag)])
        });
        url.chain(listed.flatten())
    }

    /// Hands every option that was given to `set`.
    pub fn apply(
        self,
        matches: &ArgMatches,
        mut set: impl FnMut(&str, OptionValue) -> oss_callback::Result<()>,
    ) -> Result<(), Failure> {
        for option in self.options() {
            let Some(flag) = self.flag(option) else { continue };
            if let Some(value) = value_of(option, &flag, matches)? {
                set(option.name, value).map_err(|error| Failure::library(error, Some(self)))?;
            }
        }
        Ok(())
    }
}

/// Each use of a map's flag adds one pair, and is named after it.
fn singular(option: &OptionInfo) -> &'static str {
    match option.ty {
        OptionType::Map => option.name.trim_end_matches('s'),
        _ => option.name,
    }
}

/// The library's warning, which begins with the option that it is about.
pub fn warning_in_flags(text: &str) -> String {
    match text.split_once(": ") {
        Some((field, rest)) => match flag_of_field(field, None) {
            Some(flag) => format!("{flag}: {rest}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

fn value_of(option: &OptionInfo, flag: &str, matches: &ArgMatches) -> Result<Option<OptionValue>, Failure> {
    if FROM_FILE.contains(&option.name) {
        let Some(path) = matches.get_one::<PathBuf>(flag) else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("--{flag}: cannot read {}: {error}", path.display())))?;
        return Ok(Some(OptionValue::Text(text)));
    }
    Ok(match option.ty {
        OptionType::Bool => matches.get_one::<bool>(flag).copied().map(OptionValue::Bool),
        OptionType::Integer => matches.get_one::<i64>(flag).copied().map(OptionValue::Integer),
        OptionType::Duration => matches.get_one::<Duration>(flag).copied().map(OptionValue::Duration),
        OptionType::Map => {
            matches.get_many::<(String, String)>(flag).map(|pairs| OptionValue::Map(pairs.cloned().collect()))
        }
        _ => matches.get_one::<String>(flag).cloned().map(OptionValue::Text),
    })
}

/// Reads `NAME=VALUE`.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, such as order=1024".to_owned()),
    }
}

/// Which list the field of an error belongs to, and its name there.
pub fn split_field(field: &str, group: Option<Group>) -> (Option<Group>, &str) {
    match field.split_once('.') {
        Some(("callback", name)) => (Some(Group::Callback), name),
        _ => (group, field),
    }
}

/// What to write on the command line for a field that the library names in an error.
pub fn flag_of_field(field: &str, group: Option<Group>) -> Option<String> {
    let (group, name) = split_field(field, group);
    // Some fields go on with the entry: `vars.x:order`, `headers[2]`.
    let name = name.split(['.', '[']).next().unwrap_or(name);
    match (group, name) {
        (Some(Group::Callback), "url" | "urls") => return Some("--callback-url".to_owned()),
        (Some(Group::Callback), "seal") => return Some("--seal-secret-env".to_owned()),
        (_, "bucket" | "key") => return Some(format!("oss://BUCKET/KEY: {name}")),
        (_, "data") => return Some("FILE".to_owned()),
        (_, "access_key_id") => return Some("OSS_ACCESS_KEY_ID".to_owned()),
        (_, "access_key_secret") => return Some("OSS_ACCESS_KEY_SECRET".to_owned()),
        (_, "security_token") => return Some("OSS_SESSION_TOKEN".to_owned()),
        (_, "credentials_uri") => return Some("ALIBABA_CLOUD_CREDENTIALS_URI".to_owned()),
        _ => {}
    }
    let groups = group.map_or(vec![Group::Put, Group::Client], |group| vec![group]);
    groups.into_iter().find_map(|group| {
        let option = group.options().iter().find(|option| option.name == name)?;
        Some(format!("--{}", group.flag(option)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(group: Group) -> Vec<String> {
        group.options().iter().filter_map(|option| group.flag(option)).collect()
    }

    #[test]
    fn flags_are_named_after_the_options() {
        for flag in ["callback-body", "callback-body-type", "callback-header", "callback-sni", "var"] {
            assert!(flags(Group::Callback).iter().any(|known| known == flag), "{flag}");
        }
        for flag in ["content-type", "metadata", "header", "tagging", "forbid-overwrite", "timeout"] {
            assert!(flags(Group::Put).iter().any(|known| known == flag), "{flag}");
        }
        assert!(flags(Group::Client).iter().any(|known| known == "signature-version"));
    }

    #[test]
    fn no_secret_is_a_flag() {
        for group in Group::ALL {
            for option in group.options() {
                let taken = group.flag(option).is_some();
                let secret = option.ty == OptionType::Secret && option.name != "proxy";
                assert!(!(taken && secret), "{}", option.name);
                assert!(!(taken && option.name.starts_with("access_key")), "{}", option.name);
            }
        }
    }

    #[test]
    fn fields_of_errors_become_what_the_user_typed() {
        let cases = [
            ("callback.url", None, "--callback-url"),
            ("callback.body_type", None, "--callback-body-type"),
            ("callback.vars.x:order", None, "--var"),
            ("callback.headers[2]", None, "--callback-header"),
            ("callback.seal", None, "--seal-secret-env"),
            ("body", Some(Group::Callback), "--callback-body"),
            ("metadata", None, "--metadata"),
            ("connect_timeout", None, "--connect-timeout"),
            ("key", None, "oss://BUCKET/KEY: key"),
            ("access_key_secret", None, "OSS_ACCESS_KEY_SECRET"),
        ];
        for (field, group, wanted) in cases {
            assert_eq!(flag_of_field(field, group).as_deref(), Some(wanted), "{field}");
        }
        assert_eq!(flag_of_field("no_such_field", None), None);
    }

    #[test]
    fn help_speaks_of_flags() {
        let option =
            Group::Put.options().iter().find(|option| option.name == "server_side_encryption_key_id");
        let (_, long) = Group::Put.help(option.unwrap());
        assert!(long.contains("`--server-side-encryption` KMS"), "{long}");
    }

    #[test]
    fn messages_and_hints_of_the_library_speak_of_flags() {
        let group = Group::Callback;
        let hint = group.in_flags("Write it with `body`, or build it with `field`; `var(\"order\", …)`.");
        assert_eq!(
            hint,
            "Write it with `--callback-body`, or build it with `--callback-field`; `--var order=VALUE`."
        );
        // The first is a name that the user chose.
        let message = group.message_in_flags("holds `host` twice; cannot stand beside `fields`");
        assert_eq!(message, "holds `host` twice; cannot stand beside `--callback-field`");
        assert_eq!(Group::Client.message_in_flags("and so is `endpoint`"), "and so is `--endpoint`");
        assert_eq!(warning_in_flags("callback.vars: `x` is unused"), "--var: `x` is unused");
        assert_eq!(warning_in_flags("no option: here"), "no option: here");
    }

    #[test]
    fn a_pair_needs_a_name_and_an_equals_sign() {
        assert_eq!(parse_pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parse_pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(parse_pair("a").is_err() && parse_pair("=b").is_err());
    }
}
