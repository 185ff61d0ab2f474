//! Keys that end soon: who is to be told, and when.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tollgate_core::access::{HolderKind, Key};
use tollgate_core::ports::{Journal, JournalError};
use tollgate_core::record::{Entry, Event};

use crate::ledger::Ledger;

/// How many keys are looked at in one go: calls ask the same directory.
const AT_ONCE: usize = 500;

/// What was found when it was looked for keys that end soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Until when it was looked: the next look begins there.
    pub until: Timestamp,
    /// How many keys it was told of.
    pub keys: usize,
}

impl Ledger {
    /// Writes an event for each key that has come, after `since` and not after `now`, to one of the times that lie so many
    /// days (`leads`) before its end. A key that has come to several is told of once. Where this fails, what was told is
    /// told again by the next look that begins at `since`.
    pub fn tell_of_ending(
        &self,
        journal: &dyn Journal,
        leads: &[u32],
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Told, JournalError> {
        let (mut after, mut keys) = (None, 0);
        if leads.is_empty() {
            return Ok(Told { until: now, keys });
        }
        loop {
            let page = self.page(HolderKind::Key, after.as_deref(), AT_ONCE, |_| true);
            let held = page.holders.iter().filter_map(|listed| listed.account.holder.as_key());
            for (key, lead) in held.filter_map(|key| Some((key, due(key, leads, since, now)?))) {
                journal.append(&Entry::Event(&event(key, lead, now)))?;
                keys += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok(Told { until: now, keys });
            }
        }
    }
}

const fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * days as i64)
}

/// The shortest of `leads` to whose time `key` has come after `since` and not after `now`. A time that was over when the
/// key was made is none: whoever makes a key for three days knows that it ends within seven.
fn due(key: &Key, leads: &[u32], since: Timestamp, now: Timestamp) -> Option<u32> {
    let ends = key.spec.expires_at?;
    let has_come = |lead: &u32| {
        let at = ends.checked_sub(days(*lead)).unwrap_or(Timestamp::MIN);
        since < at && at <= now && key.created_at < at
    };
    leads.iter().copied().filter(has_come).min()
}

fn event(key: &Key, lead: u32, now: Timestamp) -> Event<'static> {
    let ends = key.spec.expires_at;
    let left = ends.map_or(SignedDuration::ZERO, |ends| ends.duration_since(now)).max(SignedDuration::ZERO);
    // Whole days, the one that has begun with them.
    let days_left = left.as_secs().saturating_add(86_399) / 86_400;
    let detail = json!({
        "key": key.id,
        "alias": key.spec.alias,
        "user": key.spec.user,
        "team": key.spec.team,
        "ends_at": ends,
        "lead_days": lead,
        "days_left": days_left,
    });
    Event { at: now, event: "key_expiring", call_id: None, detail }
}

#[cfg(test)]
mod tests {
    use tollgate_core::access::{KeyHash, KeySpec};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn key(made: &str, ends: Option<&str>) -> Key {
        Key {
            id: "k".into(),
            hash: KeyHash::of("sk-x"),
            prefix: "sk-".to_owned(),
            rotation: None,
            created_at: at(made),
            updated_at: at(made),
            spec: KeySpec { expires_at: ends.map(at), ..KeySpec::default() },
        }
    }

    const ENDS: Option<&str> = Some("2026-06-30T12:00:00Z");

    fn told(key: &Key, since: &str, now: &str) -> Option<u32> {
        due(key, &[7, 1], at(since), at(now))
    }

    #[test]
    fn it_is_told_when_its_time_has_come_and_not_again() {
        let key = key("2026-01-01T00:00:00Z", ENDS);
        assert_eq!(told(&key, "2026-06-23T11:58:00Z", "2026-06-23T11:59:59Z"), None);
        assert_eq!(told(&key, "2026-06-23T11:59:59Z", "2026-06-23T12:00:00Z"), Some(7));
        assert_eq!(told(&key, "2026-06-23T12:00:00Z", "2026-06-23T12:01:00Z"), None);
        assert_eq!(told(&key, "2026-06-29T11:59:00Z", "2026-06-29T12:00:30Z"), Some(1));
        assert_eq!(told(&key, "2026-06-29T12:00:30Z", "2027-01-01T00:00:00Z"), None);
    }

    #[test]
    fn a_gate_that_was_away_for_long_tells_once_and_of_the_shorter_time() {
        let key = key("2026-01-01T00:00:00Z", ENDS);
        assert_eq!(told(&key, "2026-06-20T00:00:00Z", "2026-06-30T00:00:00Z"), Some(1));
        assert_eq!(told(&key, "2026-06-20T00:00:00Z", "2026-06-25T00:00:00Z"), Some(7));
    }

    #[test]
    fn a_key_that_is_made_for_less_is_not_told_of_at_once() {
        let key = key("2026-06-27T12:00:00Z", ENDS);
        assert_eq!(told(&key, "2026-06-27T11:59:00Z", "2026-06-27T12:01:00Z"), None);
        assert_eq!(told(&key, "2026-06-01T00:00:00Z", "2026-06-28T00:00:00Z"), None, "nor after a time away");
        assert_eq!(told(&key, "2026-06-29T11:59:00Z", "2026-06-29T12:00:00Z"), Some(1));
        assert_eq!(
            told(
                &super::tests::key("2026-01-01T00:00:00Z", None),
                "1970-01-02T00:00:00Z",
                "2030-01-01T00:00:00Z"
            ),
            None
        );
    }

    #[test]
    fn the_event_says_whose_key_and_nothing_of_its_secret() {
        let mut key = key("2026-01-01T00:00:00Z", ENDS);
        key.spec.alias = Some("nightly".to_owned());
        key.spec.team = Some("search".into());
        let days_left = |now: &str| event(&key, 7, at(now)).detail["days_left"].clone();
        assert_eq!(days_left("2026-06-23T12:00:00Z"), 7);
        assert_eq!(days_left("2026-06-23T12:00:01Z"), 7);
        assert_eq!(days_left("2026-06-29T12:00:00Z"), 1);
        assert_eq!(days_left("2026-07-29T12:00:00Z"), 0);
        let said = event(&key, 7, at("2026-06-23T12:00:00Z")).detail;
        assert_eq!(
            (&said["key"], &said["alias"], &said["team"]),
            (&json!("k"), &json!("nightly"), &json!("search"))
        );
        assert!(!said.to_string().contains("sk-"), "{said}");
    }
}
