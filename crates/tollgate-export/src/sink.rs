//! One sink that gets every entry as it stands in the journal: JSON Lines, for a SIEM.
//!
//! At least once: after a failure or a restart the last batch may come again; entries carry their numbers.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use tollgate_core::config::recording::Address;
use tollgate_core::deliver::{Deliver, Parcel};

use crate::reading::Reading;
use crate::trying::Trying;

/// The size of a request, about.
const BATCH: usize = 1 << 20;

/// How often it is looked for new entries.
const LOOK: Duration = Duration::from_millis(500);

/// Feeds the sink at `address` for as long as the future lives.
pub async fn feed(deliver: Arc<dyn Deliver>, address: Address, mut reading: Reading) {
    let mut trying = Trying::new(&*deliver, "sink");
    loop {
        let followed = match reading.read(BATCH).await {
            Ok(followed) => followed,
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be read for the sink");
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        if let Some(gap) = followed.gap {
            // Its time was over before the sink came back. Counted, and on record.
            tracing::error!(from = gap.from, to = gap.to, "entries were removed before the sink took them");
            let detail = json!({ "from": gap.from, "to": gap.to, "entries": gap.to - gap.from });
            deliver.note("sink_gap", detail);
        }
        let Some((last, _)) = followed.entries.last() else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let last = *last;
        trying.until_done(&parcel(&address, &reading.instance, &followed.entries)).await;
        reading.took(last);
    }
}

fn parcel(address: &Address, instance: &str, entries: &[(u64, Vec<u8>)]) -> Parcel {
    let mut body = Vec::with_capacity(entries.iter().map(|(_, line)| line.len() + 1).sum());
    for (_, line) in entries {
        body.extend_from_slice(line);
        body.push(b'\n');
    }
    let mut headers = address.headers.clone();
    headers.extend(
        HeaderValue::from_str(instance)
            .ok()
            .map(|name| (HeaderName::from_static("x-tollgate-instance"), name)),
    );
    Parcel {
        uri: address.uri.clone(),
        method: Method::POST,
        content_type: "application/x-ndjson",
        headers,
        body,
        sign: None,
    }
}
