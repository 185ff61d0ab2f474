//! Alerts: what wants somebody's attention is sent to webhooks and chats.
//!
//! It is read from the journal's events, one reader for each address, so that a restart loses nothing and one that is away
//! holds up no other. Retention does not wait for it. At least once: after a failure or a crash an alert may come again,
//! with the same id.

mod alert;
mod claims;
mod memory;
mod words;
mod written;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use tokio::time::Instant;
use tollgate_core::config::alerts::AlertTarget;
use tollgate_core::deliver::{Deliver, Tested, Undelivered};
use tollgate_core::ports::Clock;
use tollgate_core::principal::Principal;
use tollgate_journal::Followed;

use self::alert::Alert;
use self::claims::Claim;
pub use self::claims::Claims;
use self::memory::Kept;
use crate::reading::Reading;
use crate::trying::Trying;

/// What is read of the journal at once.
const BATCH: usize = 1 << 20;

/// How often it is looked for new events.
const LOOK: Duration = Duration::from_millis(500);

/// How often it is written down how far the reading is while there is nothing to tell: what is read again costs little, and
/// a file that is written twice a second does not.
const REMEMBER: Duration = Duration::from_secs(10);

/// When an alert that cannot be delivered is given up.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(24);

/// After how many refusals for good in a row alerts are given up: one may be a receiver that is just being replaced.
const TOO_OFTEN: u32 = 5;

/// What the reader for `target` is called: by its address, of which nothing can be told from it.
pub fn reader_name(target: &AlertTarget) -> String {
    let hashed = alert::hashed(&["target", &target.address.uri.to_string()]);
    hashed.replacen("alert_", "alerts-", 1)
}

/// Tells `target` for as long as the future lives. `claims` is where several instances agree on who does.
pub async fn tell(
    deliver: Arc<dyn Deliver>,
    clock: Arc<dyn Clock>,
    target: AlertTarget,
    mut reading: Reading,
    claims: Option<Claims>,
) {
    let mut teller = Teller {
        trying: Trying::new(&*deliver, "alert"),
        deliver: &*deliver,
        clock,
        kept: Kept::open(reading.beside("told")),
        instance: reading.instance.clone(),
        target,
        claims,
        refusals: 0,
    };
    let mut remembered = (reading.position(), Instant::now());
    loop {
        let begun = Instant::now();
        let followed = match reading.events(BATCH).await {
            Ok(followed) => followed,
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be read for alerts");
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        let took = begun.elapsed();
        let told = teller.take(&followed).await;
        let position = reading.position();
        if told || (position != remembered.0 && remembered.1.elapsed() >= REMEMBER) {
            reading.took(position);
            remembered = (position, Instant::now());
        }
        // What an address that was away has missed takes at most half of a core from the calls.
        tokio::time::sleep(if followed.bytes < BATCH { LOOK } else { took }).await;
    }
}

/// Whoever tells one address.
struct Teller<'a> {
    deliver: &'a dyn Deliver,
    clock: Arc<dyn Clock>,
    target: AlertTarget,
    instance: String,
    kept: Kept,
    trying: Trying<'a>,
    claims: Option<Claims>,
    /// How often in a row it was refused for good.
    refusals: u32,
}

impl Teller<'_> {
    /// Tells what is to be told of what was read. Whether there was anything.
    async fn take(&mut self, followed: &Followed) -> bool {
        if let Some(gap) = followed.gap {
            // Its time was over before the receiver came back. Counted, and on record.
            tracing::error!(
                from = gap.from,
                to = gap.to,
                "entries were removed before alerts of them were sent"
            );
            let host = self.target.host();
            let detail =
                json!({ "host": host, "from": gap.from, "to": gap.to, "entries": gap.to - gap.from });
            self.deliver.note("alert_gap", detail);
        }
        let (mut any, mut held_back) = (followed.gap.is_some(), false);
        for (_, line) in &followed.entries {
            let Some((kind, alert)) = Alert::read(line) else { continue };
            if !self.target.kinds.contains(&kind) {
                continue;
            }
            any = true;
            let Some(alert) = self.kept.memory.tells(alert) else {
                held_back = true;
                continue;
            };
            self.settle(&alert).await;
            self.kept.memory.note(&alert);
            self.kept.keep();
        }
        // There may be many of those, and a crash loses no more than their number.
        if held_back {
            self.kept.keep();
        }
        any
    }

    /// Sends `alert`, again and again until it was taken, given up, or sent by another instance.
    async fn settle(&mut self, alert: &Alert) {
        loop {
            if let Some(claims) = &self.claims {
                match claims.take(&alert.id).await {
                    Claim::Ours => {}
                    Claim::Done => return,
                    Claim::Others => {
                        tokio::time::sleep(claims::WAIT).await;
                        continue;
                    }
                }
            }
            let parcel = written::parcel(&self.target, alert, &self.instance, self.clock.now());
            match self.trying.once(parcel).await {
                Ok(()) => self.refusals = 0,
                Err(error) if self.gives_up(alert, &error) => self.drop_it(alert, &error),
                Err(_) => {
                    self.trying.pause().await;
                    continue;
                }
            }
            if let Some(claims) = &self.claims {
                claims.settle(&alert.id).await;
            }
            return;
        }
    }

    /// Whether an alert that was not taken must not hold up those after it any longer.
    fn gives_up(&mut self, alert: &Alert, error: &Undelivered) -> bool {
        self.refusals = if error.is_for_good() { self.refusals.saturating_add(1) } else { 0 };
        self.refusals >= TOO_OFTEN || self.clock.now().duration_since(alert.at) >= TOO_OLD
    }

    fn drop_it(&self, alert: &Alert, error: &Undelivered) {
        let (host, why) = (self.target.host(), &error.why);
        tracing::error!(host, why, id = alert.id, kind = alert.kind(), "an alert was given up");
        let detail = json!({ "host": host, "id": alert.id, "type": alert.kind(), "refused": why });
        self.deliver.note("alert_dropped", detail);
    }
}

/// Sends a test alert to each of `targets`, once, and notes on whose behalf. What became of each, in their order.
pub async fn test(
    deliver: Arc<dyn Deliver>,
    clock: &dyn Clock,
    targets: &[AlertTarget],
    instance: &str,
    by: &Principal,
) -> Vec<Tested> {
    let (alert, now) = (Alert::test(clock.now()), clock.now());
    // All at once: one that does not answer takes its time.
    let trying = targets.iter().map(|target| {
        let (parcel, deliver) = (written::parcel(target, &alert, instance, now), Arc::clone(&deliver));
        tokio::spawn(async move { deliver.deliver(parcel).await })
    });
    let trying: Vec<_> = trying.collect();
    let mut tested = Vec::with_capacity(targets.len());
    for (target, tried) in targets.iter().zip(trying) {
        let delivered = tried.await.unwrap_or_else(|error| Err(error.to_string().into()));
        let why = delivered.err().map(|error| error.why);
        let (host, format) = (target.host().to_owned(), target.format);
        tested.push(Tested { host, format, delivered: why.is_none(), why });
    }
    deliver.note("alert_test", json!({ "by": by, "sent": tested }));
    tested
}
