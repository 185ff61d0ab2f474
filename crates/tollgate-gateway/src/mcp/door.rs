//! `/mcp` and what is below it: streamable HTTP (2025-03-26 and later), with sessions and without.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use tokio::sync::mpsc;
use tollgate_core::config::approvals::Approver;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::revision::Revision;

use super::audience::Audience;
use super::consent::{self, Consent};
use super::conversation::{called_off, called_off_fault};
use super::endpoint::Endpoint;
use super::home::{Home, NotHandedOn};
use super::said::{Asked, Posted, Reader, Refused, Said, check_type, limits, takes_events};
use super::session::whose;
use super::voice::McpVoice;
use super::{Mcp, home, listen, told};
use crate::answer::AnswerBody;
use crate::gate::{Gate, Runtime};
use crate::identify::{self, Identified};
use crate::inbound::{ClientBody, Inbound};
use crate::{pipeline, reject};

/// What an address takes.
const METHODS: &str = "GET, POST, DELETE";

/// Answers a request to `/mcp/address`.
pub(crate) async fn handle(gate: &Arc<Gate>, inbound: Inbound, address: &str) -> Response<AnswerBody> {
    let runtime = gate.runtime();
    let metadata = runtime.snapshot.identity.resource_metadata(inbound.head.uri.path()).map(Arc::from);
    let voice = McpVoice { metadata: metadata.clone(), ..McpVoice::unread(Revision::NEWEST_STATEFUL) };
    let (inbound, handed_on) = match home::accept(gate, &runtime.snapshot, inbound).await {
        Ok(accepted) => accepted,
        Err(refused) => return pipeline::refuse_stranger(gate, &refused.1, &voice, refused.0.peer),
    };
    let refuse = |fault: &Fault| pipeline::refuse_stranger(gate, fault, &voice, inbound.peer);
    if handed_on && gate.is_draining() {
        return stopping();
    }
    let identified = match identify::identify(gate, &runtime.snapshot, &inbound).await {
        Ok(identified) => identified,
        Err(fault) => return closing(refuse(&fault), &inbound),
    };
    // Of what was handed on the instance has seen to it to which it came.
    if !handed_on && let Err(fault) = from_a_page_of_ours(&inbound) {
        return refuse(&fault);
    }
    let endpoint = match Endpoint::at(address, &runtime.snapshot, identified.caller.as_ref()) {
        Ok(endpoint) => endpoint,
        Err(fault) => return refuse(&fault),
    };
    let visit = Visit { gate, runtime, identified, endpoint, metadata, handed_on };
    match inbound.head.method {
        Method::POST => visit.post(inbound).await,
        Method::GET => visit.listen(inbound).await,
        Method::DELETE => visit.end(inbound).await,
        _ => {
            let fault = Fault::new(FaultClass::MethodNotAllowed, format!("this path takes {METHODS}"));
            let mut response = refuse(&fault);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
            response
        }
    }
}

/// `refused`, after which the connection ends: the body was not read, and a client that comes back with a token must not do
/// so over a connection that may be closed under it (RFC 9112 §9.6).
fn closing(mut refused: Response<AnswerBody>, inbound: &Inbound) -> Response<AnswerBody> {
    if inbound.head.version < Version::HTTP_2 {
        refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    refused
}

/// Whoever was identified at an address.
struct Visit<'a> {
    gate: &'a Arc<Gate>,
    runtime: Arc<Runtime>,
    identified: Identified,
    endpoint: Endpoint,
    /// Where clients find out where to get tokens, where that is said.
    metadata: Option<Arc<str>>,
    /// Whether another instance has handed the request on to this one, which is to answer it.
    handed_on: bool,
}

