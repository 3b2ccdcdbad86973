//! A progress bar, on a terminal only.

use std::io::IsTerminal;
use std::time::Duration;

use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use oss_callback::Progress;

use crate::put::Target;
use crate::text::printable;

const KNOWN: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}{prefix}";
const UNKNOWN: &str = "{spinner} {msg} {bytes} {bytes_per_sec} ({elapsed}){prefix}";

/// The bar. A clone shows the same.
#[derive(Clone)]
pub struct Bar(ProgressBar);

impl Bar {
    /// For a source of that length, where it is known. Hidden where nobody would see it, or nobody wants to.
    pub fn new(matches: &ArgMatches, target: &Target, length: Option<u64>) -> Bar {
        if matches.get_flag("quiet") || !std::io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = if length.is_some() { KNOWN } else { UNKNOWN };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(printable(&target.to_string()).into_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Bar(bar)
    }

    /// Moves it.
    pub fn show(&self, progress: Progress) {
        self.0.set_position(progress.bytes_done);
        if Some(progress.bytes_done) == progress.bytes_total {
            // The longest wait may come now.
            self.0.set_prefix(", waiting for the application server");
        } else if let Some(parts) = progress.parts_total.filter(|parts| *parts > 0) {
            self.0.set_prefix(format!(", part {} of {parts}", progress.parts_done));
        }
    }

    /// Takes it away, so that what follows stands on a line of its own.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
