//! Promise 3 and the audit trail: what a journal holds after crashes, rotation, full disks and tampering.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tollgate_core::call::CallId;
use tollgate_core::effect::Effect;
use tollgate_core::ports::{Clock, Journal, Offered};
use tollgate_core::price::Cost;
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_core::record::{Counted, Counts, Entry, Event, Opened, Reservation, SPENT_ELSEWHERE, Trace};
use tollgate_core::usage::Usage;
use tollgate_journal::{DiskJournal, Finding, Follower, Keys, Options, Report, Signed, Verifier};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

const INSTANCE: &str = "i";

fn open(data: &Path, options: Options) -> DiskJournal {
    let keys = Keys::load(data, None, None).unwrap();
    DiskJournal::open(data, INSTANCE, keys, options, Arc::new(Fixed)).unwrap()
}

fn event(journal: &DiskJournal, n: u64) {
    let event = Event { at: Timestamp::UNIX_EPOCH, event: "n", call_id: None, detail: json!({ "n": n }) };
    journal.append(&Entry::Event(&event)).unwrap();
}

fn folder(data: &Path) -> PathBuf {
    data.join("journal").join(INSTANCE)
}

fn plain(data: &Path) -> PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(folder(data)).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "jsonl") && !path.ends_with("manifest.jsonl"));
    files.sort();
    files.pop().unwrap()
}

fn verify(data: &Path) -> Report {
    let keys = Keys::load(data, None, None).unwrap();
    Verifier::new(&folder(data), INSTANCE, keys.public).run(|_, _| {}).unwrap()
}

fn entries(data: &Path) -> Vec<Value> {
    let followed = Follower::new(&folder(data), 0).read(usize::MAX).unwrap();
    assert_eq!(followed.gap, None);
    followed.entries.iter().map(|(_, line)| serde_json::from_slice(line).unwrap()).collect()
}

fn small() -> Options {
    Options { reserve_bytes: 4096, ..Options::default() }
}

fn offer(journal: &DiskJournal, n: u64) -> Offered {
    let event = Event { at: Timestamp::UNIX_EPOCH, event: "n", call_id: None, detail: json!({ "n": n }) };
    journal.offer(&Entry::Event(&event))
}

/// Promise 3: whoever collects writes for all, in the order of the offers, across segments; nobody's entry is left behind.
#[test]
fn what_is_offered_together_is_written_together() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), Options { segment_bytes: 2_000, ..small() });
    let offered: Vec<_> = (1..=50).map(|n| offer(&journal, n)).collect();
    // Whoever collects writes what all have offered, unless the journal has done so meanwhile.
    journal.collect(&offered[49]).unwrap();
    let positions: Vec<_> = offered.iter().map(|o| o.result().unwrap().clone().unwrap()).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    let left = offer(&journal, 51);
    drop(journal);
    assert!(left.result().is_some_and(Result::is_ok), "what nobody collected is written in the end");
    let read = entries(data.path());
    let numbers: Vec<_> =
        read.iter().filter(|e| e["event"] == "n").map(|e| e["detail"]["n"].as_u64()).collect();
    assert_eq!(numbers, (1..=51).map(Some).collect::<Vec<_>>());
    assert_eq!(verify(data.path()).findings, []);
}

#[test]
fn many_who_offer_at_once_make_one_chain() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), Options { segment_bytes: 20_000, ..small() });
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let journal = &journal;
            scope.spawn(move || {
                for n in 0..200 {
                    let offered = offer(journal, thread * 1_000 + n);
                    if n % 3 == 0 {
                        std::thread::yield_now();
                    }
                    let position = journal.collect(&offered).unwrap();
                    assert!(position > 0 && position <= journal.last());
                }
            });
        }
    });
    drop(journal);
    assert_eq!(entries(data.path()).iter().filter(|e| e["event"] == "n").count(), 1_600);
    assert_eq!(verify(data.path()).findings, []);
}

