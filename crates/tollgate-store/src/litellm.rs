//! Reading LiteLLM's own tables, to take over what stands in them. Nothing is ever written there.

use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::StoreError;

/// A table of LiteLLM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Its users.
    Users,
    /// Its teams.
    Teams,
    /// Its keys.
    Keys,
    /// Its shared budgets.
    Budgets,
    /// Its organizations.
    Organizations,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "LiteLLM_UserTable",
            Self::Teams => "LiteLLM_TeamTable",
            Self::Keys => "LiteLLM_VerificationToken",
            Self::Budgets => "LiteLLM_BudgetTable",
            Self::Organizations => "LiteLLM_OrganizationTable",
        }
    }

    /// A row as an object. Passwords stay where they are.
    fn columns(self, memberships: bool) -> &'static str {
        match self {
            Self::Users => "to_jsonb(t) - 'password'",
            // Budgets of users within a team stand in a table of their own.
            Self::Teams if memberships => {
                "to_jsonb(t) || jsonb_build_object('max_budget_in_team', (SELECT NULLIF(COUNT(*), 0) FROM \"LiteLLM_TeamMembership\" m WHERE m.team_id = t.team_id AND m.budget_id IS NOT NULL))"
            }
            Self::Teams | Self::Keys | Self::Budgets | Self::Organizations => "to_jsonb(t)",
        }
    }
}

/// A database of LiteLLM's.
#[derive(Clone, Debug)]
pub struct LiteLlm {
    pool: PgPool,
}

impl LiteLlm {
    /// Opens the database at `url`, to be read only.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|e| StoreError::Address(e.to_string()))?;
        let options = options.options([("default_transaction_read_only", "on")]).application_name("tollgate");
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// Every row of a table, as objects with the columns' names, whatever columns a version has. A table that is not
    /// there is empty.
    pub async fn rows(&self, table: Table) -> Result<Vec<Value>, StoreError> {
        if !self.has(table.name()).await? {
            return Ok(Vec::new());
        }
        let memberships = self.has("LiteLLM_TeamMembership").await?;
        let text =
            format!("SELECT ({})::text FROM \"{}\" t ORDER BY 1", table.columns(memberships), table.name());
        let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(&self.pool).await?;
        let each = rows.iter().map(|row| {
            let text: String = row.try_get(0)?;
            serde_json::from_str(&text).map_err(|error| StoreError::Unreadable {
                what: format!("row of {}", table.name()),
                why: error.to_string(),
            })
        });
        each.collect()
    }

    async fn has(&self, table: &str) -> Result<bool, StoreError> {
        let found = sqlx::query("SELECT to_regclass($1) IS NOT NULL").bind(format!("\"{table}\""));
        Ok(found.fetch_one(&self.pool).await?.try_get(0)?)
    }
}
