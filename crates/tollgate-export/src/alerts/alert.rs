//! What wants somebody's attention, read from the journal's events. The members of [`What`] are a public format: they are
//! sent as they stand here.

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_core::access::HolderKind;
use tollgate_core::config::alerts::AlertKind;
use tollgate_core::ledger::Usd;

/// For how long somebody who was told that a deployment fails is not told again, in seconds.
pub(super) const QUIET_SECONDS: i64 = 600;

/// What wants attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    /// The same for the same matter, on whichever instance and however often it is read.
    pub(super) id: String,
    /// Since when.
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum What {
    Budget(Budget),
    Cooldown(Cooldown),
    KeyExpiring(KeyExpiring),
    ToolHeld(ToolHeld),
    ApprovalPending(ApprovalPending),
    Test(Test),
}

/// A budget that has come to its threshold, or to its end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Budget {
    pub(super) holder: Holder,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alias: Option<String>,
    pub(super) budget: String,
    pub(super) amount_usd: Usd,
    pub(super) spent_usd: Usd,
    /// Which share of it was passed.
    pub(super) percent: u8,
    /// Whether calls are refused that it has no room for.
    pub(super) refuses: bool,
    /// When its window began and when the next one begins; never, where that is absent.
    pub(super) since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resets: Option<Timestamp>,
}

/// A key, a user or a team.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Holder {
    pub(super) kind: HolderKind,
    pub(super) id: String,
}

/// A deployment that has failed and rests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Cooldown {
    pub(super) deployment: String,
    /// The public model that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    /// What was wrong the last time.
    pub(super) fault: String,
    pub(super) rest_ms: u64,
    /// The call that it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) call_id: Option<String>,
    /// How often it has rested since the last alert without one.
    #[serde(default)]
    pub(super) held_back: u64,
}

/// A key that ends soon.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct KeyExpiring {
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) team: Option<String>,
    pub(super) ends_at: Timestamp,
    /// How long before the end this was to be told.
    pub(super) lead_days: u32,
    pub(super) days_left: i64,
}

/// A tool's definition that is not offered until somebody approves it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ToolHeld {
    pub(super) server: String,
    pub(super) tool: String,
    /// For whom the server lists it so, where that is not everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) audience: Option<String>,
    pub(super) digest: String,
    /// How it differs from what was pinned.
    #[serde(default)]
    pub(super) classes: Vec<String>,
    /// How many things in it are suspicious.
    #[serde(default)]
    pub(super) findings: u64,
}

/// A tool call that is not made until somebody approves it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ApprovalPending {
    pub(super) approval: String,
    pub(super) server: String,
    pub(super) tool: String,
    pub(super) effect: String,
    /// For whom the call is made.
    pub(super) whose: String,
    pub(super) why: String,
    pub(super) ends_at: Timestamp,
    /// The call that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) call_id: Option<String>,
}

/// Nothing: somebody wants to see that alerts arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Test {}

/// An event as it stands in the journal.
#[derive(Deserialize)]
struct Line {
    at: Timestamp,
    event: String,
    #[serde(default)]
    call_id: Option<String>,
    detail: Value,
}

impl Alert {
    /// Reads an event of the journal. `None` where nobody is told of such.
    pub(super) fn read(line: &[u8]) -> Option<(AlertKind, Self)> {
        let Line { at, event, call_id, detail } = serde_json::from_slice(line).ok()?;
        let kind = AlertKind::named(&event)?;
        let what = match kind {
            AlertKind::Budget => serde_json::from_value(detail).map(What::Budget),
            AlertKind::KeyExpiring => serde_json::from_value(detail).map(What::KeyExpiring),
            AlertKind::Cooldown => serde_json::from_value(detail)
                .map(|read: Cooldown| What::Cooldown(Cooldown { call_id, held_back: 0, ..read })),
            AlertKind::ToolHeld => serde_json::from_value(detail).map(What::ToolHeld),
            AlertKind::ApprovalPending => serde_json::from_value(detail)
                .map(|read: ApprovalPending| What::ApprovalPending(ApprovalPending { call_id, ..read })),
        };
        match what {
            Ok(what) => Some((kind, Self { id: id(at, &what), at, what })),
            Err(error) => {
                // One that an earlier version has written.
                tracing::warn!(%error, event, "nobody is told of an event: it cannot be read");
                None
            }
        }
    }

    /// One that says nothing but that it has arrived.
    pub(super) fn test(at: Timestamp) -> Self {
        let what = What::Test(Test {});
        Self { id: id(at, &what), at, what }
    }

    /// The name of its kind.
    pub(super) const fn kind(&self) -> &'static str {
        match &self.what {
            What::Budget(_) => AlertKind::Budget.name(),
            What::Cooldown(_) => AlertKind::Cooldown.name(),
            What::KeyExpiring(_) => AlertKind::KeyExpiring.name(),
            What::ToolHeld(_) => AlertKind::ToolHeld.name(),
            What::ApprovalPending(_) => AlertKind::ApprovalPending.name(),
            What::Test(_) => "test",
        }
    }
}

