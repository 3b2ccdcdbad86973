//! `cargo xtask bench`: ours beside the peers on the same work, in turns, on a server that costs next to
//! nothing; one table of it.
//!
//! Each round runs every program of a workload once, and each round begins with another one, so that
//! whatever the machine does besides hits all alike. Ratios are taken within a round. A run during which
//! others kept the machine busy is repeated, up to a limit.

mod counts;
mod programs;
mod quiet;
mod record;
mod scaling;
mod sink;
mod table;
mod workloads;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use time::OffsetDateTime;

use self::programs::Programs;
use self::quiet::Watch;
use self::sink::Sink;
use self::table::{Row, Sample};
use self::workloads::{WORKLOADS, Workload, is_peer};
use crate::runner::Run;
use crate::serve::Emulator;

pub use counts::STEP;

const USAGE: &str =
    "usage: cargo xtask bench [WORKLOAD…|scaling] [--peers] [--rounds N] [--seconds S] [--tiny]
                       [--out FILE [--update]] [--list]";

/// How long uploads go on before they are measured: compilers, allocators and schedulers, Go's above all, need
/// that to settle.
const WARM_SECONDS: f64 = 1.0;

/// Cores that others may keep busy during a run that counts.
const FOREIGN_MAX: f64 = 0.25;
/// How often a run is repeated for a quieter machine.
const REPEATS: u32 = 2;

pub struct Options {
    chosen: Vec<&'static Workload>,
    scaling: bool,
    peers: bool,
    rounds: usize,
    seconds: f64,
    tiny: bool,
    out: Option<PathBuf>,
    /// Leave the other workloads in the file as they are.
    update: bool,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Options, String> {
        let mut options = Options {
            chosen: Vec::new(),
            scaling: false,
            peers: false,
            rounds: 5,
            seconds: 1.5,
            tiny: false,
            out: None,
            update: false,
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
            match *arg {
                "--peers" => options.peers = true,
                "--tiny" => (options.tiny, options.rounds) = (true, 1),
                "--rounds" => options.rounds = value()?.parse().map_err(|_| USAGE)?,
                "--seconds" => options.seconds = value()?.parse().map_err(|_| USAGE)?,
                "--out" => options.out = Some(value()?.into()),
                "--update" => options.update = true,
                "scaling" => options.scaling = true,
                name => options.chosen.push(
                    WORKLOADS.iter().find(|workload| workload.name == name).ok_or_else(|| {
                        let known: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
                        format!("there is no workload `{name}`: {}, scaling\n{USAGE}", known.join(", "))
                    })?,
                ),
            }
        }
        if options.chosen.is_empty() && !options.scaling {
            options.chosen = WORKLOADS.iter().collect();
            options.scaling = !options.tiny;
        }
        Ok(options)
    }
}

pub fn run(args: &[&str]) -> Result<(), String> {
    if args == ["--list"] {
        WORKLOADS.iter().for_each(|workload| println!("{:<14} {}", workload.name, workload.title));
        println!("{:<14} how cost grows with size, ways and parts", "scaling");
        return Ok(());
    }
    let options = Options::parse(args)?;
    let run = Run::new()?;
    let mut bench = Bench::new(&run, !options.tiny, &options)?;
    let out = options.out.clone().unwrap_or_else(|| bench.programs.folder.join("table.md"));
    let failed = |e: std::io::Error| format!("{}: {e}", out.display());
    let before = if options.update { Some(std::fs::read_to_string(&out).map_err(failed)?) } else { None };
    let mut sections: Vec<(String, String)> = Vec::new();
    // After each of them: what was measured is not lost by what comes later.
    let mut write = |bench: &Bench<'_>, name: &str, section: String| -> Result<(), String> {
        println!("\n{section}");
        sections.push((name.to_owned(), section));
        let whole = match &before {
            Some(before) => record::updated(before, &sections, &format!("{} rounds", options.rounds)),
            None => {
                let texts: Vec<&str> = sections.iter().map(|(_, section)| section.as_str()).collect();
                bench.head(&options) + &texts.concat()
            }
        };
        std::fs::write(&out, whole).map_err(failed)
    };
    for workload in &options.chosen {
        let rows = bench.rounds(workload, &options)?;
        write(&bench, workload.name, table::section(workload, &rows))?;
    }
    if options.scaling {
        let section = bench.scaling(options.tiny)?;
        write(&bench, "scaling", section)?;
    }
    println!("written to {}", out.display());
    Ok(())
}

