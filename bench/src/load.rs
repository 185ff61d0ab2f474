//! Load from wrk: requests per second and latencies.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// What wrk saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Posts `body` to `url` over `connections` connections for `seconds`.
pub(crate) fn run(url: &str, body: &str, connections: u32, seconds: u32, folder: &Path) -> Result<Load> {
    with(url, body, &[], connections, seconds, folder)
}

/// The same, with `headers`.
pub(crate) fn with(
    url: &str,
    body: &str,
    headers: &[(&'static str, String)],
    connections: u32,
    seconds: u32,
    folder: &Path,
) -> Result<Load> {
    let more: String =
        headers.iter().map(|(name, value)| format!("wrk.headers['{name}'] = '{value}'\n")).collect();
    let script = folder.join("post.lua");
    let lua = format!(
        "wrk.method = 'POST'\nwrk.body = [==[{body}]==]\nwrk.headers['content-type'] = 'application/json'\nwrk.headers['authorization'] = 'Bearer sk-bench'\n{more}\
         done = function(summary, latency)\n\
         io.write(string.format('RESULT %d %d %d %d %d\\n', summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.write + summary.errors.connect + summary.errors.timeout))\nend\n"
    );
    std::fs::write(&script, lua)?;
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(url)
        .output()
        .context("wrk is missing: apt-get install wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line =
        text.lines().find_map(|l| l.strip_prefix("RESULT ")).with_context(|| format!("wrk said: {text}"))?;
    let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    ensure!(numbers[4] == 0, "{} of {} requests to {url} failed", numbers[4], numbers[0]);
    Ok(Load {
        requests: numbers[0],
        per_second: to_f64(numbers[0]) * 1e6 / to_f64(numbers[1]),
        p50: Duration::from_micros(numbers[2]),
        p99: Duration::from_micros(numbers[3]),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn to_f64(n: u64) -> f64 {
    n as f64
}
