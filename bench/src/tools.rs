//! Calls of tools through the gate, and what sessions cost.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::load::{self, Load};
use crate::process::{Server, free_port, now, pause};

/// Sessions that are open at once.
const OPEN: usize = 1_000;

/// Sessions that are opened and abandoned.
const ABANDONED: usize = 10_000;

/// How long a session that nobody uses is kept here, in milliseconds.
const IDLE_MS: u64 = 3_000;

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}"#;

const STATELESS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;

/// A request that is measured: what it is called, where it goes, its body and its headers.
struct Target<'a> {
    name: &'static str,
    url: String,
    server: Option<&'a Server>,
    body: &'static str,
    headers: Vec<(&'static str, String)>,
}

/// Measures the gate at `gate`, each point for `seconds`.
pub(crate) fn run(gate: &str, seconds: u32) -> Result<String> {
    let own = std::env::current_exe()?.display().to_string();
    let folder = tempfile::tempdir()?;
    let (stub_port, floor_port, gate_port) = (free_port()?, free_port()?, free_port()?);
    let stub_url = format!("http://127.0.0.1:{stub_port}");
    let stub = Server::start(&own, &["stub".into(), stub_port.to_string()], &[], stub_port)?;
    let floor =
        Server::start(&own, &["floor".into(), floor_port.to_string(), stub_url.clone()], &[], floor_port)?;
    let served = start(gate, gate_port, &stub_url, folder.path())?;
    let session = post(gate_port, HELLO, &[])?.session.context("no session was begun")?;
    let gate_url = format!("http://127.0.0.1:{gate_port}/mcp/stub");
    let stateless =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
    let targets = [
        Target {
            name: "server itself",
            url: format!("{stub_url}/mcp"),
            server: None,
            body: CALL,
            headers: vec![],
        },
        Target {
            name: "floor",
            url: format!("http://127.0.0.1:{floor_port}/mcp"),
            server: Some(&floor),
            body: CALL,
            headers: vec![],
        },
        Target {
            name: "gate, client with a session",
            url: gate_url.clone(),
            server: Some(&served),
            body: CALL,
            headers: vec![("mcp-session-id", session)],
        },
        Target {
            name: "gate, client of 2026-07-28",
            url: gate_url,
            server: Some(&served),
            body: STATELESS,
            headers: stateless.map(|(name, value)| (name, value.to_owned())).to_vec(),
        },
    ];
    let mut text = String::from(
        "\n## Calls of tools\n\nA tool server over HTTP that answers at once, in 2025-11-25. The gate checks a master key, the session, the tool's contract and\n\
         schema, and writes two records a call. Aims: at most 100 µs of CPU a call, at most 150 µs added to the median over one connection.\n\n\
         | connections | target | calls/s | CPU µs/call | CPU ÷ floor | added p50 | added p99 |\n|---:|---|---:|---:|---:|---:|---:|\n",
    );
    for connections in [1, 16, 64] {
        let mut measured = Vec::new();
        for target in &targets {
            measured.push(measure(target, connections, seconds, folder.path())?);
        }
        let (direct, bare) = (measured[0].0, measured[1].1);
        for (target, (load, cpu)) in targets.iter().zip(&measured) {
            let ratio = cpu.zip(bare).map_or("–".to_owned(), |(own, floor)| format!("{:.2}", own / floor));
            let cpu = cpu.map_or("–".to_owned(), |us| format!("{us:.0}"));
            writeln!(
                text,
                "| {connections} | {} | {:.0} | {cpu} | {ratio} | {} | {} |",
                target.name,
                load.per_second,
                added(target, load.p50, direct.p50),
                added(target, load.p99, direct.p99),
            )?;
        }
    }
    drop(served);
    let served = start(gate, gate_port, &stub_url, folder.path())?;
    sessions(&mut text, &served, gate_port)?;
    drop(stub);
    Ok(text)
}

fn added(target: &Target<'_>, own: Duration, direct: Duration) -> String {
    match target.server {
        None => format!("({} µs)", own.as_micros()),
        Some(_) => format!("{} µs", own.saturating_sub(direct).as_micros()),
    }
}

fn measure(
    target: &Target<'_>,
    connections: u32,
    seconds: u32,
    folder: &Path,
) -> Result<(Load, Option<f64>)> {
    let Target { url, body, headers, server, .. } = target;
    load::with(url, body, headers, connections, 1, folder)?;
    let before = server.map(Server::cpu).transpose()?;
    let load = load::with(url, body, headers, connections, seconds, folder)?;
    let after = server.map(Server::cpu).transpose()?;
    let cpu = before
        .zip(after)
        .map(|(before, after)| (after - before).as_secs_f64() * 1e6 / load::to_f64(load.requests.max(1)));
    crate::compare::eprint(&format!(
        "tools, {connections}: {} {:.0}/s, CPU {cpu:.0?} µs, p50 {:?}",
        target.name, load.per_second, load.p50
    ));
    Ok((load, cpu))
}

/// What sessions cost in memory, and whether it comes back.
fn sessions(text: &mut String, served: &Server, port: u16) -> Result<()> {
    post(port, HELLO, &[])?;
    let mb = |bytes: u64| load::to_f64(bytes) / 1e6;
    let idle = served.rss()?;
    let begun = now();
    open(port, OPEN)?;
    let (full, took) = (served.rss()?, begun.elapsed());
    for _ in 0..ABANDONED / OPEN {
        open(port, OPEN)?;
    }
    let most = served.rss()?;
    pause(Duration::from_millis(IDLE_MS) + Duration::from_secs(15));
    writeln!(
        text,
        "\n{OPEN} sessions, each with a session of its own at the server and one call: {:.1} MB more than the {:.1} MB before (aim: at most\n\
         100 MB), opened in {:.1} s. After {ABANDONED} more that were abandoned: {:.1} MB; when their idle time ({IDLE_MS} ms here) was over, {:.1} MB.",
        mb(full.saturating_sub(idle)),
        mb(idle),
        took.as_secs_f64(),
        mb(most),
        mb(served.rss()?),
    )?;
    Ok(())
}

fn open(port: u16, count: usize) -> Result<()> {
    for _ in 0..count {
        let session = post(port, HELLO, &[])?.session.context("no session was begun")?;
        let answer = post(port, CALL, &[("mcp-session-id", &session)])?.text;
        anyhow::ensure!(answer.contains("hello"), "a call failed: {answer}");
    }
    Ok(())
}

struct Answer {
    session: Option<String>,
    text: String,
}

/// One request over a connection of its own.
fn post(port: u16, body: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "POST /mcp/stub HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer sk-bench\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let session = text.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).map(str::to_owned);
    Ok(Answer { session, text })
}

fn start(gate: &str, port: u16, stub_url: &str, folder: &Path) -> Result<Server> {
    let config = folder.join("tollgate.yaml");
    let text = format!(
        "master_key: sk-bench\ntool_servers:\n  stub: {{ url: '{stub_url}/mcp', effects: {{ echo: read }}, limits: {{ sessions: {OPEN}, idle_ms: {IDLE_MS} }} }}\n"
    );
    std::fs::write(&config, text)?;
    let (config, port_text) = (config.display().to_string(), port.to_string());
    let data = folder.join("data").display().to_string();
    let arguments =
        ["--config", &config, "--port", &port_text, "--data-dir", &data, "--log", "error"].map(str::to_owned);
    Server::start(gate, &arguments, &[], port).context("starting the gate")
}
