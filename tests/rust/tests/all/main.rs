//! Tests that span crates, in one binary so that there is one link step.

mod callback_vectors;
mod client_data;
mod client_faults;
mod crc_vectors;
mod end_to_end;
mod layout;
mod scenario_list;
mod scenarios;
mod sign_vectors;
mod vectors;
mod verify_vectors;
