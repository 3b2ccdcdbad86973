//! `cargo xtask test`: runs the chosen steps, counts their tests, and closes with one line.

use std::time::{Duration, Instant};

use crate::runner::Run;
use crate::steps::{STEPS, Step, Tool};
use crate::tally::Tally;

/// Runs the steps named in `args`, or all. `Err` is a wrong call; failed tests are `Ok(false)`.
pub fn run(args: &[&str]) -> Result<bool, String> {
    if args.contains(&"--list") {
        list();
        return Ok(true);
    }
    let chosen = choose(args)?;
    let in_ci = in_ci(ci_variable().as_deref());
    let mut rows = Vec::new();
    for step in chosen {
        println!("==> {}: {}", step.name, step.about);
        let start = Instant::now();
        rows.push((step.name, run_step(step, in_ci)?, start.elapsed()));
    }
    let mut total = Tally::default();
    println!();
    for (name, tally, time) in rows {
        println!("{}", row(name, tally, time));
        total += tally;
    }
    println!("{total}");
    Ok(total.failed == 0)
}

fn choose(args: &[&str]) -> Result<Vec<&'static Step>, String> {
    for arg in args {
        if !STEPS.iter().any(|step| step.name == *arg) {
            let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            return Err(format!("there is no step `{arg}`; steps: {}", known.join(", ")));
        }
    }
    Ok(STEPS.iter().filter(|step| args.is_empty() || args.contains(&step.name)).collect())
}

fn run_step(step: &Step, in_ci: bool) -> Result<Tally, String> {
    if let Some(tool) = step.tools.iter().find(|tool| !tool.is_installed()) {
        return Ok(lack(step.name, tool, in_ci));
    }
    let mut run = Run::new()?;
    if let Err(message) = (step.run)(&mut run) {
        println!("FAIL {}: {message}", step.name);
        run.tally += Tally::FAILED;
    }
    Ok(run.tally)
}

/// On a laptop a missing tool skips what needs it; in CI nobody would see that.
fn lack(what: &str, tool: &Tool, in_ci: bool) -> Tally {
    let verdict = if in_ci { "FAIL" } else { "SKIP" };
    println!("{verdict} {what}: {} is not installed ({})", tool.name, tool.how_to_get);
    if in_ci { Tally::FAILED } else { Tally::SKIPPED }
}

/// A tool that only a part of a step needs is missing.
pub fn lack_in_part(what: &str, tool: &Tool) -> Tally {
    lack(what, tool, in_ci(ci_variable().as_deref()))
}

fn ci_variable() -> Option<String> {
    std::env::var("CI").ok()
}

fn in_ci(value: Option<&str>) -> bool {
    !matches!(value, None | Some("" | "0" | "false"))
}

fn row(name: &str, tally: Tally, time: Duration) -> String {
    let verdict = match tally {
        Tally { failed: 1.., .. } => "FAIL",
        Tally { passed: 0, .. } => "SKIP",
        _ => "ok  ",
    };
    format!("{verdict} {name:<10} {tally} in {:.1} s", time.as_secs_f64())
}

fn list() {
    for step in STEPS {
        let needs: Vec<&str> = step.tools.iter().map(|tool| tool.name).collect();
        let needs = if needs.is_empty() { String::new() } else { format!(" (needs {})", needs.join(", ")) };
        println!("{:<10} {}{needs}", step.name, step.about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Tool =
        Tool { name: "frobnicator", probe: &["no-such-program-at-all"], how_to_get: "not at all" };

    fn step(tools: &'static [Tool], run: fn(&mut Run) -> Result<(), String>) -> Step {
        Step { name: "try", about: "", tools, run }
    }

    #[test]
    fn a_missing_tool_skips_on_a_laptop_and_fails_in_ci() {
        let needs = step(&[ABSENT], |_| panic!("must not run"));
        assert_eq!(run_step(&needs, false).unwrap(), Tally::SKIPPED);
        assert_eq!(run_step(&needs, true).unwrap(), Tally::FAILED);
        assert!(in_ci(Some("true")) && in_ci(Some("1")));
        assert!(!in_ci(None) && !in_ci(Some("")) && !in_ci(Some("false")));
    }

    #[test]
    fn a_step_that_breaks_is_a_failure_beside_what_it_counted() {
        let breaks = step(&[], |run| {
            run.check("first", Ok(()));
            Err("broken".into())
        });
        assert_eq!(run_step(&breaks, false).unwrap(), Tally { passed: 1, failed: 1, skipped: 0 });
    }

    #[test]
    fn steps_run_in_the_order_of_the_table_and_unknown_ones_are_refused() {
        let names: Vec<&str> = choose(&["rust", "codegen"]).unwrap().iter().map(|s| s.name).collect();
        assert_eq!(names, ["codegen", "rust"]);
        assert_eq!(choose(&[]).unwrap().len(), STEPS.len());
        assert!(choose(&["rusty"]).err().unwrap().contains("codegen, rust"));
    }

    #[test]
    fn the_closing_line_has_the_form_that_tools_read() {
        assert_eq!(Tally { passed: 3, failed: 0, skipped: 1 }.to_string(), "3 passed, 0 failed, 1 skipped");
    }
}
