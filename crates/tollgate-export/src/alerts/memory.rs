//! What was told of late, so that nobody is told twice. A value without a clock: it goes by the times of the alerts, so that
//! reading the journal again comes to the same.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::alert::{Alert, Cooldown, QUIET_SECONDS, What};

/// How many alerts are remembered.
const MOST: usize = 1_000;

/// How many deployments.
const MOST_QUIET: usize = 1_000;

#[derive(Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Memory {
    /// The ids of those that were told, the latest last.
    told: VecDeque<String>,
    /// The deployments of which nobody is told again for a while.
    quiet: BTreeMap<String, Quiet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Quiet {
    /// When it was told.
    since: Timestamp,
    /// The last of what was not told.
    last: Timestamp,
    /// How often it was not told.
    held_back: u64,
}

impl Memory {
    /// What is to be told of `alert`; `None` where that was told already, or it is too soon to tell it again.
    pub(super) fn tells(&mut self, alert: Alert) -> Option<Alert> {
        let alert = match &alert.what {
            What::Cooldown(cooldown) => {
                let held_back = self.breaks_the_quiet(&cooldown.deployment, alert.at)?;
                Alert { what: What::Cooldown(Cooldown { held_back, ..cooldown.clone() }), ..alert }
            }
            _ => alert,
        };
        (!self.told.contains(&alert.id)).then_some(alert)
    }

    /// How often nobody was told that `deployment` fails since the last time; `None` where nobody is told now either.
    fn breaks_the_quiet(&mut self, deployment: &str, at: Timestamp) -> Option<u64> {
        let Some(quiet) = self.quiet.get_mut(deployment) else { return Some(0) };
        if at.duration_since(quiet.since) >= SignedDuration::from_secs(QUIET_SECONDS) {
            return Some(quiet.held_back);
        }
        // What is read again was counted before.
        if at > quiet.last {
            (quiet.last, quiet.held_back) = (at, quiet.held_back.saturating_add(1));
        }
        None
    }

    /// Notes that `alert` was told, or will not be.
    pub(super) fn note(&mut self, alert: &Alert) {
        if let What::Cooldown(cooldown) = &alert.what {
            let quiet = Quiet { since: alert.at, last: alert.at, held_back: 0 };
            self.quiet.insert(cooldown.deployment.clone(), quiet);
            while self.quiet.len() > MOST_QUIET {
                let oldest = self.quiet.iter().min_by_key(|(_, quiet)| quiet.last);
                let Some(oldest) = oldest.map(|(deployment, _)| deployment.clone()) else { break };
                self.quiet.remove(&oldest);
            }
        }
        self.told.push_back(alert.id.clone());
        while self.told.len() > MOST {
            self.told.pop_front();
        }
    }
}

/// A memory that outlives a restart.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) memory: Memory,
    file: PathBuf,
}

impl Kept {
    /// What `file` says; nothing where it cannot be read: better told twice than never.
    pub(super) fn open(file: PathBuf) -> Self {
        let memory = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { memory: memory.unwrap_or_default(), file }
    }

    /// Writes it down.
    pub(super) fn keep(&self) {
        let written = serde_json::to_vec(&self.memory).map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|bytes| tollgate_journal::replace_file(&self.file, &bytes)) {
            tracing::warn!(%error, file = %self.file.display(), "what alerts were sent cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(event: &str, at: &str, detail: &serde_json::Value) -> Alert {
        let line = json!({ "at": at, "event": event, "detail": detail });
        Alert::read(line.to_string().as_bytes()).unwrap().1
    }

    fn fails(deployment: &str, at: &str) -> Alert {
        let detail = json!({ "deployment": deployment, "fault": "timeout", "rest_ms": 30_000 });
        event("cooldown", &format!("2026-05-01T{at}Z"), &detail)
    }

    fn ends(key: &str) -> Alert {
        let detail = json!({ "key": key, "ends_at": "2026-06-01T00:00:00Z", "lead_days": 7, "days_left": 7 });
        event("key_expiring", "2026-05-25T00:00:00Z", &detail)
    }

    /// How many were held back before it, where it is told.
    fn told(memory: &mut Memory, alert: Alert) -> Option<u64> {
        let alert = memory.tells(alert)?;
        memory.note(&alert);
        let What::Cooldown(cooldown) = &alert.what else { return Some(0) };
        Some(cooldown.held_back)
    }

    #[test]
    fn a_deployment_that_goes_on_failing_is_told_of_once_in_ten_minutes() {
        let mut memory = Memory::default();
        let mut told = |at| told(&mut memory, fails("a", at));
        assert_eq!(told("10:08:00"), Some(0));
        assert_eq!(
            [told("10:08:30"), told("10:11:00"), told("10:17:59")],
            [None, None, None],
            "over the hour's tenth too"
        );
        assert_eq!(told("10:18:00"), Some(3));
        assert_eq!([told("10:20:00"), told("10:40:00"), told("11:00:00")], [None, Some(1), Some(0)]);
        assert_eq!(super::tests::told(&mut memory, fails("b", "11:00:00")), Some(0), "another is another");
    }

    #[test]
    fn what_is_read_again_is_told_and_counted_once() {
        let mut memory = Memory::default();
        let all = ["10:00:00", "10:01:00", "10:02:00"].map(|at| fails("a", at));
        for _ in 0..3 {
            for alert in all.clone() {
                told(&mut memory, alert);
            }
        }
        assert_eq!(told(&mut memory, fails("a", "10:10:00")), Some(2));
        assert_eq!(
            [told(&mut memory, ends("k")), told(&mut memory, ends("k")), told(&mut memory, ends("l"))],
            [Some(0), None, Some(0)]
        );
    }

    #[test]
    fn it_outlives_a_restart_and_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path().join("x.told"));
        for number in 0..MOST + 10 {
            told(&mut kept.memory, ends(&number.to_string()));
            kept.memory.note(&fails(&number.to_string(), "10:00:00"));
        }
        assert_eq!((kept.memory.told.len(), kept.memory.quiet.len()), (MOST, MOST_QUIET));
        kept.keep();
        let mut again = Kept::open(folder.path().join("x.told"));
        assert_eq!(again.memory, kept.memory);
        assert_eq!(told(&mut again.memory, ends(&(MOST + 9).to_string())), None);
        std::fs::write(folder.path().join("x.told"), "{").unwrap();
        assert_eq!(Kept::open(folder.path().join("x.told")).memory, Memory::default());
    }
}
