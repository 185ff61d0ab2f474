//! Phases 5 and 7 for MCP: what the gate answers itself, and one attempt at a server.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::Direction;
use tollgate_mcp::bridge::{Filter, Notes, Retry, Way, answered};
use tollgate_mcp::json::{Object, quoted};
use tollgate_mcp::message::{Failure, codes, error, response};

use super::aim::Aimed;
use super::ask::message;
use super::audience::Audience;
use super::conversation::{Conversation, Step, Wanted};
use super::link::{Link, LinkError};
use super::listen::Listening;
use super::offer::Offer;
use super::parked::Parks;
use super::relay::Answer;
use super::result::Ended;
use super::tries::ServerCandidate;
use super::{Mcp, answers, operations, subscriptions, trouble};
use crate::attempt::Failed;
use crate::gate::Gate;
use crate::leg::Leg;
use crate::policies::{VIA, via};
use crate::ticket::Ticket;

impl Mcp {
    /// The answer of the gate itself.
    pub(super) async fn here(&self, offer: &Offer, ticket: &mut Ticket) -> Result<Answer, Fault> {
        let asked = self.asked()?;
        let (client, caller) = (&self.client, ticket.caller());
        let mut session = None;
        let result = match asked.method.as_str() {
            "initialize" => {
                let mut client = answers::hello(asked)?;
                let now = ticket.gate().parts.clock.now();
                let seals = &ticket.gate().tools.seals;
                session = seals.begin(&mut client, ticket.principal(), &self.endpoint.address, now);
                if session.is_none() {
                    let why =
                        format!("the client says more of itself than {} bytes", super::session::LARGEST);
                    return Err(Fault::new(FaultClass::Invalid, why).param("capabilities"));
                }
                answers::initialize(offer, &self.endpoint, caller, &client)
            }
            "server/discover" => answers::discover(offer, &self.endpoint, caller, client),
            "tools/list" => {
                let rules = &ticket.runtime.snapshot.policies;
                let whose = (caller, ticket.principal());
                answers::page("tools", &offer.tools_for(whose, rules, client.revision), asked, client, true)?
            }
            "prompts/list" => {
                answers::page("prompts", &offer.prompts_for(caller, client.revision), asked, client, true)?
            }
            "resources/list" => {
                let names = ("resources/list", "resources");
                let entries = offer.entries_for(caller, names, |listed| &listed.resources, client.revision);
                answers::page("resources", &entries, asked, client, true)?
            }
            "resources/templates/list" => {
                let names = ("resources/templates/list", "resourceTemplates");
                let entries = offer.entries_for(caller, names, |listed| &listed.templates, client.revision);
                answers::page("resourceTemplates", &entries, asked, client, true)?
            }
            operations::END => {
                let name = asked.string("operation").unwrap_or_default();
                let mut report = ticket.gate().tools.operations.end(ticket.gate(), &self.whose, &name)?;
                if client.revision.is_stateless() {
                    report["resultType"] = "complete".into();
                }
                report.to_string()
            }
            "subscriptions/listen" => return self.subscribe(offer, ticket).await,
            "logging/setLevel" => {
                let level = answers::level(asked)?;
                if let Some(session) = &client.session {
                    ticket.gate().tools.levels.set(&session.name, level);
                }
                self.set_level(level.name(), offer, ticket).await;
                answers::empty(client)
            }
            _ => answers::empty(client),
        };
        Ok(Answer::Here(response(&asked.id, &result), session))
    }

    /// A stream of what a client without a session wants to be told of.
    async fn subscribe(&self, offer: &Offer, ticket: &Ticket) -> Result<Answer, Fault> {
        let asked = self.asked()?;
        let filter = Filter::of(asked.params.as_deref()).ok_or_else(|| {
            Fault::new(FaultClass::Invalid, "`notifications` says what to listen to").param("notifications")
        })?;
        if !self.takes_events {
            let why = "the stream is one of events: accept text/event-stream";
            return Err(Fault::new(FaultClass::MediaType, why));
        }
        let caller = ticket.caller().cloned();
        let listening =
            Listening::new(ticket.gate(), &self.endpoint, (&self.whose, caller), self.client.clone());
        let listening = listening.subscribed(&asked.id, filter, offer).await;
        Ok(Answer::Listens(Box::new(listening)))
    }

