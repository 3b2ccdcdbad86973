//! Tests that span crates, in one binary so that there is one link step.

mod callback_vectors;
mod client_faults;
mod verify_vectors;
