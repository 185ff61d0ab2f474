//! What an alert says to people: what happened, how much of what, until when, and what can be done about it.

use jiff::{SignedDuration, Timestamp};
use tollgate_core::access::HolderKind;

use super::alert::{Alert, ApprovalPending, Budget, Cooldown, Holder, KeyExpiring, ToolHeld, What};

/// The longest name that is shown, and the longest command, in characters.
const LONGEST: usize = 100;
const LONGEST_COMMAND: usize = 400;

/// After which time it is said when something was.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// What `alert` says, at `now`.
pub(super) fn of(alert: &Alert, now: Timestamp) -> String {
    let said = match &alert.what {
        What::Budget(budget) => of_budget(budget),
        What::Cooldown(cooldown) => of_cooldown(cooldown),
        What::KeyExpiring(key) => of_key(key),
        What::ToolHeld(held) => of_tool(held),
        What::ApprovalPending(pending) => of_approval(pending),
        What::Test(_) => "This is a test alert of Tollgate: alerts arrive here.".to_owned(),
    };
    if now.duration_since(alert.at) < LATE {
        said
    } else {
        format!("{said} (That was at {}.)", time(alert.at))
    }
}

fn of_budget(budget: &Budget) -> String {
    let Budget { holder, alias, budget: id, amount_usd, spent_usd, percent, refuses, resets, .. } = budget;
    let of = format!("budget {} of {}", name(id), whose(holder, alias.as_deref()));
    let happened = match percent {
        100 => format!("The {of} is spent"),
        percent => format!("The {of} has come to {percent} %"),
    };
    let resets = resets.map_or("It never resets.".to_owned(), |at| format!("It resets at {}.", time(at)));
    let then = match (percent, refuses) {
        (100, true) => "Calls that it has no room for are refused. ",
        (100, false) => "It is soft: calls go on. ",
        _ => "",
    };
    let holder = format!("{}/{}", holder.kind.name(), holder.id);
    let raise = command(&format!("tollgate budget raise {holder} {id} --by AMOUNT --until 2d"));
    format!("{happened}: {spent_usd} of {amount_usd} USD. {resets} {then}More for a while: {raise}")
}

fn of_tool(held: &ToolHeld) -> String {
    let ToolHeld { server, tool, classes, findings, .. } = held;
    let why = match (classes.is_empty(), findings) {
        (false, _) => format!("has changed ({})", name(&classes.join(", "))),
        (true, 0) => "is new".to_owned(),
        (true, _) => "looks suspicious".to_owned(),
    };
    let look = command(&format!("tollgate tools diff {server}/{tool}"));
    format!("The tool {} of {} {why} and is not offered. Look at it: {look}", name(tool), name(server))
}

fn of_approval(pending: &ApprovalPending) -> String {
    let ApprovalPending { approval, server, tool, effect, whose, ends_at, .. } = pending;
    let look = command(&format!("tollgate approval show {approval}"));
    format!(
        "A {effect} call of {} of {} for {} waits for somebody's approval until {}. Look at it: {look}",
        name(tool),
        name(server),
        name(whose),
        time(*ends_at)
    )
}

fn of_cooldown(cooldown: &Cooldown) -> String {
    let Cooldown { deployment, model, fault, rest_ms, call_id, held_back } = cooldown;
    let model = model.as_deref().map(|model| format!(" of the model {}", name(model))).unwrap_or_default();
    let seconds = rest_ms.div_ceil(1_000);
    let happened = format!(
        "The deployment {}{model} fails ({}) and gets no calls for {seconds} s",
        name(deployment),
        name(fault)
    );
    let before = match held_back {
        0 => String::new(),
        times => format!(" It had to rest {times} more times since the last alert."),
    };
    let look = call_id
        .as_ref()
        .map(|call| format!(" What happened: {}", command(&format!("tollgate trace {call}"))));
    format!("{happened}.{before}{}", look.unwrap_or_default())
}

