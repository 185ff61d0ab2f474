//! What tool servers offer, as the gate knows it. The gate lists each server by itself over a link of its own, pins what it
//! sees to contracts, and lists again when the server says that something has changed, when somebody has decided on a
//! contract, and from time to time. No client's traffic goes this way.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::config::tools::ToolServer;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::identity::Acting;

use super::keeper;
use super::link::is_same;
use super::listed::Listed;
use crate::gate::Gate;

/// How long a client waits for a server that has not been listed yet.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is known of a server.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// Nothing yet.
    Nothing,
    /// This.
    Listed(Arc<Listed>),
    /// It could not be listed.
    Failed(Arc<Fault>),
}

/// A server that is kept listed.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) server: Arc<ToolServer>,
    /// For whom, where it lists differently for different people.
    pub(super) acting: Option<Acting>,
    pub(super) known: watch::Sender<Known>,
    /// When somebody last wanted to know.
    pub(super) wanted: Mutex<Instant>,
}

/// A server, and for whom it is listed.
type Whose = (Arc<str>, Option<Acting>);

/// What tool servers offer, by their names, and for whom where they act for people.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    kept: Mutex<HashMap<Whose, Arc<Kept>>>,
}

/// For whom `server` is listed where `acting` asks: for the person, whoever acts for them.
fn whose(server: &ToolServer, acting: Option<&Acting>) -> Whose {
    let person = acting.filter(|_| server.acts_for_people()).map(Acting::alone);
    (Arc::clone(&server.name), person)
}

impl Kept {
    fn whose(&self) -> Whose {
        (Arc::clone(&self.server.name), self.acting.clone())
    }
}

impl Catalogue {
    /// What `server` offers to `acting`. Where nobody has listed it yet that is done first.
    pub(crate) async fn listed(
        &self,
        gate: &Arc<Gate>,
        server: &Arc<ToolServer>,
        acting: Option<&Acting>,
    ) -> Result<Arc<Listed>, Fault> {
        let kept = self.keep(gate, server, acting);
        *kept.wanted.lock() = Instant::now();
        let mut known = kept.known.subscribe();
        let settled = known.wait_for(|known| !matches!(known, Known::Nothing));
        match tokio::time::timeout(PATIENCE, settled).await {
            Ok(Ok(known)) => match &*known {
                Known::Listed(listed) => Ok(Arc::clone(listed)),
                Known::Failed(fault) => Err((**fault).clone()),
                Known::Nothing => Err(not_yet(server)),
            },
            _ => Err(not_yet(server)),
        }
    }

    /// Somebody wants to know what `server` offers to `acting`, where it is kept listed.
    pub(super) fn wanted(&self, server: &ToolServer, acting: Option<&Acting>) {
        if let Some(kept) = self.kept.lock().get(&whose(server, acting)) {
            *kept.wanted.lock() = Instant::now();
        }
    }

    /// The tools of all servers but that of `mine`, and whose they are; nothing of what they have for other people.
    pub(super) fn tools_of_others(&self, mine: &Kept) -> BTreeMap<String, String> {
        let kept: Vec<Arc<Kept>> = self.kept.lock().values().cloned().collect();
        let mut tools = BTreeMap::new();
        let other = |kept: &&Arc<Kept>| {
            kept.server.name != mine.server.name && (kept.acting.is_none() || kept.acting == mine.acting)
        };
        for kept in kept.iter().filter(other) {
            if let Known::Listed(listed) = &*kept.known.borrow() {
                tools.extend(listed.tools.keys().map(|tool| (tool.clone(), kept.server.name.to_string())));
            }
        }
        tools
    }

    /// Somebody who keeps `server` listed: another one where its configuration has changed since.
    fn keep(&self, gate: &Arc<Gate>, server: &Arc<ToolServer>, acting: Option<&Acting>) -> Arc<Kept> {
        let whose = whose(server, acting);
        let mut all = self.kept.lock();
        if let Some(kept) = all.get(&whose).filter(|kept| is_same(&kept.server, server)) {
            return Arc::clone(kept);
        }
        let kept = Arc::new(Kept {
            server: Arc::clone(server),
            acting: whose.1.clone(),
            known: watch::Sender::new(Known::Nothing),
            wanted: Mutex::new(Instant::now()),
        });
        all.insert(whose, Arc::clone(&kept));
        tokio::spawn(keeper::keep(Arc::downgrade(gate), Arc::clone(&kept)));
        kept
    }

    /// Forgets `kept`, which nobody has wanted for long, unless that has changed or another one keeps the server.
    pub(super) fn forget(&self, kept: &Arc<Kept>, idle: Duration) -> bool {
        let mut all = self.kept.lock();
        if kept.wanted.lock().elapsed() < idle {
            return false;
        }
        if all.get(&kept.whose()).is_some_and(|known| Arc::ptr_eq(known, kept)) {
            all.remove(&kept.whose());
        }
        true
    }

    /// Forgets `kept` at once: whoever asks next has it listed anew.
    pub(super) fn give_up(&self, kept: &Arc<Kept>) {
        self.forget(kept, Duration::ZERO);
    }

    /// Whether `kept` is still who keeps its server.
    pub(super) fn is_current(&self, kept: &Arc<Kept>) -> bool {
        self.kept.lock().get(&kept.whose()).is_some_and(|known| Arc::ptr_eq(known, kept))
    }
}

fn not_yet(server: &ToolServer) -> Fault {
    let message = format!("{}: the tool server has not said yet what it offers", server.name);
    Fault { retry_after: Some(Duration::from_secs(1)), ..Fault::new(FaultClass::Timeout, message) }
}

/// The gate, while it lives.
pub(super) type OfGate = Weak<Gate>;
