//! Phases 6 and 7: reserve, send, and on failure decide what to try next.

use tokio::time::Instant;
use tollgate_core::fault::Fault;
use tollgate_core::usage::Usage;

use crate::pipeline::Protocol;
use crate::route::{Candidate, Next, Tries};
use crate::settle::Ticket;

/// An attempt that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub fault: Fault,
    /// What the provider may bill for it all the same.
    pub billed: Option<Usage>,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, billed: None }
    }
}

/// Phase 6: takes the first candidate that has room, and writes the entry without which nothing may be sent.
pub(crate) fn reserve(tries: &mut Tries, ticket: &mut Ticket) -> Result<Candidate, Fault> {
    let first = tries.first(Instant::now());
    ticket.decided(tries.decision());
    let candidate = first?;
    ticket.attempt(&candidate, None)?;
    Ok(candidate)
}

/// Phase 7: attempts until one is answered or nothing is left to try.
pub(crate) async fn run<P: Protocol>(
    protocol: &P,
    call: &P::Call,
    mut tries: Tries,
    first: Candidate,
    ticket: &mut Ticket,
) -> Result<P::Answer, Fault> {
    let mut candidate = first;
    loop {
        let started = Instant::now();
        let sent = protocol.send(call, &candidate, ticket).await;
        ticket.waited(started.elapsed());
        let failed = match sent {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        ticket.attempt_failed(&failed.fault, failed.billed);
        let (pause, next) = match tries.next(&failed.fault, Instant::now()) {
            Next::Try(pause, next) => (pause, next),
            Next::Stop => return Err(failed.fault),
        };
        let deadline = ticket.arrived + next.deployment.timeouts.total;
        if Instant::now() + pause >= deadline {
            return Err(failed.fault);
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
            ticket.paused(pause);
        }
        ticket.attempt(&next, Some(failed.fault.class))?;
        candidate = next;
    }
}
