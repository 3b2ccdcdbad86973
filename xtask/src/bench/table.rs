//! From runs to a table: medians, spreads, and ratios paired within a round.

use std::fmt::Write;

use serde::Deserialize;

use super::workloads::{Pair, Unit, Workload, label};

const GIB: f64 = (1_u64 << 30) as f64;

/// What a driver printed.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Sample {
    pub ops: u64,
    pub bytes: u64,
    pub seconds: f64,
    pub cpu: f64,
    pub idle_kib: i64,
    pub peak_kib: i64,
}

/// A driver's runs, one for each round.
pub struct Row {
    pub who: &'static str,
    pub samples: Vec<Sample>,
}

/// Least, median, largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { least, median, most })
    }
}

impl Unit {
    /// The figure of a row, and how it is called.
    fn figure(self, sample: &Sample) -> f64 {
        match self {
            Unit::Rate => sample.ops as f64 / sample.seconds,
            Unit::Bytes => sample.bytes as f64 / GIB / sample.seconds,
            Unit::Time => sample.seconds * 1e3 / sample.ops as f64,
        }
    }

    fn cpu(self, sample: &Sample) -> f64 {
        match self {
            Unit::Rate => sample.cpu * 1e6 / sample.ops as f64,
            Unit::Bytes => sample.cpu * GIB / sample.bytes as f64,
            Unit::Time => sample.cpu * 1e3 / sample.ops as f64,
        }
    }

    fn heads(self) -> (&'static str, &'static str) {
        match self {
            Unit::Rate => ("per second", "CPU, µs each"),
            Unit::Bytes => ("GiB/s", "CPU, s/GiB"),
            Unit::Time => ("ms", "CPU, ms"),
        }
    }
}

/// A few digits, however large it is.
pub fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 10_000.0 => format!("{}", (value / 10.0).round() * 10.0),
        large if large >= 100.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        large if large >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// One workload's section.
pub fn section(workload: &Workload, rows: &[Row]) -> String {
    let unit = workload.unit;
    let (figure, cpu) = unit.heads();
    let mut text = format!("### {}: {}\n\n", workload.name, workload.title);
    let _ = writeln!(text, "| | {figure} | lowest–highest | {cpu} | peak MiB | above idle |");
    let _ = writeln!(text, "| --- | --: | --: | --: | --: | --: |");
    for row in rows {
        let Some(spread) = Spread::of(row.samples.iter().map(|sample| unit.figure(sample))) else { continue };
        let median = |of: &dyn Fn(&Sample) -> f64| {
            Spread::of(row.samples.iter().map(of)).map_or(String::new(), |spread| short(spread.median))
        };
        let mib = |kib: i64| kib as f64 / 1024.0;
        let _ = writeln!(
            text,
            "| {} | {} | {}–{} | {} | {} | {} |",
            label(row.who),
            short(spread.median),
            short(spread.least),
            short(spread.most),
            median(&|sample| unit.cpu(sample)),
            median(&|sample| mib(sample.peak_kib)),
            if unit == Unit::Time { "".to_owned() } else { median(&|s| mib(s.peak_kib - s.idle_kib)) },
        );
    }
    let pairs: Vec<String> =
        workload.pairs.iter().filter_map(|pair| comparison(workload, rows, pair)).collect();
    if !pairs.is_empty() {
        text += "\n| how many times as fast | median | lowest–highest | floor | goal | |\n";
        text += "| --- | --: | --: | --: | --: | --- |\n";
        text += &pairs.concat();
    }
    text + "\n"
}

