//! What becomes of alerts when those who are told are away, refuse, or are told by several instances. The journals are real;
//! time is paused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate_core::config::alerts::{AlertFormat, AlertKind, AlertTarget};
use tollgate_core::config::recording::{Address, Sync};
use tollgate_core::deliver::{Deliver, Delivered, Parcel, Undelivered};
use tollgate_core::ports::{Clock, Documents, Journal, Rewritten, Shelf};
use tollgate_core::query::{Answering, QueryError};
use tollgate_core::record::{Entry, Event};
use tollgate_export::Reading;
use tollgate_export::alerts::{Claims, reader_name, tell};
use tollgate_journal::{DiskJournal, Keys, Options};

struct FakeClock(Instant);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        "2026-05-20T10:00:00Z".parse::<Timestamp>().unwrap()
            + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

/// Receives, and answers with the status that was set; with none, it cannot be reached.
#[derive(Default)]
struct Receiver {
    answers: Mutex<Option<StatusCode>>,
    tries: Mutex<u32>,
    taken: Mutex<Vec<Value>>,
    notes: Mutex<Vec<(&'static str, Value)>>,
}

impl Receiver {
    fn answering(status: u16) -> Arc<Self> {
        let receiver = Self::default();
        receiver.answer(status);
        Arc::new(receiver)
    }

    fn answer(&self, status: u16) {
        *self.answers.lock().unwrap() = StatusCode::from_u16(status).ok();
    }

    /// The keys of which it was told.
    fn keys(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|body| body["data"]["key"].as_str().unwrap().to_owned()).collect()
    }

    fn dropped(&self) -> Vec<Value> {
        let notes = self.notes.lock().unwrap();
        notes
            .iter()
            .filter(|(event, _)| *event == "alert_dropped")
            .map(|(_, detail)| detail.clone())
            .collect()
    }
}

impl Deliver for Receiver {
    fn deliver(&self, parcel: Parcel) -> Delivered<'_> {
        *self.tries.lock().unwrap() += 1;
        let answer = match *self.answers.lock().unwrap() {
            None => Err(Undelivered::from("it cannot be reached".to_owned())),
            Some(status) if status.is_success() => {
                self.taken.lock().unwrap().push(serde_json::from_slice(&parcel.body).unwrap());
                Ok(())
            }
            Some(status) => Err(Undelivered::answered(status)),
        };
        Box::pin(async { answer })
    }

    fn note(&self, event: &'static str, detail: Value) {
        self.notes.lock().unwrap().push((event, detail));
    }
}

/// Documents in memory, which can be away.
#[derive(Default)]
struct MemoryShelf {
    documents: Mutex<HashMap<String, (u64, String)>>,
    clock: Mutex<Option<Arc<FakeClock>>>,
}

impl MemoryShelf {
    fn now(&self) -> Result<Timestamp, QueryError> {
        let clock = self.clock.lock().unwrap();
        clock.as_ref().map(|clock| clock.now()).ok_or_else(|| QueryError("away".to_owned()))
    }
}

impl Shelf for MemoryShelf {
    fn read<'a>(&'a self, names: &'a [String]) -> Answering<'a, Documents> {
        Box::pin(async move {
            let (now, documents) = (self.now()?, self.documents.lock().unwrap());
            let each = names.iter().map(|name| match documents.get(name) {
                Some((version, text)) => (*version, Some(text.clone())),
                None => (0, None),
            });
            Ok(Documents { now, life: String::new(), each: each.collect() })
        })
    }

    fn write<'a>(&'a self, all: &'a [Rewritten]) -> Answering<'a, Vec<bool>> {
        Box::pin(async move {
            self.now()?;
            let mut documents = self.documents.lock().unwrap();
            let written = all.iter().map(|one| {
                let version = documents.get(&one.name).map_or(0, |(version, _)| *version);
                let same = version == one.version;
                if same {
                    documents.insert(one.name.clone(), (version + 1, one.text.clone()));
                }
                same
            });
            Ok(written.collect())
        })
    }

    fn naming<'a>(&'a self, _: &'a str) -> Answering<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// An instance with a journal of its own.
struct Instance {
    clock: Arc<FakeClock>,
    journal: DiskJournal,
    telling: Option<JoinHandle<()>>,
}

impl Instance {
    fn new(folder: &Path, clock: &Arc<FakeClock>) -> Self {
        let keys = Keys::load(folder, None, None).unwrap();
        let options = Options { sync: Sync::Off, ..Options::default() };
        let clock = Arc::clone(clock);
        let journal = DiskJournal::open(folder, "gate", keys, options, Arc::clone(&clock) as Arc<_>).unwrap();
        Self { clock, journal, telling: None }
    }

    /// Begins to tell `receiver`, as `who` where instances agree.
    fn tells(&mut self, receiver: &Arc<Receiver>, shared: Option<(&Arc<MemoryShelf>, &str)>) {
        let address = Address { uri: "https://hooks.example/x".parse().unwrap(), headers: Vec::new() };
        let kinds = vec![AlertKind::KeyExpiring];
        let target = AlertTarget { address, format: AlertFormat::Webhook, secret: None, kinds };
        let name = reader_name(&target);
        let reading = Reading::from_now(&self.journal, &name);
        let claims = shared.map(|(shelf, who)| Claims::new(Arc::clone(shelf) as Arc<_>, who.into(), name));
        let (deliver, clock) = (Arc::clone(receiver) as Arc<_>, Arc::clone(&self.clock) as Arc<_>);
        self.telling = Some(tokio::spawn(tell(deliver, clock, target, reading, claims)));
    }

