//! What is told on standard error: nothing that came over a network may steer the terminal, and colour only
//! where a person looks.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::flags::warning_in_flags;
pub use crate::stderr::tell;

/// The text with control characters made visible, line breaks included.
pub fn printable(text: &str) -> Cow<'_, str> {
    // U+202A… and U+2066… reorder what is shown around them.
    let odd = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if odd(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Colours for standard error.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// Colour on a terminal that can show it, unless `NO_COLOR` asks for none.
    pub fn for_stderr() -> Paint {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Paint(std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb)
    }

    fn with(self, code: &str, text: impl fmt::Display) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// For headings.
    pub fn bold(self, text: impl fmt::Display) -> String {
        self.with("1", text)
    }

    /// For what may be skipped.
    pub fn dim(self, text: impl fmt::Display) -> String {
        self.with("2", text)
    }

    /// For what went well.
    pub fn green(self, text: impl fmt::Display) -> String {
        self.with("32", text)
    }

    /// For what went wrong.
    pub fn red(self, text: impl fmt::Display) -> String {
        self.with("31", text)
    }
}

/// Shows the library's warnings on standard error.
#[derive(Debug)]
pub struct Warnings;

static SILENT: AtomicBool = AtomicBool::new(false);

impl Warnings {
    /// Shows them no more. A log that the environment asks for goes on.
    pub fn silence() {
        SILENT.store(true, Ordering::Relaxed);
    }

    /// Installs it for the process.
    pub fn install() {
        // Fails only when a logger is there already, which then shows them.
        if log::set_logger(&Warnings).is_ok() {
            log::set_max_level(log::LevelFilter::Warn);
        }
    }
}

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn && metadata.target().starts_with("oss_callback")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) && !SILENT.load(Ordering::Relaxed) {
            let text = warning_in_flags(&record.args().to_string());
            tell(format_args!("warning: {}", printable(&text)));
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(printable("a\u{1b}[2Jb\r\n\u{202e}c"), "a\\u{1b}[2Jb\\r\\n\\u{202e}c");
        assert_eq!(printable("对象 ok"), "对象 ok");
    }
}
