//! The beginning of a link: which revision the server speaks, and what it says of itself.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;
use tollgate_core::config::tools::ToolServer;
use tollgate_mcp::bridge::{ClientHello, Era, Filter, Notes, Way, era, listen, say};
use tollgate_mcp::json::Object;
use tollgate_mcp::message::meta::SERVER_INFO;
use tollgate_mcp::message::{Kind, Message, request};
use tollgate_mcp::revision::{Revision, accept_answer};

use super::http::Http;
use super::pipe::Pipe;
use super::{ClientSays, Heard, LinkError, ServerSaid, wire};
use crate::mcp::ask::message;

/// The revisions that begin with `initialize`.
const STATEFUL: &[Revision] =
    &[Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25];

/// Whom a link is begun with.
pub(super) enum With<'a> {
    Http(&'a Arc<Http>),
    Pipe(&'a Arc<Pipe>),
}

/// What a handshake came to.
struct Greeted {
    said: ServerSaid,
    /// The params with which a stateless server is asked for what it says unasked.
    listens: Option<String>,
}

/// The server says that it does not begin so, or something that is no answer to it.
enum NotSo {
    Error(String),
    Failed(LinkError),
}

impl From<LinkError> for NotSo {
    fn from(error: LinkError) -> Self {
        match error {
            // A server of another kind may say so in many ways.
            LinkError::Status { status: 400 | 404 | 405 | 406 | 415 | 422 | 501, .. } => {
                Self::Error(error.to_string())
            }
            error => Self::Failed(error),
        }
    }
}

/// Begins a link in the name of the client that `says` who it is.
pub(super) async fn greet(
    with: &With<'_>,
    server: &ToolServer,
    says: &ClientSays<'_>,
    deadline: Instant,
) -> Result<(ServerSaid, Option<String>), LinkError> {
    let greeted = match server.revision.and_then(Revision::parse) {
        Some(revision) if revision.is_stateless() => discover(with, revision, says, deadline).await,
        Some(revision) => initialize(with, revision, says, deadline).await,
        // Most begin with it, and those that do not say so at once.
        None => match initialize(with, Revision::NEWEST_STATEFUL, says, deadline).await {
            Err(NotSo::Error(first)) => match discover(with, Revision::NEWEST, says, deadline).await {
                Err(NotSo::Error(then)) => {
                    let why =
                        format!("it answers neither `initialize` ({first}) nor `server/discover` ({then})");
                    Err(NotSo::Failed(LinkError::Garbage(why)))
                }
                greeted => greeted,
            },
            greeted => greeted,
        },
    };
    match greeted {
        Ok(Greeted { said, listens }) => Ok((said, listens)),
        Err(NotSo::Failed(error)) => Err(error),
        Err(NotSo::Error(why)) => Err(LinkError::Garbage(format!("it does not begin a session: {why}"))),
    }
}

async fn initialize(
    with: &With<'_>,
    revision: Revision,
    says: &ClientSays<'_>,
    deadline: Instant,
) -> Result<Greeted, NotSo> {
    let params = words("initialize", revision, &says.hello)?;
    let answer = with.ask("initialize", &params, deadline).await?;
    let heard = wire::heard(&answer, Revision::NEWEST_STATEFUL)?;
    let result = result(&heard)?;
    let read = Object::read(result);
    let version = read.as_ref().and_then(|result| result.string("protocolVersion")).unwrap_or_default();
    let spoken = accept_answer(&version, STATEFUL).ok_or_else(|| {
        let shown = tollgate_mcp::hidden::excerpt(&version, 40);
        LinkError::Garbage(format!("it speaks the revision `{shown}`, which this gate does not"))
    })?;
    with.speaks(spoken);
    with.tell("notifications/initialized").await?;
    let text = |name: &str| read.as_ref().and_then(|result| result.get(name)).map(str::to_owned);
    let said = ServerSaid {
        revision: spoken,
        capabilities: text("capabilities")
            .filter(|text| text.starts_with('{'))
            .unwrap_or_else(|| "{}".to_owned()),
        info: text("serverInfo").filter(|text| text.starts_with('{')),
        instructions: read
            .as_ref()
            .and_then(|result| result.string("instructions"))
            .map(|text| text.into_owned()),
    };
    Ok(Greeted { said, listens: None })
}

async fn discover(
    with: &With<'_>,
    revision: Revision,
    says: &ClientSays<'_>,
    deadline: Instant,
) -> Result<Greeted, NotSo> {
    with.speaks(revision);
    let params = words("server/discover", revision, &says.hello)?;
    let answer = with.ask("server/discover", &params, deadline).await?;
    let heard = wire::heard(&answer, revision)?;
    let spoken = match era(&heard, revision, &[revision]) {
        Era::Stateless(spoken) => spoken,
        Era::Stateful => return Err(NotSo::Error("it begins with a handshake".to_owned())),
        Era::Nothing => {
            let why = "it speaks no revision that this gate does".to_owned();
            return Err(NotSo::Failed(LinkError::Garbage(why)));
        }
    };
    let read = Object::read(result(&heard)?);
    let text = |name: &str| read.as_ref().and_then(|result| result.get(name)).map(str::to_owned);
    let meta = read.as_ref().and_then(|result| result.object("_meta"));
    let said = ServerSaid {
        revision: spoken,
        capabilities: text("capabilities")
            .filter(|text| text.starts_with('{'))
            .unwrap_or_else(|| "{}".to_owned()),
        info: meta.and_then(|meta| meta.get(SERVER_INFO)).map(str::to_owned),
        instructions: read
            .as_ref()
            .and_then(|result| result.string("instructions"))
            .map(|text| text.into_owned()),
    };
    let all = Filter { tools: true, prompts: true, resources: true, uris: Vec::new() };
    let listens = listen("0", &all, &says.hello, spoken, &mut Notes::default());
    let listens = message(listens.as_bytes()).ok().and_then(|text| text.params().map(str::to_owned));
    Ok(Greeted { said, listens })
}

/// The params of a greeting in the words of `to`.
fn words(method: &str, to: Revision, hello: &ClientHello<'_>) -> Result<String, LinkError> {
    let text = request("0", method, Some("{}"));
    let unsayable = |why: String| LinkError::NotSent(why);
    let first = message(text.as_bytes()).map_err(unsayable)?;
    let way = Way::new(Revision::NEWEST_STATEFUL, to);
    let said =
        say(&first, way, Some(hello), &mut Notes::default()).map_err(|why| unsayable(why.to_string()))?;
    let said = message(said.as_bytes()).map_err(unsayable)?;
    Ok(said.params().unwrap_or("{}").to_owned())
}

fn result<'a>(heard: &Message<'a>) -> Result<&'a str, NotSo> {
    match heard.kind() {
        Kind::Response { result, .. } => Ok(result),
        Kind::Error { error, .. } => {
            let shown = tollgate_mcp::hidden::excerpt(&error.message, 200);
            Err(NotSo::Error(format!("error {}: {shown}", error.code)))
        }
        _ => Err(NotSo::Failed(LinkError::Garbage("it is no answer".to_owned()))),
    }
}