fn comparison(workload: &Workload, rows: &[Row], pair: &Pair) -> Option<String> {
    let ratio = ratio(workload, rows, pair)?;
    let promised = |value: f64| if value > 0.0 { value.to_string() } else { "–".to_owned() };
    let verdict = match ratio.median {
        // What lies between a goal and no floor is neither.
        _ if pair.floor == 0.0 && pair.goal == 0.0 => "",
        median if pair.goal > 0.0 && median >= pair.goal => "goal reached",
        median if median < pair.floor => "**below floor**",
        _ => "floor holds",
    };
    Some(format!(
        "| {} / {} | {} | {}–{} | {} | {} | {verdict} |\n",
        label(pair.ours),
        label(pair.other),
        short(ratio.median),
        short(ratio.least),
        short(ratio.most),
        promised(pair.floor),
        promised(pair.goal),
    ))
}

/// What a start takes above another is not told more finely: the machine itself is that much faster or slower.
const LEAST_MS: f64 = 1.0;

/// Round by round, so that what slows the machine down for a while slows both.
pub fn ratio(workload: &Workload, rows: &[Row], pair: &Pair) -> Option<Spread> {
    let of = |who: &str| rows.iter().find(|row| row.who == who).map(|row| &row.samples);
    let (ours, other) = (of(pair.ours)?, of(pair.other)?);
    // Told above the bare interpreter's time, of which a start takes more or less by as much as an import
    // costs: its median, and the ratio of the medians.
    let bare = workload.over.and_then(of).and_then(|bare| middle(workload, bare)).unwrap_or(0.0);
    let ratio = |ours: f64, other: f64| match workload.unit {
        Unit::Time => (other - bare) / (ours - bare).max(LEAST_MS),
        _ => ours / other,
    };
    let figure = |sample: &Sample| workload.unit.figure(sample);
    let rounds = ours.iter().zip(other).map(|(ours, other)| ratio(figure(ours), figure(other)));
    let mut spread = Spread::of(rounds)?;
    if workload.over.is_some() {
        spread.median = ratio(middle(workload, ours)?, middle(workload, other)?);
    }
    Some(spread)
}

fn middle(workload: &Workload, samples: &[Sample]) -> Option<f64> {
    Spread::of(samples.iter().map(|sample| workload.unit.figure(sample))).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workloads::WORKLOADS;

    fn row(who: &'static str, rates: &[f64]) -> Row {
        let sample = |rate: &f64| Sample {
            ops: (rate * 10.0) as u64,
            bytes: 0,
            seconds: 10.0,
            cpu: 1.0,
            idle_kib: 1024,
            peak_kib: 3072,
        };
        Row { who, samples: rates.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_are_paired_within_a_round() {
        let workload = WORKLOADS.iter().find(|workload| workload.name == "put-1").unwrap();
        // A machine that was half as fast in the second round.
        let rows = [row("rust", &[200.0, 100.0, 220.0]), row("rust-opendal", &[100.0, 50.0, 100.0])];
        let ratio = ratio(workload, &rows, &workload.pairs[0]).unwrap();
        assert_eq!(ratio, Spread { least: 2.0, median: 2.0, most: 2.2 });
        assert!(section(workload, &rows).contains("| 2.00 | 2.00–2.20 | 1.2 | 1.8 | goal reached |"));
        let slower = [row("rust", &[100.0]), row("rust-opendal", &[100.0])];
        assert!(section(workload, &slower).contains("**below floor**"));
    }

    #[test]
    fn times_are_compared_above_the_bare_interpreter() {
        let workload = WORKLOADS.iter().find(|workload| workload.name == "import-python").unwrap();
        let timed = |who, ms: f64| {
            let mut row = row(who, &[1.0]);
            row.samples[0].seconds = ms * row.samples[0].ops as f64 / 1e3;
            row
        };
        let rows = [timed("bare-python", 20.0), timed("python", 25.0), timed("oss2", 120.0)];
        let ratio = ratio(workload, &rows, &workload.pairs[0]).unwrap();
        assert!((ratio.median - 20.0).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn the_median_of_an_even_number_lies_in_between() {
        let spread = Spread::of([4.0, 1.0, 2.0, f64::NAN, 3.0].into_iter()).unwrap();
        assert_eq!(spread, Spread { least: 1.0, median: 2.5, most: 4.0 });
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
