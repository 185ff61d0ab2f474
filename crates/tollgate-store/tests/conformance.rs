//! One suite that every backend runs. PostgreSQL is a real server, started here on a free port.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod server;

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tollgate_core::call::CallId;
use tollgate_core::digest::DigestKey;
use tollgate_core::effect::Effect;
use tollgate_core::ports::{Clock, Journal};
use tollgate_core::price::Cost;
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_core::query::{CallFilter, CallRow, Spend, SpendFilter, SpendRow};
use tollgate_core::record::{
    Attempt, ChosenTool, Closed, Counts, Entry, Event, Opened, Outcome, Reservation, ToolsOffered, Trace,
};
use tollgate_core::trace::TraceId;
use tollgate_core::usage::Usage;
use tollgate_journal::{DiskJournal, Keys, Options};
use tollgate_store::{Index, Loader};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A journal, and what is written to it.
struct Fixture {
    data: tempfile::TempDir,
    journal: DiskJournal,
    instance: &'static str,
}

/// What a test says of a call.
#[derive(Clone, Copy)]
struct Said<'a> {
    kind: ActorKind,
    principal: &'a str,
    user: Option<&'a str>,
    team: Option<&'a str>,
    end_user: Option<&'a str>,
    tags: &'a [&'a str],
    cost: Cost,
    model: &'a str,
    outcome: Outcome,
    trace: Option<TraceId>,
    chose: Option<(&'a str, &'a str)>,
    result: Option<&'a str>,
}

const OK: Said<'_> = Said {
    kind: ActorKind::Key,
    principal: "ann",
    user: None,
    team: None,
    end_user: None,
    tags: &[],
    cost: Cost::Known(5),
    model: "m",
    outcome: Outcome::Ok,
    trace: None,
    chose: None,
    result: None,
};

impl Said<'_> {
    fn principal(&self) -> Principal {
        Principal {
            user: self.user.map(Into::into),
            team: self.team.map(Into::into),
            ..Principal::direct(self.kind, self.principal)
        }
    }
}

impl Fixture {
    fn new(instance: &'static str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let keys = Keys::load(data.path(), None, None).unwrap();
        let options = Options { reserve_bytes: 4_096, ..Options::default() };
        let journal = DiskJournal::open(data.path(), instance, keys, options, Arc::new(Now)).unwrap();
        Self { data, journal, instance }
    }

    fn open(&self, call_id: CallId, said: Said<'_>) {
        let key = DigestKey::derive(b"k");
        let tools = ToolsOffered { count: 1, names: vec!["w".into()], digest: key.digest(b"t") };
        let results: Vec<String> = said.result.iter().map(|id| (*id).to_owned()).collect();
        let usage = Usage { input_tokens: 10, output_tokens: 500, ..Usage::default() };
        let entry = Opened {
            at: Timestamp::now(),
            call_id,
            trace: &trace(call_id, said),
            principal: &said.principal(),
            peer: None,
            surface: "openai_chat",
            model: Some(said.model),
            deployment: "d",
            stream: false,
            effect: Effect::Read,
            reservation: Reservation { usage, cost: Cost::Known(77) },
            held: &Counts::default(),
            request_bytes: 5,
            request_digest: key.digest(b"x"),
            tool: None,
            tools: Some(&tools),
            results: &results,
            headers: &[],
            end_user: said.end_user,
            tags: &tags(said),
            capture: None,
        };
        self.journal.append(&Entry::Opened(&entry)).unwrap();
    }

    fn attempt(&self, call_id: CallId) {
        let entry = Attempt {
            at: Timestamp::now(),
            call_id,
            number: 2,
            deployment: "d2",
            after: None,
            hedge: false,
            held: &Counts::default(),
        };
        self.journal.append(&Entry::Attempt(&entry)).unwrap();
    }

