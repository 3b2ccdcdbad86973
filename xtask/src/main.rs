//! The project's own commands: `cargo xtask <command>`. CI runs nothing that a laptop cannot.

mod bench;
mod codegen;
mod header;
mod install;
mod markdown;
mod runner;
mod serve;
mod steps;
mod tally;
mod test;
mod testbed;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  bench [WORKLOAD…] [--peers]
                      measure ours, beside others with --peers, and write a table; `bench --list`
  codegen [--check]   write the files generated from api/*.toml; with --check, fail when one is stale
  header [--check]    write include/oss_callback.h from ffi-c/; with --check, fail when it is stale
  install --prefix P [--profile dev]
                      build the C library and put it into P with headers, pkg-config and CMake files
  test [STEP…]        run every test, or those of the named steps, and count them
  test --list         name the steps, and what each needs
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["bench", rest @ ..] => bench::run(rest),
        ["codegen"] => codegen::run(false),
        ["codegen", "--check"] => codegen::run(true),
        ["header"] => header::run(false),
        ["header", "--check"] => header::run(true),
        ["install", rest @ ..] => install::run(rest),
        ["test", rest @ ..] => match test::run(rest) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(message) => Err(message),
        },
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root, wherever the command was called from.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies one level below the root")
        .to_path_buf()
}