/// A chain of a checkpoint and nine events, in one segment, with its head signed.
fn ten(data: &Path) {
    let journal = open(data, small());
    (1..=9).for_each(|n| event(&journal, n));
}

#[test]
fn entries_are_numbered_chained_and_signed() {
    let data = tempfile::tempdir().unwrap();
    ten(data.path());
    let report = verify(data.path());
    assert_eq!((report.findings, report.entries, report.signed_to), (vec![], 10, 10));
    let read = entries(data.path());
    assert_eq!(
        read.iter().map(|e| e["seq"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=10).collect::<Vec<_>>()
    );
    // Another start goes on where this one ended.
    ten(data.path());
    let report = verify(data.path());
    assert_eq!((report.findings, report.entries, report.signed_to), (vec![], 19, 19));
}

#[test]
fn a_second_gate_is_kept_out() {
    let data = tempfile::tempdir().unwrap();
    let _first = open(data.path(), small());
    let keys = Keys::load(data.path(), None, None).unwrap();
    let error = DiskJournal::open(data.path(), INSTANCE, keys, small(), Arc::new(Fixed)).unwrap_err();
    assert!(error.to_string().contains("another gate"), "{error}");
}

/// What is done to the lines of a segment, and what a verification says then.
#[test]
fn tampering_is_named() {
    type Tamper = fn(&mut Vec<String>);
    let cases: [(&str, Tamper, Finding); 8] = [
        ("altered", |l| l[4] = l[4].replace("\"n\":4", "\"n\":5"), Finding::Altered(5)),
        ("made unreadable", |l| l[4] = "{}".into(), Finding::Altered(5)),
        ("last one altered", |l| l[9] = l[9].replace("\"n\":9", "\"n\":8"), Finding::HeadDiffers(10)),
        (
            "link altered",
            |l| {
                l[4] =
                    l[4].replacen("\"prev\":\"", "\"prev\":\"0", 1).replacen("0\",\"entry", "\",\"entry", 1)
            },
            Finding::Altered(5),
        ),
        ("removed", |l| drop(l.remove(4)), Finding::Removed(5, 5)),
        ("two removed", |l| drop(l.drain(4..6)), Finding::Removed(5, 6)),
        ("reordered", |l| l.swap(4, 5), Finding::Reordered(5)),
        ("inserted", |l| l.insert(5, l[4].clone()), Finding::Inserted(5)),
    ];
    for (name, tamper, expected) in cases {
        let data = tempfile::tempdir().unwrap();
        ten(data.path());
        let path = plain(data.path());
        let mut lines: Vec<String> =
            std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        tamper(&mut lines);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let report = verify(data.path());
        assert_eq!(report.findings, [expected], "{name}");
    }
}

#[test]
fn truncation_is_named_with_the_head_and_found_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    ten(data.path());
    let path = plain(data.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(7).collect();
    std::fs::write(&path, kept.join("\n") + "\n").unwrap();
    assert_eq!(verify(data.path()).findings, [Finding::Truncated { last: 7, signed: 10 }]);
    // Going on does not cover it up.
    ten(data.path());
    let report = verify(data.path());
    assert_eq!(report.findings, [Finding::LostBefore { found: 7, signed: 10 }]);
    assert!(entries(data.path()).iter().any(|entry| entry["event"] == "journal_lost"));
}

/// Someone who has the key can rewrite everything, and an outside head still tells.
#[test]
fn a_chain_that_was_rewritten_with_the_key_differs_from_an_outside_head() {
    let data = tempfile::tempdir().unwrap();
    ten(data.path());
    let outside: Signed =
        serde_json::from_slice(&std::fs::read(folder(data.path()).join("head.json")).unwrap()).unwrap();
    std::fs::remove_dir_all(folder(data.path())).unwrap();
    let journal = open(data.path(), small());
    (11..=20).for_each(|n| event(&journal, n));
    drop(journal);
    assert_eq!(verify(data.path()).findings, []);
    let keys = Keys::load(data.path(), None, None).unwrap();
    let verifier = Verifier::new(&folder(data.path()), INSTANCE, keys.public).against(outside.clone());
    assert_eq!(verifier.run(|_, _| {}).unwrap().findings, [Finding::HeadDiffers(10)]);
    let other = Keys::load(tempfile::tempdir().unwrap().path(), None, None).unwrap();
    let report = Verifier::new(&folder(data.path()), INSTANCE, other.public).run(|_, _| {}).unwrap();
    assert!(matches!(report.findings[..], [Finding::Signature(_)]), "{:?}", report.findings);
}

#[test]
fn a_torn_line_is_cut_off_and_the_chain_goes_on() {
    let data = tempfile::tempdir().unwrap();
    ten(data.path());
    let path = plain(data.path());
    let mut text = std::fs::read(&path).unwrap();
    text.extend(b"{\"seq\":11,\"prev\":\"");
    std::fs::write(&path, text).unwrap();
    ten(data.path());
    assert_eq!(verify(data.path()).findings, []);
    assert_eq!(entries(data.path())[10]["event"], "journal_torn");
}

/// Sealed segments are compressed and in the manifest; a follower that began before reads on through all of them.
#[test]
fn segments_are_sealed_and_followed() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), Options { segment_bytes: 1_000, ..small() });
    let mut follower = Follower::new(journal.folder(), 0);
    let mut seen = Vec::new();
    for n in 1..=50 {
        event(&journal, n);
        seen.extend(follower.read(usize::MAX).unwrap().entries.into_iter().map(|(seq, _)| seq));
    }
    let last = journal.last();
    drop(journal);
    seen.extend(follower.read(usize::MAX).unwrap().entries.into_iter().map(|(seq, _)| seq));
    assert_eq!(seen, (1..=last).collect::<Vec<_>>());
    let report = verify(data.path());
    assert_eq!((report.findings, report.entries), (vec![], last));
    assert!(report.segments > 5);
    let plain = std::fs::read_dir(folder(data.path()))
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "zst"))
        .count();
    assert_eq!(plain, report.segments - 1);
    let ns: Vec<_> = entries(data.path()).iter().filter_map(|e| e["detail"]["n"].as_u64()).collect();
    assert_eq!(ns, (1..=50).collect::<Vec<_>>());
    // A segment that vanishes is missed.
    let first = std::fs::read_dir(folder(data.path()))
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.to_string_lossy().ends_with("00001.jsonl.zst"))
        .unwrap();
    std::fs::remove_file(first).unwrap();
    assert!(matches!(verify(data.path()).findings[..], [Finding::SegmentMissing(1, _)]));
}

