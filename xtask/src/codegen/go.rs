//! The Go side of `api/*.toml`: option structs with the code that hands them to C, and error kinds with
//! the code that reads an error's facts from C. The text is as gofmt leaves it.

use std::fmt::Write;

use super::Output;
use super::api::{Api, ApiOption, OptionType};
use super::c::{comment, enums, option_doc, snake};

/// Group, Go struct, C handle and what the struct is.
const GROUPS: &[(&str, &str, &str, &str)] = &[
    (
        "client",
        "Options",
        "osscb_client_options",
        "Options are those of a [Client]. The zero value of a field means its default.",
    ),
    (
        "put",
        "PutOptions",
        "osscb_put_options",
        "PutOptions are the options of one upload. The zero value of a field means its default.",
    ),
    (
        "upload",
        "UploadOptions",
        "osscb_upload_options",
        "UploadOptions are the options of one upload of any size. The zero value of a field means its default.",
    ),
    (
        "callback",
        "CallbackOptions",
        "osscb_callback_options",
        "CallbackOptions are the options of a [Callback]. The zero value of a field means its default.",
    ),
    (
        "verifier",
        "VerifierOptions",
        "osscb_verifier_options",
        "VerifierOptions are the options of a [CallbackVerifier]. The zero value of a field means its default.",
    ),
];

/// Fields that are no values, and so not in the list; package code hands them over.
const FUNCTIONS: &[(&str, &str)] = &[
    (
        "callback",
        "\n\t// Seals every upload, so that your application server can tell yours from a forger's.\n\
        \t//\n\t// Default: nil, no seal.\n\tSeal *SealOptions\n",
    ),
    ("verifier", VERIFIER_FUNCTIONS),
    ("client", CLIENT_FUNCTIONS),
    ("upload", UPLOAD_FUNCTIONS),
];

const CLIENT_FUNCTIONS: &str = "
\t// Provides the credentials, in place of the options for them. It is asked by the first call that needs
\t// them, and again before they expire, by one call at a time, while others go on with those that they
\t// have. When it fails, calls that need credentials fail with [ErrCredentials] and its error.
\t//
\t// Default: nil.
\tCredentialsProvider func() (Credentials, error) `json:\"-\"`
";

const UPLOAD_FUNCTIONS: &str = "
\t// Is told how far the upload is: at its beginning, ten times a second while bytes move, and at its end,
\t// by one goroutine at a time. An error ends the upload, unless it is complete, and is part of the
\t// upload's own error. Be quick: the upload waits.
\t//
\t// Default: nil.
\tProgress func(Progress) error `json:\"-\"`
";

const VERIFIER_FUNCTIONS: &str = "
\t// In place of Template and TemplateType: those of this callback.
\tCallback *Callback

\t// Gets the PEM of official keys, in place of the library's own way. It replaces the fetching and the
\t// key that is built in, never the rule for key URLs: it is not called for a URL that is not OSS's.
\t// Set a short timeout and follow no redirects. Answers are remembered, failures for 30 s. It may be
\t// called by several goroutines at once. A verification that it fails has its error, and a panic goes
\t// on where the verification was called. It gets no context: what it gets, or fails to, is for all who
\t// wait for that key.
\t//
\t// Default: nil: the present key is built in; another one is fetched from OSS's own host by https.
\tFetchKey func(url string) ([]byte, error) `json:\"-\"`

\t// Asked last, of every seal that is right, whether this is the first time: remember the nonce until
\t// it expires, and return false to refuse a replay. It must be atomic: of two calls with one nonce
\t// only one may get true. An error is for when it cannot be told: the verification then fails with it
\t// as it is, and a panic goes on where the verification was called. ctx is that of the request, and
\t// [context.Background] with [CallbackVerifier.Verify].
\t//
\t// Default: nil: replays within the expiry are accepted.
\tFirstUse func(ctx context.Context, nonce string, expiresAt time.Time) (first bool, err error) `json:\"-\"`
";

/// What Go writes in capitals throughout.
const INITIALISMS: [&str; 12] =
    ["URL", "ID", "CA", "MD5", "ACL", "SNI", "EC", "KMS", "SM4", "IA", "JSON", "CRC64"];

/// `server_side_encryption_key_id` as `ServerSideEncryptionKeyID`, `public-read` as `PublicRead`.
pub fn go_name(name: &str) -> String {
    let word = |word: &str| {
        let capitals = word.to_ascii_uppercase();
        match capitals.as_str() {
            "ETAG" => "ETag".to_owned(),
            "AES256" => capitals,
            _ if INITIALISMS.contains(&capitals.as_str()) => capitals,
            _ => word[..1].to_ascii_uppercase() + &word[1..],
        }
    };
    name.split(['_', '-']).map(word).collect()
}

