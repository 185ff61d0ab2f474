//! What is tried for a request to a tool server: the server, again where that does no harm.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::config::snapshot::{Routing, Timeouts};
use tollgate_core::config::tools::ToolServer;
use tollgate_core::fault::{Fault, FaultClass};

use crate::gate::{Gate, Runtime};
use crate::route::{Health, Next, Target, Tries};

/// A tool server that is asked.
#[derive(Clone, Debug)]
pub struct ServerCandidate {
    /// The server.
    pub server: Arc<ToolServer>,
    /// How it has been doing.
    pub health: Arc<Health>,
    /// Whether the session with it was lost, and is begun anew.
    pub renewed: bool,
}

impl ServerCandidate {
    /// How long to wait for it.
    pub fn timeouts(&self) -> &Timeouts {
        &self.server.timeouts
    }
}

impl From<ServerCandidate> for Target {
    fn from(candidate: ServerCandidate) -> Self {
        Self::Server(candidate)
    }
}

/// What is still to be tried.
pub(crate) struct ServerTries {
    candidate: ServerCandidate,
    gate: Arc<Gate>,
    runtime: Arc<Runtime>,
    /// Whether the request may be sent again though it may have arrived.
    repeatable: bool,
    made: u32,
}

impl ServerTries {
    pub(crate) fn new(
        gate: &Arc<Gate>,
        runtime: &Arc<Runtime>,
        candidate: ServerCandidate,
        repeatable: bool,
    ) -> Self {
        let (gate, runtime) = (Arc::clone(gate), Arc::clone(runtime));
        Self { candidate, gate, runtime, repeatable, made: 0 }
    }

    fn routing(&self) -> &Routing {
        &self.runtime.snapshot.routing
    }
}

impl Tries for ServerTries {
    type Candidate = ServerCandidate;

    fn first(&mut self, _now: Instant) -> Result<ServerCandidate, Fault> {
        self.made = 1;
        Ok(self.candidate.clone())
    }

    fn next(&mut self, fault: &Fault, _now: Instant) -> Next<ServerCandidate> {
        // A session that was lost is begun anew, however often is tried otherwise: nothing was done.
        if fault.class == FaultClass::SessionLost && !self.candidate.renewed {
            self.candidate.renewed = true;
            return Next::Try(Duration::ZERO, self.candidate.clone());
        }
        if self.made > self.routing().retries || self.made >= self.runtime.snapshot.limits.attempts {
            return Next::Stop;
        }
        // What was not sent did nothing. What may have arrived is sent again only where twice is as once.
        let again = match fault.class {
            FaultClass::Connect => true,
            FaultClass::SessionLost => false,
            class => self.repeatable && class.retryable(),
        };
        if !again {
            return Next::Stop;
        }
        self.made += 1;
        let routing = self.routing();
        let asked = fault.retry_after.unwrap_or_default();
        if asked > routing.backoff_max {
            return Next::Stop;
        }
        let most = routing.backoff.saturating_mul(1 << (self.made - 2).min(16)).min(routing.backoff_max);
        // Between half and all of it, so that clients that failed together do not come back together.
        let jitter = self.gate.parts.dice.below(u64::try_from(most.as_millis() / 2).unwrap_or(0) + 1);
        let pause = most / 2 + Duration::from_millis(jitter);
        Next::Try(pause.max(asked), self.candidate.clone())
    }
}