/// A crash between beginning a segment and sealing the one before.
#[test]
fn what_a_crash_left_unsealed_is_sealed_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), small());
    event(&journal, 1);
    journal.rotate().unwrap();
    event(&journal, 2);
    journal.rotate().unwrap();
    event(&journal, 3);
    drop(journal);
    // As if neither had been stated.
    let folder = folder(data.path());
    for sealed in [1, 3] {
        let path = folder.join(format!("{sealed:020}.jsonl.zst"));
        let text = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
        std::fs::write(folder.join(format!("{sealed:020}.jsonl")), text).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    std::fs::remove_file(folder.join("manifest.jsonl")).unwrap();
    let journal = open(data.path(), small());
    event(&journal, 4);
    drop(journal);
    let report = verify(data.path());
    assert_eq!((report.findings, report.entries, report.segments), (vec![], 7, 3));
}

struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(3_600)
    }
}

#[test]
fn old_segments_go_when_all_have_taken_them_and_the_rest_still_verifies() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), small());
    event(&journal, 1);
    journal.rotate().unwrap();
    event(&journal, 2);
    journal.rotate().unwrap();
    drop(journal);
    let keys = || Keys::load(data.path(), None, None).unwrap();
    let keep = Options { keep: Some(Duration::from_secs(60)), ..small() };
    let retired = |taken: Option<u64>, sink: Option<u64>, options: &Options| {
        let mut takers = Vec::new();
        takers.extend(taken.map(|_| ("index", true)));
        takers.extend(sink.map(|_| ("sink", false)));
        let options = Options { takers, ..options.clone() };
        let journal = DiskJournal::open(data.path(), INSTANCE, keys(), options, Arc::new(Later)).unwrap();
        journal.retire().unwrap();
        for (name, position) in [("index", taken), ("sink", sink)] {
            if let Some(position) = position {
                journal.consumer(name).unwrap().took(position);
            }
        }
        journal.retire().unwrap();
        drop(journal);
        verify(data.path())
    };
    assert_eq!(retired(Some(1), None, &keep).removed, 0, "the index has not taken it");
    assert_eq!(retired(Some(9), Some(1), &keep).removed, 0, "the sink has not taken it");
    let report = retired(Some(2), None, &keep);
    assert_eq!((report.removed, report.findings), (1, vec![]));
    let impatient = Options { wait_for_sink: Duration::from_secs(60), ..keep };
    let report = retired(Some(9), Some(1), &impatient);
    assert_eq!((report.removed, report.findings), (2, vec![]));
    let followed = Follower::new(&folder(data.path()), 0).read(usize::MAX).unwrap();
    assert_eq!(followed.gap.map(|gap| gap.from), Some(1));
}

