//! Every language shows every scenario of `tests/scenarios.toml`, or the list says why not.

use std::fs;
use std::path::{Path, PathBuf};

/// A language, where its tests lie, and how a test of a given name looks there.
struct Language {
    name: &'static str,
    folder: &'static str,
    ending: &'static str,
    looks: fn(&str) -> Vec<String>,
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        folder: "tests/rust/tests/all",
        ending: "rs",
        looks: |name| vec![format!("fn {name}(")],
    },
    Language {
        name: "c",
        folder: "tests/c",
        ending: "c",
        looks: |name| vec![format!("void {name}("), format!("SCENARIO({name})")],
    },
    Language {
        name: "cpp",
        folder: "tests/cpp",
        ending: "cpp",
        looks: |name| vec![format!("void {name}("), format!("SCENARIO({name})")],
    },
    Language {
        name: "python",
        folder: "tests/python",
        ending: "py",
        looks: |name| vec![format!("def test_{name}(")],
    },
    Language {
        name: "node",
        folder: "tests/node",
        ending: "js",
        looks: |name| vec![format!("test('{name}'"), format!("test(\"{name}\"")],
    },
    Language {
        name: "go",
        folder: "go",
        ending: "go",
        looks: |name| vec![format!("func Test{}(", camel(name))],
    },
];

struct Scenario {
    name: String,
    not_in: Vec<String>,
    has_reason: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The list is simple enough to be read line by line.
fn parse(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for line in text.lines() {
        if line.trim() == "[[scenario]]" {
            scenarios.push(Scenario { name: String::new(), not_in: Vec::new(), has_reason: false });
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let Some(scenario) = scenarios.last_mut() else { continue };
        let words = || value.split('"').skip(1).step_by(2).map(str::to_owned);
        match key {
            "name" => scenario.name = words().next().unwrap_or_default(),
            "not_in" => scenario.not_in = words().collect(),
            "why" => scenario.has_reason = words().next().is_some_and(|why| !why.is_empty()),
            _ => {}
        }
    }
    scenarios
}

fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn sources(folder: &Path, ending: &str, into: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            sources(&path, ending, into);
        } else if path.extension().is_some_and(|e| e.to_string_lossy().ends_with(ending)) {
            into.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

fn missing(scenarios: &[Scenario], language: &Language, source: &str) -> Vec<String> {
    let wanted = scenarios.iter().filter(|s| !s.not_in.iter().any(|name| name == language.name));
    wanted
        .filter(|s| !(language.looks)(&s.name).iter().any(|look| source.contains(look)))
        .map(|s| format!("{}: {}", language.name, s.name))
        .collect()
}

#[test]
fn every_language_shows_every_scenario() {
    let list = fs::read_to_string(root().join("tests/scenarios.toml")).unwrap();
    let scenarios = parse(&list);
    assert!(scenarios.len() >= 20, "only {} scenarios were read", scenarios.len());
    let mut gaps = Vec::new();
    for language in LANGUAGES {
        let mut source = String::new();
        sources(&root().join(language.folder), language.ending, &mut source);
        gaps.extend(missing(&scenarios, language, &source));
    }
    assert!(gaps.is_empty(), "scenarios without a test:\n  {}", gaps.join("\n  "));
}

#[test]
fn an_exception_names_known_languages_and_a_reason() {
    let scenarios = parse(&fs::read_to_string(root().join("tests/scenarios.toml")).unwrap());
    for scenario in &scenarios {
        let known = |name: &String| LANGUAGES.iter().any(|language| language.name == name);
        assert!(scenario.not_in.iter().all(known), "{}: unknown language in not_in", scenario.name);
        assert_eq!(scenario.not_in.is_empty(), !scenario.has_reason, "{}: not_in wants `why`", scenario.name);
    }
}

#[test]
fn a_missing_scenario_is_noticed() {
    let scenarios =
        parse("[[scenario]]\nname = \"it_works\"\n[[scenario]]\nname = \"b_c\"\nnot_in = [\"go\"]\n");
    let go = LANGUAGES.iter().find(|l| l.name == "go").unwrap();
    assert!(missing(&scenarios, go, "func TestItWorks(t *testing.T)").is_empty());
    assert_eq!(missing(&scenarios, go, "func TestItWork(t *testing.T)"), ["go: it_works"]);
    let rust = LANGUAGES.iter().find(|l| l.name == "rust").unwrap();
    assert_eq!(missing(&scenarios, rust, "fn it_works() {"), ["rust: b_c"]);
}
