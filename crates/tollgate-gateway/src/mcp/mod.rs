//! The MCP adapter: the holes of the nine phases, filled for requests to tool servers. A request for a server is a call,
//! and so is one that the gate answers itself. What belongs to a call that is under way (an answer to a question, a word
//! that it is called off) travels with that call.

mod aim;
pub(crate) mod allowed;
mod answers;
mod ask;
mod audience;
mod bounded;
mod catalogue;
mod client;
mod consent;
mod conversation;
mod door;
mod endpoint;
mod events;
mod home;
mod keeper;
mod levels;
pub mod link;
mod listed;
mod listen;
mod offer;
mod operations;
mod parked;
mod questions;
mod relay;
mod remembered;
mod result;
mod running;
mod said;
mod send;
mod session;
mod stream;
mod subscriptions;
mod tokens;
mod told;
mod tools;
mod tries;
mod trouble;
mod voice;

use std::sync::Arc;

use bytestring::ByteString;
use http::{HeaderMap, Response};
use tokio::sync::mpsc;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::{Cause, ToolUse};
use tollgate_core::usage::Usage;
use tollgate_mcp::json::Object;
use tollgate_mcp::message::response;

use self::aim::{Aim, Aimed, Aiming};
use self::client::Client;
use self::consent::Consent;
pub(crate) use self::door::handle;
use self::endpoint::Endpoint;
use self::relay::Answer;
use self::running::UnderWay;
use self::said::{Asked, Refused};
pub(crate) use self::session::whose;
pub use self::session::{SealKeys, Seals};
pub(crate) use self::tokens::Tokens;
pub use self::tools::Tools;
pub use self::tries::ServerCandidate;
use self::tries::ServerTries;
pub(crate) use self::voice::McpVoice;
use crate::answer::AnswerBody;
use crate::attempt::Failed;
use crate::inbound::Inbound;
use crate::leg::Leg;
use crate::pipeline::{Consulted, Protocol, Routed};
use crate::route::Target;
use crate::ticket::Ticket;
use crate::voice::Voice;

/// One request of a client.
pub(crate) struct Mcp {
    endpoint: Endpoint,
    client: Client,
    asked: Result<Asked, Box<Refused>>,
    voice: McpVoice,
    /// For whom the client speaks.
    whose: String,
    /// Whether the client takes its answer as a stream of events.
    takes_events: bool,
    /// What the client was told whom the gate has asked about an earlier try.
    consent: Option<Consent>,
    /// What keeps the request known as under way, where the client can call it off.
    under_way: Option<Arc<UnderWay>>,
    /// Where the client is asked something while it waits.
    asks: Option<mpsc::Sender<String>>,
}

/// A request that was read.
pub(crate) struct Call {
    head: http::request::Parts,
    text: ByteString,
    aim: Aim,
}

impl Mcp {
    /// What is asked. Only what was read gets here.
    fn asked(&self) -> Result<&Asked, Fault> {
        self.asked.as_ref().map_err(|refused| refused.fault.clone())
    }

    /// What is recorded of a request of which nobody knows yet whom it is for.
    fn unaimed(&self, asked: &Asked) -> ToolUse {
        ToolUse {
            session: self.client.session.as_ref().map(|session| session.name.clone()),
            ..ToolUse::of(&tollgate_mcp::hidden::excerpt(&asked.method, 128))
        }
    }

    /// Notes in `used` what a client says of its tool call to the gate: that it is only to be rehearsed, and to which
    /// operation it belongs.
    fn marks(&self, asked: &Asked, headers: &HeaderMap, used: &mut ToolUse) -> Result<(), Fault> {
        if asked.method != "tools/call" {
            return Ok(());
        }
        let meta = asked.params.as_deref().and_then(Object::read).and_then(|params| params.object("_meta"));
        let rehearsal = is_rehearsal(meta.as_ref());
        // What is unclear is not made, and the record says so.
        used.dry_run = *rehearsal.as_ref().unwrap_or(&true);
        rehearsal?;
        used.operation = operations::of(meta.as_ref(), headers)?;
        Ok(())
    }
}

/// Whether a tool call is only to be rehearsed, as its `_meta` says. What says so in another way than it must is refused:
/// it would be made.
fn is_rehearsal(meta: Option<&Object<'_>>) -> Result<bool, Fault> {
    match meta.and_then(|meta| meta.get(DRY_RUN)) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            let why = format!("`{DRY_RUN}` is neither `true` nor `false`");
            Err(Fault::new(FaultClass::Invalid, why).param("_meta"))
        }
    }
}

/// In the `_meta` of a tool call: it is only to be rehearsed.
const DRY_RUN: &str = "tollgate/dry_run";

/// The arguments in `params`, where there are any.
fn arguments(params: Option<&str>) -> Result<Option<serde_json::Value>, Fault> {
    let params = params.and_then(Object::read);
    let arguments = params.as_ref().and_then(|params| params.get("arguments"));
    let value = arguments.map(serde_json::from_str).transpose();
    value.map_err(|_| Fault::new(FaultClass::Invalid, "the arguments are no JSON").param("arguments"))
}

impl Protocol for Mcp {
    type Call = Call;
    type Answer = Answer;
    type Tries = ServerTries;

    fn voice(&self) -> &dyn Voice {
        &self.voice
    }