/// An `opened` entry of a call that will not end.
fn open_call(journal: &DiskJournal) -> CallId {
    let call_id = CallId::new();
    let digest = journal.digest_key().digest(b"x");
    let usage = Usage { input_tokens: 10, ..Usage::default() };
    let trace =
        Trace { trace_id: call_id.trace(), span_id: call_id.span(0), parent_span_id: None, cause: None };
    let entry = Entry::Opened(&Opened {
        at: Timestamp::UNIX_EPOCH,
        call_id,
        trace: &trace,
        principal: &Principal::direct(ActorKind::Master, "ann"),
        peer: None,
        surface: "openai_chat",
        model: Some("m"),
        deployment: "d",
        stream: false,
        effect: Effect::Read,
        reservation: Reservation { usage, cost: Cost::Known(77) },
        held: &Counts::default(),
        request_bytes: 1,
        request_digest: digest,
        tool: None,
        tools: None,
        results: &[],
        headers: &[],
        end_user: Some("u"),
        tags: &["t".to_owned()],
        capture: None,
    });
    journal.append(&entry).unwrap();
    call_id
}

fn closed(data: &Path, call_id: CallId) -> Vec<Value> {
    let id = call_id.to_string();
    entries(data).into_iter().filter(|e| e["entry"] == "closed" && e["call_id"] == id.as_str()).collect()
}

/// Promise 3: wherever the process dies, an open call is closed once and charged, and totals go on.
#[test]
fn open_calls_and_totals_survive_every_kind_of_crash() {
    type Crash = fn(&Path);
    let crashes: [(&str, Crash); 5] = [
        ("none", |_| {}),
        ("an empty next segment", |folder| write_next(folder, b"")),
        ("a torn next segment", |folder| write_next(folder, b"{\"seq\":7,\"prev\":\"")),
        ("a torn statement", |folder| append(&folder.join("manifest.jsonl"), b"{\"statement\":{\"seg")),
        ("an interrupted compression", |folder| {
            std::fs::write(folder.join("00000000000000000001.zst.new"), b"x").unwrap()
        }),
    ];
    for (name, crash) in crashes {
        let data = tempfile::tempdir().unwrap();
        let journal = open(data.path(), small());
        event(&journal, 1);
        journal.rotate().unwrap();
        let call = open_call(&journal);
        journal.rotate().unwrap();
        event(&journal, 2);
        drop(journal);
        crash(&folder(data.path()));
        for _ in 0..2 {
            drop(open(data.path(), small()));
            let closed = closed(data.path(), call);
            assert_eq!(closed.len(), 1, "{name}");
            assert_eq!(
                (&closed[0]["outcome"], &closed[0]["cost_nano_usd"]),
                (&json!("unknown"), &json!(77)),
                "{name}"
            );
            assert_eq!(verify(data.path()).findings, [], "{name}");
        }
        let journal = open(data.path(), small());
        journal.rotate().unwrap();
        drop(journal);
        let last = entries(data.path()).into_iter().rfind(|e| e["entry"] == "checkpoint").unwrap();
        assert_eq!((&last["open"], &last["totals"][0]["cost_nano_usd"]), (&json!([]), &json!(77)), "{name}");
    }
}

