//! What was spent elsewhere before a holder came here.

use tollgate_core::access::HolderRef;
use tollgate_core::price::NanoUsd;
use tollgate_core::principal::Principal;
use tollgate_core::record::{Counted, Counts, Entry, Event, SPENT_ELSEWHERE};

use crate::registrar::{Registrar, RegistrarError};

impl Registrar {
    /// Counts that under each of these budgets so much was spent in the window that is open, here and elsewhere. What is
    /// counted already is not counted again, so that whoever is not sure that it was done does it once more.
    pub fn carry_over(
        &self,
        by: &Principal,
        name: &HolderRef,
        spent: &[(&str, NanoUsd)],
    ) -> Result<(), RegistrarError> {
        let now = self.now();
        let listed = self.ledger.get(name).ok_or_else(|| RegistrarError::Missing(name.clone()))?;
        let mut counted = Counts::default();
        for (meter, standing) in self.ledger.standings(&listed.account, now) {
            let said = spent.iter().find(|(budget, _)| *budget == meter.id());
            let more = said.map_or(0, |(_, spent)| spent.saturating_sub(standing.spent));
            if more > 0 {
                let (under, since) = (meter.name.clone(), standing.window.start);
                counted.0.push(Counted { under, since, amount: more });
            }
        }
        if counted.is_empty() {
            return Ok(());
        }
        let detail = serde_json::json!({ "by": by, "holder": name, "counted": counted });
        let event = Event { at: now, event: SPENT_ELSEWHERE, call_id: None, detail };
        self.write(&Entry::Event(&event))?;
        self.ledger.count(&listed.account, &counted.0, now);
        Ok(())
    }
}
