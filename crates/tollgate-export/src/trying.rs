//! Delivering, again and again until it works. That it fails, and that it works again, is noted once each.

use std::time::Duration;

use serde_json::json;
use tollgate_core::deliver::{Deliver, Parcel, Undelivered};

/// The first pause after a failure; each is twice as long as the one before.
const SHORTEST: Duration = Duration::from_secs(1);

const LONGEST: Duration = Duration::from_secs(60);

/// Somebody who is told things.
pub(crate) struct Trying<'a> {
    deliver: &'a dyn Deliver,
    /// What the events are called.
    event: &'static str,
    failing: Option<Duration>,
}

impl<'a> Trying<'a> {
    pub(crate) fn new(deliver: &'a dyn Deliver, event: &'static str) -> Self {
        Self { deliver, event, failing: None }
    }

    /// Tries once.
    pub(crate) async fn once(&mut self, parcel: Parcel) -> Result<(), Undelivered> {
        let host = parcel.uri.host().unwrap_or_default().to_owned();
        let delivered = self.deliver.deliver(parcel).await;
        match &delivered {
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!(what = self.event, host, "delivering works again");
                    self.deliver.note(self.event, json!({ "host": host, "works": "again" }));
                }
            }
            Err(error) => {
                let why = &error.why;
                if self.failing.is_none() {
                    tracing::warn!(what = self.event, host, why, "it cannot be delivered; it is tried again");
                    self.deliver.note(self.event, json!({ "host": host, "refused": why }));
                }
                let pause = self.failing.map_or(SHORTEST, |pause| (pause * 2).min(LONGEST));
                self.failing = Some(pause);
            }
        }
        delivered
    }

    /// Waits for as long as is due before the next try.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(self.failing.unwrap_or(SHORTEST)).await;
    }

    /// Tries until it works.
    pub(crate) async fn until_done(&mut self, parcel: &Parcel) {
        while self.once(parcel.clone()).await.is_err() {
            self.pause().await;
        }
    }
}
