//! The nine phases. Protocol adapters and policies fill holes in it; none can skip a phase.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tollgate_core::config::approvals::Approver;
use tollgate_core::fault::Fault;

use crate::answer::AnswerBody;
use crate::gate::{Gate, Runtime};
use crate::identify::Identified;
use crate::inbound::Inbound;
use crate::leg::Leg;
use crate::policies::holds::{self, Held};
use crate::route::Tries;
use crate::ticket::Ticket;
use crate::voice::Voice;
use crate::{attempt, guardrails, identify, policies, reject};

/// What a protocol adapter fills in.
pub trait Protocol: Sized + Sync {
    /// What phase 2 reads from a request.
    type Call: Send + Sync;
    /// What an upstream answers, ready to be relayed.
    type Answer: Send;

    /// What phase 5 decides.
    type Tries: Tries;

    /// How its clients are told of faults.
    fn voice(&self) -> &dyn Voice;

    /// Phase 2: reads only what the gate needs; the body stays bytes.
    fn parse(
        &self,
        inbound: Inbound,
        ticket: &mut Ticket,
    ) -> impl Future<Output = Result<Self::Call, Fault>> + Send;

    /// The head of the request, for policies.
    fn head<'a>(&self, call: &'a Self::Call) -> &'a http::request::Parts;

    /// The text of the request, for guardrails.
    fn text<'a>(&self, call: &'a Self::Call) -> &'a str;

    /// Phase 4, where only the protocol can tell: whether what is asked is what it must be.
    fn guard(&self, _call: &Self::Call) -> Result<(), Fault> {
        Ok(())
    }

    /// The arguments of the call, JSON: for rules, and for whoever is asked to let it pass.
    fn arguments(&self, _call: &Self::Call) -> String {
        "{}".to_owned()
    }

    /// What the call would do, where it is only rehearsed; `held` says why somebody would have to approve it.
    fn rehearse(&self, _call: &Self::Call, _held: Option<&str>, _ticket: &Ticket) -> Option<Self::Answer> {
        None
    }

    /// Asks whoever makes the call whether it may be made, of which nobody has decided yet on the approval `id`.
    fn consult(
        &self,
        _call: &Self::Call,
        _ticket: &mut Ticket,
        _id: &str,
    ) -> impl Future<Output = Result<Consulted<Self::Answer>, Fault>> + Send {
        std::future::ready(Ok(Consulted::Nobody))
    }

    /// Whether the call is still aimed at what it was aimed at, after somebody took the time to let it pass; it is aimed anew.
    fn still(
        &self,
        _call: &mut Self::Call,
        _ticket: &Ticket,
    ) -> impl Future<Output = Result<(), Fault>> + Send {
        std::future::ready(Ok(()))
    }

    /// Phase 5: what to try, in which order; or the answer, where the gate has it itself.
    fn route(
        &self,
        call: &Self::Call,
        ticket: &mut Ticket,
    ) -> impl Future<Output = Result<Routed<Self::Tries, Self::Answer>, Fault>> + Send;

    /// Phase 7: one attempt at one upstream.
    fn send(
        &self,
        call: &Self::Call,
        candidate: &CandidateOf<Self>,
        leg: &mut Leg,
    ) -> impl Future<Output = Result<Self::Answer, attempt::Failed>> + Send;

    /// Phases 8 and 9: streams the answer through the meter; the ticket is closed before its last piece leaves.
    fn relay(
        &self,
        answer: Self::Answer,
        ticket: Ticket,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// What whoever makes a call says to it.
#[derive(Debug)]
pub enum Consulted<A> {
    /// There is nobody who can be asked, or they do not decide.
    Nobody,
    /// It may be made, or not.
    Says(bool),
    /// They are asked in this answer, and make the call again when they have decided.
    Asks(A),
}

/// Where an answer comes from.
#[derive(Debug)]
pub enum Routed<T, A> {
    /// From whatever of these answers.
    Upstream(T),
    /// From the gate itself: nothing is sent.
    Here(A),
}

/// What a protocol makes attempts at.
pub type CandidateOf<P> = <<P as Protocol>::Tries as Tries>::Candidate;

/// Takes one request through the nine phases.
pub async fn run<P: Protocol>(gate: &Arc<Gate>, protocol: &P, inbound: Inbound) -> Response<AnswerBody> {
    let runtime = gate.runtime();
    // 1 identify
    let identified = identify::identify(gate, &runtime.snapshot, &inbound).await;
    match identified {
        Ok(identified) => run_for(gate, runtime, identified, protocol, inbound).await,
        Err(fault) => refuse_stranger(gate, &fault, protocol.voice(), inbound.peer),
    }
}

/// Takes one request of somebody who has been identified through the rest of the phases.
pub(crate) async fn run_for<P: Protocol>(
    gate: &Arc<Gate>,
    runtime: Arc<Runtime>,
    identified: Identified,
    protocol: &P,
    inbound: Inbound,
) -> Response<AnswerBody> {
    let mut ticket = Ticket::new(gate, runtime, protocol.voice().name(), identified, &inbound);
    match phases(gate, protocol, inbound, &mut ticket).await {
        // 8 relay, 9 settle
        Ok(answer) => protocol.relay(answer, ticket).await,
        Err(fault) => reject::call(ticket, &fault, protocol.voice()).await,
    }
}

async fn phases<P: Protocol>(
    gate: &Gate,
    protocol: &P,
    inbound: Inbound,
    ticket: &mut Ticket,
) -> Result<P::Answer, Fault> {
    // 2 parse
    let mut call = protocol.parse(inbound, ticket).await?;
    let mut held = may(gate, protocol, &call, ticket)?;
    if let Some(answer) = protocol.rehearse(&call, held.as_deref(), ticket) {
        return Ok(answer);
    }
    while let Some(why) = held {
        // Boxed: few calls are held.
        if let Some(asks) = Box::pin(let_pass(gate, protocol, &call, ticket, &why)).await? {
            return Ok(asks);
        }
        // What was approved is held to what is in force by now.
        ticket.renew()?;
        protocol.still(&mut call, ticket).await?;
        held = may(gate, protocol, &call, ticket)?;
    }
    // 5 route
    let mut tries = match protocol.route(&call, ticket).await? {
        Routed::Upstream(tries) => tries,
        Routed::Here(answer) => return Ok(answer),
    };
    // 6 reserve
    let first = attempt::reserve(&mut tries, ticket).await?;
    // 7 attempt
    attempt::run(protocol, &call, tries, first, ticket).await
}

/// Waits until somebody lets the call pass that is held: whoever makes it, where the configuration says so, or somebody
/// else. Returns the answer with which whoever makes it is asked, where that is how they are.
async fn let_pass<P: Protocol>(
    gate: &Gate,
    protocol: &P,
    call: &P::Call,
    ticket: &mut Ticket,
    why: &str,
) -> Result<Option<P::Answer>, Fault> {
    let arguments = protocol.arguments(call);
    let (own, wait) = {
        let holds = &ticket.runtime.snapshot.holds;
        (holds.approver == Approver::Caller, holds.wait)
    };
    let begun = tokio::time::Instant::now();
    if own {
        let Held::Pending(id) = holds::ask(gate, ticket, why, &arguments, Duration::ZERO).await? else {
            return Ok(None);
        };
        match protocol.consult(call, ticket, &id).await? {
            Consulted::Nobody => {}
            Consulted::Asks(answer) => return Ok(Some(answer)),
            Consulted::Says(allows) => {
                let decided = gate.parts.approvals.decide(ticket.principal(), &id, allows).await;
                // Somebody else may have been faster: then that holds.
                if let Err(why) = decided {
                    tracing::debug!(why, "what a caller has decided on its call does not count");
                }
            }
        }
    }
    match holds::ask(gate, ticket, why, &arguments, wait.saturating_sub(begun.elapsed())).await? {
        Held::Passed => Ok(None),
        Held::Pending(id) => Err(holds::pending(&id)),
    }
}

/// Phases 3 and 4: whether the call may be made; or why somebody must approve it first.
fn may<P: Protocol>(
    gate: &Gate,
    protocol: &P,
    call: &P::Call,
    ticket: &Ticket,
) -> Result<Option<String>, Fault> {
    // 3 authorize
    let held = policies::authorize(gate, protocol.head(call), ticket, || protocol.arguments(call))?;
    // 4 guard: nobody is asked to approve what cannot be made
    guardrails::check_input(protocol.text(call), &ticket.runtime.snapshot)?;
    protocol.guard(call)?;
    Ok(held)
}

/// Refuses whoever could not be identified: counted and rolled up, not recorded one by one, so that strangers cannot
/// fill the journal.
pub(crate) fn refuse_stranger(
    gate: &Gate,
    fault: &Fault,
    voice: &dyn Voice,
    peer: Option<IpAddr>,
) -> Response<AnswerBody> {
    let labels = crate::metrics::StrangerLabels { reason: fault.class.name() };
    gate.metrics.strangers.get_or_create(&labels).inc();
    gate.strangers.refused(fault.class.name(), peer);
    tracing::debug!(fault = fault.class.name(), "refused a stranger");
    reject::stranger(fault, voice)
}
