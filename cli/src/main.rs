//! The `oss-callback` command: shows uploads with a callback (`demo`), plays OSS on this machine (`serve`)
//! or the application server that it calls (`listen`), makes uploads (`put`), and tells what callbacks mean
//! (`explain`). It decides nothing about OSS itself; that is the library's and the
//! emulator's.

mod app_server;
mod demo;
mod duration;
mod explain;
mod failure;
mod flags;
mod interrupt;
mod listen;
mod local_oss;
mod progress;
mod put;
mod serve;
mod stderr;
mod story;
mod text;
mod trust;

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use failure::Failure;
use text::{Warnings, tell};

const START: &str = "Start here:
  oss-callback demo                  see one upload with a callback, hop by hop, offline
  oss-callback serve                 run an OSS of your own that really calls back
  oss-callback listen --emulator     run an application server for it to call
  oss-callback put FILE oss://BUCKET/KEY --callback-url URL";

const COMPLETIONS: &str = "Examples:
  oss-callback completions bash > ~/.local/share/bash-completion/completions/oss-callback
  oss-callback completions zsh > \"${fpath[1]}/_oss-callback\"
  oss-callback completions fish > ~/.config/fish/completions/oss-callback.fish";

fn cli() -> Command {
    Command::new("oss-callback")
        .about("Upload to Alibaba Cloud OSS and have OSS call your application server")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(START)
        .subcommand(demo::command())
        .subcommand(serve::command())
        .subcommand(put::command())
        .subcommand(listen::command())
        .subcommand(explain::command())
        .subcommand(
            Command::new("completions")
                .about("Print the completion script of a shell")
                .after_long_help(COMPLETIONS)
                .arg(Arg::new("SHELL").required(true).value_parser(value_parser!(Shell))),
        )
}

fn main() -> ExitCode {
    if !oss_callback::log_by_environment_to(|line| tell(line)) {
        Warnings::install();
    }
    let matches = match cli().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    let result = match matches.subcommand() {
        Some(("demo", _)) => demo::run(),
        Some(("serve", matches)) => serve::run(matches),
        Some(("put", matches)) => put::run(matches),
        Some(("listen", matches)) => listen::run(matches),
        Some(("explain", matches)) => explain::run(matches),
        Some(("completions", matches)) => completions(matches),
        // clap lets no other name through.
        _ => Err(Failure::usage("no such command")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(failure.to_text());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Help and version are no errors; of the others a program that asked for JSON gets JSON.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ");
        // What cannot be written here is still told on standard error and by the exit code.
        let _ = put::print_line(&Failure::usage(message).to_json());
    }
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Writes to standard output. `println!` would panic where a reader has gone away.
fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}

fn completions(matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(shell) = matches.get_one::<Shell>("SHELL") {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut cli(), "oss-callback", &mut script);
        write_out(&script)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::cli().debug_assert();
    }
}