fn of_key(key: &KeyExpiring) -> String {
    let KeyExpiring { key: id, alias, user, team, ends_at, days_left, .. } = key;
    let holder = Holder { kind: HolderKind::Key, id: id.clone() };
    let owner = [("user", user), ("team", team)].into_iter();
    let owner = owner.filter_map(|(kind, id)| Some(format!(", of the {kind} {}", name(id.as_ref()?))));
    let whose = whose(&holder, alias.as_deref()) + &owner.collect::<String>();
    let (more, again) = (format!("tollgate key set {id} --expires 30d"), time(*ends_at));
    let happened = match days_left {
        0 => format!("The {whose} has ended, at {again}"),
        1 => format!("The {whose} ends within a day, at {again}"),
        days => format!("The {whose} ends in {days} days, at {again}"),
    };
    format!("{happened}; its calls are refused from then on. To keep it: {}", command(&more))
}

fn whose(holder: &Holder, alias: Option<&str>) -> String {
    let alias = alias.map(|alias| format!(" ({})", name(alias))).unwrap_or_default();
    format!("{} {}{alias}", holder.kind.name(), name(&holder.id))
}

/// A name that somebody else has chosen.
fn name(text: &str) -> String {
    quoted(text, LONGEST)
}

/// A command that can be copied, in which names stand that somebody else has chosen.
fn command(text: &str) -> String {
    quoted(text, LONGEST_COMMAND)
}

/// `text`, or the first `most` characters of it, between backticks and without what would end them: no chat makes a mention
/// or a link of what stands there.
fn quoted(text: &str, most: usize) -> String {
    let plain = |c: char| match c {
        '`' => '\'',
        // What turns the direction of a text, or cannot be seen.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
            '\u{fffd}'
        }
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut shown: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: &str = "2026-05-20T10:00:00Z";

    fn said(event: &str, detail: &serde_json::Value) -> String {
        let line = json!({ "at": AT, "event": event, "call_id": "0192f0c1", "detail": detail });
        of(&Alert::read(line.to_string().as_bytes()).unwrap().1, AT.parse().unwrap())
    }

    #[test]
    fn it_says_what_happened_and_what_can_be_done() {
        let mut budget = json!({
            "holder": { "kind": "team", "id": "search" }, "budget": "month", "amount_usd": "10", "spent_usd": "8.1",
            "percent": 80, "refuses": true, "since": "2026-05-01T00:00:00Z", "resets": "2026-06-01T00:00:00Z",
        });
        assert_eq!(
            said("budget", &budget),
            "The budget `month` of team `search` has come to 80 %: 8.1 of 10 USD. It resets at 2026-06-01 00:00 UTC. \
             More for a while: `tollgate budget raise team/search month --by AMOUNT --until 2d`"
        );
        (budget["percent"], budget["resets"], budget["alias"]) = (json!(100), json!(null), json!("Search"));
        assert!(said("budget", &budget).starts_with(
            "The budget `month` of team `search` (`Search`) is spent: 8.1 of 10 USD. It never resets. \
             Calls that it has no room for are refused. More"
        ));
        let cooldown = json!({ "deployment": "openai/x", "model": "gpt", "fault": "upstream_failed", "rest_ms": 29_999 });
        assert_eq!(
            said("cooldown", &cooldown),
            "The deployment `openai/x` of the model `gpt` fails (`upstream_failed`) and gets no calls for 30 s. \
             What happened: `tollgate trace 0192f0c1`"
        );
        let key = json!({ "key": "bot", "user": "ann", "team": "search", "ends_at": "2026-05-27T10:00:00Z", "lead_days": 7, "days_left": 7 });
        assert_eq!(
            said("key_expiring", &key),
            "The key `bot`, of the user `ann`, of the team `search` ends in 7 days, at 2026-05-27 10:00 UTC; its calls are \
             refused from then on. To keep it: `tollgate key set bot --expires 30d`"
        );
    }

    #[test]
    fn what_comes_late_says_when_it_was() {
        let alert = Alert::test(AT.parse().unwrap());
        let at = |now: &str| of(&alert, now.parse().unwrap());
        assert!(!at("2026-05-20T10:09:59Z").contains("That was"));
        assert!(at("2026-05-20T10:10:00Z").ends_with("(That was at 2026-05-20 10:00 UTC.)"));
    }

    #[test]
    fn a_name_stays_between_its_backticks() {
        assert_eq!(name("a`b\n@all"), "`a'b\u{fffd}@all`");
        assert_eq!(name("x\u{202e}y"), "`x\u{fffd}y`");
        assert_eq!(name(&"é".repeat(500)).chars().count(), LONGEST + 3);
    }
}
