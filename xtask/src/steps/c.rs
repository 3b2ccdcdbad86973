//! The C face: the header in every C standard, what the shared library shows, and the tests of `tests/c/`,
//! plain, under AddressSanitizer and UBSan, and under valgrind.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Step, Tool};
use crate::codegen::{Api, c};
use crate::header;
use crate::runner::Run;
use crate::testbed::Testbed;

pub const STEP: Step = Step {
    name: "c",
    about: "the C interface: header, symbols, scenarios, vectors, memory",
    tools: &[CC],
    run,
};

pub const CC: Tool =
    Tool { name: "a C compiler", probe: &["cc", "--version"], how_to_get: "apt-get install gcc libc6-dev" };

pub const VALGRIND: Tool =
    Tool { name: "valgrind", probe: &["valgrind", "--version"], how_to_get: "apt-get install valgrind" };

/// What a program must link beside the static library. rustc says so; a change is one for packagers.
pub const NATIVE_LIBRARIES: &str = if cfg!(target_os = "macos") {
    "-liconv -lSystem -lc -lm"
} else {
    "-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"
};

pub const WARNINGS: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-DOSSCB_FAULT_INJECTION"];

/// An instrumented build finds other faults than valgrind does, and sooner.
pub const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

const HELPERS: [&str; 4] = ["test.c", "json.c", "support.c", "received.c"];
const SCENARIOS: [&str; 10] = [
    "scenarios.c",
    "scenarios_upload.c",
    "scenarios_failure.c",
    "scenarios_life.c",
    "scenarios_sources.c",
    "completions.c",
    "in_flight.c",
    "scenarios_vectors.c",
    "scenarios_verify.c",
    "scenarios_receive.c",
];
/// Each is a program.
const PROGRAMS: [(&str, &[&str]); 2] =
    [("boundary", &["boundary.c", "boundary_sources.c", "boundary_receive.c"]), ("scenarios", &SCENARIOS)];

/// Calls of the memory test; `OSS_CALLBACK_CALLS=100000` makes it notice 64 bytes a call.
const CALLS: &str = "3000";

fn run(run: &mut Run) -> Result<(), String> {
    run.check("include/oss_callback.h is fresh", header::run(true));
    run.check("every option, fact, cause and reason is in C and C++", names(&run.root));
    let library = static_library(run)?;
    shared_library(run)?;
    for standard in ["c99", "c11", "c17"] {
        let outcome = compile(run, "cc", standard, &["tests/c/header_twice.c"], &["-c"], "header_twice.o");
        run.check(&format!("the header as {standard}"), outcome.map(drop));
    }
    let testbed = Testbed::start(run)?;
    for (kind, flags) in [("plain", &[][..]), ("sanitized", &SANITIZERS)] {
        for (name, files) in PROGRAMS {
            let program = program(run, &library, &format!("{name}-{kind}"), files, flags)?;
            run.tests(with(&testbed, run.command(&program)))?;
            if kind == "plain" {
                valgrind(run, &testbed, &program)?;
            }
        }
    }
    let program = program(run, &library, "memory", &["memory.c"], &[])?;
    let mut memory = with(&testbed, run.command(program));
    memory.arg(std::env::var("OSS_CALLBACK_CALLS").unwrap_or_else(|_| CALLS.to_owned()));
    run.tests(memory)?;
    let mut flags = vec![library.file.to_string_lossy().into_owned()];
    flags.extend(library.native.iter().cloned());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    examples(run, &testbed, "c", |run, source, name| compile(run, "cc", "c99", &[source], &flags, name))
}

