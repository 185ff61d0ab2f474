//! Phases 6 and 7: reserve, send, and on failure decide what to try next.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::Instant;
use tollgate_core::fault::Fault;
use tollgate_core::usage::Usage;

use crate::leg::Leg;
use crate::pipeline::{CandidateOf, Protocol};
use crate::route::{Next, Target, Tries};
use crate::ticket::{Ticket, Why};

/// An attempt that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub fault: Fault,
    /// What the provider may bill for it all the same.
    pub billed: Option<Usage>,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, billed: None }
    }
}

/// Phase 6: takes the first candidate that has room, and writes the entry without which nothing may be sent.
pub(crate) async fn reserve<T: Tries>(
    tries: &mut T,
    ticket: &mut Ticket,
) -> Result<Begun<T::Candidate>, Fault> {
    let first = tries.first(Instant::now());
    ticket.decided(tries.decision());
    let candidate = first?;
    let target = candidate.clone().into();
    begin(ticket, candidate, &target, Why::First).await
}

/// An attempt that may be made now, and at what.
pub(crate) struct Begun<C> {
    candidate: C,
    leg: Leg,
}

async fn begin<C>(ticket: &mut Ticket, candidate: C, target: &Target, why: Why) -> Result<Begun<C>, Fault> {
    let leg = ticket.begin(target, why).await?;
    Ok(Begun { candidate, leg })
}

/// Phase 7: attempts until one is answered or nothing is left to try.
pub(crate) async fn run<P: Protocol>(
    protocol: &P,
    call: &P::Call,
    mut tries: P::Tries,
    first: Begun<CandidateOf<P>>,
    ticket: &mut Ticket,
) -> Result<P::Answer, Fault> {
    let mut begun = first;
    loop {
        let started = Instant::now();
        let answer = hedged(protocol, call, &mut tries, begun, ticket).await;
        ticket.waited(started.elapsed());
        let fault = match answer {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let (pause, next) = match tries.next(&fault, Instant::now()) {
            Next::Try(pause, next) => (pause, next),
            Next::Stop => return Err(fault),
        };
        let target: Target = next.clone().into();
        let deadline = ticket.since + target.timeouts().total;
        if Instant::now() + pause >= deadline {
            return Err(fault);
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
            ticket.waited(pause);
        }
        begun = begin(ticket, next, &target, Why::After(fault.class)).await?;
    }
}

/// What became of a leg.
struct Ended<A> {
    number: usize,
    waited: Duration,
    result: Result<A, Failed>,
}

async fn send<P: Protocol>(protocol: &P, call: &P::Call, begun: Begun<CandidateOf<P>>) -> Ended<P::Answer> {
    let Begun { candidate, mut leg } = begun;
    let started = Instant::now();
    let result = protocol.send(call, &candidate, &mut leg).await;
    Ended { number: leg.number, waited: started.elapsed(), result }
}

/// One attempt; a second one beside it, when the configuration wants that.
async fn hedged<P: Protocol>(
    protocol: &P,
    call: &P::Call,
    tries: &mut P::Tries,
    begun: Begun<CandidateOf<P>>,
    ticket: &mut Ticket,
) -> Result<P::Answer, Fault> {
    match ticket.hedge_after() {
        None => ended(ticket, send(protocol, call, begun).await),
        // Boxed: it holds two attempts, and most calls need one.
        Some(patience) => Box::pin(race(protocol, call, tries, begun, patience, ticket)).await,
    }
}

/// One attempt, and a second one at another deployment when the first has not answered after `patience`. Whoever
/// answers first counts, and the other is dropped, which cancels it.
async fn race<P: Protocol>(
    protocol: &P,
    call: &P::Call,
    tries: &mut P::Tries,
    begun: Begun<CandidateOf<P>>,
    patience: Duration,
    ticket: &mut Ticket,
) -> Result<P::Answer, Fault> {
    let mut first = pin!(send(protocol, call, begun));
    if let Ok(early) = tokio::time::timeout(patience, &mut first).await {
        return ended(ticket, early);
    }
    let Some(other) = tries.beside(Instant::now()) else { return ended(ticket, first.await) };
    let target = other.clone().into();
    let Ok(beside) = begin(ticket, other, &target, Why::Beside).await else {
        return ended(ticket, first.await);
    };
    let second = pin!(send(protocol, call, beside));
    let (sooner, later) = match select(first, second).await {
        Either::Left((sooner, later)) => (sooner, Either::Left(later)),
        Either::Right((sooner, later)) => (sooner, Either::Right(later)),
    };
    let Err(failed) = &sooner.result else {
        ticket.supersede_all_but(sooner.number);
        return ended(ticket, sooner);
    };
    tries.failed_beside(ticket.deployment_of(sooner.number), &failed.fault);
    // Noted here; what counts is what becomes of the other.
    let _ = ended(ticket, sooner);
    let later = match later {
        Either::Left(second) => second.await,
        Either::Right(first) => first.await,
    };
    ended(ticket, later)
}

/// Notes what became of a leg, which from now on is the one that counts.
fn ended<A>(ticket: &mut Ticket, ended: Ended<A>) -> Result<A, Fault> {
    ticket.chose(ended.number, ended.waited);
    ended.result.map_err(|failed| {
        ticket.attempt_failed(&failed.fault, failed.billed);
        failed.fault
    })
}
