//! Holders as a person reads them.

use serde_json::Value;
use tollgate_core::access::HolderKind;

use crate::cli::table::Table;

/// What stands in a text; nothing where there is none.
pub(in crate::cli) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A time without what is smaller than a second.
fn time(value: &Value) -> String {
    text(value).replace('T', " ").chars().take("2026-01-31 12:00:00".len()).collect()
}

/// Texts with commas.
fn texts(value: &Value) -> String {
    let all = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    all.collect::<Vec<_>>().join(", ")
}

/// Holders in a table.
pub(super) fn list(kind: HolderKind, items: &[Value]) -> Vec<String> {
    if items.is_empty() {
        return vec![format!("no {}s", kind.name())];
    }
    let heads: &[&str] = match kind {
        // A name that was made up is long: there is no room for more.
        HolderKind::Key => &["key", "alias", "team", "user", "role", "ends"],
        HolderKind::User => &["user", "alias", "email", "budgets", "state"],
        HolderKind::Team => &["team", "alias", "members", "budgets", "state"],
    };
    let mut table = Table::new(heads, heads.len());
    for item in items {
        let own = match kind {
            HolderKind::Key => ["team", "user", "role"].map(|member| text(&item[member]).to_owned()).to_vec(),
            HolderKind::User => vec![text(&item["email"]).to_owned(), budgets_in_short(item)],
            HolderKind::Team => {
                let members = item["members"].as_array().map_or(0, Vec::len);
                vec![members.to_string(), budgets_in_short(item)]
            }
        };
        let state = match time(&item["expires_at"]).split_once(' ') {
            _ if item["blocked"] == true => "blocked".to_owned(),
            Some((day, _)) => day.to_owned(),
            None => String::new(),
        };
        let first = ["id", "alias"].map(|member| text(&item[member]).to_owned());
        table.row(first.into_iter().chain(own).chain([state]).collect());
    }
    table.lines()
}

/// `10/month, 2/day`.
fn budgets_in_short(item: &Value) -> String {
    let budgets = item["budgets"].as_array().into_iter().flatten();
    let one = |budget: &Value| format!("{}/{}", text(&budget["amount_usd"]), text(&budget["window"]));
    budgets.map(one).collect::<Vec<_>>().join(", ")
}

/// One holder with all that is said of it.
pub(super) fn one(kind: HolderKind, holder: &Value) -> Vec<String> {
    let mut lines = vec![format!("{} {}", kind.name(), text(&holder["id"]))];
    let mut line = |what: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {what:<9} {value}"));
        }
    };
    for member in ["alias", "prefix", "team", "user", "role", "email"] {
        line(member, text(&holder[member]).to_owned());
    }
    line("members", members(&holder["members"]));
    for what in ["models", "tools"] {
        let list = &holder[what];
        let may = match list.as_array().map(Vec::len) {
            None => "all".to_owned(),
            Some(0) => "none".to_owned(),
            Some(_) => texts(list),
        };
        line(what, may);
    }
    line("from", texts(&holder["addresses"]));
    line("acts", holder["acts"].as_bool().map_or(String::new(), |_| "for its user".to_owned()));
    line("made", time(&holder["created_at"]));
    line("changed", time(&holder["updated_at"]));
    line("ends", time(&holder["expires_at"]));
    let before = time(&holder["rotation"]["until"]);
    line(
        "rotated",
        if before.is_empty() { before } else { format!("the secret before is taken until {before}") },
    );
    if holder["blocked"] == true {
        line("blocked", "its calls are refused".to_owned());
    }
    if holder["metadata"].is_object() {
        line("metadata", holder["metadata"].to_string());
    }
    for (list, unit) in [("budgets", "USD"), ("limits", "limit")] {
        let standing = standing(holder, list, unit);
        if !standing.is_empty() {
            lines.push(String::new());
            lines.extend(standing);
        }
    }
    lines
}

fn members(members: &Value) -> String {
    let all = members.as_array().into_iter().flatten();
    let one = |member: &Value| match text(&member["role"]) {
        "admin" => format!("{} (admin)", text(&member["user"])),
        _ => text(&member["user"]).to_owned(),
    };
    all.map(one).collect::<Vec<_>>().join(", ")
}

/// How it stands with the rules in `list`; nothing where there are none. `unit` is what they count.
pub(in crate::cli) fn standing(holder: &Value, list: &str, unit: &str) -> Vec<String> {
    let rules = holder[list].as_array().map_or(&[][..], Vec::as_slice);
    if rules.is_empty() {
        return Vec::new();
    }
    let name = list.trim_end_matches('s');
    let mut table = Table::new(&[name, "kind", unit, "spent", "held", "left", "resets (UTC)"], 2);
    let amount = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for rule in rules {
        let standings = holder["standing"].as_array().into_iter().flatten();
        let found =
            standings.into_iter().find(|standing| standing["id"] == rule["id"]).unwrap_or(&Value::Null);
        let resets = time(&found["resets"]);
        table.row(vec![
            text(&rule["id"]).to_owned(),
            kind_of(rule),
            amount(&found["of"]),
            amount(&found["spent"]),
            amount(&found["held"]),
            amount(&found["left"]),
            if resets.is_empty() { "never".to_owned() } else { resets },
        ]);
    }
    table.lines()
}

/// What kind of rule it is: how strict a budget is, what a limit counts.
fn kind_of(rule: &Value) -> String {
    if let Some(measure) = rule["measure"].as_str() {
        return measure.to_owned();
    }
    let strict = if rule["strict"] == true {
        "strict"
    } else if rule["soft"] == true {
        "soft"
    } else {
        "hard"
    };
    let raised = if rule["increase"].is_object() { ", raised" } else { "" };
    format!("{strict}{raised}")
}