/// Builds and runs the examples as their heads say, with an application server that answers
/// `{"Status":"OK"}`.
pub fn examples(
    run: &mut Run,
    testbed: &Testbed,
    ending: &str,
    build: impl Fn(&Run, &str, &str) -> Result<PathBuf, String>,
) -> Result<(), String> {
    let app = testbed.environment.iter().find(|(name, _)| name == "APP_URL").map_or("", |(_, url)| url);
    let film = folder(run)?.join(format!("film-{ending}.mp4"));
    std::fs::write(&film, vec![7; 17 << 20]).map_err(|e| format!("{}: {e}", film.display()))?;
    for name in ["put_with_callback", "upload_file"] {
        let source = format!("ffi-c/examples/{name}.{ending}");
        let mut command =
            with(testbed, run.command(build(run, &source, &format!("example-{name}-{ending}"))?));
        command.env("CALLBACK_URL", format!("{app}/ok")).arg(&film);
        // What it says of its progress comes behind.
        let answer = |said: String| same(said.lines().next().unwrap_or_default(), r#"{"Status":"OK"}"#);
        let outcome = run.output(command).and_then(answer);
        run.check(&format!("{source} prints the application server's answer"), outcome);
    }
    let source = format!("ffi-c/examples/verify_callback.{ending}");
    let example = build(run, &source, &format!("example-verify_callback-{ending}"))?;
    // As the core's own example has it.
    let expected = "a callback about the bucket yonghu-test\nwithout its query: wrong_signature";
    let outcome = run.output(run.command(example)).and_then(|said| same(said.trim_end(), expected));
    run.check(&format!("{source} tells a callback from a changed one"), outcome);
    std::fs::remove_file(&film).map_err(|e| format!("{}: {e}", film.display()))
}

fn valgrind(run: &mut Run, testbed: &Testbed, program: &Path) -> Result<(), String> {
    if !VALGRIND.is_installed() {
        run.lacks("tests under valgrind", &VALGRIND);
        return Ok(());
    }
    let mut command = with(testbed, run.command("valgrind"));
    command.args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite"]);
    command.args(["--errors-for-leak-kinds=definite", "--error-exitcode=9"]);
    command.arg("--suppressions=tests/c/valgrind.supp").arg(program);
    run.tests(command)
}

/// Times are the scenarios' own; what a panic prints is not wanted among the tests.
pub fn with(testbed: &Testbed, mut command: Command) -> Command {
    command.envs(testbed.environment.iter().cloned()).env("RUST_BACKTRACE", "0");
    command
}

/// A static library that can be told to panic, kept where no other build replaces it, and what else must
/// be linked.
pub struct Library {
    pub file: PathBuf,
    pub native: Vec<String>,
}

pub fn folder(run: &Run) -> Result<PathBuf, String> {
    let folder = run.target.join("c");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

pub fn static_library(run: &mut Run) -> Result<Library, String> {
    let mut build = run.cargo(&["rustc", "--package", "oss-callback-ffi-c", "--lib"]);
    build.args(["--crate-type", "staticlib", "--features", "fault-injection"]);
    build.args(["--", "--print", "native-static-libs"]);
    let said = run.output(build)?;
    let native = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("note: native-static-libs: "))
        .ok_or("rustc did not say what to link")?
        .trim()
        .to_owned();
    if cfg!(target_os = "linux") {
        run.check("native libraries are those that packagers know", same(&native, NATIVE_LIBRARIES));
    }
    let file = folder(run)?.join("liboss_callback.a");
    let built = run.programs.join("liboss_callback.a");
    std::fs::copy(&built, &file).map_err(|e| format!("{}: {e}", built.display()))?;
    Ok(Library { file, native: native.split(' ').map(str::to_owned).collect() })
}

fn same(ours: &str, expected: &str) -> Result<(), String> {
    if ours == expected { Ok(()) } else { Err(format!("\n     ours {ours}\n expected {expected}")) }
}

/// What the shared library shows: the functions of `ffi-c/symbols.txt` and nothing else, and its SONAME.
fn shared_library(run: &mut Run) -> Result<(), String> {
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-ffi-c"]))?;
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let library = run.programs.join("liboss_callback.so");
    let mut nm = run.command("nm");
    nm.args(["--dynamic", "--defined-only", "--format=posix"]).arg(&library);
    let listed = run.output(nm)?;
    let header = std::fs::read_to_string(run.root.join(header::PATH)).map_err(|e| e.to_string())?;
    let mut shown: Vec<String> =
        listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    shown.extend(constants(&header));
    shown.sort_unstable();
    let outcome = pinned(&run.root.join("ffi-c/symbols.txt"), &shown);
    run.check("the shared library exports ffi-c/symbols.txt and nothing else", outcome);
    let mut readelf = run.command("readelf");
    readelf.args(["--dynamic", "--wide"]).arg(&library);
    let soname = match run.output(readelf)?.contains("[liboss_callback.so.0]") {
        true => Ok(()),
        false => Err("it is not liboss_callback.so.0".to_owned()),
    };
    run.check("the shared library has its SONAME", soname);
    Ok(())
}

/// `OSSCB_STATUS_OK = 0` and `OSSCB_CAUSE_BUSY = "busy"`: programs have these numbers and texts in them.
fn constants(header: &str) -> impl Iterator<Item = String> {
    let of_enum = |line: &str| {
        let (name, number) = line.trim().strip_suffix(',')?.split_once(" = ")?;
        (name.starts_with("OSSCB_") && number.parse::<i32>().is_ok()).then(|| format!("{name} = {number}"))
    };
    let of_text = |line: &str| {
        let (name, text) = line.strip_prefix("#define ")?.split_once(' ')?;
        (name.starts_with("OSSCB_") && text.starts_with('"')).then(|| format!("{name} = {text}"))
    };
    header.lines().filter_map(move |line| of_enum(line).or_else(|| of_text(line)))
}

/// What is new is written into the list, which then wants only a commit; what is gone breaks programs.
fn pinned(path: &Path, shown: &[String]) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (comments, pinned): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
    let gone: Vec<&&str> = pinned.iter().filter(|name| !shown.iter().any(|new| new == **name)).collect();
    if !gone.is_empty() {
        return Err(format!("gone or changed: {gone:?}, which breaks programs"));
    }
    if let Some(stranger) =
        shown.iter().find(|name| !name.starts_with("osscb_") && !name.starts_with("OSSCB_"))
    {
        return Err(format!("{stranger} is exported and has another's name"));
    }
    let new: Vec<&String> = shown.iter().filter(|name| !pinned.contains(&name.as_str())).collect();
    if new.is_empty() {
        return Ok(());
    }
    let lines = comments.into_iter().chain(shown.iter().map(String::as_str));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    Err(format!("new: {new:?}; they are now in the list: review and commit it"))
}

