//! Looking, now and then, for keys that end soon. Until when it was looked stands in a file, so that a gate that was away
//! goes on from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tollgate_gateway::gate::Gate;
use tollgate_ledger::Ledger;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(60);

/// How often it is asked whether keys were read, at the beginning.
const READY: Duration = Duration::from_millis(200);

/// The file, in the folder of the journal.
const FILE: &str = "key_expiring.looked";

/// Looks for as long as the future lives.
pub(crate) async fn keep_telling(gate: Arc<Gate>, ledger: Arc<Ledger>, folder: PathBuf) {
    while !ledger.is_ready() {
        tokio::time::sleep(READY).await;
    }
    let file: Arc<Path> = folder.join(FILE).into();
    loop {
        let (gate, ledger, file) = (Arc::clone(&gate), Arc::clone(&ledger), Arc::clone(&file));
        // All keys are looked at, and what is found is written: no call waits for either.
        let looked = tokio::task::spawn_blocking(move || look(&gate, &ledger, &file));
        if let Err(error) = looked.await {
            tracing::warn!(%error, "it could not be looked for keys that end soon");
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn look(gate: &Gate, ledger: &Ledger, file: &Path) {
    let now = gate.parts.clock.now();
    // Who looks for the first time tells nobody what is over. Nor does a clock that was set back make it wait.
    let since = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<Timestamp>().ok());
    let since = since.map_or(now, |since| since.min(now));
    let leads = &gate.runtime().snapshot.key_expiring_days;
    match ledger.tell_of_ending(&*gate.parts.journal, leads, since, now) {
        Ok(told) => {
            // Where this cannot be written, the same is told again, under the same name.
            if let Err(error) = tollgate_journal::replace_file(file, told.until.to_string().as_bytes()) {
                tracing::warn!(%error, file = %file.display(), "until when it was looked for keys that end cannot be written");
            }
            if told.keys > 0 {
                tracing::warn!(keys = told.keys, "keys end soon");
            }
        }
        Err(error) => tracing::warn!(%error, "keys end soon, and it cannot be recorded; it is tried again"),
    }
}
