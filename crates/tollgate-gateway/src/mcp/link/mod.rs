//! Links to tool servers: one session with one server each, in the server's own revision. What is said over a link is for
//! whoever uses it; this only carries it.

mod asked;
mod handshake;
mod http;
mod pipe;
mod pool;
mod pumps;
mod quiet;
mod sse;
pub mod stdio;
mod stream;
mod watch;
pub(super) mod wire;

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tollgate_core::config::tools::ToolServer;
use tollgate_core::identity::Acting;
use tollgate_mcp::bridge::ClientHello;
use tollgate_mcp::message::notification;
use tollgate_mcp::revision::Revision;

use self::http::Http;
use self::pipe::Pipe;
pub(super) use self::pool::is_same;
pub use self::pool::{Links, Means};

/// Who the server is told that it speaks with.
#[derive(Clone, Debug)]
pub struct ClientSays<'a> {
    /// What the client says of itself.
    pub hello: ClientHello<'a>,
    /// In which revision.
    pub revision: Revision,
    /// In whose name it is asked, where it acts for people.
    pub acting: Option<&'a Acting>,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct ServerSaid {
    /// What it speaks.
    pub revision: Revision,
    /// What it can do: a JSON object.
    pub capabilities: String,
    /// Its name and version: a JSON object.
    pub info: Option<String>,
    /// What it wants models to know.
    pub instructions: Option<String>,
}

/// What is heard of a server: messages, as they came.
#[derive(Clone, Debug)]
pub enum Heard {
    /// It tells something.
    Notification(Bytes),
    /// It asks something.
    Request(Bytes),
    /// It answers.
    Answer(Bytes),
}

/// Why a link, or a request over it, came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    NotSent(String),
    /// It may have been sent.
    #[error("{0}")]
    Broken(String),
    /// The server took too long: for what, after how long, and the setting.
    #[error("{what} within {} ms (timeouts.{setting})", limit.as_millis())]
    TooLate {
        /// What did not happen.
        what: &'static str,
        /// After how long.
        limit: Duration,
        /// The setting.
        setting: &'static str,
    },
    /// What came is not MCP.
    #[error("{0}")]
    Garbage(String),
    /// The server answered with a status that is no success, and no message.
    #[error("the server answered with status {status}{}", excerpt(said))]
    Status {
        /// The status.
        status: u16,
        /// When to try again, as the server says.
        retry_after: Option<Duration>,
        /// The beginning of what it said.
        said: String,
    },
    /// The server does not know the session any more.
    #[error("the server does not know the session any more")]
    SessionGone,
    /// There are as many sessions with it as there may be.
    #[error("there are {0} sessions with the server, which is the most that there may be (limits.sessions)")]
    Full(usize),
    /// There is no token to ask with now, whoever's fault that is: it says nothing of the server.
    #[error("no token for the server: {0}")]
    NoToken(String),
    /// Nobody may be asked for there: somebody has to do something first.
    #[error("{why}{}", at(mended_at.as_deref()))]
    NoAccount {
        /// What is wrong.
        why: String,
        /// Where it is mended.
        mended_at: Option<String>,
    },
}

fn at(mended_at: Option<&str>) -> String {
    mended_at.map(|at| format!(": {at}")).unwrap_or_default()
}

