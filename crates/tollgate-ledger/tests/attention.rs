//! What wants somebody's attention stands in the journal, with all that whoever tells it on has to say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tollgate_core::access::HolderKind;
use tollgate_core::ports::Journal;
use tollgate_testkit::MemoryJournal;

use support::Governed;

fn details(journal: &MemoryJournal, event: &str) -> Vec<Value> {
    let events = journal.of_kind("event").into_iter();
    events.filter(|entry| entry["event"] == event).map(|entry| entry["detail"].clone()).collect()
}

#[tokio::test]
async fn a_budget_says_whose_it_is_how_much_of_it_and_until_when() {
    let governed = Governed::new().await;
    let budgets = json!([{ "amount_usd": "0.001", "window": "day", "warn_percent": 30 }]);
    let key = governed.made(HolderKind::Key, "bot", json!({ "alias": "Nightly", "budgets": budgets })).await;
    let secret = key.secret.unwrap().expose().to_owned();
    for _ in 0..3 {
        governed.ask(&secret, "sim", "hi").await;
    }
    let warned = details(&governed.gate.journal, "budget");
    assert_eq!(warned.len(), 1, "at its share, and not again");
    let said = &warned[0];
    assert_eq!(
        (&said["holder"], &said["alias"]),
        (&json!({ "kind": "key", "id": "bot" }), &json!("Nightly"))
    );
    assert_eq!(
        (&said["percent"], &said["refuses"], &said["amount_usd"]),
        (&json!(30), &json!(true), &json!("0.001"))
    );
    let time = |member: &str| said[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("resets").duration_since(time("since")), SignedDuration::from_hours(24));
}

/// More keys than are looked at in one go; the journal that fails is tried again from the same time.
#[tokio::test]
async fn every_key_that_ends_is_found() {
    let governed = Governed::new().await;
    let made = governed.clock.now();
    let ends = made + SignedDuration::from_hours(24 * 8);
    for number in 0..1_100 {
        let said = if number % 550 == 0 { json!({ "expires_at": ends }) } else { json!({}) };
        governed.made(HolderKind::Key, &format!("k{number:04}"), said).await;
    }
    let (ledger, journal) = (governed.registrar.ledger(), MemoryJournal::default());
    let look = |since: i64, now: i64| {
        let at = |hours| made + SignedDuration::from_hours(hours);
        ledger.tell_of_ending(&journal as &dyn Journal, &[7, 1], at(since), at(now))
    };
    assert_eq!(look(0, 23).unwrap().keys, 0);
    journal.set_broken(true);
    assert!(look(23, 25).is_err());
    journal.set_broken(false);
    let told = look(23, 25).unwrap();
    assert_eq!((told.keys, told.until), (2, made + SignedDuration::from_hours(25)));
    assert_eq!(look(25, 26).unwrap().keys, 0);
    let keys: Vec<_> = details(&journal, "key_expiring").iter().map(|said| said["key"].clone()).collect();
    assert_eq!(keys, ["k0000", "k0550"]);
}
