//! What becomes of a call whose ticket nobody has closed: its client went away, or the gate was stopped.

use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::Outcome;

use super::Ticket;

impl Ticket {
    /// Why a call is dropped that nobody has closed.
    pub fn gone(&self) -> Fault {
        if std::thread::panicking() {
            Fault::new(FaultClass::Internal, "the gate failed while it handled the call")
        } else if self.gate.is_cut() {
            Fault::new(FaultClass::Draining, "the gate stopped before the call had ended (timeouts.drain_ms)")
        } else {
            Fault::new(FaultClass::ClientGone, "the client went away before the end of its answer")
        }
    }

    /// Closes a call that was dropped, for the reason that [`Ticket::gone`] gave.
    pub fn close_gone(&mut self, fault: &Fault) {
        let outcome =
            if fault.class == FaultClass::ClientGone { Outcome::ClientGone } else { Outcome::Failed };
        // Nobody is left to be told that it cannot be recorded; the gate logs it.
        let _ = self.close(outcome, Some(fault));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(outcome) = self.closed {
            // The client went away while the last entry was on its way to the disk.
            if !self.counted {
                self.count(outcome, None, self.arrived.elapsed());
            }
            return;
        }
        let fault = self.gone();
        // What went out and will never be read is billed all the same.
        for number in 0..self.attempts.len() {
            let attempt = &self.attempts[number];
            if attempt.notes.lock().sent && !attempt.charged && attempt.entry.fault.is_none() {
                self.current = number;
                self.charge(self.prompt_only());
            }
        }
        if self.status == 0 {
            self.status = fault.class.status();
        }
        self.close_gone(&fault);
    }
}
