//! The results, as a table that a person reads and the next run replaces.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::load::{Load, to_f64};
use crate::run::{LONGEST, LONGEST_KB, SAME, TRANSLATED};

/// What is measured once.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) started: Duration,
    pub(crate) rss_idle: u64,
    pub(crate) rss_loaded: u64,
    pub(crate) binary: u64,
    pub(crate) cold_build: String,
}

/// One target under one workload.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) workload: &'static str,
    pub(crate) connections: u32,
    pub(crate) target: &'static str,
    pub(crate) load: Load,
    pub(crate) cpu_us: Option<f64>,
    pub(crate) floor: (Load, Option<f64>),
    pub(crate) direct: Load,
}

/// A line while it runs.
#[expect(clippy::print_stdout, reason = "a command-line tool reports")]
pub(crate) fn progress(workload: &str, connections: u32, target: &str, load: &Load) {
    println!(
        "{workload}, {connections} connections, {target}: {:.0}/s, p50 {:?}, p99 {:?}",
        load.per_second, load.p50, load.p99
    );
}

/// Writes the results to `path`.
pub(crate) fn write(path: &Path, facts: &Facts, rows: &[Row], seconds: u32, journal: &str) -> Result<()> {
    let mut text = String::from(
        "# Results\n\nMade by `make bench`; the next run replaces them. All of a run is measured on one machine, one after the other,\n\
         so ratios mean more than absolute numbers. CPU is the process's own user and system time per request. *Added*\n\
         latency is over the upstream itself, which answers at once.\n\n",
    );
    writeln!(
        text,
        "Machine: {}. Each point: {seconds} s after 1 s of warm-up; load from wrk, one thread.\n",
        machine()
    )?;
    writeln!(
        text,
        "The gate checks a master key and writes two records a call to a file. The floor is a bare hyper proxy.\n"
    )?;
    writeln!(text, "| what | |\n|---|---|")?;
    writeln!(text, "| from exec to listening | {:.0} ms |", facts.started.as_secs_f64() * 1e3)?;
    writeln!(text, "| memory, idle | {:.1} MB |", to_f64(facts.rss_idle) / 1e6)?;
    writeln!(text, "| memory, most seen under load | {:.1} MB |", to_f64(facts.rss_loaded) / 1e6)?;
    writeln!(text, "| size of the binary | {:.1} MB |", to_f64(facts.binary) / 1e6)?;
    writeln!(text, "| cold release build | {} |\n", facts.cold_build)?;
    let mut workload = "";
    for row in rows {
        if row.workload != workload {
            workload = row.workload;
            writeln!(
                text,
                "\n## {workload}\n\n| connections | target | requests/s | CPU µs/request | CPU ÷ floor | added p50 | added p99 |\n|---:|---|---:|---:|---:|---:|---:|"
            )?;
        }
        line(&mut text, row)?;
    }
    translation(&mut text, rows)?;
    text.push_str(journal);
    std::fs::write(path, text)?;
    Ok(())
}

fn line(text: &mut String, row: &Row) -> Result<()> {
    let cpu = row.cpu_us.map_or("–".to_owned(), |us| format!("{us:.0}"));
    let ratio =
        row.cpu_us.zip(row.floor.1).map_or("–".to_owned(), |(own, floor)| format!("{:.2}", own / floor));
    let added = |own: Duration, direct: Duration| {
        if row.target == "upstream itself" {
            format!("({} µs)", own.as_micros())
        } else {
            format!("{} µs", own.saturating_sub(direct).as_micros())
        }
    };
    writeln!(
        text,
        "| {} | {} | {:.0} | {cpu} | {ratio} | {} | {} |",
        row.connections,
        row.target,
        row.load.per_second,
        added(row.load.p50, row.direct.p50),
        added(row.load.p99, row.direct.p99)
    )?;
    Ok(())
}

/// What a translation costs, by the call and by the kilobyte of prompt.
fn translation(text: &mut String, rows: &[Row]) -> Result<()> {
    writeln!(text, "\nA call that is translated, CPU ÷ that of one that is not:\n")?;
    for row in rows.iter().filter(|r| r.target == TRANSLATED) {
        let same = rows
            .iter()
            .find(|r| r.target == SAME && r.workload == row.workload && r.connections == row.connections);
        if let (Some(translated), Some(same)) = (row.cpu_us, same.and_then(|r| r.cpu_us)) {
            writeln!(text, "- {}, {} connections: {:.2}", row.workload, row.connections, translated / same)?;
        }
    }
    writeln!(text, "\nA long prompt that is translated, over one that is not:\n")?;
    let of = |connections: u32, target: &str| {
        let row = |r: &&Row| r.workload == LONGEST && r.connections == connections && r.target == target;
        rows.iter().find(row).and_then(|r| r.cpu_us)
    };
    for row in rows.iter().filter(|r| r.workload == LONGEST && r.target == TRANSLATED) {
        if let (Some(translated), Some(same)) = (row.cpu_us, of(row.connections, SAME)) {
            let each = (translated - same) / LONGEST_KB;
            writeln!(text, "- {} connections: {each:.2} µs of CPU per KB", row.connections)?;
        }
    }
    Ok(())
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ").map(|(_, m)| m.to_owned()));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = read("/proc/sys/kernel/osrelease");
    let kernel = release.split('.').take(2).collect::<Vec<_>>().join(".");
    format!(
        "{cores} cores of {}, Linux {}",
        model.unwrap_or_else(|| "an unnamed processor".to_owned()),
        kernel.trim()
    )
}
