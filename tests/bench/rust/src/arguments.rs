//! The drivers' command line, the same in every language: `driver WHO WORKLOAD name=value…`.

use std::collections::HashMap;
use std::str::FromStr;

/// What a driver was asked to do.
#[derive(Debug)]
pub struct Arguments {
    /// Which of the driver's implementations shall work.
    pub who: String,
    /// What it shall do.
    pub workload: String,
    named: HashMap<String, String>,
}

impl Arguments {
    /// Of this process.
    ///
    /// # Errors
    /// If there are fewer than two, or one has no name.
    pub fn read() -> Result<Arguments, String> {
        let mut words = std::env::args().skip(1);
        let usage = "usage: driver WHO WORKLOAD name=value...";
        let (who, workload) = (words.next().ok_or(usage)?, words.next().ok_or(usage)?);
        let mut named = HashMap::new();
        for word in words {
            let (name, value) = word.split_once('=').ok_or(usage)?;
            named.insert(name.to_owned(), value.to_owned());
        }
        Ok(Arguments { who, workload, named })
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// If it is not.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        self.find(name).ok_or_else(|| format!("{name}= is missing"))
    }

    /// A value that may be there.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    /// A number, or `default`.
    ///
    /// # Errors
    /// If it is none.
    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.find(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{name}={text} is not a number")),
        }
    }
}
