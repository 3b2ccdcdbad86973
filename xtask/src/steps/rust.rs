//! Every Rust test of the workspace: units, vectors, scenarios, layout, documentation.

use super::Step;

pub const STEP: Step = Step {
    name: "rust",
    about: "cargo test of the whole workspace",
    tools: &[],
    run: |run| run.tests(run.cargo(&["test", "--workspace", "--no-fail-fast"])),
};
