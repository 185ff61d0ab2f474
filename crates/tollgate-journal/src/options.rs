//! How a journal is kept.

use std::time::Duration;

use tollgate_core::config::recording::{JournalSettings, Sync, WhenFull};

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a power cut may lose.
    pub sync: Sync,
    /// What happens to new calls when entries cannot be written.
    pub when_full: WhenFull,
    /// A segment is sealed when it is larger.
    pub segment_bytes: u64,
    /// A segment is sealed when it is older.
    pub segment_age: Duration,
    /// Sealed segments are removed when they are older; `None` keeps all.
    pub keep: Option<Duration>,
    /// How much longer they are kept for a sink that does not take them.
    pub wait_for_sink: Duration,
    /// How much room is held back on the disk for calls that are under way when it is full.
    pub reserve_bytes: u64,
    /// How often the head is signed.
    pub head_every: Duration,
    /// Who takes entries, by name: what one of them has not taken is not removed. With `true` it is waited for without
    /// end, otherwise as long as `wait_for_sink`. Told before anything is opened, so that nothing is removed before they
    /// could say how far they are.
    pub takers: Vec<(&'static str, bool)>,
}

impl Default for Options {
    fn default() -> Self {
        const HOUR: u64 = 3_600;
        Self {
            sync: Sync::default(),
            when_full: WhenFull::default(),
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(24 * HOUR),
            keep: None,
            wait_for_sink: Duration::from_secs(30 * 24 * HOUR),
            reserve_bytes: 16 << 20,
            head_every: Duration::from_secs(60),
            takers: Vec::new(),
        }
    }
}

impl Options {
    /// What `settings` say, with these takers.
    pub fn of(settings: &JournalSettings, takers: Vec<(&'static str, bool)>) -> Self {
        Self {
            sync: settings.sync,
            when_full: settings.when_full,
            segment_bytes: settings.segment_bytes,
            segment_age: settings.segment_age,
            keep: settings.keep,
            wait_for_sink: settings.wait_for_sink,
            reserve_bytes: settings.reserve_bytes,
            head_every: settings.head_every,
            takers,
        }
    }
}
