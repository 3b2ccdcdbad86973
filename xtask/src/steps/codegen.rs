//! Are the generated files what `api/*.toml` says?

use super::Step;

pub const STEP: Step = Step {
    name: "codegen",
    about: "generated files are fresh",
    tools: &[],
    run: |run| {
        let outcome = crate::codegen::run(true);
        run.check("generated files are fresh", outcome);
        Ok(())
    },
};
