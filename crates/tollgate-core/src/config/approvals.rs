//! Which tool calls somebody must approve: the setting `tools.approvals`.

use std::time::Duration;

use serde::Deserialize;

use super::resolve::millis;
use crate::access::ToolPattern;
use crate::effect::Effect;

/// Who may decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// An admin with another key than the caller's.
    #[default]
    Operator,
    /// Also whoever makes the call: with an admin's key, or where the client asks whoever sits before it.
    Caller,
}

/// Which calls are held, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalsWritten {
    /// The effects whose calls are held: `[destructive]`, or `[write, destructive]`. Default none.
    pub hold: Vec<Effect>,
    /// Tools whose calls are held whatever they can change (`files/move_file`).
    pub tools: Vec<ToolPattern>,
    /// Tools whose calls are not held.
    pub except: Vec<ToolPattern>,
    /// Who may decide: `operator` (default), an admin with another key than the caller's, or `caller`, also
    /// whoever makes the call.
    pub approver: Approver,
    /// How long somebody may take to decide, default 3600000; then it is denied.
    pub decide_ms: Option<u64>,
    /// How long a call waits for that before its client is told to come again, default 45000: many clients give up after
    /// a minute.
    pub wait_ms: Option<u64>,
}

/// Which calls are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRules {
    /// The effects whose calls are held.
    pub hold: Vec<Effect>,
    /// Tools whose calls are held whatever they can change.
    pub tools: Vec<ToolPattern>,
    /// Tools whose calls are not held.
    pub except: Vec<ToolPattern>,
    /// Who may decide.
    pub approver: Approver,
    /// How long somebody may take to decide.
    pub decide: Duration,
    /// How long a call waits for that.
    pub wait: Duration,
}

impl ApprovalsWritten {
    /// With defaults filled in.
    pub fn resolved(&self) -> HoldRules {
        HoldRules {
            hold: self.hold.clone(),
            tools: self.tools.clone(),
            except: self.except.clone(),
            approver: self.approver,
            decide: millis(self.decide_ms, 3_600_000),
            wait: millis(self.wait_ms, 45_000),
        }
    }
}

impl HoldRules {
    /// Why a call of `tool` of `server` is held, where it is.
    pub fn why(&self, server: &str, tool: &str, effect: Effect) -> Option<String> {
        let among = |patterns: &[ToolPattern]| patterns.iter().any(|pattern| pattern.fits(server, tool));
        if among(&self.except) {
            return None;
        }
        if among(&self.tools) {
            return Some("calls of this tool want somebody's approval (tools.approvals.tools)".to_owned());
        }
        let word = match effect {
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::Destructive => "destructive",
        };
        let held = self.hold.contains(&effect);
        held.then(|| format!("{word} calls want somebody's approval (tools.approvals.hold)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_go_before_tools_and_tools_before_effects() {
        let rules: ApprovalsWritten = serde_json::from_value(serde_json::json!({
            "hold": ["destructive"], "tools": ["files/move_*"], "except": ["*/forget", "files/move_up"],
        }))
        .unwrap();
        let rules = rules.resolved();
        let held = |tool: &str, effect| rules.why("files", tool, effect).is_some();
        assert!(held("delete", Effect::Destructive) && !held("write", Effect::Write));
        assert!(held("move_file", Effect::Read) && !held("move_up", Effect::Destructive));
        assert!(!held("forget", Effect::Destructive));
    }
}