fn excerpt(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// A session with a tool server.
#[derive(Debug)]
pub struct Link {
    /// No other link of this gate has it.
    number: u64,
    server: Arc<ToolServer>,
    said: ServerSaid,
    transport: Transport,
    events: broadcast::Sender<Heard>,
    /// What reads the server outside of requests; it ends with the link.
    pumps: pumps::Pumps,
    /// Resources that are watched.
    watches: watch::Watches,
}

#[derive(Clone, Debug)]
enum Transport {
    Http(Arc<Http>),
    Pipe(Arc<Pipe>),
}

impl Transport {
    fn is_open(&self) -> bool {
        match self {
            Self::Http(http) => http.is_open(),
            Self::Pipe(pipe) => pipe.is_open(),
        }
    }

    async fn ask(
        &self,
        method: &str,
        params: Option<&str>,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Inner, LinkError> {
        Ok(match self {
            Self::Http(http) => Inner::Http(http.ask(method, params, headers, deadline)?),
            Self::Pipe(pipe) => Inner::Pipe(pipe.ask(method, params, deadline).await?),
        })
    }
}

/// What a server says outside of requests, from now on.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Heard>);

impl Events {
    /// What is heard next; `None` once the link is over. What nobody took in time is left out.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            match self.0.recv().await {
                Ok(heard) => return Some(heard),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "what a tool server told was not heard in time");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Link {
    /// Whom it leads to.
    pub fn server(&self) -> &Arc<ToolServer> {
        &self.server
    }

    /// What the server says of itself.
    pub fn said(&self) -> &ServerSaid {
        &self.said
    }

    /// What the server speaks.
    pub fn revision(&self) -> Revision {
        self.said.revision
    }

    /// Whether it can be used, as far as is known.
    pub fn is_open(&self) -> bool {
        self.transport.is_open()
    }

    /// Its number, which no other link of this gate has.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Whether the server may remember something of whoever used the link.
    pub(super) fn remembers(&self) -> bool {
        match &self.transport {
            Transport::Http(http) => http.has_session(),
            Transport::Pipe(_) => true,
        }
    }

    /// Asks `method` with `params`, which are in the server's revision. A progress token in them is exchanged for one of
    /// the link's own, and comes back as it was. `headers` go with it where the transport has any.
    pub async fn ask(
        self: &Arc<Self>,
        method: &str,
        params: Option<&str>,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Exchange, LinkError> {
        let inner = self.transport.ask(method, params, headers, deadline).await?;
        Ok(Exchange { link: Arc::clone(self), inner })
    }

    /// Tells `method`.
    pub async fn tell(&self, method: &str, params: Option<&str>) -> Result<(), LinkError> {
        self.send(notification(method, params)).await
    }

    /// Answers what the server has asked: `response` is a whole message, with the server's id.
    pub async fn answer(&self, response: &str) -> Result<(), LinkError> {
        self.send(response.to_owned()).await
    }

    async fn send(&self, message: String) -> Result<(), LinkError> {
        match &self.transport {
            Transport::Http(http) => http.tell(message).await,
            Transport::Pipe(pipe) => pipe.send(message.into()).await,
        }
    }

    /// What the server says outside of requests, from now on.
    pub fn events(&self) -> Events {
        let events = Events(self.events.subscribe());
        self.listen();
        events
    }

    /// Begins to read what the server says outside of requests, where it does not come by itself.
    fn listen(&self) {
        if let Transport::Http(http) = &self.transport {
            self.pumps.listen(http, &self.said, &self.events);
        }
    }

    /// Ends the session.
    pub async fn close(&self) {
        match &self.transport {
            Transport::Http(http) => http.close().await,
            Transport::Pipe(pipe) => {
                pipe.close("the link was closed");
                pipe.until_gone().await;
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Transport::Pipe(pipe) = &self.transport {
            pipe.close("nobody uses the link any more");
        }
    }
}

/// A request that was sent, and what is heard of it. Dropped before it is answered, it is called off.
#[derive(Debug)]
pub struct Exchange {
    link: Arc<Link>,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Http(asked::Asked),
    Pipe(pipe::Asked),
}

impl Inner {
    async fn next(&mut self) -> Result<Heard, LinkError> {
        match self {
            Self::Http(asked) => asked.next().await,
            Self::Pipe(asked) => asked.next().await,
        }
    }
}

impl Exchange {
    /// What is heard next. After an answer it is over.
    pub async fn next(&mut self) -> Result<Heard, LinkError> {
        loop {
            match self.inner.next().await? {
                Heard::Request(text) => match wire::pong(&text) {
                    Some(pong) => self.link.answer(&pong).await?,
                    None => return Ok(Heard::Request(text)),
                },
                other => return Ok(other),
            }
        }
    }
}