impl Visit<'_> {
    fn reader(&self) -> Reader<'_> {
        Reader {
            seals: &self.gate.tools.seals,
            principal: &self.identified.principal,
            address: &self.endpoint.address,
            now: self.gate.parts.clock.now(),
            limits: limits(&self.runtime.snapshot),
        }
    }

    async fn post(self, inbound: Inbound) -> Response<AnswerBody> {
        let Inbound { head, body, arrived, peer } = inbound;
        let rest = |head, body| Inbound { head, body: ClientBody::Memory(body), arrived, peer };
        let body = match check_type(&head.headers) {
            Ok(()) => body.read(&self.runtime.snapshot).await,
            Err(fault) => Err(fault),
        };
        let body = match body {
            Ok(body) => body,
            Err(fault) => {
                let revision = Revision::NEWEST_STATEFUL;
                let code = tollgate_mcp::message::codes::INVALID_REQUEST;
                let refused = Box::new(Refused { fault, code, id: None, data: None, revision });
                return self.refused(refused, rest(head, Bytes::new())).await;
            }
        };
        let posted = self.reader().post(&head.headers, &body);
        if let Ok(posted) = &posted {
            let asked = match &posted.said {
                Said::Asked(asked) => Some(asked),
                _ => None,
            };
            match self.at_home((&posted.client, asked), (&head, &body), peer).await {
                Ok(None) => {}
                Ok(Some(answer)) => return answer,
                Err(fault) => {
                    let revision = posted.client.revision;
                    let code = tollgate_mcp::message::codes::INTERNAL_ERROR;
                    let id = asked.map(|asked| asked.id.clone());
                    let refused = Box::new(Refused { fault, code, id, data: None, revision });
                    return self.refused(refused, rest(head, body)).await;
                }
            }
        }
        match posted {
            Err(refused) => self.refused(refused, rest(head, body)).await,
            Ok(Posted { client, said: Said::Asked(asked) }) => {
                let client = self.gate.tools.levels.of(client);
                self.asked(client, asked, rest(head, body)).await
            }
            Ok(Posted { client, said: Said::Told(text) }) => {
                let revision = client.revision;
                match told::take(self.gate, &client, &text).await {
                    Ok(()) => empty(StatusCode::ACCEPTED),
                    Err(fault) => reject::stranger(&fault, &McpVoice::unread(revision)),
                }
            }
            Ok(Posted { said: Said::Batch(messages), .. }) => {
                self.batch(messages, &head, arrived, peer).await
            }
        }
    }

    async fn asked(
        self,
        client: super::client::Client,
        mut asked: Asked,
        inbound: Inbound,
    ) -> Response<AnswerBody> {
        let voice = McpVoice {
            id: Some(asked.id.clone()),
            code: None,
            data: None,
            metadata: self.metadata.clone(),
            ..McpVoice::of(&client, &asked.method)
        };
        let stateless = client.revision.is_stateless();
        let consent = stateless.then(|| Consent::of(asked.params.as_deref())).flatten();
        let consent = consent.map(|(consent, plain)| {
            asked.params = Some(plain);
            consent
        });
        let own = self.runtime.snapshot.holds.approver == Approver::Caller && asked.method == "tools/call";
        let mut mcp = Mcp {
            takes_events: takes_events(&inbound.head.headers),
            whose: whose(&self.identified.principal),
            endpoint: self.endpoint,
            client,
            asked: Ok(asked),
            voice,
            consent,
            under_way: None,
            asks: None,
        };
        let (gate, runtime, identified) = (Arc::clone(self.gate), self.runtime, self.identified);
        let id = mcp.voice.id.as_deref().unwrap_or_default();
        let session = mcp.client.session.as_ref();
        mcp.under_way = session.map(|session| Arc::new(gate.tools.running.begin(&session.name, id)));
        let under_way = mcp.under_way.clone();
        let asked_of_client = (own && mcp.can_be_asked()).then(|| {
            let (asks, asked_of_client) = mpsc::channel(1);
            mcp.asks = Some(asks);
            asked_of_client
        });
        let answering = async move {
            // Boxed: what is polled beside it does not move it about.
            let call = Box::pin(pipeline::run_for(&gate, runtime, identified, &mcp, inbound));
            tokio::select! {
                biased;
                answer = call => answer,
                () = called_off(under_way.as_deref()) => reject::stranger(&called_off_fault(), &mcp.voice),
            }
        };
        match asked_of_client {
            Some(asked_of_client) => consent::answer_or_ask(Box::pin(answering), asked_of_client).await,
            None => answering.await,
        }
    }

    /// What cannot be read is on the record like everything else of whoever was identified.
    async fn refused(self, refused: Box<Refused>, inbound: Inbound) -> Response<AnswerBody> {
        let voice = McpVoice {
            id: refused.id.clone(),
            code: Some(refused.code),
            data: refused.data.clone(),
            ..McpVoice::unread(refused.revision)
        };
        let mcp = Mcp {
            takes_events: false,
            whose: whose(&self.identified.principal),
            endpoint: self.endpoint,
            client: super::client::Client::unknown(refused.revision),
            asked: Err(refused),
            voice,
            consent: None,
            under_way: None,
            asks: None,
        };
        Box::pin(pipeline::run_for(self.gate, self.runtime, self.identified, &mcp, inbound)).await
    }

    /// Each message of a batch goes through all phases by itself (2025-03-26, batching). Answers come together.
    async fn batch(
        self,
        messages: Vec<Bytes>,
        head: &Parts,
        arrived: tokio::time::Instant,
        peer: Option<std::net::IpAddr>,
    ) -> Response<AnswerBody> {
        let mut answers = Vec::new();
        for message in messages {
            let mut head = head.clone();
            // One answer after another, each whole.
            head.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            let inbound = Inbound { head, body: ClientBody::Memory(message), arrived, peer };
            let visit = Visit {
                gate: self.gate,
                runtime: Arc::clone(&self.runtime),
                identified: self.identified.clone(),
                endpoint: self.endpoint.clone(),
                metadata: self.metadata.clone(),
                handed_on: self.handed_on,
            };
            let answer = Box::pin(visit.post(inbound)).await;
            if let AnswerBody::Whole(Some(body)) = answer.into_body() {
                answers.push(body);
            }
        }
        if answers.is_empty() {
            return empty(StatusCode::ACCEPTED);
        }
        let body = [b"[".as_slice(), &answers.join(&b","[..]), b"]"].concat();
        let mut response = Response::new(AnswerBody::whole(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// The answer of the client's home, where that is another instance.
    async fn at_home(
        &self,
        (client, asked): (&super::client::Client, Option<&Asked>),
        (head, body): (&Parts, &Bytes),
        from: Option<std::net::IpAddr>,
    ) -> Result<Option<Response<AnswerBody>>, Fault> {
        let whose = whose(&self.identified.principal);
        let peers = &*self.gate.parts.peers;
        if self.handed_on {
            return Ok(None);
        }
        let home = || home::elsewhere(peers, &self.endpoint, &whose, (client, asked));
        let Some(Home { peer, holds }) = home() else { return Ok(None) };
        let request = (head, body.clone());
        let endless = asked.is_none_or(|asked| asked.method == "subscriptions/listen");
        let hand_on = home::hand_on(self.gate, &self.runtime.snapshot, &peer, request, (from, endless));
        match Box::pin(hand_on).await {
            Ok(answer) => {
                self.gate.metrics.handed_on.inc();
                Ok(Some(answer))
            }
            Err(NotHandedOn::Over) => Ok(None),
            Err(NotHandedOn::Failed(fault)) if fault.class == FaultClass::InstanceAway => {
                peers.look_again().await;
                // What it held is over where it has gone; otherwise it may still be there for others.
                if holds && home().is_some_and(|home| home.peer == peer) { Err(fault) } else { Ok(None) }
            }
            Err(NotHandedOn::Failed(fault)) => Err(fault),
        }
    }

    /// The same of a request that has no body and is no call; a fault is said as it is.
    async fn at_home_of_session(
        &self,
        client: &super::client::Client,
        inbound: &Inbound,
    ) -> Option<Response<AnswerBody>> {
        let answer = self.at_home((client, None), (&inbound.head, &Bytes::new()), inbound.peer).await;
        answer.unwrap_or_else(|fault| Some(reject::stranger(&fault, &McpVoice::unread(client.revision))))
    }

    /// A stream of what servers say outside of requests.
    async fn listen(self, inbound: Inbound) -> Response<AnswerBody> {
        let session = self.reader().session(&inbound.head.headers);
        let client = match session {
            Ok(client) => client,
            Err(refused) => return reject::stranger(&refused.fault, &McpVoice::unread(refused.revision)),
        };
        if !takes_events(&inbound.head.headers) {
            let fault =
                Fault::new(FaultClass::MediaType, "the stream is one of events: accept text/event-stream");
            return reject::stranger(&fault, &McpVoice::unread(Revision::NEWEST_STATEFUL));
        }
        if let Some(client) = &client
            && let Some(answer) = self.at_home_of_session(client, &inbound).await
        {
            return answer;
        }
        match client {
            Some(client) => {
                let whose = whose(&self.identified.principal);
                let who = (whose.as_str(), self.identified.caller);
                listen::stream(listen::Listening::new(self.gate, &self.endpoint, who, client))
            }
            None => {
                let fault = Fault::new(
                    FaultClass::Invalid,
                    "there is nothing to listen to without a session: begin one with `initialize`",
                );
                reject::stranger(&fault, &McpVoice::unread(Revision::NEWEST_STATEFUL))
            }
        }
    }

    /// The client's session is over, and so is what servers keep for it.
    async fn end(self, inbound: Inbound) -> Response<AnswerBody> {
        match self.reader().session(&inbound.head.headers) {
            Ok(Some(client)) => {
                if let Some(answer) = self.at_home_of_session(&client, &inbound).await {
                    return answer;
                }
                if let Some(session) = &client.session {
                    self.gate.tools.seals.end(session);
                    self.gate.tools.links.close_audience(&Audience::of_session(&session.name));
                }
                empty(StatusCode::NO_CONTENT)
            }
            Ok(None) => {
                let fault = Fault::new(FaultClass::Invalid, "there is no session to end");
                reject::stranger(&fault, &McpVoice::unread(Revision::NEWEST_STATEFUL))
            }
            Err(refused) => reject::stranger(&refused.fault, &McpVoice::unread(refused.revision)),
        }
    }
}

/// A page that a browser shows may ask if it comes from this gate. A page elsewhere that has rebound its name to the gate's
/// address, or that hopes for a key in the browser, gives itself away by its origin (2025-03-26, transports, security).
fn from_a_page_of_ours(inbound: &Inbound) -> Result<(), Fault> {
    let Some(origin) = inbound.head.headers.get(header::ORIGIN) else { return Ok(()) };
    let authority = inbound.head.uri.authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| inbound.header("host")).unwrap_or_default();
    let origin = origin.to_str().unwrap_or_default();
    let bare = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if !host.is_empty() && bare == Some(host) {
        return Ok(());
    }
    Err(Fault::new(FaultClass::Forbidden, "requests of web pages elsewhere are not served (`Origin`)"))
}

/// What an instance hears that hands a request on to one that is stopping.
fn stopping() -> Response<AnswerBody> {
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(home::DRAINING, HeaderValue::from_static("1"));
    response
}

fn empty(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(None));
    *response.status_mut() = status;
    response
}
