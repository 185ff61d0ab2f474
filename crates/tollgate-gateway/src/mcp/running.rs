//! Requests of clients that are under way, so that a client can call one off.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Requests that are under way, by session and id.
#[derive(Debug, Default)]
pub(crate) struct Running(All);

type All = Arc<Mutex<HashMap<(String, String), Arc<Notify>>>>;

/// A request that is under way for as long as this is held.
#[derive(Debug)]
pub(super) struct UnderWay {
    all: All,
    key: (String, String),
    called_off: Arc<Notify>,
}

impl Running {
    /// The request `id` of `session` is under way from now on.
    pub(super) fn begin(&self, session: &str, id: &str) -> UnderWay {
        let (key, called_off) = ((session.to_owned(), id.to_owned()), Arc::<Notify>::default());
        self.0.lock().insert(key.clone(), Arc::clone(&called_off));
        UnderWay { all: Arc::clone(&self.0), key, called_off }
    }

    /// Calls the request `id` of `session` off, where it is under way.
    pub(super) fn call_off(&self, session: &str, id: &str) {
        if let Some(called_off) = self.0.lock().get(&(session.to_owned(), id.to_owned())) {
            called_off.notify_one();
        }
    }
}

impl UnderWay {
    /// Resolves when the client calls the request off.
    pub(super) async fn called_off(&self) {
        self.called_off.notified().await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        // Another request may have come with the same id since.
        if all.get(&self.key).is_some_and(|known| Arc::ptr_eq(known, &self.called_off)) {
            all.remove(&self.key);
        }
    }
}
