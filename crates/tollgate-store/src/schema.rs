//! The tables. Their text is the same in SQLite and PostgreSQL.

use crate::month::Month;

/// Raised when the tables change: an index of another version is made anew from the journal.
pub(crate) const VERSION: &str = "3";

/// What there is once. Where `clustered` says so, sums of spend are kept in the order of their key: a question reads those
/// of many days one after the other.
pub(crate) fn fixed(clustered: &str) -> Vec<String> {
    [
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS positions (instance TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
    // What was spent, day by day, and up to which entry of each journal that is added up. Both outlive the months of
    // calls, and an index that is made anew: the entries that they were added up from may be gone by then.
    "CREATE TABLE IF NOT EXISTS spend (
        day TEXT NOT NULL, team TEXT NOT NULL, user_id TEXT NOT NULL, key_id TEXT NOT NULL, model TEXT NOT NULL,
        deployment TEXT NOT NULL, calls BIGINT NOT NULL, failed_calls BIGINT NOT NULL, input_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL, cost_nano_usd BIGINT NOT NULL, unpriced_calls BIGINT NOT NULL,
        PRIMARY KEY (day, team, user_id, key_id, model, deployment)) CLUSTERED",
    // The same once more for calls with an end user (`end_user`) and for each of their tags (`tag`), and which of these
    // and of the models are told apart in a month: they are callers' words, so there is an end to them.
    "CREATE TABLE IF NOT EXISTS spend_labelled (
        kind TEXT NOT NULL, label TEXT NOT NULL, day TEXT NOT NULL, team TEXT NOT NULL, user_id TEXT NOT NULL,
        key_id TEXT NOT NULL, model TEXT NOT NULL, deployment TEXT NOT NULL, calls BIGINT NOT NULL,
        failed_calls BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
        cost_nano_usd BIGINT NOT NULL, unpriced_calls BIGINT NOT NULL,
        PRIMARY KEY (kind, day, label, team, user_id, key_id, model, deployment)) CLUSTERED",
    "CREATE TABLE IF NOT EXISTS spend_words (
        month TEXT NOT NULL, kind TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY (month, kind, word))",
    "CREATE TABLE IF NOT EXISTS spend_positions (instance TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
]
    .map(|statement| statement.replace("CLUSTERED", clustered))
    .to_vec()
}

/// What is forgotten when the months are made anew.
pub(crate) const POSITIONS: &[&str] = &["DELETE FROM positions"];

/// What is forgotten when spend is added up anew too.
pub(crate) const POSITIONS_AND_SPEND: &[&str] = &[
    "DELETE FROM positions",
    "DELETE FROM spend",
    "DELETE FROM spend_labelled",
    "DELETE FROM spend_words",
    "DELETE FROM spend_positions",
];

/// The tables of which there is one a month.
pub(crate) const MONTHLY: [&str; 3] = ["calls", "tools", "events"];

/// What there is once a month.
pub(crate) fn monthly(month: Month) -> Vec<String> {
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS calls_{month} (
                call_id TEXT PRIMARY KEY, instance TEXT NOT NULL, at TEXT NOT NULL,
                principal_kind TEXT NOT NULL, principal TEXT NOT NULL, user_id TEXT NOT NULL, team TEXT NOT NULL,
                surface TEXT NOT NULL, model TEXT NOT NULL, tool TEXT NOT NULL, deployment TEXT NOT NULL, outcome TEXT NOT NULL, status BIGINT NOT NULL,
                fault TEXT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
                cost_nano_usd BIGINT, duration_us BIGINT NOT NULL, attempts BIGINT NOT NULL, trace_id TEXT NOT NULL,
                opened TEXT NOT NULL, in_between TEXT NOT NULL, closed TEXT NOT NULL)"
        ),
        format!("CREATE INDEX IF NOT EXISTS calls_{month}_principal ON calls_{month} (principal, call_id)"),
        format!("CREATE INDEX IF NOT EXISTS calls_{month}_model ON calls_{month} (model, call_id)"),
        format!("CREATE INDEX IF NOT EXISTS calls_{month}_deployment ON calls_{month} (deployment, call_id)"),
        format!("CREATE INDEX IF NOT EXISTS calls_{month}_outcome ON calls_{month} (outcome, call_id)"),
        format!("CREATE INDEX IF NOT EXISTS calls_{month}_fault ON calls_{month} (fault, call_id)"),
        format!("CREATE INDEX IF NOT EXISTS calls_{month}_trace ON calls_{month} (trace_id, call_id)"),
        // Which tools an answer chose (`chosen`), which a call executed (`executed`), and whose results a prompt carries
        // (`result`).
        format!(
            "CREATE TABLE IF NOT EXISTS tools_{month} (
                tenant TEXT NOT NULL, tool_call_id TEXT NOT NULL, role TEXT NOT NULL, call_id TEXT NOT NULL,
                name TEXT NOT NULL, PRIMARY KEY (tenant, tool_call_id, role, call_id))"
        ),
        format!("CREATE INDEX IF NOT EXISTS tools_{month}_call ON tools_{month} (call_id)"),
        format!("CREATE INDEX IF NOT EXISTS tools_{month}_name ON tools_{month} (name, call_id)"),
        format!(
            "CREATE TABLE IF NOT EXISTS events_{month} (
                instance TEXT NOT NULL, seq BIGINT NOT NULL, at TEXT NOT NULL, event TEXT NOT NULL,
                entry TEXT NOT NULL, PRIMARY KEY (instance, seq))"
        ),
        format!("CREATE INDEX IF NOT EXISTS events_{month}_event ON events_{month} (event, at)"),
    ]
}