    fn close(&self, call_id: CallId, said: Said<'_>) {
        let key = DigestKey::derive(b"k");
        let chosen: Vec<ChosenTool> = said
            .chose
            .iter()
            .map(|(id, name)| ChosenTool {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                arguments_digest: key.digest(b"{}"),
            })
            .collect();
        let entry = Closed {
            at: Timestamp::now(),
            call_id,
            trace: &trace(call_id, said),
            principal: &said.principal(),
            peer: None,
            surface: "openai_chat",
            model: Some(said.model),
            deployment: Some("d").filter(|_| said.outcome != Outcome::Refused),
            tool: None,
            outcome: said.outcome,
            status: 200,
            fault: None,
            attempts: &[],
            route: None,
            usage: Some(Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() }),
            cost: Some(said.cost),
            counted: &Counts::default(),
            chosen: &chosen,
            edits: &[],
            end_user: said.end_user,
            tags: &tags(said),
            duration_us: 9,
            first_byte_us: None,
            response_bytes: 1,
            response_digest: None,
            capture: None,
        };
        self.journal.append(&Entry::Closed(&entry)).unwrap();
    }

    fn call(&self, said: Said<'_>) -> CallId {
        let id = CallId::new();
        self.open(id, said);
        self.close(id, said);
        id
    }

    async fn load(&self, index: &Arc<dyn Index>) -> usize {
        let mut loader = Loader::new(Arc::clone(index), self.instance, self.journal.folder()).await.unwrap();
        let mut count = 0;
        loop {
            match loader.step().await.unwrap() {
                0 => return count,
                more => count += more,
            }
        }
    }
}

fn tags(said: Said<'_>) -> Vec<String> {
    said.tags.iter().map(ToString::to_string).collect()
}

fn trace(call_id: CallId, said: Said<'_>) -> Trace {
    let trace_id = said.trace.unwrap_or(call_id.trace());
    Trace { trace_id, span_id: call_id.span(0), parent_span_id: None, cause: None }
}

async fn rows(index: &Arc<dyn Index>, filter: CallFilter) -> Vec<CallRow> {
    index.calls(filter).await.unwrap().calls
}

/// Calls are found by each of their fields, page by page, the latest first.
async fn questions(index: Arc<dyn Index>) {
    let fixture = Fixture::new("questions");
    let first = fixture.call(Said { principal: "bob", model: "x", ..OK });
    for _ in 0..10 {
        fixture.call(OK);
    }
    let failed = fixture.call(Said { outcome: Outcome::Failed, chose: Some(("call_1", "rm")), ..OK });
    let open = CallId::new();
    fixture.open(open, OK);
    fixture.load(&index).await;
    let all = rows(&index, CallFilter::default()).await;
    assert_eq!(all.len(), 13);
    assert_eq!((all[0].call_id.as_str(), all[0].outcome.as_str()), (open.to_string().as_str(), "open"));
    let found = |filter| {
        let index = Arc::clone(&index);
        async move { rows(&index, filter).await.into_iter().map(|row| row.call_id).collect::<Vec<_>>() }
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(CallFilter { key: text("bob"), ..CallFilter::default() }).await, [first.to_string()]);
    assert_eq!(found(CallFilter { model: text("x"), ..CallFilter::default() }).await, [first.to_string()]);
    assert_eq!(
        found(CallFilter { outcome: text("failed"), ..CallFilter::default() }).await,
        [failed.to_string()]
    );
    assert_eq!(found(CallFilter { tool: text("rm"), ..CallFilter::default() }).await, [failed.to_string()]);
    assert_eq!(found(CallFilter { key: text("nobody' OR 1=1 --"), ..CallFilter::default() }).await, [""; 0]);
    let hour = SignedDuration::from_hours(1);
    let since = |at| CallFilter { since: Some(at), ..CallFilter::default() };
    assert_eq!(found(since(Timestamp::now() - hour)).await.len(), 13);
    assert_eq!(found(since(Timestamp::now() + hour)).await.len(), 0);
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = index.calls(CallFilter { limit: Some(5), before, ..CallFilter::default() }).await.unwrap();
        seen.extend(page.calls.into_iter().map(|row| row.call_id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, all.iter().map(|row| row.call_id.clone()).collect::<Vec<_>>());
    let story = index.call(failed).await.unwrap().unwrap();
    let kinds: Vec<Value> = story
        .entries
        .iter()
        .map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap()["entry"].clone())
        .collect();
    assert_eq!(kinds, ["opened", "closed"]);
    assert!(index.call(CallId::new()).await.unwrap().is_none());
}

