//! Rules of the tree that a compiler does not hold: which folder may know what, what a file may be, and
//! that nothing written down twice differs.
//!
//! Each rule is a function over `(path, text)` that gives its breaches, tried here on made-up files that
//! break it, and then on the tree.

mod source;
mod tree;

use sha2::{Digest, Sha256};
use source::{code_of, has_word, is_generated};
use tree::{File, Tree};

/// What may stand in the root: a new entry is a decision, so it is written down here.
const ROOT: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitattributes",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "README.zh-CN.md",
    "SECURITY.md",
    "api",
    "cli",
    "core",
    "docs",
    "emulator",
    "ffi-c",
    "go",
    "include",
    "node",
    "py",
    "tests",
    "xtask",
    "deny.toml",
    "rustfmt.toml",
];

const MAX_LINES: usize = 600;

fn root_breaches(files: &[File]) -> Vec<String> {
    let entry = |file: &File| file.path.split('/').next().unwrap_or_default().to_owned();
    let mut entries: Vec<String> = files.iter().map(entry).collect();
    entries.sort();
    entries.dedup();
    entries.retain(|entry| !ROOT.contains(&entry.as_str()));
    entries
}

fn is_transport(path: &str) -> bool {
    path == "core/src/transport.rs" || path.starts_with("core/src/transport/")
}

fn is_bench(path: &str) -> bool {
    path.split('/').any(|folder| folder == "benches")
}

/// The HTTP client can be changed only while one place knows it. Benchmarks may measure against it.
fn transport_breaches(files: &[File]) -> Vec<String> {
    let manifests = ["Cargo.toml", "core/Cargo.toml"];
    files
        .iter()
        .filter(|file| match file.extension() {
            "rs" => {
                !is_transport(&file.path)
                    && !is_bench(&file.path)
                    && has_word(&code_of(&file.text), "reqwest")
            }
            "toml" => !manifests.contains(&file.path.as_str()) && has_word(&file.text, "reqwest"),
            _ => false,
        })
        .map(|file| file.path.clone())
        .collect()
}

/// The interfaces to C: ours, and libuv's.
const UNSAFE: [&str; 2] = ["ffi-c/", "node/src/uv.rs"];

fn unsafe_breaches(files: &[File]) -> Vec<String> {
    let may_be = |path: &str| UNSAFE.iter().any(|place| path.starts_with(place));
    rust(files)
        .filter(|file| !may_be(&file.path) && has_word(&code_of(&file.text), "unsafe"))
        .map(|file| file.path.clone())
        .collect()
}

fn unfinished_breaches(files: &[File]) -> Vec<String> {
    let is_unfinished = |code: &str| {
        ["todo", "unimplemented"].iter().any(|name| {
            let call = format!("{name}!");
            code.match_indices(&call).any(|(at, _)| !code[..at].ends_with(source::is_word_char))
        })
    };
    rust(files).filter(|file| is_unfinished(&code_of(&file.text))).map(|file| file.path.clone()).collect()
}

/// A file that says that it is not to be edited must say what writes it.
fn generated_breaches(files: &[File]) -> Vec<String> {
    let by_name = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with("generated.") || GENERATED.contains(&path)
    };
    files
        .iter()
        .filter(|file| {
            let head: String = file.text.lines().take(5).collect();
            let must = by_name(&file.path) || head.contains("do not edit");
            must && !is_generated(&file.text)
        })
        .map(|file| file.path.clone())
        .collect()
}

/// Generated files whose names do not tell.
const GENERATED: &[&str] =
    &["core/src/error/kind.rs", "docs/options.md", "docs/errors.md", "include/oss_callback.h"];

fn length_breaches(files: &[File]) -> Vec<String> {
    let may_be_long = |file: &File| {
        file.path.starts_with("tests/vectors/")
            || ["Cargo.lock", "package-lock.json"].iter().any(|lock| file.path.ends_with(lock))
            || is_generated(&file.text)
    };
    files
        .iter()
        .filter(|file| !may_be_long(file) && file.text.lines().count() > MAX_LINES)
        .map(|file| format!("{} has {} lines", file.path, file.text.lines().count()))
        .collect()
}

