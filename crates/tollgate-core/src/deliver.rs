//! What the gate tells others by itself: heads of the journal, entries for a sink, telemetry.

use std::pin::Pin;

use http::{HeaderName, HeaderValue, Uri};

use crate::config::snapshot::Cloud;

/// Something to be sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Where to: an address from the configuration.
    pub uri: Uri,
    /// `POST` or `PUT`.
    pub method: http::Method,
    /// What it is.
    pub content_type: &'static str,
    /// Headers from the configuration, and others.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// It.
    pub body: Vec<u8>,
    /// What the request is signed with, where it goes to an object store.
    pub sign: Option<Cloud>,
}

/// What became of it: done, or why not.
pub type Delivered<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Sends what the gate has to say, through the one client that guards what it fetches too.
pub trait Deliver: Send + Sync {
    /// Sends `parcel`; done is what the other side has taken (status 2xx).
    fn deliver(&self, parcel: Parcel) -> Delivered<'_>;

    /// Notes in the journal that delivering has failed or works again.
    fn note(&self, event: &'static str, detail: serde_json::Value);
}