/// Entries of one call that come in several batches are one row; nothing is loaded twice.
async fn exactly_once(index: Arc<dyn Index>) {
    let fixture = Fixture::new("once");
    let id = CallId::new();
    fixture.open(id, OK);
    assert_eq!(fixture.load(&index).await, 2);
    fixture.attempt(id);
    assert_eq!(fixture.load(&index).await, 1);
    fixture.close(id, OK);
    assert_eq!(fixture.load(&index).await, 1);
    assert_eq!(fixture.load(&index).await, 0);
    let story = index.call(id).await.unwrap().unwrap();
    assert_eq!(story.entries.len(), 3);
    let row = rows(&index, CallFilter { limit: Some(1), ..CallFilter::default() }).await.remove(0);
    assert_eq!((row.outcome.as_str(), row.cost_nano_usd, row.output_tokens), ("ok", Some(5), 2));
    // Two loaders that began at the same place: the second changes nothing and says so.
    let mut one = Loader::new(Arc::clone(&index), fixture.instance, fixture.journal.folder()).await.unwrap();
    let mut other =
        Loader::new(Arc::clone(&index), fixture.instance, fixture.journal.folder()).await.unwrap();
    fixture.attempt(id);
    assert_eq!(one.step().await.unwrap(), 1);
    assert!(other.step().await.unwrap_err().to_string().contains("by somebody else"));
    assert_eq!(other.step().await.unwrap(), 0);
    assert_eq!(index.call(id).await.unwrap().unwrap().entries.len(), 4);
}

/// Made again from the journal, it is the same.
async fn made_again(index: Arc<dyn Index>) {
    let fixture = Fixture::new("again");
    for _ in 0..20 {
        fixture.call(OK);
    }
    fixture.load(&index).await;
    let before = rows(&index, CallFilter::default()).await;
    index.clear().await.unwrap();
    assert_eq!(rows(&index, CallFilter::default()).await, []);
    assert_eq!(index.position(fixture.instance).await.unwrap(), 0);
    fixture.load(&index).await;
    assert_eq!(rows(&index, CallFilter::default()).await, before);
    assert_eq!(index.drop_before(Timestamp::now()).await.unwrap(), 0);
    assert_eq!(index.drop_before(Timestamp::now() + SignedDuration::from_hours(24 * 40)).await.unwrap(), 1);
    assert_eq!(rows(&index, CallFilter::default()).await, []);
}

/// Calls are tied by their trace and by the tools that one chose and another brings the result of; another tenant's
/// calls are not, though it uses the same ids.
async fn traces(index: Arc<dyn Index>) {
    let fixture = Fixture::new("traces");
    let trace = CallId::new().trace();
    let first = fixture.call(Said { trace: Some(trace), chose: Some(("call_1", "w")), ..OK });
    let second = fixture.call(Said { result: Some("call_1"), chose: Some(("call_2", "w")), ..OK });
    let third = fixture.call(Said { result: Some("call_2"), ..OK });
    fixture.call(Said { principal: "eve", result: Some("call_1"), ..OK });
    fixture.call(OK);
    fixture.load(&index).await;
    let ids = [first, second, third].map(|id| id.to_string());
    for asked in [trace.to_string(), second.to_string()] {
        let story = index.trace(asked).await.unwrap().unwrap();
        assert_eq!(story.calls.iter().map(|call| call.call_id.clone()).collect::<Vec<_>>(), ids);
    }
    assert!(index.trace(CallId::new().to_string()).await.unwrap().is_none());
    assert!(index.trace("nothing".to_owned()).await.unwrap().is_none());
}

async fn spend(index: &Arc<dyn Index>, filter: Value) -> Spend {
    index.spend(serde_json::from_value::<SpendFilter>(filter).unwrap()).await.unwrap()
}

/// What stands in rows, as `dimension dimension calls failed cost unpriced`.
fn told(spend: &Spend) -> Vec<String> {
    let one = |row: &SpendRow| {
        let of = [&row.team, &row.user, &row.key, &row.model, &row.deployment, &row.end_user, &row.tag];
        let of: Vec<&str> = of.into_iter().flatten().map(String::as_str).collect();
        let (calls, failed, unpriced) = (row.calls, row.failed_calls, row.unpriced_calls);
        format!("{} {calls} {failed} {} {unpriced}", of.join(" "), row.cost_nano_usd)
    };
    spend.rows.iter().map(one).collect()
}