    /// Whether the client wants to be told of a resource, or not any more, which its server does not understand: the gate
    /// does what its server does understand instead.
    async fn watches(
        &self,
        aimed: &Aimed,
        link: &std::sync::Arc<Link>,
        deadline: Instant,
    ) -> Result<Option<Ended>, Fault> {
        let asked = self.asked()?;
        // Of a server that callers share the gate keeps who has subscribed.
        let by_gate = link.revision().is_stateless() || link.server().shared;
        if !by_gate || self.client.revision.is_stateless() {
            return Ok(None);
        }
        let who = self.client.name(&self.whose);
        let uri = aimed.params.as_deref().and_then(Object::read);
        let uri = uri.and_then(|params| params.string("uri").map(std::borrow::Cow::into_owned));
        let uri = uri.unwrap_or_default();
        match asked.method.as_str() {
            "resources/subscribe" => subscriptions::watch(link, (&self.client, who), &uri, deadline).await?,
            "resources/unsubscribe" => subscriptions::unwatch(link, who, &uri, deadline).await?,
            _ => return Ok(None),
        }
        Ok(Some(Ended { message: response(&asked.id, "{}"), fault: None, status: 200, question: false }))
    }

    /// Tells servers that the client is linked to from which level on it wants messages. Those that have none to tell, or
    /// cannot be reached, are no reason to tell the client that something is wrong.
    async fn set_level(&self, level: &str, offer: &Offer, ticket: &Ticket) {
        let gate = ticket.gate();
        let deadline = Instant::now() + Duration::from_secs(10);
        let params = format!("{{\"level\":{}}}", quoted(level));
        for listed in &offer.servers {
            if !tollgate_mcp::capability::has(&listed.capabilities, "logging")
                || listed.revision.is_stateless()
            {
                continue;
            }
            let audience = Audience::of(
                gate,
                &listed.server,
                &self.client,
                (&self.whose, self.endpoint.acting.as_ref()),
            );
            let Ok(link) = gate.tools.link(&listed.server, &audience, &self.client, deadline).await else {
                continue;
            };
            if let Err(fault) = super::ask::ask(&link, "logging/setLevel", Some(&params), deadline).await {
                tracing::debug!(server = &*listed.server.name, %fault, "the level of messages was not set");
            }
        }
    }

    /// One attempt at a server.
    pub(super) async fn send_to(
        &self,
        aimed: &Aimed,
        candidate: &ServerCandidate,
        head: &http::request::Parts,
        leg: &mut Leg,
    ) -> Result<Answer, Failed> {
        let asked = self.asked()?;
        let gate = std::sync::Arc::clone(leg.gate());
        let deadline = leg.arrived + candidate.timeouts().total;
        let wanted = Wanted {
            id: asked.id.clone(),
            method: asked.method.clone(),
            aimed: aimed.clone(),
            client: self.client.clone(),
            hears: self.takes_events,
            headers: headers(leg, head, aimed),
            under_way: self.under_way.clone(),
            renewed: candidate.renewed,
            whose: self.whose.clone(),
            deadline,
        };
        let mut conversation = match self.goes_on(asked.params.as_deref(), aimed, leg).await? {
            Some(conversation) => conversation,
            None => {
                let audience = Audience::of(
                    &gate,
                    &candidate.server,
                    &self.client,
                    (&self.whose, self.endpoint.acting.as_ref()),
                );
                let link = gate.tools.link(&candidate.server, &audience, &self.client, deadline).await;
                let link = link.map_err(|error| trouble::fault(&candidate.server, &error))?;
                if !wanted.renewed && self.was_forgotten(&gate, &link, audience.earlier) {
                    return Err(trouble::fault(link.server(), &LinkError::SessionGone).into());
                }
                leg.shoot(Direction::ToUpstream, aimed.params.as_deref().unwrap_or_default().as_bytes());
                leg.sent();
                if let Some(ended) = self.watches(aimed, &link, deadline).await? {
                    return Ok(Answer::Whole(ended));
                }
                Conversation::begin(&gate, link, wanted).await?
            }
        };
        let parks = Parks {
            id: asked.id.clone(),
            owner: self.whose.clone(),
            // Only a request of a client without a session is ever parked.
            request: match self.client.session {
                None => self.parked_as(asked.params.as_deref(), aimed),
                Some(_) => Vec::new(),
            },
            call_id: leg.call_id,
        };
        loop {
            match conversation.next().await {
                Step::Say(first) if self.takes_events => {
                    return Ok(Answer::Stream(first, Box::new(conversation), parks));
                }
                // The client takes no stream: what is told on the way is not for it.
                Step::Say(_) => {}
                Step::Asks(question) => {
                    return Ok(Answer::Whole(parks.park(&gate, question, conversation)?));
                }
                Step::Ended(ended) => {
                    let ended = ended?;
                    leg.shoot(Direction::FromUpstream, ended.message.as_bytes());
                    return Ok(Answer::Whole(ended));
                }
            }
        }
    }

