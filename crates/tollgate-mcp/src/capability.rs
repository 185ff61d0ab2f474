//! What clients and servers say that they can do, which revision knows which of it, and what a bridge may promise to
//! one side in the name of the other.
//!
//! A bridge promises what it can keep: what the other side said, as far as there is a way between the two revisions.
//! What neither has ever heard of stays: capabilities are an open set, and so are extensions.

use std::borrow::Cow;

use crate::bridge::{Kept, Notes};
use crate::json::{Change, Object};
use crate::method::Side;
use crate::revision::Revision::{self, V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25};

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Whose.
    pub of: Side,
    /// Its name, and after a dot that of a part of it.
    pub name: &'static str,
    /// The first revision that has it.
    pub since: Revision,
    /// The last, where there is a later one without it.
    pub until: Option<Revision>,
}

const fn of(of: Side, name: &'static str, since: Revision, until: Option<Revision>) -> Capability {
    Capability { of, name, since, until }
}

use Side::{Client, Server};

/// Every capability that a revision defines, but `experimental` and `extensions`, which any side may fill.
pub const CAPABILITIES: &[Capability] = &[
    of(Client, "roots", V2024_11_05, None),
    of(Client, "roots.listChanged", V2024_11_05, Some(V2025_11_25)),
    of(Client, "sampling", V2024_11_05, None),
    of(Client, "sampling.context", V2025_11_25, None),
    of(Client, "sampling.tools", V2025_11_25, None),
    of(Client, "elicitation", V2025_06_18, None),
    of(Client, "elicitation.form", V2025_11_25, None),
    of(Client, "elicitation.url", V2025_11_25, None),
    of(Client, "tasks", V2025_11_25, Some(V2025_11_25)),
    of(Server, "tools", V2024_11_05, None),
    of(Server, "tools.listChanged", V2024_11_05, None),
    of(Server, "resources", V2024_11_05, None),
    of(Server, "resources.listChanged", V2024_11_05, None),
    of(Server, "resources.subscribe", V2024_11_05, None),
    of(Server, "prompts", V2024_11_05, None),
    of(Server, "prompts.listChanged", V2024_11_05, None),
    of(Server, "logging", V2024_11_05, None),
    of(Server, "completions", V2025_03_26, None),
    of(Server, "tasks", V2025_11_25, Some(V2025_11_25)),
];

impl Capability {
    /// Whether `revision` has it.
    pub fn is_in(&self, revision: Revision) -> bool {
        self.since <= revision && self.until.is_none_or(|until| revision <= until)
    }
}

/// What a server that speaks `to` may be told of what a client said that it can do.
pub fn of_client<'a>(said: &'a str, to: Revision, notes: &mut Notes) -> Cow<'a, str> {
    // Only addresses to visit, no forms: to 2025-06-18, elicitation is forms.
    let only_urls = Object::read(said)
        .and_then(|all| all.object("elicitation"))
        .is_some_and(|elicitation| elicitation.has("url") && !elicitation.has("form"));
    let unfit = if only_urls && to == V2025_06_18 { Some("elicitation") } else { None };
    promised(said, Client, to, unfit, notes)
}

/// What a client that speaks `to` may be told of what a server said that it can do.
pub fn of_server<'a>(said: &'a str, to: Revision, notes: &mut Notes) -> Cow<'a, str> {
    promised(said, Server, to, None, notes)
}

