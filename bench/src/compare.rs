//! The same gate in several modes, nothing else different: what each costs a call.

use anyhow::Result;

use crate::load;
use crate::process::Server;

/// Rounds of each mode: they alternate, so that a machine that slows down slows all of them.
const ROUNDS: usize = 5;

/// What was measured at one point.
pub(crate) struct Point {
    /// How large the prompt was.
    pub(crate) body: &'static str,
    /// Over how many connections.
    pub(crate) connections: u32,
    /// CPU of the process, µs a call, in the order of the modes.
    pub(crate) cpu: Vec<f64>,
    /// Calls a second.
    pub(crate) rates: Vec<f64>,
}

/// Measures the modes of `bench gate` that `modes` names.
pub(crate) fn run(modes: &[&str], seconds: u32) -> Result<Vec<Point>> {
    let own = std::env::current_exe()?.display().to_string();
    let folder = tempfile::tempdir()?;
    let port = || Ok::<_, anyhow::Error>(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let stub_port = port()?;
    let stub_url = format!("http://127.0.0.1:{stub_port}");
    let _stub = Server::start(&own, &["stub".into(), stub_port.to_string()], &[], stub_port)?;
    let mut servers = Vec::new();
    for mode in modes {
        let port = port()?;
        let arguments = ["gate".into(), port.to_string(), stub_url.clone(), (*mode).to_owned()];
        servers.push((port, Server::start(&own, &arguments, &[], port)?));
    }
    let mut points = Vec::new();
    for (body, prompt) in [("1 KB", 1_000), ("28 KB", 28_000)] {
        let prompt: String =
            "All work and no play makes a dull prompt. ".chars().cycle().take(prompt).collect();
        let text = format!(r#"{{"model":"stub","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
        for connections in [1, 64] {
            let mut cpu: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
            let mut rates: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
            for _ in 0..ROUNDS {
                for (number, (port, server)) in servers.iter().enumerate() {
                    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
                    load::run(&url, &text, connections, 1, folder.path())?;
                    let before = server.cpu()?;
                    let done = load::run(&url, &text, connections, seconds, folder.path())?;
                    let used = (server.cpu()? - before).as_secs_f64() * 1e6;
                    cpu[number].push(used / load::to_f64(done.requests.max(1)));
                    rates[number].push(load::to_f64(done.requests) / f64::from(seconds));
                }
            }
            let medians = |each: &mut Vec<Vec<f64>>| each.iter_mut().map(|of| median(of)).collect();
            let point = Point { body, connections, cpu: medians(&mut cpu), rates: medians(&mut rates) };
            eprint(&format!("{body}, {connections}: {modes:?} {:.1?}", point.cpu));
            points.push(point);
        }
    }
    Ok(points)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Tells whoever waits.
pub(crate) fn eprint(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
