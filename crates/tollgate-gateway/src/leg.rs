//! One attempt's part of a ticket: what an attempt must know of its call, and what it leaves behind. Two attempts may be
//! under way at once, so neither holds the ticket itself.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::usage::Usage;

use crate::gate::{Gate, Runtime};
use crate::route::Candidate;

/// What an attempt leaves behind, also when it is dropped in the middle.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Whether the request has gone out.
    pub(crate) sent: bool,
    /// The upstream's status.
    pub(crate) status: Option<u16>,
    /// The upstream's own id for the request.
    pub(crate) upstream_request_id: Option<String>,
    /// What was changed in the request.
    pub(crate) edits: Vec<String>,
}

/// One attempt's part of a ticket.
pub struct Leg {
    gate: Arc<Gate>,
    /// The configuration that the call began with.
    pub runtime: Arc<Runtime>,
    /// The call.
    pub call_id: CallId,
    /// When it came.
    pub arrived: Instant,
    /// Which attempt this is, counted from 0.
    pub number: usize,
    /// The deployment that is tried.
    pub candidate: Candidate,
    prompt: Usage,
    notes: Arc<Mutex<Notes>>,
}

impl std::fmt::Debug for Leg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leg")
            .field("call_id", &self.call_id)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Leg {
    /// The leg of attempt `number` at `candidate`, which leaves its notes in `notes`.
    pub(crate) fn new(
        gate: &Arc<Gate>,
        runtime: &Arc<Runtime>,
        (call_id, arrived, prompt): (CallId, Instant, Usage),
        number: usize,
        candidate: Candidate,
        notes: Arc<Mutex<Notes>>,
    ) -> Self {
        let (gate, runtime) = (Arc::clone(gate), Arc::clone(runtime));
        Self { gate, runtime, call_id, arrived, number, candidate, prompt, notes }
    }

    /// The gate.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// An estimate of what a provider bills when nothing came back.
    pub fn prompt_only(&self) -> Usage {
        self.prompt
    }

    /// Notes that the request goes out now.
    pub fn sent(&mut self) {
        self.notes.lock().sent = true;
    }

    /// Notes the upstream's status and its own id for the request.
    pub fn answered(&mut self, status: u16, upstream_request_id: Option<&str>) {
        let mut notes = self.notes.lock();
        notes.status = Some(status);
        // An id is short; what is not is no id and has no place in a record.
        notes.upstream_request_id = upstream_request_id.filter(|id| id.len() <= 128).map(str::to_owned);
    }

    /// Notes a change that the gate made to the request.
    pub fn edited(&mut self, edit: impl Into<String>) {
        self.notes.lock().edits.push(edit.into());
    }
}
