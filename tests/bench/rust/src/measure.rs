//! What one run took, as the one line of JSON that every driver prints.

use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};

use crate::arguments::Arguments;

/// How long a run goes on: so many operations, or so much time.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// For counts that must not depend on time.
    Operations(u64),
    /// For everything that is timed.
    Elapsed(Duration),
}

impl Until {
    /// From `n=` or `seconds=`.
    ///
    /// # Errors
    /// If one is not a number.
    pub fn of(arguments: &Arguments) -> Result<Until, String> {
        match arguments.number("n", 0)? {
            0 => Ok(Until::Elapsed(Duration::from_secs_f64(arguments.number("seconds", 1.0)?))),
            n => Ok(Until::Operations(n)),
        }
    }

    /// What goes before: `warm_seconds=` of it, or `operations`. Compilers, allocators and schedulers need a
    /// while to settle.
    ///
    /// # Errors
    /// If it is not a number.
    pub fn warm(arguments: &Arguments, operations: u64) -> Result<Until, String> {
        let seconds: f64 = arguments.number("warm_seconds", 0.0)?;
        Ok(if seconds > 0.0 {
            Until::Elapsed(Duration::from_secs_f64(seconds))
        } else {
            Until::Operations(operations)
        })
    }

    /// One worker's share.
    pub fn shared(self, ways: u64) -> Until {
        match self {
            Until::Operations(n) => Until::Operations(n / ways),
            elapsed @ Until::Elapsed(_) => elapsed,
        }
    }

    /// Does it, `batch` at a time, and says how often it was done.
    pub fn run(self, batch: u64, mut operation: impl FnMut()) -> u64 {
        let (start, mut done) = (Instant::now(), 0);
        while match self {
            Until::Operations(n) => done < n,
            Until::Elapsed(limit) => start.elapsed() < limit,
        } {
            for _ in 0..batch {
                operation();
            }
            done += batch;
        }
        done
    }
}

fn usage(who: UsageWho) -> Result<Usage, String> {
    getrusage(who).map_err(|e| format!("getrusage: {e}"))
}

fn cpu(usage: &Usage) -> f64 {
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Does the work and prints what it took: of this process, or of its children. `work` says how many
/// operations it did and how many bytes it moved.
///
/// # Errors
/// Those of the work.
pub fn measure(who: UsageWho, work: impl FnOnce() -> Result<(u64, u64), String>) -> Result<(), String> {
    let before = usage(who)?;
    let start = Instant::now();
    let (ops, bytes) = work()?;
    let seconds = start.elapsed().as_secs_f64();
    print(ops, bytes, seconds, &before, &usage(who)?);
    Ok(())
}

/// Runs something so many times, and prints it as if each had taken as long as the fastest: what others do on
/// the machine only ever adds to the start of a program.
///
/// # Errors
/// Those of a run.
pub fn measure_fastest(
    who: UsageWho,
    times: u64,
    mut run: impl FnMut() -> Result<(), String>,
    bytes: u64,
) -> Result<(), String> {
    let before = usage(who)?;
    let mut fastest = f64::INFINITY;
    for _ in 0..times {
        let start = Instant::now();
        run()?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    print(times, bytes, fastest * times as f64, &before, &usage(who)?);
    Ok(())
}

fn print(ops: u64, bytes: u64, seconds: f64, before: &Usage, after: &Usage) {
    println!(
        "{{\"ops\":{ops},\"bytes\":{bytes},\"seconds\":{seconds},\"cpu\":{},\"idle_kib\":{},\"peak_kib\":{}}}",
        cpu(after) - cpu(before),
        kib(before),
        kib(after)
    );
}

/// Linux counts KiB, macOS bytes.
fn kib(usage: &Usage) -> i64 {
    if cfg!(target_os = "macos") { usage.max_rss() / 1024 } else { usage.max_rss() }
}
