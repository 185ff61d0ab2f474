//! `tollgate tools lock`.

use anyhow::{Result, anyhow, ensure};
use jiff::Timestamp;
use tollgate_mcp::contract::{Contract, lock};
use tollgate_mcp::effect::{Local, judge};

use super::lint;
use super::lists::Server;
use crate::cli::say;

/// Prints the lock. What is suspicious is said instead, unless somebody has looked at it.
pub(super) fn run(servers: &[Server], accept: bool) -> Result<()> {
    if !accept {
        let suspicious = lint::scanned(servers)?;
        ensure!(
            suspicious == 0,
            "suspicious: {suspicious} of the tools; whoever has looked at them says --accept"
        );
    }
    // To the second: it is read in reviews.
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let contracts = servers.iter().flat_map(|server| {
        server.tools.iter().map(move |tool| {
            let effect = judge(&tool.annotations(), &Local::default(), None).effect;
            Contract::pin(&server.name, None, tool.clone(), effect, now)
        })
    });
    let text = lock::write(&contracts.collect::<Vec<_>>()).map_err(|why| anyhow!(why))?;
    say(text.trim_end())?;
    Ok(())
}
