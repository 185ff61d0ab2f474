//! What rules decide on, and whoever understands the language that rules are written in.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::effect::Effect;

/// What is known of a call. Every member is there in every call: what a call does not have is empty.
#[derive(Clone, Debug, Serialize)]
pub struct Facts<'a> {
    /// On whose behalf it is made.
    pub principal: WhoCalls<'a>,
    /// What the client speaks: `mcp`, `openai_chat`, `web` and so on.
    pub surface: &'a str,
    /// What is asked of a tool server: `tools/call`, `resources/read` and so on; of a web application `GET`, `POST` and so on.
    /// `None` where nobody says it: what depends on it cannot be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'a str>,
    /// The public model name.
    pub model: &'a str,
    /// The tool server.
    pub server: &'a str,
    /// The tool or prompt, as the server names it, or the address of the resource.
    pub tool: &'a str,
    /// What the call can change; empty of calls to models.
    pub effect: &'a str,
    /// The web application.
    pub application: &'a str,
    /// What is asked for of it, without what is encoded; `None` where that can be read in several ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    /// The arguments of a tool call.
    pub arguments: Option<&'a Value>,
    /// Where it belongs.
    pub trace: WhereItBelongs<'a>,
}

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WhoCalls<'a> {
    /// `key`, `master` or `local`.
    pub kind: &'a str,
    /// The key's name.
    pub id: &'a str,
    /// The user that the key belongs to.
    pub user: &'a str,
    /// The team that the key belongs to.
    pub team: &'a str,
}

/// Where a call belongs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WhereItBelongs<'a> {
    /// The trace.
    pub id: &'a str,
    /// Whether a recorded answer of a model asked for the tool call: `once`, `again` or `no`.
    pub asked: &'a str,
    /// Why the call is made, where that is known: `choice`, `tool_call`, `retry`, `undo` or `replay`.
    pub cause: &'a str,
}

/// The variables of rules.
pub const VARIABLES: [&str; 11] = [
    "principal",
    "surface",
    "method",
    "model",
    "server",
    "tool",
    "effect",
    "application",
    "path",
    "arguments",
    "trace",
];

/// The name of an effect in rules.
pub const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Write => "write",
        Effect::Destructive => "destructive",
    }
}

/// An expression that is true or false of a call.
pub trait Expression: Send + Sync {
    /// Whether it is true of `facts`; or why nobody can tell.
    fn holds(&self, facts: &Facts<'_>) -> Result<bool, String>;

    /// Whether it says anything of `variable`, one of [`VARIABLES`].
    fn mentions(&self, variable: &str) -> bool;
}

/// Whoever understands expressions.
pub trait Expressions: Send + Sync {
    /// Reads `text`, or says what is wrong with it.
    fn read(&self, text: &str) -> Result<Arc<dyn Expression>, String>;
}

/// Nobody understands any.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoExpressions;

impl Expressions for NoExpressions {
    fn read(&self, _: &str) -> Result<Arc<dyn Expression>, String> {
        Err("this build understands no rules".to_owned())
    }
}

/// What a rule does with the calls that it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are refused.
    Deny,
    /// Somebody must approve them.
    Hold,
}

/// A rule.
#[derive(Clone)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// What it does with the calls that it fits.
    pub outcome: Outcome,
    /// Which calls it fits.
    pub expression: Arc<dyn Expression>,
    /// What callers are told.
    pub message: Option<Arc<str>>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("name", &self.name)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl Rule {
    /// What callers are told.
    pub fn words(&self) -> String {
        match &self.message {
            Some(message) => format!("{message} (policy `{}`)", self.name),
            None => format!("the policy `{}` says so", self.name),
        }
    }

    /// Whether it can be decided of a tool that nobody calls yet.
    pub fn is_of_tools(&self) -> bool {
        self.outcome == Outcome::Deny
            && !["arguments", "trace"].iter().any(|later| self.expression.mentions(later))
    }
}
