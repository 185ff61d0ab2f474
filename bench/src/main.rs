//! `bench run` measures the gate against a bare proxy, in one run, and writes `bench/RESULTS.md`.
//! `bench stub PORT` and `bench floor PORT UPSTREAM` are the two servers that it needs.

mod floor;
mod load;
mod process;
mod report;
mod run;
mod stub;

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
        ["run", gate, seconds] => run::run(gate, seconds.parse()?),
        _ => bail!("usage: bench run GATE_BINARY SECONDS | bench stub PORT | bench floor PORT UPSTREAM"),
    }
}