impl With<'_> {
    fn speaks(&self, revision: Revision) {
        match self {
            Self::Http(http) => http.speaks(revision),
            Self::Pipe(pipe) => pipe.speaks(revision),
        }
    }

    async fn tell(&self, method: &str) -> Result<(), LinkError> {
        let text = tollgate_mcp::message::notification(method, None);
        match self {
            Self::Http(http) => http.tell(text).await,
            Self::Pipe(pipe) => pipe.send(text.into()).await,
        }
    }

    /// The answer to a greeting. What a server says before is not for anybody yet.
    async fn ask(&self, method: &str, params: &str, deadline: Instant) -> Result<Bytes, LinkError> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let asking = async {
            match self {
                Self::Http(http) => {
                    let mut asked = http.ask(method, Some(params), &HeaderMap::new(), deadline)?;
                    loop {
                        if let Heard::Answer(text) = asked.next().await? {
                            return Ok(text);
                        }
                    }
                }
                Self::Pipe(pipe) => {
                    let mut asked = pipe.ask(method, Some(params), deadline).await?;
                    loop {
                        if let Heard::Answer(text) = asked.next().await? {
                            return Ok(text);
                        }
                    }
                }
            }
        };
        let late = LinkError::TooLate {
            what: "the server did not begin a session",
            limit,
            setting: "first_byte_ms",
        };
        tokio::time::timeout_at(deadline, asking).await.unwrap_or(Err(late))
    }
}