/// What was spent is added up exactly once, by each dimension; it outlives the months of calls, and the index.
async fn spent(index: Arc<dyn Index>) {
    let fixture = Fixture::new("spent");
    let large = Cost::Known(9_007_199_254_740_993);
    let red = Said { principal: "k1", user: Some("ann"), team: Some("red"), ..OK };
    fixture.call(Said { cost: large, ..red });
    fixture.call(Said { cost: large, ..red });
    fixture.call(Said { principal: "k2", user: Some("bob"), model: "x", ..red });
    fixture.call(Said { cost: Cost::Unknown, outcome: Outcome::Failed, ..OK });
    fixture.call(Said {
        outcome: Outcome::Refused,
        model: "whatever they call it",
        cost: Cost::Known(0),
        ..red
    });
    fixture.call(Said { kind: ActorKind::Master, principal: "master", ..OK });
    let half = CallId::new();
    fixture.open(half, red);
    fixture.load(&index).await;
    fixture.close(half, red);
    fixture.load(&index).await;
    let by_team = json!({ "by": "team,model" });
    let expected = ["red m 3 0 18014398509481991 0", " m 2 1 5 1", "red x 1 0 5 0", "red  1 1 0 0"];
    let first = spend(&index, by_team.clone()).await;
    assert_eq!(told(&first), expected, "to the last digit, which a float would lose");
    assert_eq!(
        (first.total.calls, first.total.cost_nano_usd, first.truncated),
        (7, 18_014_398_509_482_001, false)
    );
    assert_eq!((first.total.input_tokens, first.total.output_tokens), (70, 14));
    assert_eq!(
        told(&spend(&index, json!({ "by": "key", "team": "red" })).await),
        ["k1 4 1 18014398509481991 0", "k2 1 0 5 0"]
    );
    assert_eq!(
        told(&spend(&index, json!({ "by": "key", "team": "" })).await),
        ["(master) 1 0 5 0", "ann 1 1 0 1"]
    );
    assert_eq!(told(&spend(&index, json!({ "by": "user", "user": "bob" })).await), ["bob 1 0 5 0"]);
    let few = spend(&index, json!({ "by": "deployment", "limit": 1 })).await;
    assert_eq!((told(&few), few.truncated), (vec!["d 6 1 18014398509482001 1".to_owned()], true));
    assert_eq!(spend(&index, json!({})).await.rows, []);
    let today = spend(&index, json!({ "by": "day" })).await.rows[0].day.clone();
    assert_eq!(today, Some(tollgate_core::query::day_of(Timestamp::now())));
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    assert_eq!(spend(&index, json!({ "since": tomorrow })).await.total.calls, 0);
    assert_eq!(
        spend(&index, json!({ "until": Timestamp::now() - SignedDuration::from_hours(24) }))
            .await
            .total
            .calls,
        0
    );
    assert_eq!(
        rows(&index, CallFilter { team: Some("red".to_owned()), ..CallFilter::default() }).await.len(),
        5
    );
    // Months that are dropped, and an index that is made anew, neither lose it nor count it twice.
    index.drop_before(Timestamp::now() + SignedDuration::from_hours(24 * 40)).await.unwrap();
    assert_eq!(spend(&index, by_team.clone()).await, first);
    index.clear().await.unwrap();
    assert_eq!(spend(&index, by_team.clone()).await, first);
    fixture.load(&index).await;
    assert_eq!(spend(&index, by_team.clone()).await, first);
    fixture.call(Said { principal: "k2", model: "x", ..red });
    fixture.load(&index).await;
    assert_eq!(spend(&index, json!({ "by": "model", "model": "x" })).await.total.calls, 2);
    index.clear_with_spend().await.unwrap();
    assert_eq!(spend(&index, json!({})).await.total.calls, 0);
    fixture.load(&index).await;
    assert_eq!(spend(&index, json!({})).await.total.calls, 8);
}

/// Several instances add to the same rows at the same time, and nothing is lost or waited for in a circle.
async fn spent_by_several(index: Arc<dyn Index>) {
    let fixtures = ["one", "two", "three"].map(Fixture::new);
    for fixture in &fixtures {
        for n in 0..40 {
            let (key, model) = (format!("k{}", n % 7), format!("m{}", (n * 3) % 5));
            fixture.call(Said { principal: &key, model: &model, ..OK });
        }
    }
    let [one, two, three] = &fixtures;
    let loaded = tokio::join!(one.load(&index), two.load(&index), three.load(&index));
    assert!(loaded.0 > 0 && loaded.1 > 0 && loaded.2 > 0);
    let all = spend(&index, json!({ "by": "key,model" })).await;
    assert_eq!((all.rows.len(), all.total.calls, all.total.cost_nano_usd), (35, 120, 600));
}

