//! What the gate tells others by itself: heads of the journal, entries for a sink, telemetry.

use std::pin::Pin;

use http::{HeaderName, HeaderValue, StatusCode, Uri};
use serde::Serialize;

use crate::config::alerts::AlertFormat;
use crate::config::snapshot::Cloud;
use crate::principal::Principal;

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

/// Why something was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Undelivered {
    /// In words; nothing of the address but its host stands there.
    pub why: String,
    /// What the other side has answered, where it has.
    pub status: Option<StatusCode>,
}

impl From<String> for Undelivered {
    fn from(why: String) -> Self {
        Self { why, status: None }
    }
}

impl Undelivered {
    /// The other side has answered, and has not taken it.
    pub fn answered(status: StatusCode) -> Self {
        Self { why: format!("the server answered {}", status.as_u16()), status: Some(status) }
    }

    /// Whether the other side will not take it later either: it says that the request is wrong, or that there is nobody.
    /// A credential that is refused may be mended, and is not meant.
    pub fn is_for_good(&self) -> bool {
        self.status.is_some_and(|status| {
            status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 407 | 408 | 425 | 429)
        })
    }
}

/// What became of it: done, or why not.
pub type Delivered<'a> = Pin<Box<dyn Future<Output = Result<(), Undelivered>> + Send + 'a>>;

/// Sends what the gate has to say, through the one client that guards what it fetches too.
pub trait Deliver: Send + Sync {
    /// Sends `parcel`; done is what the other side has taken (status 2xx).
    fn deliver(&self, parcel: Parcel) -> Delivered<'_>;

    /// Notes in the journal that delivering has failed or works again.
    fn note(&self, event: &'static str, detail: serde_json::Value);
}

/// What became of a test alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The host of the address; the rest of it may be a secret.
    pub host: String,
    /// How it was written.
    pub format: AlertFormat,
    /// Whether it was taken.
    pub delivered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A test at work.
pub type Testing<'a> = Pin<Box<dyn Future<Output = Vec<Tested>> + Send + 'a>>;

/// Alerts, for whoever wants to see that they arrive.
pub trait Alerting: Send + Sync {
    /// Sends a test alert on behalf of `by` to each address that is configured, once; in the order of the file.
    fn test<'a>(&'a self, by: &'a Principal) -> Testing<'a>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_good_is_told_from_what_may_be_mended() {
        let refused =
            |status: u16| Undelivered::answered(StatusCode::from_u16(status).unwrap()).is_for_good();
        for status in [400, 404, 405, 410, 413, 422] {
            assert!(refused(status), "{status}");
        }
        for status in [301, 401, 403, 408, 429, 500, 503] {
            assert!(!refused(status), "{status}");
        }
        assert!(!Undelivered::from("it cannot be reached".to_owned()).is_for_good());
    }
}
