//! OSS's answers to wrong callback parameters: one constructor for each cause, with its EC and message.
//!
//! Numbers and messages are those of OSS's error pages ("HTTP 400", EC 0007-000000xx). Where the pages
//! are silent, the constructor says so.

use std::borrow::Cow;
use std::fmt;

/// A 400 that OSS answers before it stores anything.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// HTTP status: always 400.
    pub http_status: u16,
    /// OSS's code: always `InvalidArgument`.
    pub code: &'static str,
    /// OSS's number for the cause, where it is known.
    pub ec: Option<&'static str>,
    /// OSS's words; ours, where OSS's are not documented.
    pub message: Cow<'static, str>,
    /// Which argument is wrong, as in the answer's `ArgumentName`.
    pub argument_name: &'static str,
    /// What was given, as in the answer's `ArgumentValue`.
    pub argument_value: String,
    /// Whether OSS's pages print `message`.
    pub documented: bool,
    // Boxed to keep `Result`s small.
    ours: Box<Ours>,
}

/// What we have to add to OSS's answer.
#[derive(Clone, Default, PartialEq, Eq)]
struct Ours {
    detail: Option<String>,
    hint: Option<String>,
}

/// One of the two parameters of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// The callback itself.
    Callback,
    /// The custom variables.
    Vars,
}

impl Parameter {
    /// Name of the request header that carries it.
    pub const fn header_name(self) -> &'static str {
        match self {
            Parameter::Callback => "x-oss-callback",
            Parameter::Vars => "x-oss-callback-var",
        }
    }

    /// Name in a URL's query; that of the callback is also the form field's.
    pub const fn query_name(self) -> &'static str {
        match self {
            Parameter::Callback => "callback",
            Parameter::Vars => "callback-var",
        }
    }
}

