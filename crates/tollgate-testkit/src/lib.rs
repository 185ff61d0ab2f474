//! Dev only: a whole gate in-process, scripted upstreams, a fake clock. No sockets, so that tests can pause
//! tokio's time and every time-out passes in no time at all.

mod event_stream;
mod gate;
mod journal;
mod registry;
mod shelf;
mod upstream;

pub use event_stream::frame;
pub use gate::{Answer, TestGate, chat, request};
pub use journal::MemoryJournal;
pub use registry::MemoryRegistry;
pub use shelf::MemoryShelf;
pub use upstream::{Reply, Scripted};

use std::collections::HashMap;

use tollgate_core::ports::Environment;

/// An environment of a few variables and files.
#[derive(Clone, Debug, Default)]
pub struct FakeEnvironment {
    /// Variables by name.
    pub variables: HashMap<String, String>,
    /// Files by path.
    pub files: HashMap<std::path::PathBuf, String>,
}

impl FakeEnvironment {
    /// An environment with these variables.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { variables, ..Self::default() }
    }
}

impl Environment for FakeEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &std::path::Path) -> std::io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
    }
}
