//! How budgets and limits are held: the settings `budgets` and `counters_url`.

use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::resolve::{Resolver, millis};
use super::{ConfigError, SecretRef};
use crate::secret::Secret;

/// `budgets` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetsWritten {
    /// The status of a call that a budget has no room for: 429 (default) or 402.
    pub refusal_status: Option<u16>,
    /// Under a strict budget, the shortest answer that is worth a call, default 16 tokens.
    pub min_output_tokens: Option<u64>,
    /// For how long an instance uses what it has taken of a rule without being heard of, default 10000.
    pub lease_ms: Option<u64>,
}

/// How budgets and limits are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// The status of a call that a budget has no room for.
    pub refusal_status: u16,
    /// Under a strict budget, the shortest answer that is worth a call, in tokens.
    pub min_output_tokens: u64,
    /// For how long an instance uses what it has taken of a rule without being heard of.
    pub lease: Duration,
    /// Where instances share budgets and limits; `None` where there is one only.
    pub shared_at: Option<Secret>,
}

impl Resolver<'_> {
    /// Resolves `budgets` and `counters_url`; instances whose keys stand in the database at `database_url` share there
    /// too, unless they say where else.
    pub(super) fn budgets(
        &self,
        written: &BudgetsWritten,
        counters_url: Option<&Spanned<SecretRef>>,
        database_url: Option<&Secret>,
    ) -> Result<Budgets, ConfigError> {
        let refusal_status = written.refusal_status.unwrap_or(429);
        if !matches!(refusal_status, 402 | 429) {
            return Err(ConfigError::new(format!(
                "`budgets.refusal_status: {refusal_status}` is neither 429 nor 402"
            )));
        }
        let lease = millis(written.lease_ms, 10_000);
        if !(Duration::from_secs(2)..=Duration::from_secs(3_600)).contains(&lease) {
            return Err(ConfigError::new("`budgets.lease_ms` is between 2000 and 3600000"));
        }
        Ok(Budgets {
            refusal_status,
            min_output_tokens: written.min_output_tokens.unwrap_or(16).max(1),
            lease,
            shared_at: self.shared_at(counters_url, database_url)?,
        })
    }

    fn shared_at(
        &self,
        written: Option<&Spanned<SecretRef>>,
        database_url: Option<&Secret>,
    ) -> Result<Option<Secret>, ConfigError> {
        let Some(written) = written else { return Ok(database_url.cloned()) };
        let wrong = |why: String| ConfigError::at(written.referenced, format!("`counters_url`: {why}"));
        let url = written.value.read(self.world.environment).map_err(wrong)?;
        if !["redis://", "rediss://", "postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.expose().starts_with(scheme))
        {
            return Err(wrong("its address begins with redis://, rediss:// or postgres://".to_owned()));
        }
        if database_url.is_none() {
            let why = "instances that share budgets share their keys too";
            return Err(wrong(why.to_owned()).hint("set `database_url` to a PostgreSQL database"));
        }
        Ok(Some(url))
    }
}