impl Rejection {
    fn new(
        ec: Option<&'static str>,
        message: impl Into<Cow<'static, str>>,
        argument_name: &'static str,
        argument_value: impl Into<String>,
    ) -> Rejection {
        Rejection {
            http_status: 400,
            code: "InvalidArgument",
            ec,
            message: message.into(),
            argument_name,
            argument_value: argument_value.into(),
            documented: true,
            ours: Box::default(),
        }
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Rejection {
        self.ours.detail = Some(detail.into());
        self
    }

    pub(super) fn with_hint(mut self, hint: Option<String>) -> Rejection {
        self.ours.hint = hint;
        self
    }

    /// The words are ours.
    fn in_our_words(mut self, ours: bool) -> Rejection {
        self.documented = !ours;
        self
    }

    /// What exactly is wrong, in our words.
    pub fn detail(&self) -> Option<&str> {
        self.ours.detail.as_deref()
    }

    /// What to write instead.
    pub fn hint(&self) -> Option<&str> {
        self.ours.hint.as_deref()
    }

    /// The Base64 text is longer than 5 KB.
    pub fn too_long(parameter: Parameter, value: &str) -> Rejection {
        let (ec, message) = match parameter {
            Parameter::Callback => ("0007-00000001", "The length of callback exceed max value."),
            Parameter::Vars => ("0007-00000101", "The length of callback var exceed max value."),
        };
        let detail =
            format!("takes {} bytes as Base64, and OSS allows {}", value.len(), super::check::MAX_BASE64);
        Rejection::new(Some(ec), message, parameter.query_name(), value).with_detail(detail)
    }

    /// Not standard Base64. OSS's words for the variables are not documented.
    pub fn not_base64(parameter: Parameter, value: &str) -> Rejection {
        let (ec, message) = match parameter {
            Parameter::Callback => ("0007-00000002", "The callback configuration is not base64 encoded."),
            Parameter::Vars => ("0007-00000102", "The callback var is not base64 encoded."),
        };
        Rejection::new(Some(ec), message, parameter.query_name(), value)
            .in_our_words(parameter == Parameter::Vars)
    }

    /// Not a JSON object in UTF-8; `decoded` is what the Base64 held. OSS's words for the variables are
    /// not documented.
    pub fn not_json(parameter: Parameter, decoded: impl Into<String>) -> Rejection {
        let (ec, message) = match parameter {
            Parameter::Callback => ("0007-00000003", "The callback configuration is not json format."),
            Parameter::Vars => ("0007-00000103", "The callback var is not json format."),
        };
        Rejection::new(Some(ec), message, parameter.query_name(), decoded)
            .in_our_words(parameter == Parameter::Vars)
    }

    /// In the header and in the query at once. OSS's number for the variables is not known.
    pub fn two_places(parameter: Parameter) -> Rejection {
        let (header, query) = (parameter.header_name(), parameter.query_name());
        let message = format!(
            "Either the {query} query string parameter or the {header} header should be specified, not both."
        );
        let ec = (parameter == Parameter::Callback).then_some("0007-00000027");
        Rejection::new(ec, message, query, "")
    }

    /// `callbackUrl` is missing or no URL.
    pub fn bad_url(url: impl Into<String>) -> Rejection {
        Rejection::new(
            Some("0007-00000004"),
            "The callback url configuration is invalid.",
            "callbackUrl",
            url,
        )
    }

    /// More than five URLs.
    pub fn too_many_urls(urls: impl Into<String>) -> Rejection {
        Rejection::new(
            Some("0007-00000005"),
            "The number of callback url exceed max value.",
            "callbackUrl",
            urls,
        )
    }

    /// The host has no IPv4 address. Found at run time.
    pub fn unresolvable_host(url: impl Into<String>) -> Rejection {
        Rejection::new(Some("0007-00000007"), "Can not get ip by this host.", "callbackUrl", url)
    }

    /// The host's address is not public. Found at run time.
    pub fn private_address(url: impl Into<String>) -> Rejection {
        Rejection::new(Some("0007-00000008"), "Private address is forbidden to callback.", "callbackUrl", url)
    }

    /// `callbackHost` is not usable as a `Host` header.
    pub fn bad_host(host: impl Into<String>) -> Rejection {
        Rejection::new(
            Some("0007-00000009"),
            "The callback host configuration is invalid.",
            "callbackHost",
            host,
        )
    }

    /// `callbackBody` is not a string. The number is inferred from its neighbours.
    pub fn bad_body(body: impl Into<String>) -> Rejection {
        Rejection::new(Some("0007-00000010"), "The callback body is invalid.", "callbackBody", body)
    }

    /// `callbackBody` is missing or empty.
    pub fn empty_body() -> Rejection {
        Rejection::new(Some("0007-00000011"), "The callback body is empty.", "callbackBody", "")
    }

    /// `callbackBodyType` is not a string.
    pub fn bad_body_type(body_type: impl Into<String>) -> Rejection {
        Rejection::new(
            Some("0007-00000012"),
            "The callback body type configuration is invalid.",
            "callbackBodyType",
            body_type,
        )
    }

    /// `callbackBodyType` is neither of the two. The number is inferred from its neighbours.
    pub fn unknown_body_type(body_type: impl Into<String>) -> Rejection {
        Rejection::new(
            Some("0007-00000013"),
            "The body type of callback is not supported.",
            "callbackBodyType",
            body_type,
        )
    }

    /// `callbackSNI` is not a boolean. OSS's answer is not documented.
    pub fn bad_sni(sni: impl Into<String>) -> Rejection {
        Rejection::new(None, "The callback SNI configuration is invalid.", "callbackSNI", sni)
            .in_our_words(true)
    }

    /// Wrong `additionalHeaders`, by the last two digits of the EC. OSS's words are not documented.
    pub(super) fn bad_headers(ec: &'static str, detail: impl Into<String>) -> Rejection {
        let message = "The additional headers configuration is invalid.";
        Rejection::new(Some(ec), message, "additionalHeaders", "").with_detail(detail).in_our_words(true)
    }

    /// `callbackPolicy` is not a name. OSS's answer is not documented.
    pub fn bad_policy(policy: impl Into<String>) -> Rejection {
        Rejection::new(None, "The callback policy configuration is invalid.", "callbackPolicy", policy)
            .in_our_words(true)
    }

    /// The variables are not a map of text to text. The number is inferred from its neighbours.
    pub fn bad_vars(decoded: impl Into<String>) -> Rejection {
        Rejection::new(
            Some("0007-00000104"),
            "The callback var is not expecten json.",
            Parameter::Vars.query_name(),
            decoded,
        )
    }

    /// A variable's name is not `x:` and lowercase. OSS's number and words are not documented.
    pub fn bad_var_name(name: impl Into<String>) -> Rejection {
        let message = "The name of a callback var must start with x: and be in lowercase.";
        Rejection::new(None, message, Parameter::Vars.query_name(), name).in_our_words(true)
    }

    /// The template's braces are wrong.
    pub fn bad_template(error: &super::template::TemplateError, body: impl Into<String>) -> Rejection {
        Rejection::new(Some("0007-00000105"), error.oss_message(), "ReplaceKeyPrefix", body)
            .with_detail(error.to_string())
            .in_our_words(!error.is_documented())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.http_status, self.code, self.message)?;
        if let Some(ec) = self.ec {
            write!(f, " (EC {ec})")?;
        }
        match self.detail() {
            Some(detail) => write!(f, ": {} {detail}", self.argument_name),
            None => Ok(()),
        }
    }
}

/// Without the argument's value: it may hold what is nobody else's business.
impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejection({self})")
    }
}

impl std::error::Error for Rejection {}
