//! Who shares a link to a tool server. What a server remembers of a client (files that it opened, a page that it looks at)
//! must not be there for another one.

use tollgate_core::config::tools::{Reached, ToolServer};
use tollgate_core::identity::Acting;

use super::client::Client;
use crate::gate::Gate;

/// Whose link to a server it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Audience {
    /// Its name.
    pub(super) name: String,
    /// For whom whoever uses it speaks.
    pub(super) owner: String,
    /// Whether there may have been a link before, elsewhere or in an earlier run of this instance.
    pub(super) earlier: bool,
    /// In whose name the server is asked, where it acts for people.
    pub(super) acting: Option<Acting>,
}

impl Audience {
    /// The gate's own, which lists what `server` has, for the person `acting` where it acts for people: everybody's, where
    /// the configuration shares the server by name.
    pub(super) fn of_gate(server: &ToolServer, acting: Option<&Acting>) -> Self {
        let own = Self::common(if server.shared { "shared" } else { "tollgate" });
        own.in_the_name_of(acting.cloned())
    }

    fn common(name: &str) -> Self {
        Self { name: name.to_owned(), owner: name.to_owned(), earlier: false, acting: None }
    }

    /// The same, in somebody's name: nobody else uses such a link, whatever else they have in common.
    fn in_the_name_of(self, acting: Option<Acting>) -> Self {
        match &acting {
            Some(somebody) => Self { name: format!("{} for {}", self.name, somebody.name()), acting, ..self },
            None => self,
        }
    }

    /// Whose link it is that `client`, who speaks for `whose`, uses to reach `server`: everybody's where the configuration
    /// shares it by name; otherwise, of a child process, the principal's, and over HTTP that of the client's session. A
    /// client that can do other things gets another: servers offer what the client can do.
    pub(super) fn of(
        gate: &Gate,
        server: &ToolServer,
        client: &Client,
        (whose, acting): (&str, Option<&Acting>),
    ) -> Self {
        if server.shared {
            return Self::common("shared");
        }
        let session = client.session.as_ref();
        let name = match (&server.reached, session) {
            (Reached::Url(_), Some(session)) => Self::of_session(&session.name),
            _ => {
                let can = gate.parts.journal.digest_key().digest(client.capabilities.as_bytes()).to_string();
                format!("{whose}#{}", &can[..16])
            }
        };
        Self {
            name,
            owner: whose.to_owned(),
            earlier: session.is_some_and(|session| session.life != gate.parts.peers.life()),
            acting: None,
        }
        .in_the_name_of(acting.filter(|_| server.acts_for_people()).cloned())
    }

    /// The name of those of a session.
    pub(super) fn of_session(session: &str) -> String {
        format!("session/{session}")
    }
}
