//! The step of `cargo xtask test`: every workload once, tiny, ours only, and what can be counted without a
//! clock: connections, requests, bytes, allocations, instructions.

use std::process::Command;

use super::sink::Counts;
use super::table::Sample;
use super::workloads::{WORKLOADS, Workload, is_peer};
use super::{Bench, Options};
use crate::runner::Run;
use crate::steps::{GO, NODE, PYTHON, Step, Tool, VALGRIND};

pub const STEP: Step = Step {
    name: "bench",
    about: "the benchmarks once, tiny: connections, requests, bytes, allocations and instructions",
    tools: &[],
    run,
};

const CC: Tool = Tool { name: "cc", probe: &["cc", "--version"], how_to_get: "your system's packages" };

/// Allocations of one PUT with a callback on a warm client. Fewer are welcome: then lower it.
const ALLOCATIONS_PER_PUT: f64 = 69.0;
const ALLOCATIONS_SLACK: f64 = 4.0;

/// Instructions of one PUT in the development build, by callgrind: the same to a few in a million, run after
/// run. Compilers differ by less than the slack.
const INSTRUCTIONS_PER_PUT: f64 = 673_592.0;
const INSTRUCTIONS_SLACK: f64 = 0.1;

fn run(run: &mut Run) -> Result<(), String> {
    if cfg!(not(unix)) {
        println!("SKIP bench: the drivers ask Unix what they took");
        run.tally += crate::tally::Tally::SKIPPED;
        return Ok(());
    }
    let mut checks = Vec::new();
    let mut lacking: Vec<&Tool> = Vec::new();
    {
        let run: &Run = run;
        let options = Options::parse(&["--tiny"])?;
        let mut bench = Bench::new(run, false, &options)?;
        for workload in WORKLOADS {
            for who in workload.who.iter().filter(|who| !is_peer(who)) {
                match tool_of(who).filter(|tool| !tool.is_installed()) {
                    Some(tool) if lacking.iter().any(|known| known.name == tool.name) => {}
                    Some(tool) => lacking.push(tool),
                    None => {
                        let outcome = once(&mut bench, workload, who);
                        checks.push((format!("bench {} {who}", workload.name), outcome));
                    }
                }
            }
        }
        checks.push(("bench allocations of a PUT".to_owned(), allocations(&bench)));
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            match VALGRIND.is_installed() {
                true => checks.push(("bench instructions of a PUT".to_owned(), instructions(&bench))),
                false => lacking.push(&VALGRIND),
            }
        }
    }
    for tool in lacking {
        run.lacks("bench", tool);
    }
    for (name, outcome) in checks {
        run.check(&name, outcome);
    }
    Ok(())
}

fn tool_of(who: &str) -> Option<&'static Tool> {
    match who {
        "c" => Some(&CC),
        "go" => Some(&GO),
        "python" | "python-aio" | "bare-python" => Some(&PYTHON),
        "node" | "bare-node" => Some(&NODE),
        _ => None,
    }
}

fn once(bench: &mut Bench<'_>, workload: &'static Workload, who: &'static str) -> Result<(), String> {
    let before = bench.sink.counts()?;
    let sample = bench.sample(workload, who)?;
    let counts = bench.sink.counts()?.since(before);
    expect(workload, who, &sample, counts).map_err(|message| format!("{message}: {counts:?}, {sample:?}"))
}

fn number(workload: &Workload, name: &str) -> Option<u64> {
    workload.arguments.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// What the sink must have seen of a run.
fn expect(workload: &Workload, who: &str, sample: &Sample, counts: Counts) -> Result<(), String> {
    let must = |fine: bool, what: &str| if fine { Ok(()) } else { Err(what.to_owned()) };
    must(sample.ops > 0, "nothing was done")?;
    let ways = number(workload, "ways").unwrap_or(1);
    match workload.driver {
        "put" if who == "emulator" => must(counts.requests >= sample.ops, "callbacks were not made"),
        "put" => {
            must(sample.ops >= 64, "not all uploads were made")?;
            must(counts.requests >= sample.ops, "requests are missing")?;
            must(counts.callbacks == counts.requests || who == "raw", "a request had no callback")?;
            must(counts.body_bytes == counts.requests * 4096, "bytes were sent twice, or not at all")?;
            // On its own threads the library may open one more while another is about to be free.
            must(counts.connections <= ways * 2, "connections were not used again")?;
            must(ways > 1 || counts.connections == 1, "more than one connection for one upload after another")
        }
        "put-file" | "stream" => {
            // Drivers warm up with one byte, the raw socket does not.
            let warm = if who == "raw" { 0 } else { 1 };
            must(counts.requests == 1 + warm, "a file in one PUT is one request")?;
            must(counts.body_bytes == sample.bytes + warm, "not the file's bytes")?;
            must(counts.connections == 1, "the connection was not used again")?;
            must(counts.chunked == u64::from(workload.driver == "stream"), "chunks")
        }
        "multipart" => {
            let parts = sample.bytes.div_ceil(8 << 20);
            must(
                counts.requests == 1 + 1 + parts + 1,
                "requests beside warm-up, begin, parts and completion",
            )?;
            must(counts.callbacks == 2, "only the completion has the callback")?;
            must(counts.connections <= ways, "more connections than ways")
        }
        _ => must(counts == Counts::default(), "requests were made"),
    }
}

fn allocations(bench: &Bench<'_>) -> Result<(), String> {
    let mut command: Command = bench.run.command(bench.programs.rust("bench-allocations")?);
    command.args(["rust", "put", "n=100"]).arg(format!("endpoint={}", bench.sink.places.plain));
    let done = command.output().map_err(|e| e.to_string())?;
    let found: serde_json::Value = serde_json::from_slice(&done.stdout).map_err(|e| e.to_string())?;
    let each = found["allocations_per_put"].as_f64().ok_or("no figure")?;
    if (each - ALLOCATIONS_PER_PUT).abs() <= ALLOCATIONS_SLACK {
        return Ok(());
    }
    Err(format!(
        "{each} allocations for each PUT, {ALLOCATIONS_PER_PUT} are on record (xtask/src/bench/counts.rs)"
    ))
}

fn instructions(bench: &Bench<'_>) -> Result<(), String> {
    let driver = bench.programs.rust("bench-rust")?;
    let of = |puts: u32| -> Result<f64, String> {
        let mut command: Command = bench.run.command("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&driver);
        command.args(["rust", "put", "ways=1"]).arg(format!("n={puts}"));
        command.arg(format!("endpoint={}", bench.sink.places.plain));
        let done = command.output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&done.stderr);
        let collected = said.lines().find_map(|line| line.split_once("Collected : "));
        collected
            .and_then(|(_, count)| count.trim().parse().ok())
            .ok_or_else(|| format!("callgrind gave no count: {said}"))
    };
    // What the start costs is in both.
    let each = (of(300)? - of(100)?) / 200.0;
    let off = each / INSTRUCTIONS_PER_PUT - 1.0;
    println!("{each} instructions for each PUT");
    if off.abs() <= INSTRUCTIONS_SLACK {
        return Ok(());
    }
    Err(format!(
        "{each} instructions for each PUT, {:+.0} % of the {INSTRUCTIONS_PER_PUT} on record (xtask/src/bench/counts.rs)",
        off * 100.0
    ))
}
