//! What a client posts: who it is, and the message, read within limits. Nothing that cannot be read with certainty passes:
//! another reader might find something else in it.

use bytes::Bytes;
use http::{HeaderMap, header};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::principal::Principal;
use tollgate_mcp::bridge::ClientHello;
use tollgate_mcp::headers::{self, Said as InHeaders};
use tollgate_mcp::json::Object;
use tollgate_mcp::message::{Body, Kind, Limits, Message, codes, meta, read};
use tollgate_mcp::revision::Revision;

use super::client::Client;
use super::session::{NoSession, Seals};

/// The header of a session (2025-03-26, streamable HTTP).
pub(crate) const SESSION: &str = "mcp-session-id";

/// The header that names the revision (2025-06-18, streamable HTTP).
pub(crate) const VERSION: &str = "mcp-protocol-version";

/// Messages of a batch.
const MOST_IN_BATCH: usize = 100;

/// How a client's messages are read.
pub(crate) fn limits(snapshot: &Snapshot) -> Limits {
    Limits {
        bytes: snapshot.limits.request_body_bytes,
        depth: snapshot.limits.request_depth,
        id_bytes: 256,
        method_bytes: 128,
        number_bytes: 64,
        batch: MOST_IN_BATCH,
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Its id, as it is written.
    pub(crate) id: String,
    /// What is asked for.
    pub(crate) method: String,
    /// A JSON object, where there is one.
    pub(crate) params: Option<String>,
    /// The whole message.
    pub(crate) text: Bytes,
}

impl Asked {
    /// The member `name` of the params, where it is a string.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        let params = Object::read(self.params.as_deref()?)?;
        params.string(name).map(std::borrow::Cow::into_owned)
    }
}

/// What was posted.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Something is asked for.
    Asked(Asked),
    /// Something is told, or answered: the message.
    Told(Bytes),
    /// Several messages.
    Batch(Vec<Bytes>),
}

/// Why something that was posted is refused, and what a client needs to be told so.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) fault: Fault,
    /// The error code.
    pub(crate) code: i64,
    /// The request's id, where it could be read.
    pub(crate) id: Option<String>,
    /// More for programs, JSON.
    pub(crate) data: Option<String>,
    /// What the client speaks, as far as that is known.
    pub(crate) revision: Revision,
}

/// Something that was posted, and by whom.
pub(crate) struct Posted {
    pub(crate) client: Client,
    pub(crate) said: Said,
}

/// What must be known to read what is posted.
pub(crate) struct Reader<'a> {
    pub(crate) seals: &'a Seals,
    pub(crate) principal: &'a Principal,
    /// At which address of the gate.
    pub(crate) address: &'a str,
    pub(crate) now: jiff::Timestamp,
    pub(crate) limits: Limits,
}

impl Reader<'_> {
    /// Reads `body`, which came with `headers`.
    pub(crate) fn post(&self, headers: &HeaderMap, body: &Bytes) -> Result<Posted, Box<Refused>> {
        let session = self.session(headers)?;
        let version = version(headers);
        let named = version.as_ref().ok().copied().flatten();
        let revision = session.as_ref().map_or(named.unwrap_or(Revision::UNNAMED), |client| client.revision);
        let wrong = |fault, code| Box::new(Refused { fault, code, id: None, data: None, revision });
        let message = match read(body, revision, &self.limits) {
            Ok(Body::One(message)) => message,
            Ok(Body::Batch(messages)) => {
                let client = session.unwrap_or_else(|| Client::unknown(revision));
                let each = messages.iter().map(|message| Bytes::copy_from_slice(message.text().as_bytes()));
                return Ok(Posted { client, said: Said::Batch(each.collect()) });
            }
            Err(refusal) => {
                return Err(wrong(Fault::new(FaultClass::Invalid, refusal.to_string()), refusal.code()));
            }
        };
        let client = self.client(session, version, headers, &message)?;
        let said = match message.kind() {
            Kind::Request { id, method, params } => Said::Asked(Asked {
                id: id.raw().to_owned(),
                method: method.clone().into_owned(),
                params: params.map(str::to_owned),
                text: body.clone(),
            }),
            _ => Said::Told(body.clone()),
        };
        Ok(Posted { client, said })
    }

    /// The client whose session the headers name, where they name one.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<Option<Client>, Box<Refused>> {
        let mut ids = headers.get_all(SESSION).iter();
        let Some(id) = ids.next() else { return Ok(None) };
        let opened = match (id.to_str(), ids.next()) {
            (Ok(id), None) => self.seals.open(id, self.principal, self.address, self.now),
            _ => Err(NoSession::Unknown),
        };
        opened.map(Some).map_err(|why| {
            Box::new(Refused {
                fault: Fault::new(
                    FaultClass::SessionOver,
                    format!("{why}: begin another one with `initialize`"),
                ),
                code: codes::INVALID_REQUEST,
                id: None,
                data: None,
                revision: Revision::NEWEST_STATEFUL,
            })
        })
    }

    /// Who says `message`.
    fn client(
        &self,
        session: Option<Client>,
        version: Result<Option<Revision>, Box<Refused>>,
        headers: &HeaderMap,
        message: &Message<'_>,
    ) -> Result<Client, Box<Refused>> {
        let in_body = message.params().and_then(Object::read).and_then(|params| params.object("_meta"));
        let stateless = in_body.is_some_and(|meta| meta.has(meta::PROTOCOL_VERSION));
        if stateless && session.is_none() && message.id().is_some() {
            return stateless_client(headers, message);
        }
        let named = version?;
        if let Some(client) = session.filter(|_| message.method() != Some("initialize")) {
            return match named {
                // Some clients name another revision with sessions than the one that was agreed on: what was agreed holds.
                Some(named) if named.is_stateless() => {
                    let why = format!("the session speaks {}, and the header says {named}", client.revision);
                    Err(refused(message, client.revision, codes::INVALID_REQUEST, why))
                }
                _ => Ok(client),
            };
        }
        if !stateless && !named.is_some_and(Revision::is_stateless) {
            return Ok(Client::unknown(named.unwrap_or(Revision::UNNAMED)));
        }
        if message.id().is_none() && !stateless {
            // What a notification is told of says whose it is.
            return Ok(Client::unknown(Revision::NEWEST));
        }
        stateless_client(headers, message)
    }
}

