use oss_callback::{CallbackBuilder, ClientBuilder, OptionInfo, OptionType, PutOptions};

use super::support::{oss_callback, outcome};

fn help(args: &[&str]) -> String {
    let (stdout, stderr) = outcome(&mut oss_callback(args.iter().copied()), 0);
    assert_eq!(stderr, "");
    stdout
}

/// The flag that a person would expect for an option.
fn expected(prefix: &str, option: &OptionInfo) -> String {
    let name = option.name.replace('_', "-");
    let name = if option.ty == OptionType::Map { name.trim_end_matches('s') } else { &name };
    if option.name == "vars" { format!("--{name}") } else { format!("--{prefix}{name}") }
}

#[test]
fn help_of_put_lists_every_option_and_no_secret() {
    let help = help(&["put", "--help"]);
    let lists =
        [("callback-", CallbackBuilder::OPTIONS), ("", PutOptions::OPTIONS), ("", ClientBuilder::OPTIONS)];
    let listed = |flag: &str| {
        help.lines().any(|line| {
            let rest = line.trim_start().strip_prefix(flag);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '[']))
        })
    };
    for (prefix, options) in lists {
        for option in options {
            let flag = expected(prefix, option);
            let secrets = ["access_key_id", "access_key_secret", "security_token", "credentials_uri"];
            let secret = secrets.contains(&option.name);
            assert_eq!(listed(&flag), !secret, "{flag} in:\n{help}");
        }
    }
    assert!(listed("--callback-url") && listed("--json"));
}

#[test]
fn help_of_put_teaches_by_examples_and_tells_the_exit_codes() {
    let help = help(&["put", "--help"]);
    for part in
        ["Examples:", "--var order=1024", "Exit codes:", "the object IS stored", "OSS_ACCESS_KEY_SECRET"]
    {
        assert!(help.contains(part), "`{part}` is missing in:\n{help}");
    }
}

#[test]
fn help_of_the_whole_says_where_to_start() {
    let help = help(&["--help"]);
    for command in ["demo", "serve", "put", "listen", "explain", "completions"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in:\n{help}");
    }
    assert!(help.contains("Start here:"), "{help}");
}

#[test]
fn completions_know_the_derived_flags_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = help(&["completions", shell]);
        assert!(script.contains("callback-body-type"), "{shell}");
    }
}

#[test]
fn a_mistyped_flag_or_command_is_answered_with_the_right_one() {
    let (_, stderr) = outcome(&mut oss_callback(["put", "f", "oss://b/k", "--calback-url", "http://a/"]), 2);
    assert!(stderr.contains("--callback-url"), "{stderr}");
    let (_, stderr) = outcome(&mut oss_callback(["sreve"]), 2);
    assert!(stderr.contains("serve"), "{stderr}");
}
