//! What instances share, in memory, which can be away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::ports::{Documents, Rewritten, Shelf};
use tollgate_core::query::{Answering, QueryError};

/// What instances share, in memory, by tokio's clock.
#[derive(Debug)]
pub struct MemoryShelf {
    documents: Mutex<BTreeMap<String, (u64, String)>>,
    begun: (Timestamp, Instant),
    away: AtomicBool,
    reads: AtomicUsize,
}

impl Default for MemoryShelf {
    fn default() -> Self {
        Self {
            documents: Mutex::default(),
            begun: (Timestamp::now(), Instant::now()),
            away: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
        }
    }
}

impl MemoryShelf {
    /// Whether nobody can reach it from now on.
    pub fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// How often it was read.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// The documents whose names begin with `beginning`.
    pub fn beginning(&self, beginning: &str) -> Vec<String> {
        let documents = self.documents.lock();
        let named = documents.iter().filter(|(name, _)| name.starts_with(beginning));
        named.map(|(_, (_, text))| text.clone()).collect()
    }

    fn reached(&self) -> Result<(), QueryError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(QueryError("it is away".to_owned())),
            false => Ok(()),
        }
    }
}

impl Shelf for MemoryShelf {
    fn read<'a>(&'a self, names: &'a [String]) -> Answering<'a, Documents> {
        Box::pin(async move {
            self.reached()?;
            self.reads.fetch_add(1, Ordering::SeqCst);
            let documents = self.documents.lock();
            let each = names.iter().map(|name| {
                let known = documents.get(name);
                (known.map_or(0, |(version, _)| *version), known.map(|(_, text)| text.clone()))
            });
            let (began, at) = self.begun;
            Ok(Documents { now: began + at.elapsed(), life: String::new(), each: each.collect() })
        })
    }

    fn write<'a>(&'a self, rewritten: &'a [Rewritten]) -> Answering<'a, Vec<bool>> {
        Box::pin(async move {
            self.reached()?;
            let mut documents = self.documents.lock();
            let each = rewritten.iter().map(|new| {
                let known = documents.get(&new.name).map_or(0, |(version, _)| *version);
                if known == new.version {
                    documents.insert(new.name.clone(), (known + 1, new.text.clone()));
                }
                known == new.version
            });
            Ok(each.collect())
        })
    }

    fn naming<'a>(&'a self, who: &'a str) -> Answering<'a, Vec<String>> {
        Box::pin(async move {
            self.reached()?;
            let who = format!("\"{who}\"");
            let documents = self.documents.lock();
            let naming = documents.iter().filter(|(_, (_, text))| text.contains(&who));
            Ok(naming.map(|(name, _)| name.clone()).collect())
        })
    }
}
