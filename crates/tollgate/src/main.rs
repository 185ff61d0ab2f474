//! The `tollgate` command.

mod alerts;
mod cli;
mod configuration;
mod expiring;
mod index;
mod keys;
mod log;
mod registry;
mod reload;
mod sharing;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use tollgate_gateway::mcp::link::stdio::shim::{self, Guard};

/// Smaller and faster than the system's under many small allocations from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // Without the threads and the memory of a gate: there is one for each program.
    if let Some(guard) = cli.guard() {
        return guarded(&guard);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let done = runtime.block_on(cli.run());
        // What is left are calls that outlived the drain; their tickets close when they are dropped.
        runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn guarded(guard: &Guard) -> ExitCode {
    match shim::run(guard) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            cli::complain(&format!("the program cannot be guarded: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