/// Everything that the runs need.
struct Bench<'a> {
    run: &'a Run,
    programs: Programs<'a>,
    sink: Sink,
    /// How long a timed run is, or how often a tiny one does its work.
    seconds: f64,
    tiny: bool,
    left_out: Vec<String>,
    disturbed: u32,
    runs: u32,
}

impl<'a> Bench<'a> {
    fn new(run: &'a Run, release: bool, options: &Options) -> Result<Bench<'a>, String> {
        let programs = Programs::new(run, release)?;
        let sink = Sink::start(run, &programs.rust("bench-sink")?, &programs.folder)?;
        let (seconds, tiny) = (options.seconds, options.tiny);
        Ok(Bench { run, programs, sink, seconds, tiny, left_out: Vec::new(), disturbed: 0, runs: 0 })
    }

    fn rounds(&mut self, workload: &'static Workload, options: &Options) -> Result<Vec<Row>, String> {
        let mut rows: Vec<Row> = Vec::new();
        for who in workload.who.iter().filter(|who| options.peers || !is_peer(who)) {
            // Made before anything is timed.
            match self.command(workload, who) {
                Ok(_) => rows.push(Row { who, samples: Vec::new() }),
                Err(message) => self.leave_out(who, &message),
            }
        }
        for round in 0..options.rounds {
            for turn in 0..rows.len() {
                let row = (turn + round) % rows.len();
                match self.sample(workload, rows[row].who) {
                    Ok(sample) => rows[row].samples.push(sample),
                    Err(message) if is_peer(rows[row].who) => self.leave_out(rows[row].who, &message),
                    Err(message) => return Err(format!("{}, {}: {message}", workload.name, rows[row].who)),
                }
            }
            // What fails once would be paired with another round's.
            rows.retain(|row| row.samples.len() == round + 1);
        }
        Ok(rows)
    }

    fn leave_out(&mut self, who: &str, message: &str) {
        let line = message.lines().next_back().unwrap_or_default();
        let note = format!("{who}: {line}");
        if !self.left_out.contains(&note) {
            println!("left out: {note}");
            self.left_out.push(note);
        }
    }

    /// One run that counts: on a quiet machine, or the last of several.
    fn sample(&mut self, workload: &'static Workload, who: &'static str) -> Result<Sample, String> {
        for attempt in 0.. {
            let emulator = if who == "emulator" { Some(self.emulator()?) } else { None };
            let mut command = self.command(workload, who)?;
            self.warm(workload)?;
            if let Some(emulator) = &emulator {
                command.args(emulator_arguments(emulator, &self.sink.places.plain));
            }
            let watch = Watch::start(self.sink.id());
            let sample = output(command)?;
            // The emulator is a process of its own, and its work is what is measured.
            let foreign = if emulator.is_some() { 0.0 } else { watch.foreign() };
            if foreign <= FOREIGN_MAX || self.tiny {
                self.runs += 1;
                return Ok(sample);
            }
            if attempt == REPEATS {
                self.runs += 1;
                self.disturbed += 1;
                return Ok(sample);
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Has the file in the page cache, whatever the system has done with it since.
    fn warm(&self, workload: &Workload) -> Result<(), String> {
        if moves_a_file(workload) {
            let path = self.data(self.file_bytes())?;
            let mut file = std::fs::File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            std::io::copy(&mut file, &mut std::io::sink()).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn file_bytes(&self) -> u64 {
        if self.tiny { (16 << 20) + 5 } else { 1 << 30 }
    }

    fn command(&mut self, workload: &'static Workload, who: &'static str) -> Result<Command, String> {
        let mut given: Vec<String> = workload.arguments.iter().map(|word| (*word).to_owned()).collect();
        let port = workload.port.map(|port| self.sink.endpoint(port).to_owned());
        given.extend(port.as_ref().map(|endpoint| format!("endpoint={endpoint}")));
        if workload.port == Some("tls") {
            given.push(format!("ca={}", self.sink.ca.display()));
        }
        let file = if moves_a_file(workload) { self.data(self.file_bytes())? } else { PathBuf::new() };
        if moves_a_file(workload) {
            given.push(format!("file={}", file.display()));
        } else if !given.iter().any(|word| word.starts_with("n=")) {
            given.push(if self.tiny { "n=64".to_owned() } else { format!("seconds={}", self.seconds) });
            if workload.driver == "put" && !self.tiny {
                given.push(format!("warm_seconds={WARM_SECONDS}"));
            }
        }
        match who {
            "curl" => self.curl(workload, &port.unwrap_or_default(), &file),
            _ if workload.driver == "import" => self.interpreter(who),
            _ => self.programs.command(who, workload.driver, &given),
        }
    }

    /// The same request by curl, from its start to its end.
    fn curl(&mut self, workload: &Workload, endpoint: &str, file: &Path) -> Result<Command, String> {
        let url = format!("{endpoint}/examplebucket/k");
        let ca = self.sink.ca.display().to_string();
        let bytes = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
        let stream = workload.driver == "stream";
        let from = if stream { "-".to_owned() } else { file.display().to_string() };
        let mut words = vec!["-sS", "--fail", "--noproxy", "*", "-H", "Expect:", "-T", &from];
        if workload.port == Some("tls") {
            words.extend(["--cacert", &ca]);
        }
        words.push(&url);
        let mut given = vec![format!("bytes={bytes}")];
        if stream {
            given.push(format!("stdin={}", file.display()));
        }
        self.exec("curl", &words, &given)
    }

    /// An interpreter that starts, imports, and ends.
    fn interpreter(&mut self, who: &'static str) -> Result<Command, String> {
        let inner = match who {
            "bare-python" => {
                let python = programs::interpreter().display().to_string();
                return self.exec(&python, &["-B", "-c", "pass"], &["n=10".into(), "warm=1".into()]);
            }
            "bare-node" => return self.exec("node", &["-e", "0"], &["n=10".into(), "warm=1".into()]),
            who => self.programs.command(who, "import", &[])?,
        };
        // Imports are measured bare, as the other drivers' own start would be counted.
        let module = match who {
            "python" => "oss_callback",
            "oss_v2" => "alibabacloud_oss_v2",
            "node" => "oss-callback",
            "js-opendal" => "opendal",
            same => same,
        };
        let program = inner.get_program().to_string_lossy().into_owned();
        let code = match inner.get_args().find_map(|word| word.to_str()?.strip_prefix("modules=")) {
            Some(folder) => format!("require({:?})", format!("{folder}/node_modules/{module}")),
            None => format!("import {module}"),
        };
        let words: &[&str] = if code.starts_with("import") { &["-c", &code] } else { &["-e", &code] };
        let mut command = self.exec(&program, words, &["n=10".into(), "warm=1".into()])?;
        for (name, value) in inner.get_envs().filter(|(name, _)| *name == "PYTHONPATH") {
            command.env(name, value.unwrap_or_default());
        }
        Ok(command)
    }

    fn exec(&mut self, program: &str, words: &[&str], given: &[String]) -> Result<Command, String> {
        let mut command = self.programs.command("exec", program, given)?;
        command.args(words.iter().enumerate().map(|(i, word)| format!("{}={word}", i + 1)));
        Ok(command)
    }

    /// A file of so many bytes that no two blocks of are alike.
    fn data(&self, bytes: u64) -> Result<PathBuf, String> {
        let path = self.run.target.join(format!("bench/data-{bytes}.bin"));
        if std::fs::metadata(&path).is_ok_and(|found| found.len() == bytes) {
            return Ok(path);
        }
        let said = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut file =
            std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(&path).map_err(said)?);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut left = bytes;
        while left > 0 {
            // xorshift64: enough to keep anybody from compressing it.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let word = state.to_le_bytes();
            let take = left.min(8) as usize;
            std::io::Write::write_all(&mut file, &word[..take]).map_err(said)?;
            left -= take as u64;
        }
        std::io::Write::flush(&mut file).map_err(said)?;
        Ok(path)
    }

    fn emulator(&self) -> Result<Emulator, String> {
        let program = self.run.command(self.programs.cli()?);
        Emulator::start(program, &self.programs.folder.join("emulator.log"))
    }

    fn head(&self, options: &Options) -> String {
        let mut text = format!(
            "<!-- GENERATED by `cargo xtask bench`: do not edit. -->\n\n{}. {} rounds of {} s each, uploads after {} s \
             unmeasured; {}",
            quiet::machine_name(),
            options.rounds,
            options.seconds,
            WARM_SECONDS,
            OffsetDateTime::now_utc().date()
        );
        let _ = writeln!(
            text,
            ".\n{} of {} runs were disturbed by other work on the machine all {} times that they were tried.\n",
            if self.disturbed == 0 { "None".to_owned() } else { self.disturbed.to_string() },
            self.runs,
            REPEATS + 1
        );
        for note in &self.left_out {
            let _ = writeln!(text, "- left out: {note}");
        }
        if !self.left_out.is_empty() {
            text.push('\n');
        }
        text
    }
}

fn moves_a_file(workload: &Workload) -> bool {
    matches!(workload.driver, "put-file" | "multipart" | "stream")
}

fn emulator_arguments(emulator: &Emulator, application: &str) -> Vec<String> {
    let of = |name: &str| {
        let found = emulator.environment.iter().find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.clone())
    };
    vec![
        format!("endpoint={}", of("OSS_ENDPOINT")),
        format!("key_id={}", of("OSS_ACCESS_KEY_ID")),
        format!("secret={}", of("OSS_ACCESS_KEY_SECRET")),
        format!("callback={application}/callback"),
    ]
}

/// Runs a driver to its end.
fn output(mut command: Command) -> Result<Sample, String> {
    let done = command.stderr(Stdio::piped()).output().map_err(|e| e.to_string())?;
    let printed = String::from_utf8_lossy(&done.stdout);
    let sample = printed.lines().next_back().and_then(|line| serde_json::from_str(line).ok());
    match sample {
        Some(sample) if done.status.success() => Ok(sample),
        _ => Err(format!("{}\n{}", done.status, String::from_utf8_lossy(&done.stderr).trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_chosen_by_name_and_unknown_ones_refused() {
        let names = |options: Options| options.chosen.iter().map(|w| w.name).collect::<Vec<_>>();
        assert_eq!(names(Options::parse(&["put-16", "--peers", "--rounds", "3"]).unwrap()), ["put-16"]);
        assert_eq!(Options::parse(&[]).unwrap().chosen.len(), WORKLOADS.len());
        assert!(Options::parse(&["scaling"]).unwrap().chosen.is_empty());
        assert!(Options::parse(&["put-17"]).err().unwrap().contains("put-16"));
    }

    #[test]
    fn every_pair_is_among_those_who_take_part() {
        for workload in WORKLOADS {
            for pair in workload.pairs {
                assert!(
                    workload.who.contains(&pair.ours) && workload.who.contains(&pair.other),
                    "{}",
                    workload.name
                );
                assert!(!is_peer(pair.ours), "{}", pair.ours);
            }
            assert!(workload.over.is_none_or(|over| workload.who.contains(&over)));
        }
    }
}
