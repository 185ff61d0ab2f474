//! The measurement: every target under every workload, in turn.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::load::{self, Load};
use crate::process::Server;
use crate::process::free_port;
use crate::report::{self, Facts, Row};

/// Concurrency levels.
const CONNECTIONS: [u32; 3] = [1, 16, 64];

/// The workload that shows what a byte of prompt costs.
pub(crate) const LONGEST: &str = "JSON, 200 KB prompt";

/// Its prompt, in kilobytes.
pub(crate) const LONGEST_KB: f64 = 200.0;

/// A client of the upstream's own format.
pub(crate) const SAME: &str = "gate, same format";

/// A client of another format.
pub(crate) const TRANSLATED: &str = "gate, translated";

/// One kind of request.
struct Workload {
    name: &'static str,
    openai: String,
    anthropic: String,
}

fn workloads() -> Vec<Workload> {
    let make = |name, text: &str, stream: bool| Workload {
        name,
        openai: format!(
            r#"{{"model":"stub","stream":{stream},"messages":[{{"role":"user","content":"{text}"}}]}}"#
        ),
        anthropic: format!(
            r#"{{"model":"stub","max_tokens":100,"stream":{stream},"messages":[{{"role":"user","content":"{text}"}}]}}"#
        ),
    };
    let long = "All work and no play makes a dull prompt. ".repeat(680);
    // With line ends and quotes, which are escaped in JSON: a prompt that would have to be decoded and escaped again.
    let longest = r#"All work and \"no\" play makes a dull prompt.\n"#.repeat(4_450);
    vec![
        make("JSON, small", "Hello!", false),
        make("JSON, 28 KB prompt", &long, false),
        make(LONGEST, &longest, false),
        make("stream of 20 chunks", "Hello!", true),
    ]
}

/// Measures the gate at `gate`, each point for `seconds`, and writes the results.
pub(crate) fn run(gate: &str, seconds: u32) -> Result<()> {
    let own = std::env::current_exe()?.display().to_string();
    let folder = std::env::temp_dir().join(format!("tollgate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (stub_port, floor_port, gate_port) = (free_port()?, free_port()?, free_port()?);
    let stub_url = format!("http://127.0.0.1:{stub_port}");
    let _stub = Server::start(&own, &["stub".into(), stub_port.to_string()], &[], stub_port)?;
    let floor =
        Server::start(&own, &["floor".into(), floor_port.to_string(), stub_url.clone()], &[], floor_port)?;
    let served = start_gate(gate, gate_port, &stub_url, &folder)?;
    let mut facts = Facts {
        started: served.started,
        rss_idle: served.rss()?,
        binary: std::fs::metadata(gate)?.len(),
        ..Facts::default()
    };

    let mut rows = Vec::new();
    for workload in workloads() {
        for connections in CONNECTIONS {
            let measure = |server: Option<&Server>, url: String, body: &str| {
                measure(server, &url, body, connections, seconds, &folder)
            };
            let direct = measure(None, format!("{stub_url}/v1/chat/completions"), &workload.openai)?;
            let bare = measure(
                Some(&floor),
                format!("http://127.0.0.1:{floor_port}/v1/chat/completions"),
                &workload.openai,
            )?;
            let same = measure(
                Some(&served),
                format!("http://127.0.0.1:{gate_port}/v1/chat/completions"),
                &workload.openai,
            )?;
            let translated = measure(
                Some(&served),
                format!("http://127.0.0.1:{gate_port}/v1/messages"),
                &workload.anthropic,
            )?;
            facts.rss_loaded = facts.rss_loaded.max(served.rss()?);
            let targets =
                [("upstream itself", direct), ("floor", bare), (SAME, same), (TRANSLATED, translated)];
            for (target, (load, cpu)) in targets {
                report::progress(workload.name, connections, target, &load);
                rows.push(Row {
                    workload: workload.name,
                    connections,
                    target,
                    load,
                    cpu_us: cpu,
                    floor: bare,
                    direct: direct.0,
                });
            }
        }
    }
    facts.cold_build = std::env::var("COLD_BUILD").unwrap_or_else(|_| "not measured in this run".to_owned());
    drop(served);
    std::fs::remove_dir_all(&folder).ok();
    let journal = crate::tools::run(gate, seconds)?
        + &crate::governed::run(seconds)?
        + &crate::tokens::run()?
        + &crate::sign_ins::run(gate, seconds)?
        + &crate::journal::run(seconds, 1_000_000)?;
    report::write(Path::new("bench/RESULTS.md"), &facts, &rows, seconds, &journal)
}

fn start_gate(gate: &str, port: u16, stub_url: &str, folder: &Path) -> Result<Server> {
    let config: PathBuf = folder.join("tollgate.yaml");
    let text = format!(
        "master_key: sk-bench\nmodels:\n  stub: [{{ provider: openai, model: gpt-4o, base_url: '{stub_url}/v1', api_key: x }}]\n"
    );
    std::fs::write(&config, text)?;
    let arguments = [
        "--config",
        &config.display().to_string(),
        "--port",
        &port.to_string(),
        "--data-dir",
        &folder.display().to_string(),
        "--log",
        "warn",
    ];
    // Twice, so that the time to listen is not that of reading the binary from disk.
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    drop(Server::start(gate, &arguments, &[], port)?);
    Server::start(gate, &arguments, &[], port).context("starting the gate")
}

/// Load and CPU microseconds per request.
fn measure(
    server: Option<&Server>,
    url: &str,
    body: &str,
    connections: u32,
    seconds: u32,
    folder: &Path,
) -> Result<(Load, Option<f64>)> {
    // Connections, pools and caches warm up.
    load::run(url, body, connections, 1, folder)?;
    let before = server.map(Server::cpu).transpose()?;
    let load = load::run(url, body, connections, seconds, folder)?;
    let after = server.map(Server::cpu).transpose()?;
    let cpu = before
        .zip(after)
        .map(|(before, after)| (after - before).as_secs_f64() * 1e6 / load::to_f64(load.requests.max(1)));
    Ok((load, cpu))
}