/// Callers' own users and tags are told apart up to a number, and nothing of what they spent is lost.
async fn spent_by_labels(index: Arc<dyn Index>) {
    const MOST: usize = 10_000;
    let fixture = Fixture::new("labels");
    fixture.call(Said { end_user: Some("u1"), tags: &["a", "b"], ..OK });
    fixture.call(Said { end_user: Some("u2"), tags: &["b"], team: Some("red"), ..OK });
    fixture.call(OK);
    fixture.load(&index).await;
    let by_user = spend(&index, json!({ "by": "end_user" })).await;
    assert_eq!(
        (told(&by_user), by_user.total.calls),
        (vec!["u1 1 0 5 0".to_owned(), "u2 1 0 5 0".to_owned()], 3)
    );
    assert_eq!(told(&spend(&index, json!({ "by": "tag" })).await), ["b 2 0 10 0", "a 1 0 5 0"]);
    assert_eq!(told(&spend(&index, json!({ "by": "tag,team", "team": "red" })).await), ["red b 1 0 5 0"]);
    // An attack: a caller who names another user and another model in each call.
    for n in 0..MOST + 50 {
        let word = format!("x{n}");
        fixture.close(CallId::new(), Said { end_user: Some(&word), model: &word, ..OK });
    }
    fixture.load(&index).await;
    fixture.close(CallId::new(), Said { end_user: Some("u1"), ..OK });
    fixture.load(&index).await;
    let all = spend(&index, json!({ "by": "end_user", "limit": 10_000 })).await;
    assert_eq!(told(&all)[..2], ["(other) 52 0 260 0", "u1 2 0 10 0"]);
    assert!(all.truncated && all.total.calls == 10_054);
    let by_model = spend(&index, json!({ "by": "model", "limit": 2 })).await;
    assert_eq!(told(&by_model), ["(other) 51 0 255 0", "m 4 0 20 0"]);
}

/// An attack: what a database does not take in a text must not stop the loading of what comes after it.
async fn strange_texts(index: Arc<dyn Index>) {
    let fixture = Fixture::new("strange");
    let strange = fixture.call(Said { model: "a\0b\u{1F512}'\"", chose: Some(("c\0", "n\0")), ..OK });
    let long: String = (0..6_000_u32).map(|n| char::from(b'a' + (n * n % 26) as u8)).collect();
    let longest = fixture.call(Said { model: &long, chose: Some((&long, &long)), result: Some(&long), ..OK });
    let event = Event { at: Timestamp::now(), event: "e", call_id: None, detail: json!({ "x": "\0" }) };
    fixture.journal.append(&Entry::Event(&event)).unwrap();
    std::fs::write(fixture.data.path().join("unrelated"), b"x").unwrap();
    let after = fixture.call(OK);
    fixture.load(&index).await;
    let all = rows(&index, CallFilter::default()).await;
    assert_eq!(
        all.iter().map(|row| row.call_id.clone()).collect::<Vec<_>>(),
        [after.to_string(), longest.to_string(), strange.to_string()]
    );
    assert_eq!(all[2].model, "a\u{fffd}b\u{1F512}'\"");
}

async fn everything(open: impl AsyncFn() -> Arc<dyn Index>) {
    let empty = async || {
        let index = open().await;
        index.clear_with_spend().await.unwrap();
        index
    };
    questions(empty().await).await;
    exactly_once(empty().await).await;
    made_again(empty().await).await;
    traces(empty().await).await;
    spent(empty().await).await;
    spent_by_several(empty().await).await;
    spent_by_labels(empty().await).await;
    strange_texts(empty().await).await;
}

#[tokio::test]
async fn sqlite() {
    let data = tempfile::tempdir().unwrap();
    everything(async || tollgate_store::open(None, data.path()).await.unwrap()).await;
}

#[tokio::test]
async fn postgres() {
    let server = server::Server::start().await;
    everything(async || tollgate_store::open(Some(&server.url), Path::new("")).await.unwrap()).await;
    // Several instances that start at once make the tables once.
    let fresh = server::Server::start().await;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = fresh.url.clone();
        opening.spawn(async move { tollgate_store::open(Some(&url), Path::new("")).await.map(|_| ()) });
    }
    while let Some(opened) = opening.join_next().await {
        opened.unwrap().unwrap();
    }
}