    /// Stops telling in the middle of whatever it does.
    fn is_killed(&mut self) {
        self.telling.take().unwrap().abort();
    }

    fn key_ends(&self, key: &str) {
        let detail = json!({ "key": key, "ends_at": "2026-05-27T10:00:00Z", "lead_days": 7, "days_left": 7 });
        let event = Event { at: self.clock.now(), event: "key_expiring", call_id: None, detail };
        self.journal.append(&Entry::Event(&event)).unwrap();
    }
}

/// Lets time pass until `reached`, for two days at most.
async fn until(what: &str, reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(2 * 86_400), "{what}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock(Instant::now()))
}

#[tokio::test(start_paused = true)]
async fn what_was_before_is_not_told_and_what_comes_is_told_once() {
    let (folder, clock, receiver) = (tempfile::tempdir().unwrap(), clock(), Receiver::answering(200));
    let mut gate = Instance::new(folder.path(), &clock);
    gate.key_ends("history");
    gate.tells(&receiver, None);
    gate.key_ends("a");
    gate.key_ends("a");
    until("told", || receiver.keys() == ["a"]).await;
    gate.is_killed();
    gate.key_ends("while it was away");
    gate.key_ends("a");
    gate.tells(&receiver, None);
    gate.key_ends("b");
    until("told", || receiver.keys().len() >= 3).await;
    assert_eq!(receiver.keys(), ["a", "while it was away", "b"]);
    assert!(receiver.notes.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_was_away_is_told_when_they_are_back() {
    let (folder, clock, receiver) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Receiver::default()));
    let mut gate = Instance::new(folder.path(), &clock);
    gate.tells(&receiver, None);
    gate.key_ends("a");
    until("tried", || *receiver.tries.lock().unwrap() >= 3).await;
    // In the middle of its tries it is stopped, and goes on.
    gate.is_killed();
    gate.tells(&receiver, None);
    until("tried", || *receiver.tries.lock().unwrap() >= 10).await;
    receiver.answer(204);
    until("told", || receiver.keys() == ["a"]).await;
    let said: Vec<_> = receiver.notes.lock().unwrap().iter().map(|(_, detail)| detail.clone()).collect();
    assert_eq!(said.last().unwrap(), &json!({ "host": "hooks.example", "works": "again" }));
    assert!(!json!(said).to_string().contains("/x"), "an address is a secret");
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_is_refused_for_good_does_not_hold_up_the_next() {
    let (folder, clock, receiver) = (tempfile::tempdir().unwrap(), clock(), Receiver::answering(410));
    let mut gate = Instance::new(folder.path(), &clock);
    gate.tells(&receiver, None);
    gate.key_ends("a");
    gate.key_ends("b");
    until("given up", || receiver.dropped().len() == 2).await;
    // A few times, as one may just be being replaced; once it is known, once.
    assert_eq!(*receiver.tries.lock().unwrap(), 6);
    let dropped = &receiver.dropped()[0];
    assert_eq!(
        (&dropped["type"], &dropped["refused"]),
        (&json!("key_expiring"), &json!("the server answered 410"))
    );
    receiver.answer(200);
    gate.key_ends("c");
    until("told", || receiver.keys() == ["c"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_given_up_after_a_day() {
    let (folder, clock, receiver) = (tempfile::tempdir().unwrap(), clock(), Receiver::answering(503));
    let mut gate = Instance::new(folder.path(), &clock);
    gate.tells(&receiver, None);
    gate.key_ends("a");
    tokio::time::sleep(Duration::from_secs(23 * 3_600)).await;
    assert!(receiver.dropped().is_empty());
    gate.key_ends("b");
    until("given up", || receiver.dropped().len() == 1).await;
    receiver.answer(200);
    until("told", || receiver.keys() == ["b"]).await;
}

#[tokio::test(start_paused = true)]
async fn of_several_instances_one_tells() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (clock, receiver, shelf) = (clock(), Receiver::answering(200), Arc::new(MemoryShelf::default()));
    *shelf.clock.lock().unwrap() = Some(Arc::clone(&clock));
    let mut gates = folders.each_ref().map(|folder| Instance::new(folder.path(), &clock));
    for (gate, who) in gates.iter_mut().zip(["one", "two"]) {
        gate.tells(&receiver, Some((&shelf, who)));
        gate.key_ends("a");
    }
    gates[0].key_ends("b");
    until("told", || receiver.keys().len() >= 2).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let mut keys = receiver.keys();
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
    // One that cannot reach the receiver, or dies while it tries, does not keep it from the other.
    let away = Arc::new(Receiver::default());
    gates[0].is_killed();
    gates[0].tells(&away, Some((&shelf, "one")));
    gates[0].key_ends("c");
    until("tried", || *away.tries.lock().unwrap() >= 2).await;
    gates[1].key_ends("c");
    until("told", || receiver.keys().contains(&"c".to_owned())).await;
    away.answer(200);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(away.keys().is_empty(), "it hears that the other was faster");
    // Where nothing can be agreed on, each tells.
    *shelf.clock.lock().unwrap() = None;
    gates[0].key_ends("d");
    gates[1].key_ends("d");
    until("told", || away.keys() == ["d"] && receiver.keys().last().is_some_and(|key| key == "d")).await;
}
