//! Every Rust test of the workspace: units, vectors, scenarios, layout, documentation.

use super::Step;

pub const STEP: Step = Step {
    name: "rust",
    about: "cargo test of the whole workspace",
    tools: &[],
    run: |run| {
        let mut tests = run.cargo(&["test", "--workspace", "--no-fail-fast"]);
        if cfg!(not(unix)) {
            // The benchmarks ask Unix what they took.
            tests.args(["--exclude", "oss-callback-bench"]);
        }
        run.tests(tests)
    },
};
