//! Budgets and limits as they are written down.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Usd, Window};
use crate::access::ModelPattern;
use crate::effect::Effect;

/// A ceiling on what is spent over a window.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its name, unique among the rules of its holder.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub id: String,
    /// How much may be spent.
    pub amount_usd: Usd,
    /// Over which time.
    pub window: Window,
    /// Whose days and months, as the IANA database names it (`Europe/Berlin`); UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The models that it counts; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<ModelPattern>>,
    /// Whether calls beyond it are only reported and not refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
    /// Whether it is never passed: the most that a call can cost is held for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// The share of it, in percent, from which on its holder is warned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_percent: Option<u8>,
    /// From when windows of so many days are counted; the time of its making where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// More, for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub increase: Option<Increase>,
}

/// More than a budget's amount, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Increase {
    /// How much more.
    pub amount_usd: Usd,
    /// Until when.
    pub until: Timestamp,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Calls that begin.
    Requests,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Both.
    Tokens,
    /// Calls that are under way at the same time.
    ConcurrentCalls,
}

impl Measure {
    /// The name, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Tokens => "tokens",
            Self::ConcurrentCalls => "calls at the same time",
        }
    }
}

/// A ceiling on what is used over a window, or at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its name, unique among the rules of its holder.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub id: String,
    /// What it counts.
    pub measure: Measure,
    /// How much.
    pub max: u64,
    /// Over which time: minute, hour or day; absent for calls at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Window>,
    /// The models that it counts; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<ModelPattern>>,
    /// Counts tool calls only, those that can change so much: `[destructive]`; all calls where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<Vec<Effect>>,
}

/// What a call is about, for rules that count some calls and not others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// The public model name; empty of calls to tool servers.
    pub model: &'a str,
    /// What a tool call can change; `None` of other calls.
    pub effect: Option<Effect>,
}

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {why}")]
pub struct RuleError {
    /// The member that is wrong, within the rule.
    pub member: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl RuleError {
    fn of(member: &'static str, why: impl Into<String>) -> Self {
        Self { member, why: why.into() }
    }
}

/// The longest name of a rule, in bytes.
const LONGEST_ID: usize = 64;

fn check_id(id: &str) -> Result<(), RuleError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(plain) {
        return Err(RuleError::of("id", format!("letters, digits, `-`, `_` and `.`, {LONGEST_ID} at most")));
    }
    Ok(())
}

impl Budget {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), RuleError> {
        check_id(&self.id)?;
        if self.window == Window::Minute {
            return Err(RuleError::of("window", "a budget's window is an hour at least"));
        }
        if self.soft && self.strict {
            return Err(RuleError::of("strict", "a soft budget refuses nothing, so it cannot be strict"));
        }
        if self.warn_percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            return Err(RuleError::of("warn_percent", "a share between 1 and 100"));
        }
        self.zone().map(|_| ())
    }

    /// Whose days and months its windows follow.
    pub fn zone(&self) -> Result<TimeZone, RuleError> {
        match &self.time_zone {
            None => Ok(TimeZone::UTC),
            Some(name) => TimeZone::get(name)
                .map_err(|_| RuleError::of("time_zone", format!("there is no time zone {name:?}"))),
        }
    }

    /// How much may be spent in the window that `now` is in.
    pub fn ceiling(&self, now: Timestamp) -> u64 {
        let more = self.increase.filter(|increase| now < increase.until);
        self.amount_usd.nano().saturating_add(more.map_or(0, |increase| increase.amount_usd.nano()))
    }
}

impl Limit {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), RuleError> {
        check_id(&self.id)?;
        match (self.measure, self.per) {
            (Measure::ConcurrentCalls, None) => Ok(()),
            (Measure::ConcurrentCalls, Some(_)) => {
                Err(RuleError::of("per", "calls at the same time are not counted over a window"))
            }
            (_, Some(Window::Minute | Window::Hour | Window::Day)) => Ok(()),
            _ => Err(RuleError::of("per", "minute, hour or day")),
        }
    }
}