/// The client that says who it is in its request.
fn stateless_client(headers: &HeaderMap, message: &Message<'_>) -> Result<Client, Box<Refused>> {
    let newest = Revision::NEWEST;
    let hello = ClientHello::of_request(message.params())
        .map_err(|error| refused(message, newest, error.code(), error.to_string()))?;
    let said = InHeaders {
        version: one(headers, VERSION),
        method: one(headers, "mcp-method"),
        name: one(headers, "mcp-name"),
    };
    headers::check(message, said).map_err(|mismatch| {
        let fault = Fault::new(FaultClass::HeaderMismatch, mismatch.to_string());
        Box::new(Refused { fault, ..*refused(message, newest, codes::HEADER_MISMATCH, "") })
    })?;
    let revision = Revision::parse(&hello.version).filter(|revision| revision.is_stateless());
    let Some(revision) = revision else {
        let spoken: Vec<&str> = Revision::ALL.iter().map(|revision| revision.name()).collect();
        let data = serde_json::json!({ "supported": spoken, "requested": hello.version }).to_string();
        let why = "this version of the protocol is not spoken here in this way";
        let code = codes::UNSUPPORTED_PROTOCOL_VERSION;
        return Err(Box::new(Refused { data: Some(data), ..*refused(message, newest, code, why) }));
    };
    Ok(Client::of(&hello, revision))
}

fn refused(message: &Message<'_>, revision: Revision, code: i64, why: impl Into<String>) -> Box<Refused> {
    let id = message.id().map(|id| id.raw().to_owned());
    Box::new(Refused { fault: Fault::new(FaultClass::Invalid, why), code, id, data: None, revision })
}

/// The revision that the headers name; one that nobody has heard of is refused.
fn version(headers: &HeaderMap) -> Result<Option<Revision>, Box<Refused>> {
    let Some(named) = headers.get(VERSION) else { return Ok(None) };
    let known = named.to_str().ok().and_then(Revision::parse);
    let spoken: Vec<&str> = Revision::ALL.iter().map(|revision| revision.name()).collect();
    known.map(Some).ok_or_else(|| {
        Box::new(Refused {
            fault: Fault::new(
                FaultClass::Invalid,
                format!("the header MCP-Protocol-Version names none of {}", spoken.join(", ")),
            ),
            code: codes::UNSUPPORTED_PROTOCOL_VERSION,
            id: None,
            data: Some(
                serde_json::json!({ "supported": spoken, "requested": named.to_str().unwrap_or_default() })
                    .to_string(),
            ),
            revision: Revision::NEWEST,
        })
    })
}

/// The value of a header that stands there once.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    // Of two nobody knows which one the next reader takes: neither agrees with the body.
    Some(if values.next().is_some() { "" } else { value })
}

/// Bodies are JSON: a web page can send other types without asking (CORS "simple requests").
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), Fault> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if !matches!(text(header::CONTENT_ENCODING), None | Some("identity")) {
        return Err(Fault::new(FaultClass::MediaType, "a compressed request body is not read"));
    }
    let essence = text(header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Fault::new(
        FaultClass::MediaType,
        format!("the content type must be application/json, not {essence:?}"),
    ))
}

/// Whether the client takes answers as a stream of events.
pub(crate) fn takes_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| {
        value.split(',').any(|range| {
            let essence = range.split(';').next().unwrap_or_default().trim();
            matches!(essence.to_ascii_lowercase().as_str(), "text/event-stream" | "text/*")
        })
    })
}
