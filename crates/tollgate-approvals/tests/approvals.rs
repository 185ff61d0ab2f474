//! Who lets which call pass, when, and how often, at one instance and at several.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tollgate_approvals::{ApprovalError, Waiting};
use tollgate_core::approval::{Answered, Approval, Approvals, Asks, Wanted};
use tollgate_core::effect::Effect;
use tollgate_core::ports::{Clock, Journal, Registry};
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_testkit::{MemoryJournal, MemoryRegistry};

const AT_ONCE: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_hours(1);

/// A clock that the test sets.
struct At(Mutex<Timestamp>);

impl Clock for At {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// Instances over one registry.
struct World {
    registry: Arc<MemoryRegistry<Approval>>,
    clock: Arc<At>,
}

impl World {
    fn new() -> Self {
        Self { registry: Arc::default(), clock: Arc::new(At(Mutex::new(Timestamp::UNIX_EPOCH))) }
    }

    async fn instance(&self) -> Arc<Waiting> {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let registry = Arc::clone(&self.registry) as Arc<dyn Registry<Approval>>;
        let waiting = Waiting::new(registry, journal, Arc::clone(&self.clock) as Arc<dyn Clock>);
        waiting.follow().await.unwrap();
        Arc::new(waiting)
    }

    fn pass(&self, time: Duration) {
        let mut now = self.clock.0.lock();
        *now += time;
    }
}

fn key(id: &str) -> Principal {
    Principal::direct(ActorKind::Key, id)
}

fn asks(arguments: &str) -> Asks {
    Asks {
        wanted: Wanted {
            whose: "key/ann".to_owned(),
            server: "files".to_owned(),
            tool: "delete".to_owned(),
            contract: "sha256:1".to_owned(),
            arguments_digest: arguments.to_owned(),
        },
        effect: Effect::Destructive,
        why: "destructive calls want somebody's approval".to_owned(),
        call_id: "c".to_owned(),
        trace_id: "t".to_owned(),
        own: false,
        arguments: format!("{{\"path\":\"{arguments}\"}}"),
        lasts: HOUR,
    }
}

async fn pending(waiting: &Waiting, asks: Asks) -> Arc<str> {
    match waiting.ask(asks, AT_ONCE).await {
        Answered::Pending(id) => id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_of_one_call_and_is_used_up_by_it() {
    let here = World::new().instance().await;
    let id = pending(&here, asks("/a")).await;
    assert_eq!(pending(&here, asks("/a")).await, id, "the same is asked once");
    assert_ne!(pending(&here, asks("/b")).await, id, "something else is asked anew");
    here.decide(&key("bob"), &id, true, None, None).await.unwrap();
    let another = asks("/a");
    let other_contract = Wanted { contract: "sha256:2".to_owned(), ..another.wanted.clone() };
    pending(&here, Asks { wanted: other_contract, ..another.clone() }).await;
    let other_caller = Wanted { whose: "key/eve".to_owned(), ..another.wanted.clone() };
    pending(&here, Asks { wanted: other_caller, ..another }).await;
    assert_eq!(here.ask(asks("/a"), AT_ONCE).await, Answered::Approved(Arc::clone(&id)));
    assert_ne!(pending(&here, asks("/a")).await, id, "the next call wants its own");
}

#[tokio::test(start_paused = true)]
async fn whoever_makes_a_call_does_not_let_it_pass_unless_that_is_said() {
    let here = World::new().instance().await;
    let id = pending(&here, asks("/a")).await;
    let own = here.decide(&key("ann"), &id, true, None, None).await.unwrap_err();
    assert!(matches!(own, ApprovalError::OwnCall), "{own}");
    assert!(Approvals::decide(&*here, &key("ann"), &id, true).await.is_err());
    let id = pending(&here, Asks { own: true, ..asks("/b") }).await;
    Approvals::decide(&*here, &key("ann"), &id, true).await.unwrap();
    assert_eq!(here.ask(Asks { own: true, ..asks("/b") }, AT_ONCE).await, Answered::Approved(id));
}

#[tokio::test(start_paused = true)]
async fn a_denial_holds_for_as_long_as_somebody_could_have_decided() {
    let world = World::new();
    let here = world.instance().await;
    let id = pending(&here, asks("/a")).await;
    here.decide(&key("bob"), &id, false, Some("not today"), None).await.unwrap();
    let denied = Answered::Denied {
        id: Arc::clone(&id),
        by: Some("key/bob".to_owned()),
        reason: Some("not today".to_owned()),
    };
    assert_eq!(here.ask(asks("/a"), AT_ONCE).await, denied);
    let twice = here.decide(&key("eve"), &id, true, None, None).await.unwrap_err();
    assert!(matches!(twice, ApprovalError::Decided(..)), "{twice}");
    world.pass(HOUR);
    assert_ne!(pending(&here, asks("/a")).await, id, "then it is asked anew");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_decides_in_time_is_denied_and_keeps_no_arguments() {
    let world = World::new();
    let here = world.instance().await;
    let id = pending(&here, asks("/a")).await;
    assert_eq!(here.get(&id).unwrap().0["arguments"], "{\"path\":\"/a\"}");
    world.pass(HOUR);
    let late = here.decide(&key("bob"), &id, true, None, None).await.unwrap_err();
    assert!(matches!(late, ApprovalError::Over(_)), "{late}");
    here.follow().await.unwrap();
    let shown = here.get(&id).unwrap().0;
    assert_eq!((shown["state"].as_str(), shown["arguments"].is_null()), (Some("expired"), true));
    // What was approved and not used by then is over, too.
    let id = pending(&here, asks("/b")).await;
    here.decide(&key("bob"), &id, true, None, None).await.unwrap();
    world.pass(HOUR);
    assert_ne!(pending(&here, asks("/b")).await, id);
    world.pass(HOUR * 24 * 8);
    // What one round removes, the next one reads as gone.
    here.follow().await.unwrap();
    here.follow().await.unwrap();
    assert!(here.get(&id).is_none(), "a week later it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn of_two_instances_one_uses_an_approval() {
    let world = World::new();
    let (here, there) = (world.instance().await, world.instance().await);
    let id = pending(&here, asks("/a")).await;
    there.follow().await.unwrap();
    assert_eq!(pending(&there, asks("/a")).await, id, "who asks there waits for the same");
    let waits = tokio::spawn({
        let there = Arc::clone(&there);
        async move { there.ask(asks("/a"), HOUR).await }
    });
    tokio::task::yield_now().await;
    here.decide(&key("bob"), &id, true, None, None).await.unwrap();
    there.follow().await.unwrap();
    assert_eq!(waits.await.unwrap(), Answered::Approved(Arc::clone(&id)));
    // Here it is not known yet that it was used there: the registry says so.
    assert_eq!(here.ask(asks("/a"), AT_ONCE).await, Answered::Pending(id));
}
