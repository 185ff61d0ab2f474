//! Alerts: who sends them to whom, and trying them.

use std::sync::{Arc, OnceLock, Weak};

use tokio::task::JoinSet;
use tollgate_core::config::alerts::AlertTarget;
use tollgate_core::deliver::{self, Alerting, Deliver};
use tollgate_core::principal::Principal;
use tollgate_export::Reading;
use tollgate_export::alerts::{self, Claims};
use tollgate_gateway::gate::Gate;
use tollgate_journal::DiskJournal;

use crate::sharing::Shared;

/// Starts telling each address that the configuration names. It ends with `telling`.
pub(crate) fn tell(
    telling: &mut JoinSet<()>,
    gate: &Arc<Gate>,
    journal: &DiskJournal,
    shared: Option<&Shared>,
) {
    for target in &gate.runtime().snapshot.alerts {
        let name = alerts::reader_name(target);
        let reading = Reading::from_now(journal, &name);
        let claims =
            shared.map(|Shared { shelf, who }| Claims::new(Arc::clone(shelf), Arc::clone(who), name));
        let (deliver, clock) = (Arc::clone(gate) as Arc<dyn Deliver>, Arc::clone(&gate.parts.clock));
        telling.spawn(alerts::tell(deliver, clock, target.clone(), reading, claims));
    }
}

/// What sends test alerts: through the gate, to the addresses that it began with.
#[derive(Default)]
pub(crate) struct Testing(OnceLock<(Weak<Gate>, Vec<AlertTarget>)>);

impl Testing {
    /// The gate is there from now on.
    pub(crate) fn begin(&self, gate: &Arc<Gate>) {
        // The first gate counts, and there is only one.
        let _ = self.0.set((Arc::downgrade(gate), gate.runtime().snapshot.alerts.clone()));
    }
}

impl Alerting for Testing {
    fn test<'a>(&'a self, by: &'a Principal) -> deliver::Testing<'a> {
        Box::pin(async move {
            let Some((gate, targets)) = self.0.get() else { return Vec::new() };
            let Some(gate) = gate.upgrade() else { return Vec::new() };
            let (clock, instance) = (Arc::clone(&gate.parts.clock), Arc::clone(&gate.parts.instance));
            alerts::test(gate, &*clock, targets, &instance, by).await
        })
    }
}