/// The id of what is said of `what`.
fn id(at: Timestamp, what: &What) -> String {
    match what {
        What::Budget(Budget { holder, budget, percent, since, amount_usd, .. }) => {
            // More of it, for a while, is another end to come to.
            let (kind, percent) = (holder.kind.name(), percent.to_string());
            hashed(&[
                "budget",
                kind,
                &holder.id,
                budget,
                &percent,
                &since.to_string(),
                &amount_usd.to_string(),
            ])
        }
        What::Cooldown(Cooldown { deployment, .. }) => {
            let stretch = at.as_second().div_euclid(QUIET_SECONDS);
            hashed(&["cooldown", deployment, &stretch.to_string()])
        }
        What::KeyExpiring(KeyExpiring { key, lead_days, ends_at, .. }) => {
            hashed(&["key_expiring", key, &lead_days.to_string(), &ends_at.to_string()])
        }
        What::ToolHeld(ToolHeld { server, tool, audience, digest, .. }) => {
            hashed(&["tool_held", server, tool, audience.as_deref().unwrap_or_default(), digest])
        }
        What::ApprovalPending(ApprovalPending { approval, .. }) => hashed(&["approval_pending", approval]),
        What::Test(_) => hashed(&["test", &at.to_string()]),
    }
}

/// A name that others have only for the same `parts`.
pub(super) fn hashed(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        // With its length: no two lists of parts look alike.
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    digest.as_ref().iter().take(16).fold("alert_".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: &str, at: &str, detail: &Value) -> Option<Alert> {
        let line = json!({ "seq": 1, "prev": "", "entry": "event", "at": at, "event": event, "call_id": "c", "detail": detail });
        Alert::read(line.to_string().as_bytes()).map(|(_, alert)| alert)
    }

    fn id(event: &str, at: &str, detail: &Value) -> String {
        read(event, at, detail).unwrap().id
    }

    fn changed(detail: &Value, member: &str, value: Value) -> Value {
        let mut detail = detail.clone();
        detail[member] = value;
        detail
    }

    const AT: &str = "2026-05-01T10:09:59Z";

    #[test]
    fn a_budget_is_told_apart_by_whose_which_window_and_share() {
        let detail = json!({
            "holder": { "kind": "team", "id": "search" }, "alias": null, "budget": "month", "amount_usd": "10",
            "spent_usd": "8.1", "percent": 80, "refuses": true, "since": "2026-05-01T00:00:00Z", "resets": null,
        });
        let first = id("budget", AT, &detail);
        assert!(first.len() == 38 && !first.contains('.'), "{first}");
        let same = changed(&detail, "spent_usd", json!("8.3"));
        assert_eq!(first, id("budget", "2026-05-07T00:00:00Z", &same), "by another instance, later");
        for (member, value) in [
            ("holder", json!({ "kind": "user", "id": "search" })),
            ("budget", json!("day")),
            ("percent", json!(100)),
            ("since", json!("2026-06-01T00:00:00Z")),
            ("amount_usd", json!("20")),
        ] {
            assert_ne!(first, id("budget", AT, &changed(&detail, member, value)), "{member}");
        }
    }

    #[test]
    fn a_deployment_is_told_apart_by_the_time_and_a_key_by_its_end() {
        let cooldown =
            json!({ "deployment": "openai/x", "model": "m", "fault": "upstream_failed", "rest_ms": 30_000 });
        let (before, after) = ("2026-05-01T10:00:00Z", "2026-05-01T10:10:00Z");
        assert_eq!(id("cooldown", AT, &cooldown), id("cooldown", before, &cooldown));
        assert_ne!(id("cooldown", AT, &cooldown), id("cooldown", after, &cooldown));
        let key = json!({ "key": "k", "ends_at": "2026-06-01T00:00:00Z", "lead_days": 7, "days_left": 7 });
        assert_eq!(
            id("key_expiring", AT, &key),
            id("key_expiring", after, &changed(&key, "days_left", json!(4)))
        );
        assert_ne!(
            id("key_expiring", AT, &key),
            id("key_expiring", AT, &changed(&key, "lead_days", json!(1)))
        );
        let later = changed(&key, "ends_at", json!("2026-07-01T00:00:00Z"));
        assert_ne!(id("key_expiring", AT, &key), id("key_expiring", AT, &later));
    }

    #[test]
    fn what_nobody_is_told_of_is_passed_over() {
        assert_eq!(read("reload", AT, &json!({})), None);
        assert_eq!(read("budget", AT, &json!({ "budget": "of an earlier version" })), None);
        assert!(Alert::read(b"no line").is_none());
        let What::Cooldown(read) = read(
            "cooldown",
            AT,
            &json!({ "deployment": "d", "fault": "timeout", "rest_ms": 1, "held_back": 9 }),
        )
        .unwrap()
        .what
        else {
            panic!("it is one")
        };
        assert_eq!((read.call_id.as_deref(), read.held_back), (Some("c"), 0));
    }
}
