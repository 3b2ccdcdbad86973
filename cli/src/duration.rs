//! Durations as people type them: a number and its unit.

use std::time::Duration;

/// The units, longest suffix first so that `ms` is not read as `s`.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Parses `500ms`, `30s`, `1.5s`, `2m` or `1h`. A bare number is refused: guessing seconds where
/// milliseconds were meant would be off by a thousand.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wanted = "write a number and its unit, such as 500ms, 30s or 2m";
    let (number, scale) = UNITS
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))
        .ok_or_else(|| wanted.to_owned())?;
    // `f64` would also take `inf`, `1e9` and `-1`.
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wanted.to_owned());
    }
    let number: f64 = number.parse().map_err(|_| wanted.to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| "is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_read() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("1.5s", 1_500), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in ["", "s", "30", "-1s", "1e9s", "infs", "1 s", "1.2.3s", "５s"] {
            assert!(parse(text).unwrap_err().contains("such as"), "{text}");
        }
        assert!(parse(&format!("{}h", "9".repeat(30))).is_err());
    }
}
