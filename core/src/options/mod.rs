//! The options of clients, uploads and callbacks, generated from `api/options.toml`, and the by-name
//! way to set them that every other language uses.

mod generated;
mod value;

pub use generated::*;
pub use value::{OptionInfo, OptionType, OptionValue, unknown_option};
pub(crate) use value::{distance, positive};
