//! What the arithmetic promises.

use proptest::prelude::*;

use super::*;
use crate::access::{HolderKind, HolderRef};
use crate::ledger::{Budget, Lease, Limit, Measure, Roster, Sheet, Urgency};
use crate::price::Cost;
use crate::usage::Usage;

fn holder(kind: HolderKind) -> HolderRef {
    HolderRef { kind, id: "h".into() }
}

fn budget(kind: HolderKind, amount: u64, more: serde_json::Value) -> Arc<Meter> {
    let mut json = serde_json::json!({ "id": "b", "amount_usd": crate::ledger::Usd::from_nano(amount), "window": "day" });
    json.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let budget: Budget = serde_json::from_value(json).unwrap();
    budget.check().unwrap();
    Arc::new(Meter::of_budget(&holder(kind), &budget, Timestamp::UNIX_EPOCH).unwrap())
}

fn limit(measure: Measure, max: u64) -> Arc<Meter> {
    let per = (measure != Measure::ConcurrentCalls).then_some(crate::ledger::Window::Minute);
    let limit = Limit { id: "l".into(), measure, max, per, models: None, effects: None };
    Arc::new(Meter::of_limit(&holder(HolderKind::Key), &limit))
}

fn costs(nano: u64) -> Need {
    let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    Need { usage, cost: Cost::Known(nano), most: None }
}

