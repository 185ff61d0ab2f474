//! From which level on clients with sessions want log messages. Stateful servers are told once; stateless ones with each
//! request.

use parking_lot::Mutex;
use tollgate_mcp::bridge::Level;

use super::bounded::Bounded;
use super::client::Client;

/// Sessions of which it is known; of more it is forgotten, and their clients hear what servers say by themselves.
const MOST: usize = 100_000;

/// The levels, by session.
#[derive(Debug)]
pub(crate) struct Levels(Mutex<Bounded<String, Level>>);

impl Default for Levels {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MOST)))
    }
}

impl Levels {
    /// The client of a session wants messages from `level` on.
    pub(super) fn set(&self, session: &str, level: Level) {
        self.0.lock().insert(session.to_owned(), level);
    }

    /// The client, as it said before what it wants.
    pub(super) fn of(&self, client: Client) -> Client {
        let session = client.session.as_ref();
        let level = session.and_then(|session| self.0.lock().get(&session.name).copied());
        Client { log_level: client.log_level.or(level), ..client }
    }
}
