//! Rules for calls: the setting `policies`.

use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::resolve::Resolver;
use crate::policy::{Outcome, Rule};

/// The most rules.
const MOST: usize = 200;

/// A rule as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyWritten {
    /// Its name, for callers and records.
    pub name: Spanned<String>,
    /// Calls of which this is true are refused (CEL).
    #[serde(default)]
    pub deny: Option<Spanned<String>>,
    /// Tool calls of which this is true wait for somebody's approval (CEL).
    #[serde(default)]
    pub hold: Option<Spanned<String>>,
    /// What callers are told, default that the rule says so.
    #[serde(default)]
    pub message: Option<String>,
}

impl Resolver<'_> {
    pub(super) fn policies(&self, written: &[PolicyWritten]) -> Result<Arc<[Rule]>, ConfigError> {
        if written.len() > MOST {
            return Err(ConfigError::new(format!("there are more than {MOST} `policies`")));
        }
        let rules: Vec<Rule> =
            written.iter().map(|written| self.policy(written)).collect::<Result<_, _>>()?;
        for (number, rule) in rules.iter().enumerate() {
            if rules[..number].iter().any(|other| other.name == rule.name) {
                let place = written[number].name.referenced;
                return Err(ConfigError::at(place, format!("there are two policies `{}`", rule.name)));
            }
        }
        Ok(rules.into())
    }

    fn policy(&self, written: &PolicyWritten) -> Result<Rule, ConfigError> {
        let name = &written.name.value;
        let (outcome, text) = match (&written.deny, &written.hold) {
            (Some(text), None) => (Outcome::Deny, text),
            (None, Some(text)) => (Outcome::Hold, text),
            _ => {
                let message = format!("the policy `{name}` has either `deny` or `hold`");
                return Err(ConfigError::at(written.name.referenced, message));
            }
        };
        let wrong = |why: String| ConfigError::at(text.referenced, format!("the policy `{name}`: {why}"));
        let expression = self.world.expressions.read(&text.value).map_err(wrong)?;
        let of_web = ["application", "path"].iter().any(|variable| expression.mentions(variable));
        if outcome == Outcome::Hold && of_web {
            return Err(wrong("tool calls are held, and no web application is asked for by one".to_owned()));
        }
        Ok(Rule {
            name: Arc::from(name.as_str()),
            outcome,
            expression,
            message: written.message.as_deref().map(Arc::from),
        })
    }
}
