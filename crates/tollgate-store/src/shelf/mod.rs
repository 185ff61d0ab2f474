//! What instances share: documents with versions, in PostgreSQL, or in Valkey or Redis.

mod postgres;
mod redis;
mod sqlite;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tollgate_core::ports::Shelf;

pub use self::postgres::PostgresShelf;
pub use self::redis::RedisShelf;
pub use self::sqlite::SqliteShelf;
use crate::StoreError;

/// Opens what instances share at `url`, an address of PostgreSQL (`postgres://`), or of Valkey or Redis (`redis://`,
/// `rediss://`).
pub async fn open_shelf(url: &str) -> Result<Arc<dyn Shelf>, StoreError> {
    Ok(if url.starts_with("redis") {
        Arc::new(RedisShelf::open(url).await?)
    } else {
        Arc::new(PostgresShelf::open(url).await?)
    })
}

/// How often what is of no use any more is removed.
const SWEEP_MS: i64 = 600_000;

/// How long documents are kept after they are of use.
const KEPT_MS: i64 = 600_000;

/// When a shelf was last swept, in milliseconds since 1970.
#[derive(Debug)]
struct Swept(AtomicI64);

impl Swept {
    const fn never() -> Self {
        Self(AtomicI64::new(0))
    }

    /// What ended before this moment is to be removed now; `None` where that was done not long ago.
    fn due(&self) -> Option<i64> {
        let (now, last) = (Timestamp::now().as_millisecond(), self.0.load(Ordering::Relaxed));
        if now - last < SWEEP_MS {
            return None;
        }
        self.0.store(now, Ordering::Relaxed);
        Some(now - KEPT_MS)
    }
}

/// How `who` stands in a document: as a member's name in JSON.
fn quoted(who: &str) -> String {
    format!("{who:?}:")
}

fn names(text: Option<&str>, who: &str) -> bool {
    text.is_some_and(|text| text.contains(&quoted(who)))
}
