//! `bench run` measures the gate against a bare proxy, in one run, and writes `bench/RESULTS.md`.
//! `bench stub PORT` and `bench floor PORT UPSTREAM` are the two servers that it needs.

mod compare;
mod floor;
mod gate;
mod governed;
mod journal;
mod load;
mod process;
mod report;
mod run;
mod sign_ins;
mod stub;
mod tokens;
mod tools;

use std::io::Write;

use anyhow::{Result, bail};

/// The gate's allocator, so that the floor does not lose by its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["stub", port] => stub::serve(port.parse()?).await,
        ["floor", port, upstream] => floor::serve(port.parse()?, upstream).await,
        ["gate", port, upstream, journal] => gate::serve(port.parse()?, upstream, journal).await,
        ["run", gate, seconds] => {
            let (gate, seconds) = (gate.to_owned(), seconds.parse()?);
            tokio::task::spawn_blocking(move || run::run(&gate, seconds)).await?
        }
        ["governed", seconds] => {
            let seconds = seconds.parse()?;
            print(move || governed::run(seconds)).await
        }
        ["tools", gate, seconds] => {
            let (gate, seconds) = (gate.to_owned(), seconds.parse()?);
            print(move || tools::run(&gate, seconds)).await
        }
        ["sign-ins", gate, seconds] => {
            let (gate, seconds) = (gate.to_owned(), seconds.parse()?);
            print(move || sign_ins::run(&gate, seconds)).await
        }
        ["tokens"] => print(tokens::run).await,
        ["journal", seconds, calls] => {
            let (seconds, calls) = (seconds.parse()?, calls.parse()?);
            print(move || journal::run(seconds, calls)).await
        }
        _ => bail!(
            "usage: bench run GATE_BINARY SECONDS | bench tools GATE_BINARY SECONDS | bench journal SECONDS CALLS | bench governed SECONDS | bench tokens | bench sign-ins GATE_BINARY SECONDS | bench stub PORT | bench floor PORT UPSTREAM | bench gate PORT UPSTREAM none|interval|every|off|six-rules|fifteen-rules"
        ),
    }
}

/// Prints the chapter that `run` measures.
async fn print(run: impl FnOnce() -> Result<String> + Send + 'static) -> Result<()> {
    let text = tokio::task::spawn_blocking(run).await??;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
