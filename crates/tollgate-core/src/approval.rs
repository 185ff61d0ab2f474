//! Approvals: calls that somebody must let pass before they are made, as they are kept; and what asks for them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::document::{Document, DocumentRef, Kind};
use crate::effect::Effect;
use crate::principal::Principal;

/// The kinds of approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// Of a tool call.
    Call,
}

impl Kind for ApprovalKind {
    const KINDS: &'static [Self] = &[Self::Call];

    fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
        }
    }
}

/// Which approval.
pub type ApprovalRef = DocumentRef<ApprovalKind>;

/// What is to be approved. An approval is of exactly this, and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Wanted {
    /// For whom the call is made: kind and name.
    pub whose: String,
    /// The tool server.
    pub server: String,
    /// The tool, as the server names it.
    pub tool: String,
    /// The digest of its definition.
    pub contract: String,
    /// Keyed digest of the arguments, in canonical JSON.
    pub arguments_digest: String,
}

/// What has become of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// It waits for somebody to decide.
    Pending,
    /// The call may be made, once.
    Approved,
    /// It may not.
    Denied,
    /// The call was made.
    Used,
    /// Nobody decided in time, or what was approved was not used in time.
    Expired,
}

/// An approval as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Approval {
    /// Its name.
    pub id: Arc<str>,
    /// Of what.
    pub wanted: Wanted,
    /// What the call can change.
    pub effect: Effect,
    /// Why somebody is asked.
    pub why: String,
    /// The call that asked first.
    pub call_id: String,
    /// The trace that it belongs to.
    pub trace_id: String,
    /// Whether whoever makes the call may decide, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// The arguments, for whoever decides; taken away once that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it ends: what nobody has decided by then is denied, and what was approved and not used by then is over.
    pub ends_at: Timestamp,
    /// What has become of it.
    pub state: ApprovalState,
    /// Who decided: kind and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Approval {
    /// The name of the approval `id`.
    pub fn name(id: &str) -> ApprovalRef {
        ApprovalRef { kind: ApprovalKind::Call, id: Arc::from(id) }
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let over = [ApprovalState::Denied, ApprovalState::Used, ApprovalState::Expired];
        self.ends_at <= now || over.contains(&self.state)
    }
}

impl Document for Approval {
    type Kind = ApprovalKind;
    const SORT: &'static str = "approval";

    fn document(&self) -> ApprovalRef {
        Self::name(&self.id)
    }

    fn unique(&self) -> Option<String> {
        None
    }

    /// Without the arguments: records keep content only where the configuration says so.
    fn visible(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_else(|_| json!({}));
        if let Some(members) = value.as_object_mut() {
            members.remove("arguments");
        }
        value
    }
}

/// A call that wants somebody's approval.
#[derive(Clone, Debug)]
pub struct Asks {
    /// Of what.
    pub wanted: Wanted,
    /// What the call can change.
    pub effect: Effect,
    /// Why somebody is asked.
    pub why: String,
    /// The call.
    pub call_id: String,
    /// The trace that it belongs to.
    pub trace_id: String,
    /// Whether whoever makes the call may decide, too.
    pub own: bool,
    /// The arguments, JSON.
    pub arguments: String,
    /// How long somebody may take to decide.
    pub lasts: Duration,
}

/// What has become of a call that wanted an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It may be made now, by this approval, which is used up by it.
    Approved(Arc<str>),
    /// It may not: by whom, and why.
    Denied {
        /// The approval.
        id: Arc<str>,
        /// Who decided; `None` where nobody did in time.
        by: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// Nobody has decided yet.
    Pending(Arc<str>),
    /// Nobody can be asked.
    Away(String),
}

/// Whoever is asked for approvals.
pub trait Approvals: Send + Sync {
    /// Asks for what `asks` wants, and waits for `patience`. Who has asked for the same before goes on waiting for the same
    /// approval, and gets what was decided meanwhile.
    fn ask(&self, asks: Asks, patience: Duration) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>>;

    /// Whoever makes the call has decided on the approval `id`; why not, where they may not.
    fn decide<'a>(
        &'a self,
        by: &'a Principal,
        id: &'a str,
        approve: bool,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

/// Nobody is asked, and everything that wants an approval is denied.
#[derive(Clone, Copy, Debug, Default)]
pub struct NobodyApproves;

impl Approvals for NobodyApproves {
    fn ask(&self, _: Asks, _: Duration) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>> {
        Box::pin(async { Answered::Away("this gate has nobody to ask".to_owned()) })
    }

    fn decide<'a>(
        &'a self,
        _: &'a Principal,
        _: &'a str,
        _: bool,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async { Err("this gate has nobody to ask".to_owned()) })
    }
}
