//! Every method that a revision defines, in one table: who says it, in which revisions, and what the gate does with it
//! where the other side's revision has no such method. What is not in the table passes through as it is.

use crate::revision::Revision;

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Clients.
    Client,
    /// Servers.
    Server,
    /// Both.
    Either,
}

/// What becomes of a message whose method the listener's revision does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// It is passed on: the listener may know it all the same.
    Passes,
    /// Something else is said in its place.
    Becomes(&'static str),
    /// The gate answers it.
    Answered,
    /// The gate keeps it to itself: the listener has no use for it.
    Dropped,
    /// It cannot be said, and whoever said it is told so.
    Refused,
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// As it stands in `method`.
    pub name: &'static str,
    /// Who says it.
    pub by: Side,
    /// Whether it wants an answer.
    pub is_request: bool,
    /// The first revision that has it.
    pub since: Revision,
    /// The last, where there is a later one without it.
    pub until: Option<Revision>,
    /// The capability of whoever answers it, or tells it, without which it is not to be used.
    pub capability: Option<&'static str>,
    /// Whether the gate understands what it says; otherwise it passes through as it is.
    pub understood: bool,
    /// Whether results of stateless revisions say how long they may be kept, and for whom.
    pub cacheable: bool,
    /// Whether a result of stateless revisions may be a question.
    pub may_ask: bool,
    /// What becomes of it where the listener's revision is older than it.
    pub earlier: Otherwise,
    /// What becomes of it where the listener's revision has it no more.
    pub later: Otherwise,
}

const fn row(name: &'static str, by: Side, is_request: bool) -> Method {
    Method {
        name,
        by,
        is_request,
        since: Revision::V2024_11_05,
        until: None,
        capability: None,
        understood: true,
        cacheable: false,
        may_ask: false,
        earlier: Otherwise::Refused,
        later: Otherwise::Refused,
    }
}

const fn asks(name: &'static str) -> Method {
    row(name, Side::Client, true)
}

const fn tells(name: &'static str, by: Side) -> Method {
    let mut row = row(name, by, false);
    row.earlier = Otherwise::Dropped;
    row.later = Otherwise::Dropped;
    row
}

/// What a stateful server asks of a client, which a stateless one asks in a result.
const fn server_asks(name: &'static str, capability: &'static str) -> Method {
    let mut row = row(name, Side::Server, true).until(V2025_11_25).needs(capability);
    row.later = Otherwise::Becomes("input_required");
    row
}

const fn task(name: &'static str, is_request: bool) -> Method {
    let mut row = row(name, Side::Either, is_request).since(V2025_11_25).until(V2025_11_25).needs("tasks");
    row.understood = false;
    row.earlier = Otherwise::Passes;
    row.later = Otherwise::Passes;
    row
}

impl Method {
    const fn since(mut self, revision: Revision) -> Self {
        self.since = revision;
        self
    }

    const fn until(mut self, revision: Revision) -> Self {
        self.until = Some(revision);
        self
    }

    const fn needs(mut self, capability: &'static str) -> Self {
        self.capability = Some(capability);
        self
    }

    const fn cacheable(mut self) -> Self {
        self.cacheable = true;
        self
    }

    const fn may_ask(mut self) -> Self {
        self.may_ask = true;
        self
    }

    const fn by(mut self, side: Side) -> Self {
        self.by = side;
        self
    }

    const fn earlier(mut self, otherwise: Otherwise) -> Self {
        self.earlier = otherwise;
        self
    }

    const fn later(mut self, otherwise: Otherwise) -> Self {
        self.later = otherwise;
        self
    }
}

use Otherwise::{Answered, Becomes};
use Revision::{V2025_06_18, V2025_11_25, V2026_07_28};
use Side::{Either, Server};

