//! The LLM adapter: the holes of the nine phases, filled for chat in any format.

mod answer;
mod call;
mod crossing;
pub mod deployments;
mod form;
mod images;
pub mod models;
mod prepare;
mod send;
pub(crate) mod stage;

use http::Response;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::usage::Usage;
use tollgate_llm::bound::Bound;
use tollgate_llm::formats::{Address, Shown, Surface};
use tollgate_llm::providers::Operation;

use crate::answer::AnswerBody;
use crate::attempt::Failed;
use crate::inbound::Inbound;
use crate::leg::Leg;
use crate::pipeline::{Protocol, Routed};
use crate::route::{Candidate, ModelTries, Route, Target};
use crate::ticket::Ticket;
use crate::voice::{InFormat, Voice};

pub use answer::Answer;
pub use call::Call;

/// A surface: what clients speak at a path.
#[derive(Clone)]
pub struct Llm {
    /// The format that clients speak.
    pub surface: &'static dyn Surface,
    /// What the path does.
    pub operation: Operation,
    /// What else the address says.
    pub address: InAddress,
}

/// What a request's address says, in formats that put it there.
#[derive(Clone, Debug, Default)]
pub struct InAddress {
    /// The model.
    pub model: Option<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the stream is one JSON array.
    pub array: bool,
}

impl InAddress {
    fn facts(&self) -> Address<'_> {
        Address { model: self.model.as_deref(), stream: self.stream, array: self.array }
    }
}

impl std::fmt::Debug for Llm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Llm({}, {:?})", self.surface.name(), self.operation)
    }
}

impl Voice for Llm {
    fn name(&self) -> &'static str {
        self.surface.name()
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        self.surface.write_error(shown)
    }
}

impl Protocol for Llm {
    type Call = Call;
    type Answer = Answer;
    type Tries = ModelTries;

    fn voice(&self) -> &dyn Voice {
        self
    }

    async fn parse(&self, inbound: Inbound, ticket: &mut Ticket) -> Result<Call, Fault> {
        call::parse(self, inbound, ticket).await
    }

    fn head<'a>(&self, call: &'a Call) -> &'a http::request::Parts {
        &call.head
    }

    fn text<'a>(&self, call: &'a Call) -> &'a str {
        call.text()
    }

    async fn route(&self, call: &Call, ticket: &mut Ticket) -> Result<Routed<ModelTries, Answer>, Fault> {
        if let Some(strict) = ticket.strict() {
            let unbounded = |why: String| unbounded(&strict.words(), &why);
            let bound = Bound::of(self.surface, call.text()).map_err(unbounded)?;
            ticket.bounded(bound);
        }
        let snapshot = &ticket.runtime.snapshot;
        let name = &call.peek.model;
        let Some(found) = snapshot.models.find(name) else {
            return Err(models::not_found(snapshot, name));
        };
        let route = Route::plan(snapshot, name, found.clone());
        // A guess, to compare prices by: nobody knows how long an answer will be.
        const USUAL_ANSWER: u64 = 500;
        let output_tokens = call.peek.max_output_tokens.map_or(USUAL_ANSWER, |max| max.min(USUAL_ANSWER));
        let usage = Usage { output_tokens, ..ticket.prompt_only() };
        let tries = ModelTries::new(ticket.gate(), &ticket.runtime, route, usage);
        ticket.known_model(&found.model.name);
        let runtime = std::sync::Arc::clone(&ticket.runtime);
        let catalog = std::sync::Arc::clone(&ticket.gate().parts.catalog);
        ticket.holds(usage, runtime.candidates(&found, &*catalog).into_iter().map(Target::from));
        Ok(Routed::Upstream(tries))
    }

    async fn send(&self, call: &Call, candidate: &Candidate, leg: &mut Leg) -> Result<Answer, Failed> {
        send::send(self, call, candidate, leg).await
    }

    async fn relay(&self, answer: Answer, ticket: Ticket) -> Response<AnswerBody> {
        answer::relay(answer, ticket, InFormat(self.surface)).await
    }
}

/// A call whose cost has no bound, under a budget that is never passed.
pub(crate) fn unbounded(budget: &str, why: &str) -> Fault {
    Fault::new(FaultClass::Unsupported, format!("the strict {budget} does not allow this call: {why}"))
}

/// A body that is not what the format says.
pub(crate) fn body_fault(error: &tollgate_llm::json::BodyError) -> Fault {
    let fault = Fault::new(FaultClass::Invalid, error.to_string());
    match error {
        tollgate_llm::json::BodyError::Shape { param, .. } if !param.is_empty() => fault.param(param.clone()),
        _ => fault,
    }
}