fn write_next(folder: &Path, content: &[u8]) {
    let last = Follower::new(folder, 0).read(usize::MAX).unwrap().entries.last().unwrap().0;
    std::fs::write(folder.join(format!("{:020}.jsonl", last + 1)), content).unwrap();
}

fn append(path: &Path, content: &[u8]) {
    std::io::Write::write_all(&mut std::fs::OpenOptions::new().append(true).open(path).unwrap(), content)
        .unwrap();
}

/// A clock that was set back, or forward and back again, makes nothing old.
#[test]
fn a_clock_that_jumps_back_removes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let keep = Options { keep: Some(Duration::from_secs(60)), ..small() };
    let keys = || Keys::load(data.path(), None, None).unwrap();
    let journal = DiskJournal::open(data.path(), INSTANCE, keys(), keep.clone(), Arc::new(Later)).unwrap();
    event(&journal, 1);
    journal.rotate().unwrap();
    drop(journal);
    let journal = DiskJournal::open(data.path(), INSTANCE, keys(), keep, Arc::new(Fixed)).unwrap();
    journal.retire().unwrap();
    drop(journal);
    assert_eq!(verify(data.path()).removed, 0);
}

/// A segment whose end is missing does not stop who follows.
#[test]
fn a_missing_end_is_a_gap() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), small());
    event(&journal, 1);
    event(&journal, 2);
    journal.rotate().unwrap();
    event(&journal, 3);
    drop(journal);
    let path = folder(data.path()).join("00000000000000000001.jsonl.zst");
    let text = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
    let kept: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').take(2).collect();
    std::fs::write(&path, zstd::encode_all(&kept.concat()[..], 1).unwrap()).unwrap();
    let mut follower = Follower::new(&folder(data.path()), 0);
    assert_eq!(follower.read(usize::MAX).unwrap().entries.len(), 2);
    let rest = follower.read(usize::MAX).unwrap();
    assert_eq!((rest.gap.map(|gap| (gap.from, gap.to)), rest.entries.len()), (Some((3, 4)), 2));
    assert_eq!(verify(data.path()).findings, [Finding::Removed(3, 3)]);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), small());
    journal.keep_aside(b"content").unwrap();
    event(&journal, 1);
    journal.rotate().unwrap();
    drop(journal);
    let mut files = vec![folder(data.path())];
    while let Some(path) = files.pop() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if !path.ends_with("lock") && !path.ends_with("reserve") {
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
}

/// What was spent elsewhere is counted like what calls have counted: after a restart, and after the entry is gone.
#[test]
fn what_was_spent_elsewhere_is_known_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path(), small());
    let since = Timestamp::UNIX_EPOCH;
    let counted = Counts(vec![Counted { under: "key/k/max_budget/30d".into(), since, amount: 7 }]);
    for (name, detail) in [
        (SPENT_ELSEWHERE, json!({ "counted": counted })),
        ("change", json!({ "counted": counted })),
        (SPENT_ELSEWHERE, json!({ "counted": "nothing that can be read" })),
    ] {
        let event = Event { at: since, event: name, call_id: None, detail };
        journal.append(&Entry::Event(&event)).unwrap();
    }
    drop(journal);
    let journal = open(data.path(), small());
    assert_eq!(journal.counted(), counted);
    journal.rotate().unwrap();
    drop(journal);
    assert_eq!(open(data.path(), small()).counted(), counted, "from the checkpoint");
}
