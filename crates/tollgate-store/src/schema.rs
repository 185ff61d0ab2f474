//! The tables. Their text is the same in SQLite and PostgreSQL.

use crate::month::Month;

/// Raised when the tables change: an index of another version is made anew from the journal.
pub(crate) const VERSION: &str = "1";

/// What there is once.
pub(crate) const FIXED: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS positions (instance TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
];

/// The tables of which there is one a month.
pub(crate) const MONTHLY: [&str; 3] = ["calls", "tools", "events"];

/// What there is once a month.
pub(crate) fn monthly(month: Month) -> Vec<String> {
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS calls_{month} (
                call_id TEXT PRIMARY KEY, instance TEXT NOT NULL, at TEXT NOT NULL,
                principal_kind TEXT NOT NULL, principal TEXT NOT NULL, surface TEXT NOT NULL,
                model TEXT NOT NULL, deployment TEXT NOT NULL, outcome TEXT NOT NULL, status BIGINT NOT NULL,
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
        // Which tools an answer chose (`chosen`), and whose results a prompt carries (`result`).
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