fn holding<'a>(
    book: &mut Book,
    meters: impl IntoIterator<Item = &'a Arc<Meter>>,
    need: &Need,
    now: Timestamp,
) -> Result<Hold, Refusal> {
    let mut hold = book.open(meters.into_iter(), now);
    book.hold(&mut hold, need, now)?;
    Ok(hold)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_call_is_checked_against_every_rule_before_it_counts_against_any() {
    let (mut book, now) = (Book::default(), at("2026-05-01T10:00:00Z"));
    let meters = [
        budget(HolderKind::Key, 100, serde_json::json!({})),
        budget(HolderKind::Team, 50, serde_json::json!({})),
    ];
    let mut first = holding(&mut book, &meters, &costs(40), now).unwrap();
    let refusal = holding(&mut book, &meters, &costs(20), now).unwrap_err();
    assert_eq!(refusal.meter.words(), "budget `b` of team `h`");
    assert_eq!((refusal.ceiling, refusal.spent, refusal.held, refusal.needs), (50, 0, 40, Some(20)));
    assert_eq!(refusal.resets, Some(at("2026-05-02T00:00:00Z")));
    assert_eq!(book.standing(&meters[0], now).held, 40, "what was refused holds nothing anywhere");
    book.settle(&mut first, Some(&costs(30)), now);
    assert_eq!(book.standing(&meters[0], now).left(), 70);
    let _held = holding(&mut book, &meters, &costs(20), now).unwrap();
    assert_eq!(book.standing(&meters[1], now).left(), 0);
}

#[test]
fn a_further_attempt_holds_the_difference_or_nothing() {
    let (mut book, now) = (Book::default(), at("2026-05-01T10:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({}));
    let mut hold = holding(&mut book, [&meter], &costs(40), now).unwrap();
    book.hold(&mut hold, &costs(100), now).unwrap();
    assert_eq!(book.standing(&meter, now).held, 100, "the whole budget, which is not beyond it");
    book.hold(&mut hold, &costs(10), now).unwrap();
    assert_eq!(book.standing(&meter, now).held, 100, "less is never held of a call that goes on");
    let refusal = book.hold(&mut hold, &costs(101), now).unwrap_err();
    assert_eq!((refusal.held, refusal.needs), (0, Some(101)), "what others hold");
    book.settle(&mut hold, None, now);
    assert_eq!(book.standing(&meter, now).left(), 100, "nothing was sent, nothing is spent");
}

#[test]
fn a_call_counts_in_the_window_in_which_it_began() {
    let mut book = Book::default();
    let (late, early) = (at("2026-05-01T23:59:59Z"), at("2026-05-02T00:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({}));
    let mut hold = holding(&mut book, [&meter], &costs(90), late).unwrap();
    let mut next = holding(&mut book, [&meter], &costs(90), early).unwrap();
    book.settle(&mut hold, Some(&costs(500)), early);
    assert_eq!(book.standing(&meter, early).held, 90, "of the new day only");
    assert_eq!(hold.each()[0].since, at("2026-05-01T00:00:00Z"));
    book.settle(&mut next, Some(&costs(90)), early);
    assert_eq!(book.standing(&meter, early).spent, 90);
    // A clock that is set back opens no window again.
    assert!(holding(&mut book, [&meter], &costs(20), late).is_err());
}

#[test]
fn under_a_strict_budget_nothing_more_is_held_when_the_window_is_over() {
    let mut book = Book::default();
    let (late, early) = (at("2026-05-01T23:59:59Z"), at("2026-05-02T00:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({ "strict": true }));
    let most = |nano| Need { most: Some(nano), ..costs(nano) };
    let mut waits = book.open([&meter].into_iter(), late);
    let _next = holding(&mut book, [&meter], &most(90), early).unwrap();
    let refusal = book.hold(&mut waits, &most(10), early).unwrap_err();
    assert!(refusal.over, "it would count nowhere");
    assert_eq!(book.fits(&waits, 10, early), Some(0));
}

#[test]
fn what_was_counted_goes_on_counting_when_a_rule_is_changed() {
    let (mut book, now) = (Book::shared(), at("2026-05-01T10:00:00Z"));
    let of = |amount, more| budget(HolderKind::Key, amount, more);
    let (large, small) = (of(1_000, serde_json::json!({})), of(50, serde_json::json!({})));
    let (who, mut sheet, roster) = (Arc::from("me"), Sheet::default(), Roster::default());
    let mut share = |book: &mut Book| {
        for due in book.due(Urgency::Now) {
            let taken = book.take(&who, &due.key, &mut sheet, &roster, now).unwrap();
            book.taken(&due.key, &taken);
        }
    };
    assert!(holding(&mut book, [&large], &costs(40), now).is_err(), "nothing was taken yet");
    share(&mut book);
    let mut hold = holding(&mut book, [&large], &costs(40), now).unwrap();
    book.settle(&mut hold, Some(&costs(40)), now);
    // What was taken under the larger one is not used under the smaller one.
    assert!(holding(&mut book, [&small], &costs(5), now).is_err());
    share(&mut book);
    assert!(holding(&mut book, [&small], &costs(5), now).is_ok());
    assert_eq!(book.standing(&small, now).spent, 40);
    let elsewhere = of(100, serde_json::json!({ "time_zone": "Asia/Tokyo" }));
    let _ = holding(&mut book, [&elsewhere], &costs(5), now);
    assert_eq!(book.standing(&elsewhere, now).spent, 40, "in the days of another zone too");
}

#[test]
fn an_increase_holds_while_it_lasts_and_a_soft_budget_refuses_nothing() {
    let mut book = Book::default();
    let increase =
        serde_json::json!({ "increase": { "amount_usd": "0.000000050", "until": "2026-05-01T12:00:00Z" } });
    let meter = budget(HolderKind::Key, 100, increase);
    let mut hold = holding(&mut book, [&meter], &costs(150), at("2026-05-01T11:00:00Z")).unwrap();
    book.settle(&mut hold, Some(&costs(150)), at("2026-05-01T11:00:00Z"));
    assert!(holding(&mut book, [&meter], &costs(1), at("2026-05-01T12:00:00Z")).is_err());
    let soft = budget(HolderKind::User, 1, serde_json::json!({ "soft": true }));
    assert!(holding(&mut book, [&soft], &costs(1_000), at("2026-05-01T11:00:00Z")).is_ok());
}

#[test]
fn a_holder_is_warned_once_at_its_share_and_once_at_the_end() {
    let (mut book, now) = (Book::default(), at("2026-05-01T10:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({ "warn_percent": 80, "soft": true }));
    let mut spend = |nano| {
        let mut hold = holding(&mut book, [&meter], &costs(nano), now).unwrap();
        let warned = book.settle(&mut hold, Some(&costs(nano)), now);
        warned.iter().map(|warned| (warned.percent, warned.spent, warned.window)).collect::<Vec<_>>()
    };
    let today = Bounds { start: at("2026-05-01T00:00:00Z"), end: Some(at("2026-05-02T00:00:00Z")) };
    assert_eq!(
        [spend(79), spend(1), spend(10), spend(10), spend(10)],
        [vec![], vec![(80, 80, today)], vec![], vec![(100, 100, today)], vec![]]
    );
}

/// Of what others have spent it is heard between two calls: whoever looks next warns, and none twice.
#[test]
fn a_threshold_that_is_passed_elsewhere_is_not_missed() {
    let (mut book, now) = (Book::shared(), at("2026-05-01T10:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({ "warn_percent": 80, "soft": true }));
    let (roster, mut sheet, other) = (Roster::default(), Sheet::default(), Arc::from("other"));
    let spend = |book: &mut Book, nano| {
        let mut hold = holding(book, [&meter], &costs(nano), now).unwrap();
        book.settle(&mut hold, Some(&costs(nano)), now)
            .iter()
            .map(|w| (w.percent, w.spent))
            .collect::<Vec<_>>()
    };
    assert_eq!(spend(&mut book, 10), []);
    sheet.keep(&other, Lease { used: 75, upto: 75, ..Lease::default() });
    for due in book.due(Urgency::Soon) {
        let taken = book.take(&Arc::from("here"), &due.key, &mut sheet, &roster, now).unwrap();
        book.taken(&due.key, &taken);
    }
    assert_eq!(
        spend(&mut book, 1),
        [(80, 86)],
        "it was passed when it was heard of what was spent elsewhere"
    );
    assert_eq!([spend(&mut book, 1), spend(&mut book, 13)], [vec![], vec![(100, 100)]]);
}

#[test]
fn what_was_spent_before_a_restart_is_not_warned_of_again() {
    let (mut book, now) = (Book::default(), at("2026-05-01T10:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({ "warn_percent": 80, "soft": true }));
    book.restore(&meter, at("2026-05-01T00:00:00Z"), 90, now);
    let mut hold = holding(&mut book, [&meter], &costs(1), now).unwrap();
    assert!(book.settle(&mut hold, Some(&costs(1)), now).is_empty());
}

#[test]
fn what_nobody_can_tell_passes_while_something_is_left() {
    let (mut book, now) = (Book::default(), at("2026-05-01T10:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({}));
    let unknown = Need { cost: Cost::Unknown, ..costs(0) };
    let mut hold = holding(&mut book, [&meter], &unknown, now).unwrap();
    book.settle(&mut hold, Some(&unknown), now);
    let mut hold = holding(&mut book, [&meter], &costs(100), now).unwrap();
    assert!(holding(&mut book, [&meter], &unknown, now).is_err());
    book.settle(&mut hold, Some(&unknown), now);
    assert_eq!(book.standing(&meter, now).spent, 100, "what was held, where nobody can tell what it cost");
}

#[test]
fn each_measure_counts_its_own() {
    let now = at("2026-05-01T10:00:00Z");
    for (measure, passes, remains) in [
        (Measure::Requests, 15, 15),
        (Measure::InputTokens, 1, 10),
        (Measure::OutputTokens, 3, 15),
        (Measure::Tokens, 1, 15),
        (Measure::ConcurrentCalls, 15, 0),
    ] {
        let (mut book, meter) = (Book::default(), limit(measure, 15));
        let mut holds = Vec::new();
        while let Ok(hold) = holding(&mut book, [&meter], &costs(0), now) {
            holds.push(hold);
        }
        assert_eq!(holds.len(), passes, "{measure:?}");
        holds.iter_mut().for_each(|hold| drop(book.settle(hold, Some(&costs(0)), now)));
        assert_eq!(book.standing(&meter, now).spent, remains, "{measure:?}");
        let mut refused = Book::default();
        let mut hold = holding(&mut refused, [&meter], &costs(0), now).unwrap();
        refused.settle(&mut hold, None, now);
        assert_eq!(
            refused.standing(&meter, now).spent,
            u64::from(measure == Measure::Requests),
            "{measure:?}"
        );
    }
}

#[test]
fn counting_goes_on_where_it_was_and_not_in_another_window() {
    let (mut book, now) = (Book::default(), at("2026-05-02T10:00:00Z"));
    let meter = budget(HolderKind::Key, 100, serde_json::json!({}));
    book.restore(&meter, at("2026-05-01T00:00:00Z"), 70, now);
    assert_eq!(book.standing(&meter, now).spent, 0, "yesterday's");
    book.restore(&meter, at("2026-05-02T00:00:00Z"), 70, now);
    assert_eq!(book.standing(&meter, now).spent, 70);
    book.forget_past(at("2026-05-02T23:59:59Z"));
    assert_eq!(book.standing(&meter, now).spent, 70);
    book.forget_past(at("2026-05-03T00:00:00Z"));
    assert!(book.tallies.is_empty());
}

/// One thing that happens to a book.
#[derive(Clone, Debug)]
enum Step {
    Hold(u64),
    More(usize, u64),
    Settle(usize, Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..60).prop_map(Step::Hold),
        (0_usize..8, 0_u64..90).prop_map(|(which, nano)| Step::More(which, nano)),
        (0_usize..8, prop::option::of(0_u64..60)).prop_map(|(which, nano)| Step::Settle(which, nano)),
    ]
}

proptest! {
    /// Promise 4, on one instance: where calls cost at most what was held for them, a budget is never passed; and no
    /// call is refused that it has room for.
    #[test]
    fn a_budget_is_never_passed_and_never_refuses_early(ceiling in 0_u64..200, steps in prop::collection::vec(step(), 0..60)) {
        let (mut book, now) = (Book::default(), at("2026-05-01T10:00:00Z"));
        let meter = budget(HolderKind::Key, ceiling, serde_json::json!({}));
        let mut open: Vec<Hold> = Vec::new();
        let mut spent = 0;
        for step in steps {
            let held: u64 = open.iter().map(|hold| hold.each()[0].amount).sum();
            match step {
                Step::Hold(nano) => match holding(&mut book, [&meter], &costs(nano), now) {
                    Ok(hold) => { prop_assert!(spent + held + nano <= ceiling || nano == 0); open.push(hold); }
                    Err(_) => prop_assert!(spent + held + nano > ceiling),
                },
                Step::More(which, nano) if which < open.len() => {
                    let has = open[which].each()[0].amount;
                    let fits = nano <= has || spent + held + nano - has <= ceiling;
                    prop_assert_eq!(book.hold(&mut open[which], &costs(nano), now).is_ok(), fits);
                }
                Step::Settle(which, nano) if which < open.len() => {
                    let mut hold = open.swap_remove(which);
                    let used = nano.map(|nano| nano.min(hold.each()[0].amount));
                    book.settle(&mut hold, used.map(costs).as_ref(), now);
                    spent += used.unwrap_or(0);
                }
                _ => {}
            }
            let standing = book.standing(&meter, now);
            let held: u64 = open.iter().map(|hold| hold.each()[0].amount).sum();
            prop_assert_eq!((standing.spent, standing.held), (spent, held));
            prop_assert!(spent + held <= ceiling);
        }
    }
}
