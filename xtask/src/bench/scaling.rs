//! How cost grows with the work: sizes, ways, parts, and the slope of each.

use std::fmt::Write;

use super::table::{Sample, short};
use super::{Bench, output};

/// Cost must grow as the work does.
const SCALING: &[(&str, &str, &[u64])] = &[
    ("size", "bytes in one PUT", &[0, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30, 4 << 30]),
    ("ways", "PUTs of 4 KiB at once", &[1, 2, 4, 8, 16, 32, 64]),
    ("parts", "parts of 100 KiB", &[1, 10, 100, 1_000, 10_000]),
    ("part size", "bytes a part, 1 GiB from a file, 16 at once", &[128 << 10, 1 << 20, 8 << 20, 64 << 20]),
    (
        "stream parts",
        "bytes a part, 1 GiB from a stream, 4 at once",
        &[100 << 10, 1 << 20, 8 << 20, 64 << 20],
    ),
];

impl Bench<'_> {
    /// How cost grows with the work, by Rust.
    pub fn scaling(&mut self, tiny: bool) -> Result<String, String> {
        let mut text = String::from("### scaling: cost grows as the work does (Rust)\n\n");
        for (what, unit, steps) in SCALING {
            let in_parts = what.starts_with("part ") || what.starts_with("stream");
            let largest = if in_parts { 1 << 20 } else { 64 };
            let steps: Vec<u64> = steps.iter().copied().filter(|step| !tiny || *step <= largest).collect();
            let mut points: Vec<(f64, f64)> = Vec::new();
            let mut fullest = 0.0_f64;
            let _ = writeln!(text, "| {unit} | seconds | CPU, s | MiB above idle |");
            let _ = writeln!(text, "| --: | --: | --: | --: |");
            for step in steps {
                let sample = self.scaled(what, step, tiny)?;
                let per = if *what == "ways" { sample.ops as f64 } else { 1.0 };
                points.push((step as f64, sample.cpu / per));
                let above = (sample.peak_kib - sample.idle_kib) as f64 / 1024.0;
                fullest = fullest.max(above * f64::from(1 << 20) / memory_allowed(what, step));
                let _ = writeln!(
                    text,
                    "| {step} | {:.4} | {:.4} | {} |",
                    sample.seconds,
                    sample.cpu,
                    short(above)
                );
            }
            let grown = match *what {
                "ways" => "CPU of one PUT",
                _ => "CPU",
            };
            let slope = if in_parts { String::new() } else { slope(&points) };
            if !slope.is_empty() {
                let _ = write!(text, "\nSlope of {grown} over {unit}, log to log: {slope}.");
            }
            let _ = writeln!(text, "\nMost memory: {} of what it may be.\n", short(fullest));
        }
        Ok(text)
    }

    fn scaled(&mut self, what: &str, step: u64, tiny: bool) -> Result<Sample, String> {
        let endpoint = format!("endpoint={}", self.sink.places.plain);
        let command = match what {
            "ways" => {
                let given = [endpoint, format!("ways={step}"), format!("n={}", 2000 * step.min(16))];
                self.programs.command("rust", "put", &given)?
            }
            "parts" => {
                let file = format!("file={}", self.data(step * (100 << 10))?.display());
                let given = [endpoint, file, format!("part={}", 100 << 10), "ways=4".to_owned()];
                self.programs.command("rust", "multipart", &given)?
            }
            "part size" | "stream parts" => {
                let whole = self.data(if tiny { (16 << 20) + 5 } else { 1 << 30 })?;
                let source = if what == "part size" { "source=file" } else { "source=stream" };
                let ways = if what == "part size" { "ways=16" } else { "ways=4" };
                let given = [endpoint, format!("file={}", whole.display()), format!("part={step}")];
                let given = [&given[..], &[source.to_owned(), ways.to_owned()]].concat();
                self.programs.command("rust", "multipart", &given)?
            }
            _ => {
                let given = [endpoint, format!("file={}", self.data(step)?.display())];
                self.programs.command("rust", "put-file", &given)?
            }
        };
        output(command)
    }
}

/// What may be in memory beyond what an idle client has: parts under way, one that lies ready and one that
/// is being read, if they must be in memory at all, and 16 MiB.
fn memory_allowed(what: &str, step: u64) -> f64 {
    let parts = match what {
        "part size" => (16 + 2) * step,
        "stream parts" => (4 + 2) * step,
        "parts" => (4 + 2) * (100 << 10),
        _ => 0,
    };
    (parts + (16 << 20)) as f64
}

/// By how much the cost grows, where the work does: 1 is in proportion. Only where the work outweighs what
/// every call costs: the upper half of the steps.
fn slope(points: &[(f64, f64)]) -> String {
    let upper = &points[points.len() / 2..];
    let (Some(first), Some(last)) = (upper.first(), upper.last()) else { return "unknown".to_owned() };
    if first.0 <= 0.0 || first.1 <= 0.0 || last.1 <= 0.0 || last.0 <= first.0 {
        return "unknown".to_owned();
    }
    short((last.1 / first.1).ln() / (last.0 / first.0).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_in_proportion_has_slope_one() {
        assert_eq!(slope(&[(1.0, 5.0), (10.0, 6.0), (100.0, 60.0), (1000.0, 600.0)]), "1.00");
        assert_eq!(slope(&[(10.0, 1.0), (10.0, 1.0)]), "unknown");
        assert_eq!(slope(&[]), "unknown");
    }
}
