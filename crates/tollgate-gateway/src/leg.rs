//! One attempt's part of a ticket: what an attempt must know of its call, and what it leaves behind. Two attempts may be
//! under way at once, so neither holds the ticket itself.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::record::{Direction, EditEntry};
use tollgate_core::trace::TraceParent;
use tollgate_core::usage::Usage;

use crate::gate::{Gate, Runtime};
use crate::ticket::Film;

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
    pub(crate) edits: Vec<EditEntry>,
}

/// What an attempt must know of its call.
#[derive(Clone, Debug)]
pub(crate) struct OfCall {
    pub(crate) call_id: CallId,
    pub(crate) arrived: Instant,
    pub(crate) prompt: Usage,
    /// What upstreams are told of the trace.
    pub(crate) trace: TraceParent,
    /// Whether the model may choose tools.
    pub(crate) offers_tools: bool,
    pub(crate) film: Option<Arc<Film>>,
    /// The longest answer that a strict budget pays for, in tokens.
    pub(crate) output_ceiling: Option<u64>,
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
    prompt: Usage,
    /// What the upstream is told of the trace.
    pub trace: TraceParent,
    offers_tools: bool,
    film: Option<Arc<Film>>,
    /// The longest answer that a strict budget pays for, in tokens.
    pub(crate) output_ceiling: Option<u64>,
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
    /// The leg of attempt `number`, which leaves its notes in `notes`.
    pub(crate) fn new(
        gate: &Arc<Gate>,
        runtime: &Arc<Runtime>,
        call: OfCall,
        number: usize,
        notes: Arc<Mutex<Notes>>,
    ) -> Self {
        let (gate, runtime) = (Arc::clone(gate), Arc::clone(runtime));
        let OfCall { call_id, arrived, prompt, trace, offers_tools, film, output_ceiling } = call;
        Self {
            gate,
            runtime,
            call_id,
            arrived,
            number,
            prompt,
            trace,
            offers_tools,
            film,
            output_ceiling,
            notes,
        }
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

    /// Notes a change that the gate made to the request, and on whose account: see [`EditEntry::by`].
    pub fn edited(&mut self, by: &'static str, what: impl Into<String>) {
        self.notes.lock().edits.push(EditEntry { by, what: what.into() });
    }

    /// Whether somebody wants to know what the answer says: which tools the model chose, or its text without what must
    /// not be kept.
    pub(crate) fn listens(&self) -> bool {
        self.offers_tools || self.film.as_ref().is_some_and(|film| !film.keeps_pieces())
    }

    /// Keeps what passes between the gate and the upstream, where content is kept.
    pub(crate) fn shoot(&self, direction: Direction, bytes: &[u8]) {
        if let Some(film) = &self.film {
            film.shoot(direction, Some(self.attempt()), bytes);
        }
    }

    /// The film of a stream, where its pieces are kept.
    pub(crate) fn stream_film(&self) -> Option<(Arc<Film>, u32)> {
        self.film.clone().filter(|film| film.keeps_pieces()).map(|film| (film, self.attempt()))
    }

    /// Which attempt this is, counted from 1.
    fn attempt(&self) -> u32 {
        u32::try_from(self.number + 1).unwrap_or(u32::MAX)
    }
}