/// `ObjectAcl` as `ObjectACL`.
fn go_type(option: &ApiOption) -> String {
    go_name(&snake(option.enum_name.as_deref().expect("checked")))
}

fn head(from: &str) -> String {
    format!(
        "// Code generated by xtask; DO NOT EDIT.\n\
         // GENERATED by `cargo xtask codegen` from api/{from}: do not edit.\n\npackage osscallback\n\n\
         // #include <oss_callback.h>\nimport \"C\"\n\n"
    )
}

fn doc(out: &mut String, indent: &str, paragraphs: &[String]) {
    comment(out, &format!("{indent}//"), paragraphs);
}

/// The lists call their own entries by their names in the list; Go's readers look for Go's.
fn in_go<'a>(text: &str, names: impl Iterator<Item = &'a String>) -> String {
    names.fold(text.to_owned(), |text, name| text.replace(&format!("`{name}`"), &go_name(name)))
}

pub fn options(api: &Api) -> Output {
    let mut out = head("options.toml");
    out.push_str("import (\n\t\"context\"\n\t\"time\"\n)\n\n");
    for option in enums(api) {
        enumeration(&mut out, option);
    }
    for &(group, ty, handle, about) in GROUPS {
        structure(&mut out, api, group, ty, about);
        hand_over(&mut out, api, group, ty, handle);
    }
    let text = out.trim_end().to_owned() + "\n";
    Output { path: "go/options_generated.go", text }
}

fn enumeration(out: &mut String, option: &ApiOption) {
    let ty = go_type(option);
    let about = format!(
        "{ty} holds the values of the option {}. {} The zero value means the default.",
        go_name(&option.name),
        option.doc
    );
    doc(out, "", &[about]);
    writeln!(out, "type {ty} int32\n\nconst (").expect("writing to a String");
    for (index, value) in option.values.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let name = go_name(value);
        writeln!(out, "\t// {ty}{name} is `{value}`.\n\t{ty}{name} {ty} = {}", index + 1)
            .expect("writing to a String");
    }
    let values: Vec<String> = option.values.iter().map(|value| format!("{value:?}")).collect();
    writeln!(
        out,
        ")\n\n// String returns the value's name, such as {}.\nfunc (v {ty}) String() string {{\n\
         \treturn valueName(int32(v), {})\n}}\n",
        option.values[0],
        values.join(", ")
    )
    .expect("writing to a String");
}

/// Whether `false` says something else than nothing.
fn is_on_by_default(option: &ApiOption) -> bool {
    option.ty == OptionType::Bool && option.default != "false"
}

/// Whether 0 says something else than nothing.
fn may_be_zero(option: &ApiOption) -> bool {
    let range = option.range.as_deref().unwrap_or_default();
    option.ty == OptionType::Integer && (range.starts_with("0 ") || range.starts_with("at most"))
}

fn structure(out: &mut String, api: &Api, group: &str, ty: &str, about: &str) {
    doc(out, "", &[about.to_owned()]);
    writeln!(out, "type {ty} struct {{").expect("writing to a String");
    for (index, option) in api.group(group).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let usage = match option.ty {
            OptionType::Duration => Some("Counted in whole milliseconds, rounded up."),
            OptionType::Map => Some("Handed over in the order of the names."),
            _ if is_on_by_default(option) || may_be_zero(option) => Some("Nil means the default; see [Ptr]."),
            _ => None,
        };
        let paragraphs = option_doc(option, usage);
        let names = || api.group(group).map(|option| &option.name);
        doc(out, "\t", &paragraphs.iter().map(|text| in_go(text, names())).collect::<Vec<_>>());
        let field = match option.ty {
            OptionType::String => "string".to_owned(),
            OptionType::Secret => "Secret".to_owned(),
            OptionType::Bool if is_on_by_default(option) => "*bool".to_owned(),
            OptionType::Bool => "bool".to_owned(),
            OptionType::Integer if may_be_zero(option) => "*uint64".to_owned(),
            OptionType::Integer => "uint64".to_owned(),
            OptionType::Duration => "time.Duration".to_owned(),
            OptionType::Map => "map[string]string".to_owned(),
            OptionType::List => "[]string".to_owned(),
            OptionType::SecretList => "[]Secret".to_owned(),
            OptionType::Enum => go_type(option),
        };
        writeln!(out, "\t{} {field}", go_name(&option.name)).expect("writing to a String");
    }
    if let Some((_, functions)) = FUNCTIONS.iter().find(|(name, _)| *name == group) {
        out.push_str(functions);
    }
    out.push_str("}\n\n");
}

