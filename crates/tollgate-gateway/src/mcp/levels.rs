//! From which level on clients with sessions want log messages. Stateful servers are told once; stateless ones with each
//! request.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tollgate_mcp::bridge::Level;

use super::client::Client;

/// Sessions of which it is known; of more it is forgotten, and their clients hear what servers say by themselves.
const MOST: usize = 100_000;

/// The levels, by session.
#[derive(Debug, Default)]
pub(crate) struct Levels(Mutex<(HashMap<String, Level>, VecDeque<String>)>);

impl Levels {
    /// The client of a session wants messages from `level` on.
    pub(super) fn set(&self, session: &str, level: Level) {
        let mut known = self.0.lock();
        let (levels, order) = &mut *known;
        if levels.insert(session.to_owned(), level).is_none() {
            order.push_back(session.to_owned());
        }
        if order.len() > MOST
            && let Some(oldest) = order.pop_front()
        {
            levels.remove(&oldest);
        }
    }

    /// The client, as it said before what it wants.
    pub(super) fn of(&self, client: Client) -> Client {
        let session = client.session.as_ref();
        let level = session.and_then(|session| self.0.lock().0.get(&session.name).copied());
        Client { log_level: client.log_level.or(level), ..client }
    }
}
