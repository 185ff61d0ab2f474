//! Which link to a server each client has used last. A server that remembers something of a client has forgotten it where
//! the client comes over another link: the old one ended, was closed as idle, or was that of another instance.

use parking_lot::Mutex;

use super::bounded::Bounded;

/// Clients and servers of which it is known.
const MOST: usize = 100_000;

type Key = (String, String);

/// The number of the link that a client has used last, by client and server.
#[derive(Debug)]
pub(crate) struct Remembered(Mutex<Bounded<Key, u64>>);

impl Default for Remembered {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MOST)))
    }
}

impl Remembered {
    /// Whether `client` has used another link to `server` than the one of the number `link`. Where nothing is known that
    /// is so for a client that came `earlier`.
    pub(super) fn is_another(&self, client: &str, server: &str, link: u64, earlier: bool) -> bool {
        let known = self.0.lock().get(&(client.to_owned(), server.to_owned())).copied();
        known.map_or(earlier, |known| known != link)
    }

    /// `client` knows that it uses the link `link` to `server`.
    pub(super) fn knows(&self, client: &str, server: &str, link: u64) {
        self.0.lock().insert((client.to_owned(), server.to_owned()), link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_once_of_each_link_that_is_another() {
        let remembered = Remembered::default();
        assert!(!remembered.is_another("ann", "files", 1, false), "the first is none that was lost");
        assert!(remembered.is_another("ann", "files", 1, true), "there may have been one elsewhere");
        remembered.knows("ann", "files", 1);
        assert!(!remembered.is_another("ann", "files", 1, true));
        assert!(remembered.is_another("ann", "files", 2, false));
        assert!(!remembered.is_another("bob", "files", 2, false));
        remembered.knows("ann", "files", 2);
        assert!(!remembered.is_another("ann", "files", 2, true));
    }
}
