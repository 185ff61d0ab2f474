//! Who speaks MCP to the gate: in which revision, and what it can do. A stateful client said so when its session began; a
//! stateless one says so in each request.

use tollgate_mcp::bridge::{ClientHello, Level};
use tollgate_mcp::capability;
use tollgate_mcp::json::Object;
use tollgate_mcp::revision::Revision;

use super::session::Session;

/// Who speaks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What it speaks.
    pub(crate) revision: Revision,
    /// Its name and version: a JSON object, where it says so.
    pub(crate) info: Option<String>,
    /// What it can do: a JSON object.
    pub(crate) capabilities: String,
    /// From which level on it wants log messages, where it said so in this request.
    pub(crate) log_level: Option<Level>,
    /// Its session; a stateless client has none.
    pub(crate) session: Option<Session>,
}

impl Client {
    /// What `hello` says of a client that speaks `revision`.
    pub(crate) fn of(hello: &ClientHello<'_>, revision: Revision) -> Self {
        Self {
            revision,
            info: hello.info.map(str::to_owned),
            capabilities: hello.capabilities.to_owned(),
            log_level: hello.log_level,
            session: None,
        }
    }

    /// One of which nothing is known but what it speaks.
    pub(crate) fn unknown(revision: Revision) -> Self {
        Self { revision, info: None, capabilities: "{}".to_owned(), log_level: None, session: None }
    }

    /// By what servers remember it, which speaks for `whose`: its session, where it has one.
    pub(crate) fn name<'a>(&'a self, whose: &'a str) -> &'a str {
        self.session.as_ref().map_or(whose, |session| &session.name)
    }

    /// The same, in the words of the bridge.
    pub(crate) fn hello(&self) -> ClientHello<'_> {
        ClientHello {
            version: self.revision.name().into(),
            info: self.info.as_deref(),
            capabilities: &self.capabilities,
            log_level: self.log_level,
        }
    }

    /// Whether it can do `capability`, such as `elicitation.url`. A client of a revision without parts that says
    /// `elicitation` can do its first form.
    pub(crate) fn can(&self, capability: &str) -> bool {
        if capability == "elicitation.form" {
            let said = Object::read(&self.capabilities).and_then(|all| all.object("elicitation"));
            return said.is_some_and(|said| said.is_empty() || said.has("form") || !said.has("url"));
        }
        capability::has(&self.capabilities, capability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(capabilities: &str) -> Client {
        Client {
            revision: Revision::V2025_11_25,
            info: None,
            capabilities: capabilities.to_owned(),
            log_level: None,
            session: None,
        }
    }

    #[test]
    fn elicitation_without_parts_is_that_of_forms() {
        let can = |said: &str| (client(said).can("elicitation.form"), client(said).can("elicitation.url"));
        assert_eq!(can(r#"{"elicitation":{}}"#), (true, false));
        assert_eq!(can(r#"{"elicitation":{"url":{}}}"#), (false, true));
        assert_eq!(can(r#"{"elicitation":{"form":{},"url":{}}}"#), (true, true));
        assert_eq!(can("{}"), (false, false));
        assert!(client(r#"{"sampling":{}}"#).can("sampling"));
    }
}