fn promised<'a>(
    said: &'a str,
    side: Side,
    to: Revision,
    unfit: Option<&str>,
    notes: &mut Notes,
) -> Cow<'a, str> {
    let Some(all) = Object::read(said) else { return Cow::Borrowed(said) };
    let gone = |name: &str| {
        let row = CAPABILITIES.iter().find(|known| known.of == side && known.name == name);
        unfit == Some(name) || row.is_some_and(|known| !known.is_in(to))
    };
    let mut left_out = |name: &str, value: &str| {
        // Who elicits without saying how means forms: nothing is lost.
        if (name, value) == ("elicitation.form", "{}") {
            return;
        }
        let why = "the other side's revision has no such capability";
        notes.note(format!("capabilities.{name}"), Kept::LeftOut, why);
    };
    let mut draft = all.draft();
    draft.each(|name, value| {
        if gone(name) {
            left_out(name, value);
            return Change::remove();
        }
        let Some(mut parts) = Object::read(value).map(Object::draft) else { return Change::Keep };
        parts.each(|part, value| {
            let part = format!("{name}.{part}");
            if gone(&part) {
                left_out(&part, value);
                Change::remove()
            } else {
                Change::Keep
            }
        });
        Change::of(parts.finish())
    });
    draft.finish()
}

/// Whether `capabilities` hold the one called `name`, a part after a dot. A part must be true or an object.
pub fn has(capabilities: &str, name: &str) -> bool {
    let said = |text: &str| !matches!(text, "false" | "null");
    let Some(all) = Object::read(capabilities) else { return false };
    match name.split_once('.') {
        None => all.get(name).is_some_and(said),
        // Without saying how, a client that elicits takes forms (2025-11-25, elicitation).
        Some(("elicitation", "form")) => {
            all.object("elicitation").is_some_and(|how| !how.has("url") || how.get("form").is_some_and(said))
        }
        Some((whole, part)) => all.object(whole).and_then(|whole| whole.get(part)).is_some_and(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision::V2026_07_28;

    fn client(said: &str, to: Revision) -> String {
        of_client(said, to, &mut Notes::default()).into_owned()
    }

    #[test]
    fn nothing_is_promised_that_the_listener_cannot_use() {
        let said = r#"{"roots":{"listChanged":true},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"tasks":{"list":{}},"vendor":{"x":1},"extensions":{"a/b":{}}}"#;
        assert_eq!(client(said, V2025_11_25), said);
        assert_eq!(
            client(said, V2026_07_28),
            r#"{"roots":{},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"vendor":{"x":1},"extensions":{"a/b":{}}}"#
        );
        assert_eq!(
            client(said, V2025_06_18),
            r#"{"roots":{"listChanged":true},"sampling":{},"elicitation":{},"vendor":{"x":1},"extensions":{"a/b":{}}}"#
        );
        assert_eq!(
            client(said, V2024_11_05),
            r#"{"roots":{"listChanged":true},"sampling":{},"vendor":{"x":1},"extensions":{"a/b":{}}}"#
        );
    }

    #[test]
    fn who_only_visits_addresses_is_asked_to_fill_in_no_form() {
        assert_eq!(client(r#"{"elicitation":{"url":{}}}"#, V2025_06_18), "{}");
        assert_eq!(client(r#"{"elicitation":{"url":{}}}"#, V2026_07_28), r#"{"elicitation":{"url":{}}}"#);
        assert!(!has(r#"{"elicitation":{"url":{}}}"#, "elicitation.form"));
        assert!(has(r#"{"elicitation":{}}"#, "elicitation.form"));
        assert!(!has(r#"{"elicitation":{}}"#, "elicitation.url"));
        assert!(!has(r#"{"tools":{"listChanged":false}}"#, "tools.listChanged"));
        assert!(has(r#"{"tools":{}}"#, "tools"));
    }

    #[test]
    fn a_server_s_tasks_are_promised_to_nobody_who_has_none() {
        let said = r#"{"tools":{"listChanged":true},"tasks":{},"completions":{},"logging":{}}"#;
        let server = |to| of_server(said, to, &mut Notes::default()).into_owned();
        assert_eq!(server(V2025_11_25), said);
        assert_eq!(server(V2026_07_28), r#"{"tools":{"listChanged":true},"completions":{},"logging":{}}"#);
        assert_eq!(server(V2024_11_05), r#"{"tools":{"listChanged":true},"logging":{}}"#);
    }
}
