//! Requests that are under way, so that a client can call one off: from when it came until it is answered, whatever it waits
//! for.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Requests that are under way, by session and id.
#[derive(Debug, Default)]
pub(crate) struct Running(All);

type Key = (String, String);
type All = Arc<Mutex<HashMap<Key, (watch::Sender<bool>, usize)>>>;

/// A request that is under way for as long as this is held.
#[derive(Debug)]
pub(super) struct UnderWay {
    all: All,
    key: Key,
    called_off: watch::Receiver<bool>,
}

impl Running {
    /// The request `id` of `session` is under way from now on. Of two with the same id both hear of the same end.
    pub(super) fn begin(&self, session: &str, id: &str) -> UnderWay {
        let key = (session.to_owned(), id.to_owned());
        let mut all = self.0.lock();
        let (sender, held) = all.entry(key.clone()).or_insert_with(|| (watch::Sender::new(false), 0));
        *held += 1;
        let called_off = sender.subscribe();
        UnderWay { all: Arc::clone(&self.0), key, called_off }
    }

    /// Calls the request `id` of `session` off, where it is under way.
    pub(super) fn call_off(&self, session: &str, id: &str) {
        if let Some((sender, _)) = self.0.lock().get(&(session.to_owned(), id.to_owned())) {
            sender.send_replace(true);
        }
    }
}

impl UnderWay {
    /// Resolves when the client calls the request off.
    pub(super) async fn called_off(&self) {
        // Whoever sends lives for as long as this does.
        let _ = self.called_off.clone().wait_for(|called_off| *called_off).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some((_, held)) = all.get_mut(&self.key) {
            *held -= 1;
            if *held == 0 {
                all.remove(&self.key);
            }
        }
    }
}
