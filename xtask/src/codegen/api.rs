//! What `api/*.toml` says, checked for sense.

use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    pub name: String,
    pub number: i32,
    pub retryable: bool,
    pub doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    pub name: String,
    pub ec: Vec<String>,
    pub doc: String,
    pub hint: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub name: String,
    pub doc: String,
    pub hint: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OptionType {
    String,
    Secret,
    Bool,
    Integer,
    Duration,
    Map,
    List,
    SecretList,
    Enum,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiOption {
    pub group: String,
    pub name: String,
    #[serde(rename = "type")]
    pub ty: OptionType,
    #[serde(rename = "enum")]
    pub enum_name: Option<String>,
    #[serde(default)]
    pub values: Vec<String>,
    pub singular: Option<String>,
    pub doc: String,
    pub default: String,
    pub range: Option<String>,
}

#[derive(Deserialize)]
struct ErrorsFile {
    kind: Vec<Kind>,
    fact: Vec<Fact>,
    cause: Vec<Cause>,
    reason: Vec<Reason>,
}

#[derive(Deserialize)]
struct OptionsFile {
    option: Vec<ApiOption>,
}

pub struct Api {
    pub kinds: Vec<Kind>,
    pub facts: Vec<Fact>,
    pub causes: Vec<Cause>,
    pub reasons: Vec<Reason>,
    pub options: Vec<ApiOption>,
}

impl Api {
    pub fn load(root: &Path) -> Result<Api, String> {
        let errors: ErrorsFile = read(&root.join("api/errors.toml"))?;
        let options: OptionsFile = read(&root.join("api/options.toml"))?;
        let api = Api {
            kinds: errors.kind,
            facts: errors.fact,
            causes: errors.cause,
            reasons: errors.reason,
            options: options.option,
        };
        api.check()?;
        Ok(api)
    }

    /// The options of a group, those that it inherits first.
    pub fn group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a ApiOption> {
        // What describes the object holds however the object travels.
        let inherited = if group == "upload" { "put" } else { "" };
        let own = self.options.iter().filter(move |option| option.group == group);
        self.options.iter().filter(move |option| option.group == inherited).chain(own)
    }

    fn check(&self) -> Result<(), String> {
        for (index, kind) in self.kinds.iter().enumerate() {
            if self.kinds[..index].iter().any(|k| k.number == kind.number || k.name == kind.name) {
                return Err(format!("errors.toml: kind {} stands twice", kind.name));
            }
        }
        for fact in &self.facts {
            if !["string", "integer", "u64", "bool"].contains(&fact.ty.as_str()) {
                return Err(format!("errors.toml: fact {} has unknown type {}", fact.name, fact.ty));
            }
        }
        for (index, reason) in self.reasons.iter().enumerate() {
            if self.reasons[..index].iter().any(|r| r.name == reason.name) {
                return Err(format!("errors.toml: reason {} stands twice", reason.name));
            }
        }
        for option in &self.options {
            let name = format!("options.toml: {}.{}", option.group, option.name);
            if !["client", "put", "upload", "callback", "verifier"].contains(&option.group.as_str()) {
                return Err(format!("{name}: unknown group"));
            }
            if (option.ty == OptionType::Enum) != (option.enum_name.is_some() && !option.values.is_empty()) {
                return Err(format!("{name}: an enum, and only an enum, has `enum` and `values`"));
            }
            let many = matches!(option.ty, OptionType::Map | OptionType::List | OptionType::SecretList);
            if many != option.singular.is_some() {
                return Err(format!("{name}: a map or list, and only these, has `singular`"));
            }
        }
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// `content_type` as `ContentType`, `public-read` as `PublicRead`, `IA` as `Ia`.
pub fn camel(name: &str) -> String {
    name.split(['_', '-'])
        .map(|word| {
            let shouting = word.chars().all(|c| !c.is_ascii_lowercase());
            let mut chars = word.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase()).into_iter();
            let rest: String =
                if shouting { chars.as_str().to_ascii_lowercase() } else { chars.as_str().to_owned() };
            first.collect::<String>() + &rest
        })
        .collect()
}

/// The class of a kind's errors, where a language has classes: `InvalidArgumentError`.
pub fn error_class(kind: &str) -> String {
    format!("{}Error", camel(kind))
}