fn hand_over(out: &mut String, api: &Api, group: &str, ty: &str, handle: &str) {
    writeln!(
        out,
        "// handOver gives C what is set. The caller frees the handle.\n\
         func (o *{ty}) handOver() *C.{handle} {{\n\thandle := C.{handle}_new()"
    )
    .expect("writing to a String");
    for option in api.group(group) {
        let (name, field) = (&option.name, format!("o.{}", go_name(&option.name)));
        let block = match option.ty {
            OptionType::String => {
                format!("if {field} != \"\" {{\n\t\tC.{handle}_set_{name}(handle, text({field}))\n\t}}")
            }
            OptionType::Secret => {
                format!(
                    "if {field} != \"\" {{\n\t\tC.{handle}_set_{name}(handle, text(string({field})))\n\t}}"
                )
            }
            OptionType::Bool if is_on_by_default(option) => {
                format!("if {field} != nil {{\n\t\tC.{handle}_set_{name}(handle, C.bool(*{field}))\n\t}}")
            }
            OptionType::Bool => {
                format!("if {field} {{\n\t\tC.{handle}_set_{name}(handle, C.bool({field}))\n\t}}")
            }
            OptionType::Integer if may_be_zero(option) => {
                format!("if {field} != nil {{\n\t\tC.{handle}_set_{name}(handle, C.uint64_t(*{field}))\n\t}}")
            }
            OptionType::Integer => {
                format!("if {field} != 0 {{\n\t\tC.{handle}_set_{name}(handle, C.uint64_t({field}))\n\t}}")
            }
            OptionType::Duration => format!(
                "if {field} != 0 {{\n\t\tC.{handle}_set_{name}_ms(handle, milliseconds({field}))\n\t}}"
            ),
            OptionType::Map => format!(
                "for _, name := range sortedNames({field}) {{\n\
                 \t\tC.{handle}_add_{}(handle, text(name), text({field}[name]))\n\t}}",
                option.singular.as_deref().expect("checked")
            ),
            OptionType::List | OptionType::SecretList => {
                let value = if option.ty == OptionType::List { "value" } else { "string(value)" };
                format!(
                    "for _, value := range {field} {{\n\t\tC.{handle}_add_{}(handle, text({value}))\n\t}}",
                    option.singular.as_deref().expect("checked")
                )
            }
            OptionType::Enum => {
                let c_type = format!("C.osscb_{}", snake(option.enum_name.as_deref().expect("checked")));
                format!("if {field} != 0 {{\n\t\tC.{handle}_set_{name}(handle, {c_type}({field}))\n\t}}")
            }
        };
        writeln!(out, "\t{block}").expect("writing to a String");
    }
    out.push_str("\treturn handle\n}\n\n");
}

pub fn errors(api: &Api) -> Output {
    let mut out = head("errors.toml");
    kinds(&mut out, api);
    let causes = api.causes.iter().map(|cause| (cause.name.as_str(), cause.doc.as_str()));
    names(&mut out, "Cause", "Cause says why a callback failed.", causes);
    let reasons = api.reasons.iter().map(|reason| (reason.name.as_str(), reason.doc.as_str()));
    names(&mut out, "Reason", "Reason says which check a callback request did not pass.", reasons);
    facts(&mut out, api);
    let text = out.trim_end().to_owned() + "\n";
    Output { path: "go/errors_generated.go", text }
}

fn kinds(out: &mut String, api: &Api) {
    doc(
        out,
        "",
        &["Kind says what went wrong, in the words that every language shares. Treat one that you do not \
           know as a failure."
            .to_owned()],
    );
    out.push_str("type Kind int32\n\nconst (\n");
    for (index, kind) in api.kinds.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        doc(out, "\t", &[in_go(&kind.doc, api.facts.iter().map(|fact| &fact.name))]);
        writeln!(out, "\tKind{} Kind = {}", go_name(&kind.name), kind.number).expect("writing to a String");
    }
    out.push_str(")\n\n// What [errors.Is] compares an [*Error] with.\nvar (\n");
    for (index, kind) in api.kinds.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let name = go_name(&kind.name);
        let text = in_go(&kind.doc, api.facts.iter().map(|fact| &fact.name));
        doc(out, "\t", &[format!("Err{name} stands for [Kind{name}]. {text}")]);
        writeln!(out, "\tErr{name} error = &kindError{{Kind{name}}}").expect("writing to a String");
    }
    out.push_str(
        ")\n\n// String returns the kind's stable name, such as callback_failed.\n\
         func (k Kind) String() string {\n\tswitch k {\n",
    );
    for kind in &api.kinds {
        writeln!(out, "\tcase Kind{}:\n\t\treturn {:?}", go_name(&kind.name), kind.name)
            .expect("writing to a String");
    }
    out.push_str("\t}\n\treturn \"other\"\n}\n\n");
}