    async fn parse(&self, inbound: Inbound, ticket: &mut Ticket) -> Result<Call, Fault> {
        ticket.free();
        let asked = self.asked()?;
        let mut used = self.unaimed(asked);
        let gate = Arc::clone(ticket.gate());
        let (caller, revision) = (ticket.caller(), self.client.revision);
        let aiming = Aiming { gate: &gate, endpoint: &self.endpoint, caller, asked, revision };
        let aim = match self.marks(asked, &inbound.head.headers, &mut used) {
            Ok(()) => aiming.aim(&mut used).await,
            Err(fault) => Err(fault),
        };
        if let Some((_, token)) = self.again(asked.params.as_deref())
            && let Some(call_id) = gate.tools.parked.call_of(&token, &self.whose)
        {
            ticket.caused_by(Cause::Retry { call_id });
        }
        ticket.asks(used, &asked.text);
        let text = ByteString::try_from(asked.text.clone()).unwrap_or_default();
        Ok(Call { head: inbound.head, text, aim: aim? })
    }

    fn head<'a>(&self, call: &'a Call) -> &'a http::request::Parts {
        &call.head
    }

    fn text<'a>(&self, call: &'a Call) -> &'a str {
        &call.text
    }

    /// Arguments are what the tool's schema says, before the server sees them.
    fn guard(&self, call: &Call) -> Result<(), Fault> {
        let Aim::Server(Aimed { tool: Some(tool), params, .. }) = &call.aim else { return Ok(()) };
        let value = arguments(params.as_deref())?;
        if self.client.revision.is_stateless() {
            let said = |name: &str| said::one(&call.head.headers, name);
            let checked = tool.mirrors.check(value.as_ref().unwrap_or(&serde_json::Value::Null), said);
            checked.map_err(|mismatch| Fault::new(FaultClass::HeaderMismatch, mismatch.to_string()))?;
        }
        tool.schemas.arguments(value.as_ref()).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let why = format!("the arguments are not what the tool takes: {}", problems.join("; "));
            Fault::new(FaultClass::InvalidArguments, why).param("arguments")
        })
    }

    fn arguments(&self, call: &Call) -> String {
        let Aim::Server(Aimed { params, .. }) = &call.aim else { return "{}".to_owned() };
        let params = params.as_deref().and_then(Object::read);
        params
            .and_then(|params| params.get("arguments").map(str::to_owned))
            .unwrap_or_else(|| "{}".to_owned())
    }

    fn rehearse(&self, _call: &Call, held: Option<&str>, ticket: &Ticket) -> Option<Answer> {
        let used = ticket.tool().filter(|used| used.dry_run)?;
        let result = consent::rehearsed(used, held, self.client.revision.is_stateless());
        Some(Answer::Here(response(&self.asked().ok()?.id, &result), None))
    }

    async fn consult(&self, call: &Call, ticket: &mut Ticket, id: &str) -> Result<Consulted<Answer>, Fault> {
        self.ask_caller(&self.arguments(call), ticket, id).await
    }

    /// A tool that has changed since is another one, and what was approved was not this. So is one of a server that is
    /// reached in another way by now.
    async fn still(&self, call: &mut Call, ticket: &Ticket) -> Result<(), Fault> {
        let asked = self.asked()?;
        let (caller, revision) = (ticket.caller(), self.client.revision);
        let mut now = self.unaimed(asked);
        let endpoint = Endpoint::at(&self.endpoint.address, &ticket.runtime.snapshot, caller)?;
        let aiming = Aiming { gate: ticket.gate(), endpoint: &endpoint, caller, asked, revision };
        let aim = aiming.aim(&mut now).await?;
        let same_server = match (&call.aim, &aim) {
            (Aim::Server(before), Aim::Server(now)) => before.listed.server == now.listed.server,
            _ => false,
        };
        if same_server && ticket.tool().is_some_and(|before| before.contract == now.contract) {
            call.aim = aim;
            return Ok(());
        }
        Err(Fault::new(FaultClass::ToolHeld, "the tool has changed while the call waited; list it again"))
    }

    async fn route(&self, call: &Call, ticket: &mut Ticket) -> Result<Routed<ServerTries, Answer>, Fault> {
        match &call.aim {
            // Boxed: what is for a server does not carry it.
            Aim::Gate(offer) => Box::pin(self.here(offer, ticket)).await.map(Routed::Here),
            Aim::Server(aimed) => {
                let runtime = Arc::clone(&ticket.runtime);
                let server = Arc::clone(&aimed.listed.server);
                let health = runtime.health_of_server(&server.name);
                let candidate = ServerCandidate { server, health, renewed: false };
                ticket.holds(Usage::default(), std::iter::once(Target::from(candidate.clone())));
                Ok(Routed::Upstream(ServerTries::new(ticket.gate(), &runtime, candidate, aimed.repeatable)))
            }
        }
    }

    async fn send(&self, call: &Call, candidate: &ServerCandidate, leg: &mut Leg) -> Result<Answer, Failed> {
        let Aim::Server(aimed) = &call.aim else {
            return Err(Fault::new(FaultClass::Internal, "nobody to send it to").into());
        };
        self.send_to(aimed, candidate, &call.head, leg).await
    }

    async fn relay(&self, answer: Answer, ticket: Ticket) -> Response<AnswerBody> {
        relay::relay(answer, ticket, &self.voice).await
    }
}