/// `sums` is what `sha256sum` prints; every vector file must be in it, and equal.
fn vector_breaches(vectors: &[(String, Vec<u8>)], sums: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let listed: Vec<(&str, &str)> = sums.lines().filter_map(|line| line.split_once("  ")).collect();
    for (name, bytes) in vectors {
        let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        match listed.iter().find(|(_, listed)| listed == name) {
            None => breaches.push(format!("{name} is not listed")),
            Some((listed, _)) if *listed != sum => breaches.push(format!("{name} was changed")),
            Some(_) => {}
        }
    }
    for (_, name) in listed {
        if !vectors.iter().any(|(vector, _)| vector == name) {
            breaches.push(format!("{name} is listed but absent"));
        }
    }
    breaches
}

/// Names in `api/*.toml` without a row in the documentation's table.
fn table_breaches(list: &str, table: &str) -> Vec<String> {
    let name = |line: &'_ str| Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned());
    let count = |name: &str| table.lines().filter(|l| l.starts_with(&format!("| `{name}` |"))).count();
    let names: Vec<String> = list.lines().filter_map(name).collect();
    let wanted = |name: &str| names.iter().filter(|n| *n == name).count();
    names.iter().filter(|name| count(name) < wanted(name)).cloned().collect()
}

/// Links of a Markdown page to files of the tree that are not there.
fn link_breaches(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "md") {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in source::links(&file.text) {
            if !exists(&source::join(folder, target)) {
                breaches.push(format!("{}: {target}", file.path));
            }
        }
    }
    breaches
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.extension() == "rs")
}

mod tree_obeys {
    use super::*;

    #[track_caller]
    fn none(rule: &str, breaches: &[String]) {
        assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
    }

    #[test]
    fn the_root_holds_only_what_was_decided() {
        none(
            "not in the list of root entries (tests/rust/tests/all/layout.rs)",
            &root_breaches(Tree::files()),
        );
    }

    #[test]
    fn only_the_transport_names_its_http_client() {
        none("names reqwest outside core/src/transport", &transport_breaches(Tree::files()));
        assert!(rust(Tree::files()).any(|file| is_transport(&file.path)), "where is the transport?");
    }

    #[test]
    fn only_the_interfaces_to_c_are_unsafe() {
        none("unsafe outside ffi-c and node/src/uv.rs", &unsafe_breaches(Tree::files()));
        let promise = &Tree::file("SECURITY.md").text;
        assert!(UNSAFE.iter().all(|place| promise.contains(place)), "SECURITY.md names {UNSAFE:?}");
        let core = Tree::file("core/src/lib.rs");
        assert!(code_of(&core.text).contains("#![forbid(unsafe_code)]"), "core must forbid unsafe code");
    }

    #[test]
    fn nothing_is_left_unfinished() {
        none("todo! or unimplemented!", &unfinished_breaches(Tree::files()));
    }

    #[test]
    fn generated_files_name_their_generator() {
        none("lacks \"GENERATED by `cargo xtask …`\" in its head", &generated_breaches(Tree::files()));
        assert!(Tree::files().iter().filter(|file| is_generated(&file.text)).count() >= 4);
    }

    #[test]
    fn no_file_is_longer_than_a_reader_bears() {
        none(&format!("longer than {MAX_LINES} lines"), &length_breaches(Tree::files()));
    }

    #[test]
    fn vectors_are_those_that_were_recorded() {
        let vectors = Tree::vectors();
        assert!(vectors.len() >= 11, "vectors are missing");
        let sums = Tree::file("tests/vectors/SHA256SUMS");
        none("tests/vectors differs from its SHA256SUMS", &vector_breaches(&vectors, &sums.text));
    }

    #[test]
    fn every_option_and_error_is_in_the_tables_of_the_documentation() {
        for (list, table) in [("api/options.toml", "docs/options.md"), ("api/errors.toml", "docs/errors.md")]
        {
            let breaches = table_breaches(&Tree::file(list).text, &Tree::file(table).text);
            none(&format!("in {list} but not in {table}"), &breaches);
        }
    }

    #[test]
    fn links_between_pages_lead_somewhere() {
        none("dead links", &link_breaches(Tree::files(), Tree::exists));
    }
}

mod rules_notice {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_stray_file_in_the_root() {
        let files = [file("core/src/lib.rs", ""), file("notes.txt", ""), file("README.md", "")];
        assert_eq!(root_breaches(&files), ["notes.txt"]);
    }

