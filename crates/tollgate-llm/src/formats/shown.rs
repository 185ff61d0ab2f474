//! A fault as a client sees it, in words and as data. Each format only writes it down.

use tollgate_core::call::CallId;
use tollgate_core::fault::{Fault, FaultClass, SideEffect, UpstreamError};

/// How a fault is shown to a client.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The fault.
    pub fault: &'a Fault,
    /// The call; absent for what was refused before it became one.
    pub call_id: Option<CallId>,
    /// What was tried: each deployment and why it failed.
    pub tried: &'a [(String, FaultClass)],
    /// Whether the call had an effect all the same.
    pub side_effect: SideEffect,
}

impl<'a> Shown<'a> {
    /// A fault of what never became a call.
    pub fn stranger(fault: &'a Fault) -> Self {
        Self { fault, call_id: None, tried: &[], side_effect: SideEffect::None }
    }
}

impl Shown<'_> {
    /// The message with what was tried and the call's id, for a person.
    pub fn message(&self) -> String {
        let mut text = self.fault.message.clone();
        // A single attempt is named in the message already.
        if self.tried.len() > 1 {
            let list: Vec<_> =
                self.tried.iter().map(|(who, class)| format!("{who}: {}", class.name())).collect();
            text.push_str(&format!(" (tried {})", list.join(", ")));
        }
        if let Some(id) = self.call_id {
            text.push_str(&format!(" [call {id}]"));
        }
        text
    }

    /// The same facts for a machine: a member that SDKs leave alone.
    pub fn facts(&self) -> serde_json::Value {
        let tried: Vec<_> = self
            .tried
            .iter()
            .map(|(deployment, class)| serde_json::json!({ "deployment": deployment, "fault": class.name() }))
            .collect();
        serde_json::json!({
            "fault": self.fault.class.name(),
            "blame": self.fault.class.blame(),
            "retryable": self.fault.retryable(),
            "side_effect": self.side_effect,
            "call_id": self.call_id.map(|id| id.to_string()),
            "tried": tried,
        })
    }

    /// What the upstream said, when it said it in the format called `format`.
    pub fn upstream_in(&self, format: &str) -> Option<&UpstreamError> {
        self.fault.upstream.as_deref().filter(|upstream| upstream.format == format)
    }
}
