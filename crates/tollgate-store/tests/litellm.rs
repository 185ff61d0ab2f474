//! LiteLLM's own tables, as its version 1.82.6 makes them, in a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod server;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tollgate_store::{LiteLlm, Table};

const TABLES: &str = include_str!("litellm_tables/1.82.6.sql");

const ROWS: &str = r#"
INSERT INTO "LiteLLM_BudgetTable" (budget_id, soft_budget, created_by, updated_by) VALUES ('b', 5, 'x', 'x');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, created_by, updated_by)
    VALUES ('o', 'o', 'b', 'x', 'x');
INSERT INTO "LiteLLM_UserTable" (user_id, user_role, password, spend) VALUES ('ann', 'proxy_admin', 'a hash', 0.1);
INSERT INTO "LiteLLM_TeamTable" (team_id, models, tpm_limit, members_with_roles) VALUES
    ('free', '{}', null, '[]'), ('search', '{gpt-*}', 9000000000, '[{"role": "admin", "user_id": "ann"}]');
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, budget_id) VALUES ('ann', 'search', 'b'), ('ann', 'free', null);
INSERT INTO "LiteLLM_VerificationToken" (token, key_alias, expires, metadata)
    VALUES ('88dc', 'ci', '2026-12-01 10:00:00', '{"tags": ["x"]}');
"#;

async fn query(url: &str, text: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn rows_are_read_with_whatever_columns_there_are_and_nothing_is_written() {
    let server = server::Server::start().await;
    let url = server.url.clone();
    let theirs = LiteLlm::open(&url).await.unwrap();
    assert_eq!(theirs.rows(Table::Users).await.unwrap(), [json!(null); 0], "a database of somebody else");
    query(&url, TABLES).await;
    query(&url, ROWS).await;
    let one = async |table: Table| theirs.rows(table).await.unwrap().remove(0);
    let user = one(Table::Users).await;
    assert_eq!((&user["user_id"], &user["spend"], user.get("password")), (&json!("ann"), &json!(0.1), None));
    let teams = theirs.rows(Table::Teams).await.unwrap();
    let team = |id: &str| teams.iter().find(|team| team["team_id"] == id).unwrap();
    assert_eq!(
        (&team("search")["max_budget_in_team"], &team("search")["tpm_limit"]),
        (&json!(1), &json!(9_000_000_000_u64))
    );
    assert_eq!(team("free")["max_budget_in_team"], Value::Null, "no budget of a user within it");
    let key = one(Table::Keys).await;
    assert_eq!((&key["expires"], &key["metadata"]["tags"]), (&json!("2026-12-01T10:00:00"), &json!(["x"])));
    assert_eq!(one(Table::Budgets).await["soft_budget"], json!(5));
    assert_eq!(theirs.rows(Table::Organizations).await.unwrap().len(), 1);
    query(&url, "ALTER TABLE \"LiteLLM_VerificationToken\" ADD COLUMN of_later TEXT DEFAULT 'x'").await;
    assert_eq!(one(Table::Keys).await["of_later"], json!("x"));
}
