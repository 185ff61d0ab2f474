//! Instances that share budgets: what one that died had taken, and what comes of it when it is back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_core::access::HolderKind;
use tollgate_core::record::Counts;
use tollgate_testkit::{MemoryRegistry, MemoryShelf};

use support::{Governed, LEASE, root};

/// As long as an exchange of everything may take.
const TOLD: Duration = Duration::from_secs(3);

fn total(usd: &str, more: Value) -> Value {
    let mut budget = json!({ "id": "all", "amount_usd": usd, "window": "total" });
    budget.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({ "budgets": [budget] })
}

/// What `who` has of the key's budget, as the sheet says.
fn part_of(shelf: &MemoryShelf, who: &str) -> (u64, u64) {
    let sheet: Value = serde_json::from_str(&shelf.beginning("key/k/all/total@").pop().unwrap()).unwrap();
    (sheet[who]["used"].as_u64().unwrap_or(0), sheet[who]["upto"].as_u64().unwrap_or(0))
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_instance_had_taken_is_free_when_it_is_back() {
    let (shelf, registry) = (Arc::<MemoryShelf>::default(), Arc::<MemoryRegistry>::default());
    let (one, exchange) = Governed::shared(&shelf, "one", &registry, Vec::new()).await;
    let made = one.made(HolderKind::Key, "k", total("100", json!({}))).await;
    let key = made.secret.unwrap().expose().to_owned();
    tokio::time::sleep(TOLD).await;
    assert_eq!(one.ask(&key, "sim", "hi").await.status, 200);
    let Counts(counted) = serde_json::from_value(one.closed()["counted"].clone()).unwrap();
    let spent = counted[0].amount;
    let (_, upto) = part_of(&shelf, "one");
    assert!(upto > spent, "it has taken something to go on with: {upto}");
    drop(exchange);

    // For the others all of it counts as spent.
    tokio::time::sleep(LEASE * 2).await;
    let (two, _exchange) = Governed::shared(&shelf, "two", &registry, Vec::new()).await;
    tokio::time::sleep(TOLD).await;
    assert_eq!(two.ask(&key, "sim", "hi").await.status, 200);
    tokio::time::sleep(TOLD).await;
    let (known, _) = two.standing(HolderKind::Key, "k")[0];
    assert!(known >= upto, "{known} {upto}");

    // It is back, with what its journal says; nobody has called it yet.
    let (_one, _exchange) = Governed::shared(&shelf, "one", &registry, counted).await;
    tokio::time::sleep(TOLD).await;
    assert_eq!(part_of(&shelf, "one").0, spent);
    assert_eq!(two.ask(&key, "sim", "hi").await.status, 200);
    tokio::time::sleep(TOLD).await;
    let (known, _) = two.standing(HolderKind::Key, "k")[0];
    assert!(known < upto, "only what it has really spent: {known} {upto}");
}

/// A rule that refuses nothing makes no call wait and no exchange begin, however far beyond it is.
#[tokio::test(start_paused = true)]
async fn a_soft_rule_asks_nobody() {
    let (shelf, registry) = (Arc::<MemoryShelf>::default(), Arc::<MemoryRegistry>::default());
    let (one, _exchange) = Governed::shared(&shelf, "one", &registry, Vec::new()).await;
    let made = one.made(HolderKind::Key, "k", total("0.000001", json!({ "soft": true }))).await;
    let key = made.secret.unwrap().expose().to_owned();
    tokio::time::sleep(TOLD).await;
    let reads = shelf.reads();
    for _ in 0..20 {
        assert_eq!(one.ask(&key, "sim", "hi").await.status, 200);
    }
    assert_eq!(shelf.reads(), reads, "no time has passed, and nothing was asked for");
    tokio::time::sleep(TOLD).await;
    let (spent, _) = one.standing(HolderKind::Key, "k")[0];
    assert_eq!(part_of(&shelf, "one").0, spent, "but it is told");
}

/// While what is shared is away, calls go on within what was taken, and then nobody can tell: 503, and no 429.
#[tokio::test(start_paused = true)]
async fn without_what_is_shared_calls_go_on_until_leases_end() {
    let (shelf, registry) = (Arc::<MemoryShelf>::default(), Arc::<MemoryRegistry>::default());
    let (one, _exchange) = Governed::shared(&shelf, "one", &registry, Vec::new()).await;
    let made = one.made(HolderKind::Key, "k", total("100", json!({}))).await;
    let key = made.secret.unwrap().expose().to_owned();
    tokio::time::sleep(TOLD).await;
    assert_eq!(one.ask(&key, "sim", "hi").await.status, 200);
    shelf.away(true);
    assert_eq!(one.ask(&key, "sim", "hi").await.status, 200);
    tokio::time::sleep(LEASE * 2).await;
    let refused = one.ask(&key, "sim", "hi").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    shelf.away(false);
    tokio::time::sleep(TOLD).await;
    assert_eq!(one.ask(&key, "sim", "hi").await.status, 200);
}

/// What another gateway had spent is told to the others like what was spent here.
#[tokio::test(start_paused = true)]
async fn what_was_spent_elsewhere_is_known_everywhere() {
    let (shelf, registry) = (Arc::<MemoryShelf>::default(), Arc::<MemoryRegistry>::default());
    let (one, _exchange) = Governed::shared(&shelf, "one", &registry, Vec::new()).await;
    let made = one.made(HolderKind::Key, "k", total("1", json!({}))).await;
    let key = made.secret.unwrap().expose().to_owned();
    tokio::time::sleep(TOLD).await;
    one.registrar.carry_over(&root(), &made.shown.holder.name(), &[("all", 999_999_999)]).unwrap();
    tokio::time::sleep(TOLD).await;
    let (two, _exchange) = Governed::shared(&shelf, "two", &registry, Vec::new()).await;
    tokio::time::sleep(TOLD).await;
    let refused = two.ask(&key, "sim", "hi").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(part_of(&shelf, "one").0, 999_999_999);
}
