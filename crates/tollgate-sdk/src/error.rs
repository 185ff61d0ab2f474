//! What can go wrong, as data.

use tollgate_core::fault::{FaultClass, UpstreamError};
use tollgate_llm::json::BodyError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's name is not `provider/model`, or nobody knows the provider.
    #[error("`{model}`: {why}")]
    Model {
        /// As it was given.
        model: String,
        /// What is wrong with it.
        why: String,
    },
    /// No credential, or none that a library can use by itself.
    #[error("no credential for provider `{provider}`: {why}")]
    Credential {
        /// The provider.
        provider: &'static str,
        /// What to set.
        why: String,
    },
    /// The provider cannot do what a member of the request asks for.
    #[error("`{member}` cannot be sent to an upstream that speaks {format}: {why}")]
    Unsupported {
        /// The member.
        member: String,
        /// What the provider speaks.
        format: &'static str,
        /// Why not.
        why: String,
    },
    /// A member of the request is wrong.
    #[error("{0}")]
    Request(String),
    /// No connection, or one that broke.
    #[error("the provider cannot be reached: {0}")]
    Connection(String),
    /// The provider took too long.
    #[error("the provider did not answer in time")]
    Timeout,
    /// The provider said no.
    #[error("{} (status {})", upstream.message, upstream.status)]
    Upstream {
        /// What kind of fault it is.
        class: FaultClass,
        /// What the provider said.
        upstream: Box<UpstreamError>,
    },
    /// The provider sent what is no answer in its protocol.
    #[error("the provider's answer cannot be read: {0}")]
    BadAnswer(String),
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Timeout | Self::BadAnswer(_) => true,
            Self::Upstream { class, .. } => class.retryable(),
            _ => false,
        }
    }

    pub(crate) fn upstream(upstream: UpstreamError) -> Self {
        let class = tollgate_llm::formats::classify(&upstream);
        Self::Upstream { class, upstream: Box::new(upstream) }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::Request(error.to_string())
    }
}
