//! Whether the machine had something else to do while a run was measured. Linux tells; elsewhere every run
//! counts as undisturbed.

use std::fs;
use std::time::Instant;

/// `/proc` counts in hundredths of a second.
const TICKS: f64 = 100.0;

/// CPU seconds so far: of the whole machine, and of those that take part.
pub struct Watch {
    since: Instant,
    machine: f64,
    ours: f64,
    sink: u32,
}

impl Watch {
    pub fn start(sink: u32) -> Watch {
        Watch { since: Instant::now(), machine: machine().unwrap_or(0.0), ours: ours(sink), sink }
    }

    /// Cores that others kept busy, on average, since the start.
    pub fn foreign(&self) -> f64 {
        let Some(machine) = machine() else { return 0.0 };
        let foreign = (machine - self.machine) - (ours(self.sink) - self.ours);
        (foreign / self.since.elapsed().as_secs_f64()).max(0.0)
    }
}

/// Everything but idling and waiting for disks; time that the hypervisor took counts as busy.
fn machine() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields = stat.lines().next()?.split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _wait, irq, softirq, steal] = ticks[..] else { return None };
    Some((user + nice + system + irq + softirq + steal) / TICKS)
}

/// The sink's, this program's, and that of the children that it has waited for.
fn ours(sink: u32) -> f64 {
    let of = |path: &str, fields: usize| {
        let stat = fs::read_to_string(path).unwrap_or_default();
        // The name in parentheses may hold spaces.
        let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind).to_owned();
        let ticks = behind.split(' ').skip(11).take(fields).filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS
    };
    of(&format!("/proc/{sink}/stat"), 2) + of("/proc/self/stat", 4)
}

/// The machine, in a line.
pub fn machine_name() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    format!(
        "{}, {cores} cores, {} GiB, {} {}",
        model.trim_start_matches([' ', '\t', ':']),
        kib.div_ceil(1 << 20),
        std::env::consts::OS,
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_work_of_another_process_is_seen() {
        let watch = Watch::start(0);
        // Not waited for until the end: its time is not among our children's yet.
        let mut other = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(400));
        let foreign = watch.foreign();
        other.kill().unwrap();
        other.wait().unwrap();
        // On a busy machine it gets less than a core, but others get the rest.
        assert!(foreign > 0.5, "{foreign}");
    }
}
