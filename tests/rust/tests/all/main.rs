//! Tests that span crates, in one binary so that there is one link step.

#[cfg(target_os = "linux")]
mod answer_poll;
mod axum;
mod axum_example;
mod callback_vectors;
mod client_data;
mod client_faults;
mod confirm;
mod crc_vectors;
mod end_to_end;
mod faults;
mod hostile;
mod in_flight;
mod kills;
mod layout;
mod looks;
mod outcomes;
mod post_forms;
mod proxies;
mod retries;
mod scenario_list;
mod scenarios;
mod scenarios_receive;
mod scenarios_upload;
mod sealed;
mod sign_vectors;
mod strict_example;
mod tls;
mod uploads;
mod vectors;
mod verify_vectors;
