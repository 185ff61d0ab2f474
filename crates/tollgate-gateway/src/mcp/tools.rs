//! What all MCP calls share.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::time::Instant;
use tollgate_core::config::tools::ToolServer;

use super::ask::gate_as_client;
use super::audience::Audience;
use super::catalogue::Catalogue;
use super::client::Client;
use super::home::Nonces;
use super::levels::Levels;
use super::link::{ClientSays, Link, LinkError, Links};
use super::offer::Offers;
use super::operations::Operations;
use super::parked::Parked;
use super::questions::Questions;
use super::remembered::Remembered;
use super::running::Running;
use super::session::{SealKeys, Seals};

/// Changes that a client that listens may be behind.
const MOST_CHANGES: usize = 64;

/// What all MCP calls share.
#[derive(Debug)]
pub struct Tools {
    /// Seals sessions.
    pub seals: Seals,
    pub(crate) links: Links,
    pub(crate) catalogue: Catalogue,
    pub(crate) offers: Offers,
    pub(crate) questions: Questions,
    pub(crate) running: Running,
    pub(crate) parked: Parked,
    pub(crate) nonces: Nonces,
    pub(crate) levels: Levels,
    pub(crate) operations: Operations,
    pub(crate) remembered: Remembered,
    /// Tells of servers whose lists have changed.
    pub(crate) changes: broadcast::Sender<Changed>,
}

/// A server of which something has changed.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The server.
    pub(crate) server: Arc<str>,
    /// Whether its tools have.
    pub(crate) tools: bool,
    /// Whether its prompts have.
    pub(crate) prompts: bool,
    /// Whether its resources have.
    pub(crate) resources: bool,
}

impl Tools {
    /// Nothing is known of any server yet; links are opened by `links`, and sessions sealed with `keys`. `life` is this run
    /// of this instance.
    pub fn new(links: Links, keys: SealKeys, life: &str) -> Self {
        Self {
            seals: Seals::new(keys, life),
            links,
            catalogue: Catalogue::default(),
            offers: Offers::default(),
            questions: Questions::default(),
            running: Running::default(),
            parked: Parked::new(life),
            nonces: Nonces::default(),
            levels: Levels::default(),
            operations: Operations::default(),
            remembered: Remembered::default(),
            changes: broadcast::Sender::new(MOST_CHANGES),
        }
    }

    /// Ends every session with a server, and every program.
    pub async fn close(&self) {
        self.links.close_all().await;
    }

    /// The link of `audience` to `server`, which is opened in the name of `client` where there is none.
    pub(super) async fn link(
        &self,
        server: &Arc<ToolServer>,
        audience: &Audience,
        client: &Client,
        deadline: Instant,
    ) -> Result<Arc<Link>, LinkError> {
        // What callers share is nobody's in particular: the server is told of the gate.
        let gate = server.shared.then(gate_as_client);
        let client = gate.as_ref().unwrap_or(client);
        let acting = audience.acting.as_ref();
        let says = ClientSays { hello: client.hello(), revision: client.revision, acting };
        self.links.get(server, (&audience.name, &audience.owner), says, deadline).await
    }
}
