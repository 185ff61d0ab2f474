//! What servers ask of clients in the middle of a request, and where the answers go. A client answers in a request of its
//! own, by the id that the gate gave the question: nobody else's answer is taken.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tollgate_mcp::revision::Revision;
use uuid::Uuid;

use super::conversation::Given;
use super::link::Link;

/// Questions of one request that may be open at once.
pub(super) const MOST_AT_ONCE: usize = 32;

/// Whoever waits for the answer to a question.
#[derive(Clone, Debug)]
pub(super) enum Waits {
    /// A server that has asked over this link: the question as it asked it.
    Server(Arc<Link>, String),
    /// A request that goes on when all questions of a stateless server are answered: by what the server knows this one,
    /// and the question's method.
    Request(mpsc::Sender<Given>, String, String),
}

/// A question that a client was asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Whose session it was asked in.
    pub(super) session: String,
    /// What the client speaks.
    pub(super) revision: Revision,
    /// Whoever waits.
    pub(super) waits: Waits,
}

/// Open questions, by the ids that clients know them by.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<String, Question>>);

impl Questions {
    /// Opens a question, and returns the id to ask it under, as it is written.
    pub(super) fn open(&self, question: Question) -> String {
        let id = format!("\"tollgate-{}\"", Uuid::now_v7().simple());
        self.0.lock().insert(id.clone(), question);
        id
    }

    /// Takes the question `id` of `session`, which is answered now.
    pub(super) fn take(&self, id: &str, session: &str) -> Option<Question> {
        let mut open = self.0.lock();
        if open.get(id)?.session != session {
            return None;
        }
        open.remove(id)
    }

    /// Closes questions that nobody waits for any more.
    pub(super) fn close(&self, ids: &[String]) {
        let mut open = self.0.lock();
        for id in ids {
            open.remove(id);
        }
    }
}
