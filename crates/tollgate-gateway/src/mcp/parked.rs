//! Requests of stateless clients that wait at a stateful server for something that the client must say first. The client's
//! request has ended with the question; the server's goes on when the client makes it again with the answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::fault::Fault;
use tollgate_mcp::bridge::{Notes, ask};
use tollgate_mcp::json::quoted;
use uuid::Uuid;

use super::ask::message;
use super::conversation::Conversation;
use super::result::Ended;
use super::trouble;
use crate::gate::Gate;

/// What the names of requests that wait begin with.
pub(super) const MARK: &str = "tollgate-";

/// How long a question may stay open.
const PATIENCE: Duration = Duration::from_mins(10);

/// Requests that wait at once; of more the oldest are called off.
const MOST: usize = 10_000;

/// Requests of one caller that wait at once; of more its oldest are called off.
const MOST_OF_ONE: usize = 1_000;

/// A request that waits.
pub(super) struct Waiting {
    /// Who made it.
    pub(super) owner: String,
    /// What was asked for: whoever goes on must ask for the same.
    pub(super) request: Vec<u8>,
    /// The call that was answered with the question.
    pub(super) call_id: CallId,
    /// What the server has asked, as it sent it.
    pub(super) question: Bytes,
    pub(super) conversation: Conversation,
    since: Instant,
}

/// As what a request waits, if it comes to that.
#[derive(Clone, Debug)]
pub(crate) struct Parks {
    /// The request's id, as the client wrote it.
    pub(super) id: String,
    /// Who made it.
    pub(super) owner: String,
    /// What was asked for.
    pub(super) request: Vec<u8>,
    /// The call.
    pub(super) call_id: CallId,
}

impl Parks {
    /// Ends the request of a stateless client with the question that a stateful server asks, and lets the server's go on
    /// when the client makes it again.
    pub(super) fn park(
        self,
        gate: &Gate,
        question: Bytes,
        conversation: Conversation,
    ) -> Result<Ended, Fault> {
        let Self { id, owner, request, call_id } = self;
        let server = Arc::clone(conversation.link().server());
        let token = gate.tools.parked.park((owner, request), call_id, question.clone(), conversation);
        let garbage = |why: String| trouble::unreadable(&server, "its question", &why);
        let asked = message(&question).map_err(garbage)?;
        let message = ask(&id, &[("1", &asked)], Some(&quoted(&token)), &mut Notes::default())
            .map_err(|why| garbage(why.to_string()))?;
        Ok(Ended { message, fault: None, status: 200, question: true })
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}

/// Requests that wait, by what their clients recognise them by.
#[derive(Debug)]
pub(crate) struct Parked {
    /// This run of this instance, where they wait.
    life: String,
    waiting: Mutex<HashMap<String, Waiting>>,
}

/// The run of an instance at which the request waits that is recognised by `token`.
pub(super) fn life(token: &str) -> Option<&str> {
    token.strip_prefix(MARK)?.split_once('-').map(|(life, _)| life)
}

impl Parked {
    /// None yet, in the run `life` of this instance.
    pub(super) fn new(life: &str) -> Self {
        Self { life: life.to_owned(), waiting: Mutex::default() }
    }

    /// Lets a request wait, and says what to recognise it by.
    pub(super) fn park(
        &self,
        (owner, request): (String, Vec<u8>),
        call_id: CallId,
        question: Bytes,
        conversation: Conversation,
    ) -> String {
        let token = format!("{MARK}{}-{}", self.life, Uuid::now_v7().simple());
        let waiting = Waiting { owner, request, call_id, question, conversation, since: Instant::now() };
        let mut all = self.waiting.lock();
        all.retain(|_, waiting| waiting.since.elapsed() < PATIENCE);
        let own = all.values().filter(|other| other.owner == waiting.owner).count();
        let goes = |other: &&Waiting| own < MOST_OF_ONE || other.owner == waiting.owner;
        if all.len() >= MOST || own >= MOST_OF_ONE {
            let oldest = all.iter().filter(|(_, other)| goes(other)).min_by_key(|(_, other)| other.since);
            if let Some(oldest) = oldest.map(|(token, _)| token.clone()) {
                all.remove(&oldest);
            }
        }
        all.insert(token.clone(), waiting);
        token
    }

    /// Calls off what has waited for too long.
    pub(crate) fn forget_old(&self) {
        self.waiting.lock().retain(|_, waiting| waiting.since.elapsed() < PATIENCE);
    }

    /// The call that was answered with the question which `owner` recognises by `token`.
    pub(super) fn call_of(&self, token: &str, owner: &str) -> Option<CallId> {
        self.waiting.lock().get(token).filter(|waiting| waiting.owner == owner).map(|waiting| waiting.call_id)
    }

    /// Takes the request that `owner` recognises by `token`, where it asks for the same.
    pub(super) fn take(&self, token: &str, owner: &str, request: &[u8]) -> Option<Waiting> {
        let mut all = self.waiting.lock();
        let waiting = all.get(token)?;
        let same = waiting.owner == owner && waiting.request == request && waiting.since.elapsed() < PATIENCE;
        if same { all.remove(token) } else { None }
    }
}
