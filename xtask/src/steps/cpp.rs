//! The C++ face: the headers in C++17 and C++20, and the tests of `tests/cpp/`, plain and sanitized.

use std::path::PathBuf;

use super::c::{CC, Library, SANITIZERS, compile, examples, static_library, with};
use super::{Step, Tool};
use crate::runner::Run;
use crate::testbed::Testbed;

pub const STEP: Step =
    Step { name: "cpp", about: "the C++ face: headers, scenarios, vectors", tools: &[CC, CXX], run };

pub const CXX: Tool =
    Tool { name: "a C++ compiler", probe: &["c++", "--version"], how_to_get: "apt-get install g++" };

fn run(run: &mut Run) -> Result<(), String> {
    let library = static_library(run)?;
    for standard in ["c++17", "c++20"] {
        let strict = ["-c", "-Wshadow", "-Wconversion", "-Wnon-virtual-dtor"];
        let source = ["tests/cpp/header_twice.cpp"];
        let outcome = compile(run, "c++", standard, &source, &strict, "header_twice_cpp.o");
        run.check(&format!("the headers as {standard}"), outcome.map(drop));
    }
    let testbed = Testbed::start(run)?;
    for (kind, flags) in [("plain", &[][..]), ("sanitized", &SANITIZERS)] {
        for name in ["scenarios", "sources", "vectors", "verify", "receive"] {
            let program = program(run, &library, name, kind, flags)?;
            run.tests(with(&testbed, run.command(program)))?;
        }
    }
    let mut flags = vec![library.file.to_string_lossy().into_owned()];
    flags.extend(library.native.iter().cloned());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    examples(run, &testbed, "cpp", |run, source, name| compile(run, "c++", "c++17", &[source], &flags, name))
}

fn program(run: &Run, library: &Library, name: &str, kind: &str, flags: &[&str]) -> Result<PathBuf, String> {
    // The runner and the JSON reader are C.
    let helper = |file: &str| {
        let mut all = vec!["-c"];
        all.extend(flags);
        let object =
            compile(run, "cc", "c99", &[&format!("tests/c/{file}.c")], &all, &format!("{file}-{kind}.o"));
        object.map(|path| path.to_string_lossy().into_owned())
    };
    let (test, json, support) = (helper("test")?, helper("json")?, helper("support")?);
    let file = library.file.to_string_lossy().into_owned();
    let mut all = vec!["-Itests/cpp", &test, &json, &support];
    all.extend(flags);
    all.push(&file);
    all.extend(library.native.iter().map(String::as_str));
    compile(run, "c++", "c++17", &[&format!("tests/cpp/{name}.cpp")], &all, &format!("cpp-{name}-{kind}"))
}