fn names<'a>(out: &mut String, ty: &str, about: &str, list: impl Iterator<Item = (&'a str, &'a str)>) {
    writeln!(out, "// {about}\ntype {ty} string\n\nconst (").expect("writing to a String");
    for (index, (name, text)) in list.enumerate() {
        if index > 0 {
            out.push('\n');
        }
        doc(out, "\t", &[text.to_owned()]);
        writeln!(out, "\t{ty}{} {ty} = {name:?}", go_name(name)).expect("writing to a String");
    }
    out.push_str(")\n\n");
}

fn facts(out: &mut String, api: &Api) {
    out.push_str(
        "// Error is what every failed call returns: get it by [errors.As], or compare by [errors.Is] with\n\
         // [ErrTimeout] and its like. A fact that the error does not have is the zero value.\n\
         type Error struct {\n\t// What went wrong.\n\tKind Kind\n\n\
         \t// One sentence for people: field, message, numbers and hint together. No secret, signature or\n\
         \t// token is part of it.\n\tMessage string\n\n\
         \t// What lies behind the error, such as the system's own words.\n\tSource string\n",
    );
    for fact in &api.facts {
        out.push('\n');
        doc(out, "\t", std::slice::from_ref(&fact.doc));
        writeln!(out, "\t{} {}", go_name(&fact.name), fact_type(&fact.name, &fact.ty))
            .expect("writing to a String");
    }
    out.push_str(
        "\n\tretryable bool\n\twrapped   []error\n}\n\n\
         // readFacts copies what the error can tell. The caller frees the handle.\n\
         func (e *Error) readFacts(handle *C.osscb_error) {\n",
    );
    for fact in &api.facts {
        let (field, call) = (go_name(&fact.name), format!("C.osscb_error_{}(handle", fact.name));
        let line = match (fact.ty.as_str(), fact_type(&fact.name, &fact.ty)) {
            ("string", "string") => format!("e.{field} = C.GoString({call}))"),
            ("string", named) => format!("e.{field} = {named}(C.GoString({call})))"),
            ("integer", _) => format!("e.{field} = int({call}))"),
            ("u64", _) => format!(
                "var {} C.uint64_t\n\tif {call}, &{}) {{\n\t\te.{field} = Ptr(uint64({}))\n\t}}",
                fact.name, fact.name, fact.name
            ),
            _ => format!("e.{field} = bool({call}))"),
        };
        writeln!(out, "\t{line}").expect("writing to a String");
    }
    out.push_str("}\n");
}

fn fact_type(name: &str, ty: &str) -> &'static str {
    match (name, ty) {
        ("cause", _) => "Cause",
        ("reason", _) => "Reason",
        (_, "string") => "string",
        (_, "integer") => "int",
        // The CRC-64 of nothing is 0.
        (_, "u64") => "*uint64",
        _ => "bool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_what_go_has() {
        let names = ["endpoint".to_owned(), "ec".to_owned()];
        let text = "when `endpoint` is not set, with `none` or an endpoint, and `ec`";
        let expected = "when Endpoint is not set, with `none` or an endpoint, and EC";
        assert_eq!(in_go(text, names.iter()), expected);
    }

    #[test]
    fn names_are_as_go_writes_them() {
        let pairs = [
            ("server_side_encryption_key_id", "ServerSideEncryptionKeyID"),
            ("ca_certificates", "CACertificates"),
            ("content_md5", "ContentMD5"),
            ("public-read", "PublicRead"),
            ("object_acl", "ObjectACL"),
            ("AES256", "AES256"),
            ("etag", "ETag"),
            ("crc64", "CRC64"),
            ("DeepColdArchive", "DeepColdArchive"),
            ("virtual", "Virtual"),
        ];
        for (name, expected) in pairs {
            assert_eq!(go_name(name), expected);
        }
    }
}
