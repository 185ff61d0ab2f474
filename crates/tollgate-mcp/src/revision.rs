//! The revisions of MCP: what they are called, how two sides agree on one, and what each asks of its transport.

use std::fmt;

/// A revision. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// The first: HTTP with server-sent events, or stdio.
    V2024_11_05,
    /// Streamable HTTP, batches, audio, annotations of tools.
    V2025_03_26,
    /// Structured results, elicitation, links to resources; no batches.
    V2025_06_18,
    /// Tasks, icons, addresses to visit, tools for sampling.
    V2025_11_25,
    /// Stateless: no handshake, no session, no requests from servers.
    V2026_07_28,
}

use Revision::{V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

/// What a revision asks of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The transport that it defines over HTTP.
    pub name: &'static str,
    /// What a client accepts for an answer to a POST; `None` where that is not said.
    pub accept: Option<&'static str>,
    /// The header of a session, where there are sessions.
    pub session: Option<&'static str>,
    /// The header that names the revision, on every request but the first of a session.
    pub version: Option<&'static str>,
    /// Headers that repeat the method and the name of what is asked for, and must agree with the body.
    pub mirrored: &'static [&'static str],
    /// Whether a GET opens a stream for what servers say unasked.
    pub listens_by_get: bool,
    /// Whether a broken stream can be taken up again.
    pub resumes: bool,
}

const ACCEPT: &str = "application/json, text/event-stream";

impl Revision {
    /// All, from the oldest.
    pub const ALL: [Self; 5] = [V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28];
    /// The newest.
    pub const NEWEST: Self = V2026_07_28;
    /// The newest that begins with `initialize`.
    pub const NEWEST_STATEFUL: Self = V2025_11_25;
    /// What a client speaks that names no revision over streamable HTTP (2025-06-18, transports).
    pub const UNNAMED: Self = V2025_03_26;

    /// As it is written in messages and headers.
    pub const fn name(self) -> &'static str {
        match self {
            V2024_11_05 => "2024-11-05",
            V2025_03_26 => "2025-03-26",
            V2025_06_18 => "2025-06-18",
            V2025_11_25 => "2025-11-25",
            V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision that is written `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// Whether every request says all that is needed to answer it, and none opens a session.
    pub const fn is_stateless(self) -> bool {
        matches!(self, V2026_07_28)
    }

    /// Whether several messages may come in one list.
    pub const fn allows_batches(self) -> bool {
        matches!(self, V2025_03_26)
    }

    /// What it asks of HTTP. Names of headers have no case.
    pub const fn transport(self) -> Transport {
        let old = Transport {
            name: "HTTP+SSE",
            accept: None,
            session: None,
            version: None,
            mirrored: &[],
            listens_by_get: true,
            resumes: false,
        };
        let streamable = Transport {
            name: "streamable HTTP",
            accept: Some(ACCEPT),
            session: Some("Mcp-Session-Id"),
            resumes: true,
            ..old
        };
        match self {
            V2024_11_05 => old,
            V2025_03_26 => streamable,
            V2025_06_18 | V2025_11_25 => Transport { version: Some("MCP-Protocol-Version"), ..streamable },
            V2026_07_28 => Transport {
                session: None,
                version: Some("MCP-Protocol-Version"),
                mirrored: &["Mcp-Method", "Mcp-Name"],
                listens_by_get: false,
                resumes: false,
                ..streamable
            },
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a server answers to `initialize`: the version that the client asked for where it is one of `spoken` that begins
/// so, else the newest of those; `None` where there is none, and `initialize` is a method that nobody knows.
pub fn answer_initialize(asked: &str, spoken: &[Revision]) -> Option<Revision> {
    let begins = |revision: &Revision| !revision.is_stateless() && spoken.contains(revision);
    Revision::parse(asked)
        .filter(begins)
        .or_else(|| Revision::ALL.into_iter().rev().find(|revision| begins(revision)))
}

/// What a client that speaks `spoken` asks for in `initialize`: the newest that begins so.
pub fn propose_initialize(spoken: &[Revision]) -> Option<Revision> {
    spoken.iter().copied().filter(|revision| !revision.is_stateless()).max()
}

/// What a client does with the version that the server answered to `initialize`; `None`: it hangs up.
pub fn accept_answer(answered: &str, spoken: &[Revision]) -> Option<Revision> {
    Revision::parse(answered).filter(|revision| !revision.is_stateless() && spoken.contains(revision))
}

/// The newest stateless revision of `spoken` that a server lists among its own, which may be versions that nobody here
/// has heard of.
pub fn choose<T: AsRef<str>>(listed: impl IntoIterator<Item = T>, spoken: &[Revision]) -> Option<Revision> {
    let known = listed.into_iter().filter_map(|name| Revision::parse(name.as_ref()));
    known.filter(|revision| revision.is_stateless() && spoken.contains(revision)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_and_later_is_greater() {
        for pair in Revision::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].name() < pair[1].name());
        }
        assert!(Revision::ALL.into_iter().all(|r| Revision::parse(r.name()) == Some(r)));
        assert_eq!(Revision::parse("2025-11-26"), None);
        assert_eq!(Revision::parse(" 2025-11-25"), None);
    }

    #[test]
    fn a_server_answers_what_was_asked_for_or_the_newest_that_it_can() {
        let all = &Revision::ALL;
        assert_eq!(answer_initialize("2024-11-05", all), Some(V2024_11_05));
        assert_eq!(answer_initialize("2025-06-18", all), Some(V2025_06_18));
        // Older than the first, newer than the last, nonsense, and one that has no `initialize`.
        for asked in ["2024-10-07", "2027-01-01", "", "2026-07-28"] {
            assert_eq!(answer_initialize(asked, all), Some(V2025_11_25), "{asked}");
        }
        assert_eq!(answer_initialize("2025-11-25", &[V2024_11_05]), Some(V2024_11_05));
        assert_eq!(answer_initialize("2025-11-25", &[V2026_07_28]), None);
    }

    #[test]
    fn a_client_takes_only_what_it_speaks() {
        assert_eq!(propose_initialize(&Revision::ALL), Some(V2025_11_25));
        assert_eq!(propose_initialize(&[V2026_07_28]), None);
        assert_eq!(accept_answer("2025-03-26", &Revision::ALL), Some(V2025_03_26));
        assert_eq!(accept_answer("2025-03-26", &[V2025_11_25]), None);
        // A server that answers `initialize` with a revision that has none is not to be believed.
        assert_eq!(accept_answer("2026-07-28", &Revision::ALL), None);
        assert_eq!(choose(["2031-01-01", "2026-07-28", "2025-11-25"], &Revision::ALL), Some(V2026_07_28));
        assert_eq!(choose(["2025-11-25"], &Revision::ALL), None);
    }

    #[test]
    fn only_what_a_revision_has_is_asked_of_its_transport() {
        assert_eq!(V2024_11_05.transport().session, None);
        assert_eq!(V2025_03_26.transport().version, None);
        assert_eq!(V2025_06_18.transport().version, Some("MCP-Protocol-Version"));
        assert_eq!(V2026_07_28.transport().session, None);
        assert!(Revision::ALL.into_iter().all(|r| r.transport().mirrored.is_empty() != r.is_stateless()));
    }
}
