//! Counts tests by the closing lines of their runners: cargo test, unittest, pytest, node --test,
//! go test -v, and that of tests/c. Every rule is unlike the others, so one counter reads them all, and a step need not say
//! which runner it calls.

use std::{fmt, ops::AddAssign};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Tally {
    pub const PASSED: Tally = Tally { passed: 1, failed: 0, skipped: 0 };
    pub const FAILED: Tally = Tally { passed: 0, failed: 1, skipped: 0 };
    pub const SKIPPED: Tally = Tally { passed: 0, failed: 0, skipped: 1 };

    pub fn is_empty(self) -> bool {
        self == Tally::default()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Reads a runner's output line by line.
#[derive(Default)]
pub struct Counter {
    pub tally: Tally,
    /// unittest says in one line how many tests ran, and in the next but one how they went.
    unittest_ran: Option<u64>,
}

impl Counter {
    pub fn line(&mut self, raw: &str) {
        let line = without_colours(raw);
        let line = line.trim_end();
        if let Some(ran) = unittest_ran(line) {
            self.unittest_ran = Some(ran);
            return;
        }
        if let Some(ran) = self.unittest_ran
            && let Some(tally) = unittest_verdict(line, ran)
        {
            self.unittest_ran = None;
            self.tally += tally;
            return;
        }
        if let Some(tally) = cargo(line)
            .or_else(|| node(line))
            .or_else(|| go(line))
            .or_else(|| pytest(line))
            .or_else(|| c(line))
        {
            self.tally += tally;
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn cargo(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        match part.split_once(' ') {
            Some((n, "passed")) => tally.passed = n.parse().ok()?,
            Some((n, "failed")) => tally.failed = n.parse().ok()?,
            Some((n, "ignored")) => tally.skipped = n.parse().ok()?,
            _ => {}
        }
    }
    Some(tally)
}

/// `Ran 3 tests in 0.1s`
fn unittest_ran(line: &str) -> Option<u64> {
    let (n, rest) = line.strip_prefix("Ran ")?.split_once(' ')?;
    (rest.starts_with("test in ") || rest.starts_with("tests in ")).then(|| n.parse().ok())?
}

/// `OK`, `OK (skipped=1)` or `FAILED (failures=1, errors=1)`
fn unittest_verdict(line: &str, ran: u64) -> Option<Tally> {
    let word = line.split(' ').next()?;
    if !["OK", "FAILED", "NO"].contains(&word) {
        return None;
    }
    let mut tally = Tally::default();
    if let Some((_, inside)) = line.split_once('(') {
        for part in inside.trim_end_matches(')').split(", ") {
            let (name, n) = part.split_once('=')?;
            let n: u64 = n.parse().ok()?;
            match name {
                "failures" | "errors" | "unexpected successes" => tally.failed += n,
                "skipped" => tally.skipped += n,
                _ => {}
            }
        }
    }
    tally.passed = ran.saturating_sub(tally.failed + tally.skipped);
    Some(tally)
}

/// `# pass 3` (TAP) or `ℹ pass 3` (spec), and the same with fail, cancelled, skipped and todo
fn node(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    let (word, n) = rest.split_once(' ')?;
    let n: u64 = n.parse().ok()?;
    match word {
        "pass" => Some(Tally { passed: n, ..Tally::default() }),
        "fail" | "cancelled" => Some(Tally { failed: n, ..Tally::default() }),
        "skipped" | "todo" => Some(Tally { skipped: n, ..Tally::default() }),
        _ => None,
    }
}

/// `--- PASS: TestName (0.00s)`; the indented lines of subtests belong to their test.
fn go(line: &str) -> Option<Tally> {
    let (verdict, _) = line.strip_prefix("--- ")?.split_once(": ")?;
    match verdict {
        "PASS" => Some(Tally::PASSED),
        "FAIL" => Some(Tally::FAILED),
        "SKIP" => Some(Tally::SKIPPED),
        _ => None,
    }
}

/// `===== 1 failed, 5 passed, 1 skipped in 0.12s =====`, without the bars under `-q`
fn pytest(line: &str) -> Option<Tally> {
    let (counts, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    time.split(' ').next()?.strip_suffix('s')?.parse::<f64>().ok()?;
    let mut tally = Tally::default();
    for part in counts.split(", ") {
        let (n, word) = part.split_once(' ')?;
        let n: u64 = n.parse().ok()?;
        match word {
            "passed" | "xfailed" => tally.passed += n,
            "failed" | "error" | "errors" | "xpassed" => tally.failed += n,
            "skipped" => tally.skipped += n,
            "deselected" | "warning" | "warnings" | "rerun" => {}
            _ => return None,
        }
    }
    Some(tally)
}

/// `3 passed, 1 failed`, and no more on the line
fn c(line: &str) -> Option<Tally> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Tally { passed: passed.parse().ok()?, failed: failed.parse().ok()?, skipped: 0 })
}

/// Drops terminal colours, which some runners print into pipes too.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(output: &str) -> (u64, u64, u64) {
        let mut counter = Counter::default();
        output.lines().for_each(|line| counter.line(line));
        (counter.tally.passed, counter.tally.failed, counter.tally.skipped)
    }

    #[test]
    fn cargo_results_add_up_over_binaries_and_colours() {
        let output = "running 4 tests\ntest a ... ok\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: \u{1b}[31mFAILED\u{1b}[0m. 2 passed; 5 failed; 0 ignored; 0 measured; 9 filtered out";
        assert_eq!(count(output), (5, 5, 1));
    }

    #[test]
    fn unittest_failures_and_skips_are_not_passes() {
        assert_eq!(count("Ran 3 tests in 0.1s\n\nOK\n"), (3, 0, 0));
        assert_eq!(count("Ran 1 test in 0.1s\n\nOK (skipped=1)\n"), (0, 0, 1));
        assert_eq!(count("Ran 5 tests in 2.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n"), (1, 3, 1));
        assert_eq!(count("Ran 0 tests in 0.0s\n\nFAILED (errors=1)\n"), (0, 1, 0));
        assert_eq!(count("Ran 0 tests in 0.0s\n\nNO TESTS RAN\n"), (0, 0, 0));
    }

    #[test]
    fn an_ok_without_a_run_counts_nothing() {
        assert_eq!(count("OK\nFAILED (failures=1)\nRan out of memory in the tests in 3s\n"), (0, 0, 0));
    }

    #[test]
    fn both_node_reporters_are_read() {
        assert_eq!(count("# tests 6\n# pass 3\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n"), (3, 2, 1));
        assert_eq!(count("ℹ tests 2\nℹ pass 2\nℹ fail 0\n"), (2, 0, 0));
    }

    #[test]
    fn pytest_closing_lines_count_with_and_without_bars() {
        assert_eq!(count("==== 1 failed, 5 passed, 2 skipped, 1 warning in 0.12s ===="), (5, 1, 2));
        assert_eq!(count("7 passed, 1 error in 61.02s (0:01:01)"), (7, 1, 0));
        assert_eq!(count("waited 3 times in 0.1s\n2 passed, 0 failed, 1 skipped"), (0, 0, 0));
    }

    #[test]
    fn the_last_line_of_the_c_tests_is_read() {
        assert_eq!(count("ok a\nnot ok b\n1 passed, 1 failed\n"), (1, 1, 0));
        assert_eq!(count("in all 1 passed, 1 failed\n1 passed, 1 failed, 1 skipped\n"), (0, 0, 0));
    }

    #[test]
    fn go_counts_top_level_tests_only() {
        let output = "=== RUN   TestA\n    --- PASS: TestA/one (0.00s)\n--- PASS: TestA (0.00s)\n\
            --- FAIL: TestB (0.01s)\n--- SKIP: TestC (0.00s)\nok  \texample\t0.1s";
        assert_eq!(count(output), (1, 1, 1));
    }
}