    /// Whether the server has forgotten what it knew of the client, and the client does not know that.
    fn was_forgotten(&self, gate: &Gate, link: &Link, earlier: bool) -> bool {
        let (remembered, server) = (&gate.tools.remembered, link.server());
        // What a server remembers that callers share is nobody's in particular.
        !server.shared
            && link.remembers()
            && remembered.is_another(self.client.name(&self.whose), &server.name, link.number(), earlier)
    }

    /// The request that the client makes again, where it does, with the server's question answered.
    async fn goes_on(
        &self,
        params: Option<&str>,
        aimed: &Aimed,
        leg: &mut Leg,
    ) -> Result<Option<Conversation>, Failed> {
        let Some((again, token)) = self.again(params) else { return Ok(None) };
        let gate = std::sync::Arc::clone(leg.gate());
        let Some(waiting) = gate.tools.parked.take(&token, &self.whose, &self.parked_as(params, aimed))
        else {
            let why = "the request does not wait here any more: make it anew, without `requestState`";
            return Err(Fault::new(FaultClass::SessionOver, why).param("requestState").into());
        };
        let mut conversation = waiting.conversation;
        let link = std::sync::Arc::clone(conversation.link());
        let question = message(&waiting.question)
            .map_err(|why| trouble::unreadable(link.server(), "its question", &why))?;
        let id = question.id().map(|id| id.raw().to_owned()).unwrap_or_default();
        let way = Way::new(self.client.revision, link.revision());
        let said = match again.answers.iter().find(|(key, _)| key == "1") {
            Some((_, result)) => answered(&id, &question, result, way, &mut Notes::default()),
            None => {
                let message = "the client did not answer".into();
                let failure = Failure { code: codes::INVALID_REQUEST, message, data: None };
                error(Some(&id), &failure, link.revision())
            }
        };
        leg.sent();
        let deadline = leg.arrived + link.server().timeouts.total;
        conversation.goes_on_as(self.asked()?.id.clone(), self.client.clone(), deadline);
        conversation.reply(&said).await?;
        Ok(Some(conversation))
    }

    /// What the client says of an earlier try that waits here, and what it is recognised by.
    pub(super) fn again<'a>(&self, params: Option<&'a str>) -> Option<(Retry<'a>, String)> {
        let again = Retry::of(params).filter(|_| self.client.revision.is_stateless())?;
        let token = again.state.as_deref().filter(|state| state.starts_with(super::parked::MARK))?.to_owned();
        Some((again, token))
    }

    /// What must be the same when the request is made again: what it asks for, of which server, by which contract.
    fn parked_as(&self, params: Option<&str>, aimed: &Aimed) -> Vec<u8> {
        let contract = aimed.tool.as_ref().map_or("", |tool| &tool.contract);
        let of = format!("\n{}\n{contract}", aimed.listed.server.name);
        [self.essence(params), of.into_bytes()].concat()
    }

    /// What the request asks for, apart from who asks and what an earlier try was answered: a retry asks for the same.
    pub(super) fn essence(&self, params: Option<&str>) -> Vec<u8> {
        let method = self.asked.as_ref().map_or("", |asked| asked.method.as_str());
        let Some(mut draft) = params.and_then(Object::read).map(Object::draft) else { return method.into() };
        ["_meta", "inputResponses", "requestState"].iter().for_each(|name| draft.remove(name));
        [method.as_bytes(), b"\n", draft.finish().as_bytes()].concat()
    }
}

/// What a server is told besides: where in the trace it is, which gates the request has passed, and the arguments that it
/// wants to have repeated.
fn headers(leg: &Leg, head: &http::request::Parts, aimed: &Aimed) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(tool) = aimed.tool.as_ref().filter(|tool| !tool.mirrors.is_empty())
        && aimed.listed.revision.is_stateless()
        && let Ok(Some(arguments)) = super::arguments(aimed.params.as_deref())
    {
        for (name, value) in tool.mirrors.headers(&arguments) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
                headers.insert(name, value);
            }
        }
    }
    headers.insert(HeaderName::from_static(VIA), via(head, &leg.gate().parts.instance));
    if let Ok(value) = HeaderValue::from_str(&leg.trace.to_string()) {
        headers.insert(HeaderName::from_static("traceparent"), value);
    }
    headers
}
