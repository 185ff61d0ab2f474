//! Questions about past calls, and their answers. What the CLI prints, the API sends and the index looks up.

mod spend;

use std::pin::Pin;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::spend::{By, Dimension, Spend, SpendFilter, SpendRow, day_of};
use crate::call::CallId;
use crate::ports::Position;

/// Which calls are asked for. What is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
pub struct CallFilter {
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The principal's subject, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The user that the key belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The team that the key belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The public model name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The deployment that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// How it ended: `ok`, `refused`, `failed`, `client_gone`, `unknown`; `open` for calls that have not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The fault's class; `any` for all that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// A tool that the model chose, or that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Only calls before this one: the last of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// So many at most; default 50, at most 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl CallFilter {
    /// How many are answered at most.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(50).clamp(1, 1_000)
    }
}

/// A call in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallRow {
    /// Which.
    pub call_id: String,
    /// When it came.
    pub at: String,
    /// The instance that served it.
    pub instance: String,
    /// The principal's kind.
    pub principal_kind: String,
    /// The principal's subject.
    pub principal: String,
    /// The user that the key belongs to; empty where it belongs to none.
    pub user: String,
    /// The team that the key belongs to; empty where it belongs to none.
    pub team: String,
    /// What the client spoke.
    pub surface: String,
    /// The public model name; empty where it was not read.
    pub model: String,
    /// The tool that was called, as `SERVER/TOOL`, or what else was asked of a tool server; empty of calls to models.
    pub tool: String,
    /// Who answered; empty where nobody did.
    pub deployment: String,
    /// How it ended; `open` where it has not.
    pub outcome: String,
    /// The HTTP status.
    pub status: i64,
    /// The fault's class; empty where it ended well.
    pub fault: String,
    /// Tokens in.
    pub input_tokens: i64,
    /// Tokens out.
    pub output_tokens: i64,
    /// What it cost; absent where that is not known.
    pub cost_nano_usd: Option<i64>,
    /// How long it took.
    pub duration_us: i64,
    /// Attempts.
    pub attempts: i64,
    /// Its trace.
    pub trace_id: String,
}

/// A page of calls, the latest first.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallPage {
    /// The calls.
    pub calls: Vec<CallRow>,
    /// What to ask for next as `before`; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// All that the journal says of a call.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallStory {
    /// Which.
    pub call_id: String,
    /// The instance whose journal it is.
    pub instance: String,
    /// Its entries, as they stand in the journal, in order.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub entries: Vec<Box<RawValue>>,
}

/// The calls of a trace, in the order in which they came.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TraceStory {
    /// The trace that was asked for, or that of the call that was.
    pub trace_id: String,
    /// Its calls.
    pub calls: Vec<CallStory>,
    /// There are more.
    pub truncated: bool,
}

/// Why a question has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(pub String);

/// A future answer.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, QueryError>> + Send + 'a>>;

/// The index over the journal.
pub trait Records: Send + Sync {
    /// The calls that `filter` says, the latest first.
    fn calls(&self, filter: CallFilter) -> Answering<'_, CallPage>;

    /// All that is known of one call.
    fn call(&self, id: CallId) -> Answering<'_, Option<CallStory>>;

    /// The calls of a trace, and those that are tied to them by cause. `id` is a trace's or a call's.
    fn trace(&self, id: String) -> Answering<'_, Option<TraceStory>>;

    /// Who spent what.
    fn spend(&self, filter: SpendFilter) -> Answering<'_, Spend>;
}

/// Entries as they are written.
pub trait Live: Send + Sync {
    /// Follows the journal from now on.
    fn follow(&self) -> Box<dyn Following>;

    /// The frames of a side file.
    fn aside(&self, instance: &str, name: &str) -> Result<Vec<u8>, QueryError>;
}

/// Somebody who follows the journal.
pub trait Following: Send {
    /// What has been written since the last time, as lines. Does not wait.
    fn read(&mut self) -> std::io::Result<Vec<(Position, Vec<u8>)>>;
}