/// Every method of every revision.
pub const METHODS: &[Method] = &[
    asks("initialize").until(V2025_11_25).later(Becomes("server/discover")),
    asks("server/discover").since(V2026_07_28).cacheable().earlier(Becomes("initialize")),
    asks("ping").by(Either).until(V2025_11_25).later(Answered),
    asks("tools/list").needs("tools").cacheable(),
    asks("tools/call").needs("tools").may_ask(),
    asks("resources/list").needs("resources").cacheable(),
    asks("resources/templates/list").needs("resources").cacheable(),
    asks("resources/read").needs("resources").cacheable().may_ask(),
    asks("resources/subscribe")
        .needs("resources.subscribe")
        .until(V2025_11_25)
        .later(Becomes("subscriptions/listen")),
    asks("resources/unsubscribe")
        .needs("resources.subscribe")
        .until(V2025_11_25)
        .later(Becomes("subscriptions/listen")),
    asks("subscriptions/listen").since(V2026_07_28).earlier(Becomes("resources/subscribe")),
    asks("prompts/list").needs("prompts").cacheable(),
    asks("prompts/get").needs("prompts").may_ask(),
    asks("completion/complete").needs("completions"),
    asks("logging/setLevel").needs("logging").until(V2025_11_25).later(Answered),
    server_asks("sampling/createMessage", "sampling"),
    server_asks("elicitation/create", "elicitation").since(V2025_06_18),
    server_asks("roots/list", "roots"),
    tells("notifications/initialized", Side::Client).until(V2025_11_25),
    tells("notifications/cancelled", Either),
    tells("notifications/progress", Either),
    tells("notifications/roots/list_changed", Side::Client).needs("roots.listChanged").until(V2025_11_25),
    tells("notifications/message", Server).needs("logging"),
    tells("notifications/tools/list_changed", Server).needs("tools.listChanged"),
    tells("notifications/prompts/list_changed", Server).needs("prompts.listChanged"),
    tells("notifications/resources/list_changed", Server).needs("resources.listChanged"),
    tells("notifications/resources/updated", Server).needs("resources.subscribe"),
    tells("notifications/elicitation/complete", Server)
        .needs("elicitation.url")
        .since(V2025_11_25)
        .until(V2025_11_25),
    tells("notifications/subscriptions/acknowledged", Server).since(V2026_07_28),
    task("tasks/get", true),
    task("tasks/result", true),
    task("tasks/list", true),
    task("tasks/cancel", true),
    task("notifications/tasks/status", false),
];

/// What becomes of a message on its way to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on, and [`bridge`](crate::bridge) says in which words.
    Forward,
    /// The listener's revision has no such method.
    Instead(Otherwise),
}

impl Method {
    /// The method called `name`, where a revision defines it.
    pub fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }

    /// Whether `revision` has it.
    pub fn is_in(&self, revision: Revision) -> bool {
        self.since <= revision && self.until.is_none_or(|until| revision <= until)
    }

    /// What becomes of it where the listener speaks `listener`.
    pub fn fate(&self, listener: Revision) -> Fate {
        if !self.understood || self.is_in(listener) {
            return Fate::Forward;
        }
        Fate::Instead(if listener < self.since { self.earlier } else { self.later })
    }
}

/// What becomes of a message of the method `name` where the listener speaks `listener`.
pub fn fate(name: &str, listener: Revision) -> Fate {
    Method::find(name).map_or(Fate::Forward, |method| method.fate(listener))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision;

    #[test]
    fn every_method_has_one_row() {
        for (index, method) in METHODS.iter().enumerate() {
            assert!(METHODS[..index].iter().all(|known| known.name != method.name), "{}", method.name);
            assert_eq!(!method.is_request, method.name.starts_with("notifications/"), "{}", method.name);
        }
    }

    #[test]
    fn what_a_revision_has_goes_on_and_what_is_unknown_passes() {
        assert_eq!(fate("tools/call", Revision::V2024_11_05), Fate::Forward);
        assert_eq!(fate("vendor/thing", Revision::V2026_07_28), Fate::Forward);
        assert_eq!(fate("tasks/get", Revision::V2024_11_05), Fate::Forward);
        assert_eq!(fate("ping", Revision::V2026_07_28), Fate::Instead(Answered));
        assert_eq!(fate("initialize", Revision::V2026_07_28), Fate::Instead(Becomes("server/discover")));
        let elicitation = |listener| fate("elicitation/create", listener);
        assert_eq!(elicitation(Revision::V2025_03_26), Fate::Instead(Otherwise::Refused));
        assert_eq!(elicitation(Revision::V2025_06_18), Fate::Forward);
        assert_eq!(elicitation(Revision::V2026_07_28), Fate::Instead(Becomes("input_required")));
    }
}