    #[test]
    fn the_http_client_in_another_file_or_crate() {
        let files = [
            file("core/src/transport.rs", "use reqwest::Client;"),
            file("core/src/transport/body.rs", "reqwest::Body"),
            file("core/benches/put.rs", "reqwest::Client"),
            file("core/src/client/put.rs", "fn f() -> reqwest::Result<()> {}"),
            file("core/src/retry.rs", "// as reqwest does\nlet a = \"reqwest\";"),
            file("core/Cargo.toml", "reqwest.workspace = true"),
            file("cli/Cargo.toml", "reqwest.workspace = true"),
        ];
        assert_eq!(transport_breaches(&files), ["core/src/client/put.rs", "cli/Cargo.toml"]);
    }

    #[test]
    fn unsafe_code_outside_the_interfaces_to_c() {
        let files = [
            file("core/src/a.rs", "#![forbid(unsafe_code)] // unsafe\n"),
            file("py/src/a.rs", "let a = unsafe { b() };"),
            file("ffi-c/src/a.rs", "unsafe fn a() {}"),
            file("node/src/uv.rs", "unsafe fn a() {}"),
            file("node/src/a.rs", "unsafe fn a() {}"),
        ];
        assert_eq!(unsafe_breaches(&files), ["py/src/a.rs", "node/src/a.rs"]);
    }

    #[test]
    fn unfinished_code() {
        let files = [
            file("core/src/a.rs", "fn a() { todo!() }"),
            file("core/src/b.rs", "fn a() { std::unimplemented!(\"later\") }"),
            file("core/src/c.rs", "/// todo!()\nfn a() { nottodo!(\"todo!\") }"),
        ];
        assert_eq!(unfinished_breaches(&files), ["core/src/a.rs", "core/src/b.rs"]);
    }

    #[test]
    fn a_generated_file_that_hides_its_generator() {
        let files = [
            file("a.rs", "// GENERATED by `cargo xtask codegen` from api/a.toml: do not edit.\n"),
            file("b.rs", "// do not edit\n"),
            file("core/src/options/generated.rs", "pub struct A;\n"),
            file("docs/errors.md", "# Errors\n"),
        ];
        assert_eq!(generated_breaches(&files), ["b.rs", "core/src/options/generated.rs", "docs/errors.md"]);
    }

    #[test]
    fn a_file_that_is_too_long() {
        let long = "x\n".repeat(MAX_LINES + 1);
        let generated = format!("// GENERATED by `cargo xtask codegen`: do not edit.\n{long}");
        let files = [
            file("core/src/a.rs", &long),
            file("core/src/b.rs", &"x\n".repeat(MAX_LINES)),
            file("core/src/c.rs", &generated),
            file("tests/vectors/a.json", &long),
            file("Cargo.lock", &long),
        ];
        assert_eq!(length_breaches(&files), ["core/src/a.rs has 601 lines"]);
    }

    #[test]
    fn a_vector_that_was_changed_added_or_removed() {
        let vector = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sums = format!("{sum}  a.json\n{sum}  b.json\n{sum}  gone.json\n");
        let vectors = [vector("a.json", "abc"), vector("b.json", "abd"), vector("new.json", "")];
        assert_eq!(
            vector_breaches(&vectors, &sums),
            ["b.json was changed", "new.json is not listed", "gone.json is listed but absent"]
        );
    }

    #[test]
    fn an_option_without_a_row() {
        let list =
            "[[option]]\nname = \"region\"\n[[option]]\nname = \"timeout\"\n[[option]]\nname = \"timeout\"\n";
        assert_eq!(table_breaches(list, "| `region` | a |\n| `timeout` | a |\n"), ["timeout", "timeout"]);
        assert!(table_breaches(list, "| `region` |\n| `timeout` |\n| `timeout` |\n").is_empty());
    }

    #[test]
    fn a_link_that_leads_nowhere() {
        let page =
            "[a](b.md) [c](../README.md#top) [d](https://example.com/x) [e](#f)\n```\n[g](h.md)\n```\n";
        let files = [file("docs/a.md", page)];
        assert_eq!(link_breaches(&files, |path| path == "docs/b.md"), ["docs/a.md: ../README.md"]);
    }
}