/// The generator writes them all; this notices one that is dropped by hand-made changes to it.
fn names(root: &Path) -> Result<(), String> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).map_err(|e| format!("{path}: {e}"));
    let (in_c, in_cpp) = (read(header::PATH)?, read("include/oss_callback/generated.hpp")?);
    let api = Api::load(root)?;
    let mut missing = Vec::new();
    for option in &api.options {
        let setter = match &option.singular {
            Some(singular) => format!("osscb_{}_options_add_{singular}(", option.group),
            None => format!("osscb_{}_options_set_{}", option.group, option.name),
        };
        if !in_c.contains(&setter) {
            missing.push(setter);
        }
        // C++ writes `template_`.
        if !in_cpp.contains(&format!(" {}{{}};", option.name))
            && !in_cpp.contains(&format!(" {}_{{}};", option.name))
        {
            missing.push(format!("{} in C++", option.name));
        }
    }
    for fact in &api.facts {
        if !in_c.contains(&format!("osscb_error_{}(", fact.name))
            || !in_cpp.contains(&format!("{}() const noexcept", fact.name))
        {
            missing.push(fact.name.clone());
        }
    }
    let causes = api.causes.iter().map(|cause| (c::cause(&cause.name), &cause.name));
    for (constant, text) in
        causes.chain(api.reasons.iter().map(|reason| (c::reason(&reason.name), &reason.name)))
    {
        if !in_c.contains(&format!("#define {constant} \"{text}\"\n"))
            || !in_cpp.contains(&format!(" {text} = {constant};"))
        {
            missing.push(constant);
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("missing: {}", missing.join(", "))) }
}

/// Compiles, and links unless `flags` say otherwise; gives the file that came out.
pub fn compile(
    run: &Run,
    compiler: &str,
    standard: &str,
    sources: &[&str],
    flags: &[&str],
    name: &str,
) -> Result<PathBuf, String> {
    let out = folder(run)?.join(name);
    let mut command = run.command(compiler);
    command.arg(format!("-std={standard}")).args(WARNINGS).args(["-g", "-O1", "-Iinclude", "-Itests/c"]);
    command.args(sources).args(flags).arg("-o").arg(&out);
    run.prepare(command)?;
    Ok(out)
}

/// A test program, in the oldest standard.
fn program(
    run: &Run,
    library: &Library,
    name: &str,
    files: &[&str],
    flags: &[&str],
) -> Result<PathBuf, String> {
    let sources: Vec<String> = files.iter().chain(&HELPERS).map(|file| format!("tests/c/{file}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let file = library.file.to_string_lossy().into_owned();
    let mut all: Vec<&str> = flags.to_vec();
    all.push(&file);
    all.extend(library.native.iter().map(String::as_str));
    compile(run, "cc", "c99", &sources, &all, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_that_is_gone_fails_and_a_new_one_is_listed() {
        let path = std::env::temp_dir().join(format!("xtask-symbols-{}.txt", std::process::id()));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        std::fs::write(&path, "# why\nosscb_a\n").unwrap();
        assert!(pinned(&path, &names(&["osscb_a"])).is_ok());
        assert!(pinned(&path, &names(&["osscb_b"])).unwrap_err().contains("gone or changed: [\"osscb_a\"]"));
        assert!(pinned(&path, &names(&["osscb_a", "stray"])).unwrap_err().contains("stray"));
        assert!(pinned(&path, &names(&["osscb_a", "osscb_b"])).unwrap_err().contains("new: [\"osscb_b\"]"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# why\nosscb_a\nosscb_b\n");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn constants_are_read_from_the_header() {
        let header = "    OSSCB_STATUS_OK = 0,\n    size_t len;\n#define OSSCB_NOW INT64_MIN\n#define OSSCB_A \"a\"\n    OSSCB_BUG = 99,\n";
        let listed: Vec<String> = constants(header).collect();
        assert_eq!(listed, ["OSSCB_STATUS_OK = 0", "OSSCB_A = \"a\"", "OSSCB_BUG = 99"]);
    }
}
