//! Phase 8 for streams: from the upstream's connection to the client's, piece by piece, through the meter.
//!
//! Nothing runs beside it: the client's connection asks for the next piece, and only then is the upstream read.
//! So a slow client slows the upstream down, and a client that goes away drops all of this, which cancels the
//! upstream and closes the call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};
use tollgate_core::fault::{Fault, FaultClass, UpstreamError};
use tollgate_core::ports::Safe;
use tollgate_core::record::{Direction, Outcome};
use tollgate_core::usage::{Usage, UsageSource, estimate_tokens};
use tollgate_llm::event_stream::Broken;
use tollgate_llm::formats::{AnswerFor, Surface, classify};
use tollgate_llm::framing::{EventReader, Framing};
use tollgate_llm::sse::SseEvent;
use tollgate_llm::tool_facts;

use crate::answer::Incomplete;
use crate::explain::{explained, timed_out};
use crate::llm::stage::{Fed, Stage};
use crate::ticket::{Film, Ticket};
use crate::upstream::UpstreamBody;

/// An upstream's stream on its way through the meter.
#[derive(Debug)]
pub struct Stream {
    body: UpstreamBody,
    reader: EventReader,
    stage: Stage,
    /// What is ready for the client.
    ready: Vec<u8>,
    ended: Option<End>,
    /// Keeps what the upstream sends, and of which attempt.
    film: Option<(Arc<Film>, u32)>,
}

/// Comments that are kept for the client before the answer begins.
const MOST_BEFORE_BEGIN: usize = 64 << 10;

/// How a stream ended.
#[derive(Debug)]
enum End {
    Complete,
    Failed(Fault),
}

impl Stream {
    /// A stream that has not been read yet.
    pub fn new(
        body: UpstreamBody,
        stage: Stage,
        framing: Framing,
        event_limit: usize,
        film: Option<(Arc<Film>, u32)>,
    ) -> Self {
        let reader = EventReader::new(framing, event_limit);
        Self { body, reader, stage, ready: Vec::new(), ended: None, film }
    }

    /// Reads until there is something for the client, or the stream has failed.
    pub async fn first(&mut self) -> Result<(), Fault> {
        while self.ended.is_none() && !self.stage.has_begun() {
            let piece = self.body.piece().await;
            self.take(piece);
        }
        match self.ended.take_if(|end| matches!(end, End::Failed(_))) {
            Some(End::Failed(fault)) => Err(fault),
            _ => Ok(()),
        }
    }

    /// Takes the next piece of the upstream's body.
    fn take(&mut self, piece: Option<Result<Bytes, String>>) {
        match piece {
            Some(Ok(bytes)) => {
                if let Some((film, attempt)) = &self.film {
                    film.shoot(Direction::FromUpstream, Some(*attempt), &bytes);
                }
                self.reader.push(&bytes);
                self.feed();
            }
            Some(Err(why)) => self.broke_off(&why),
            None => {
                if let Some(event) = self.reader.finish() {
                    self.feed_event(&event);
                }
                if self.ended.is_none() {
                    if self.stage.end(&mut self.ready) {
                        self.ended = Some(End::Complete);
                    } else {
                        self.broke_off("it ended without its last event");
                    }
                }
            }
        }
    }

    fn broke_off(&mut self, why: &str) {
        let message = format!("the upstream's answer broke off: {why}");
        self.ended.get_or_insert(End::Failed(Fault::new(FaultClass::Cut, message)));
    }

    fn feed(&mut self) {
        while self.ended.is_none() {
            match self.reader.next_event() {
                Ok(Some(event)) => self.feed_event(&event),
                Ok(None) => return,
                Err(Broken::TooLarge) => {
                    self.fail_garbage("an event is larger than limits.stream_event_bytes");
                }
                Err(Broken::Corrupt(why)) => self.fail_garbage(&why),
            }
        }
    }

    fn feed_event(&mut self, event: &SseEvent) {
        match self.stage.feed(event, &mut self.ready) {
            Fed::More if !self.stage.has_begun() && self.ready.len() > MOST_BEFORE_BEGIN => {
                self.fail_garbage("it sends comments and no answer");
            }
            Fed::More => {}
            Fed::Last => self.ended = Some(End::Complete),
            Fed::Failed(error) => self.ended = Some(End::Failed(stream_fault(error))),
            Fed::Garbage(why) => self.fail_garbage(&why),
        }
    }

    fn fail_garbage(&mut self, why: &str) {
        let message = format!("the upstream's stream cannot be read: {why}");
        self.ended = Some(End::Failed(Fault::new(FaultClass::BadUpstream, message)));
    }

    /// What the provider bills: what it reported, or an estimate from what passed.
    pub fn usage(&self, prompt: Usage) -> Usage {
        let complete = matches!(self.ended, Some(End::Complete));
        let estimated = Usage { output_tokens: estimate_tokens(self.stage.content_bytes()), ..prompt };
        match self.stage.usage() {
            Some(reported) if complete => reported,
            // The beginning of a stream tells the input; the output is what came before the break.
            Some(reported) if reported.input_tokens > 0 => Usage {
                output_tokens: reported.output_tokens.max(estimated.output_tokens),
                source: UsageSource::Estimated,
                ..reported
            },
            _ => estimated,
        }
    }
}

fn stream_fault(error: UpstreamError) -> Fault {
    let class = classify(&error);
    Fault { upstream: Some(Box::new(error.clone())), ..Fault::new(class, error.message) }
}

/// A stream on its way to a client.
pub struct Relay {
    stream: Stream,
    ticket: Ticket,
    surface: &'static dyn Surface,
    answer: AnswerFor,
    timer: Pin<Box<Sleep>>,
    idle: Duration,
    deadline: Instant,
    progress: Progress,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// How far a relay is.
enum Progress {
    /// Pieces pass.
    Passing,
    /// It is settled; its last piece waits until the record is safe.
    Settling(Safe),
    /// It is settled, and the last piece may leave.
    Settled,
    /// It cannot be recorded: the last piece does not leave, and the client must notice.
    Unrecorded,
    /// Everything has been handed over.
    Over,
}

impl Relay {
    /// `stream`, for the client that holds `ticket`.
    pub fn new(stream: Stream, mut ticket: Ticket, surface: &'static dyn Surface, answer: AnswerFor) -> Self {
        let timeouts = ticket.target().map(|target| *target.timeouts());
        let idle = timeouts.map_or(Duration::MAX, |t| t.idle);
        let total = timeouts.map_or(Duration::MAX, |t| t.total);
        let deadline = ticket.arrived + total;
        ticket.first_byte();
        let timer = Box::pin(tokio::time::sleep_until(deadline.min(Instant::now() + idle)));
        Self { stream, ticket, surface, answer, timer, idle, deadline, progress: Progress::Passing }
    }

    /// Whether everything has been handed over.
    pub fn is_finished(&self) -> bool {
        matches!(self.progress, Progress::Over)
    }

    /// The next piece for the client; an error where the answer cannot be completed.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Incomplete>>> {
        loop {
            match &mut self.progress {
                Progress::Over => return Poll::Ready(None),
                Progress::Unrecorded => {
                    self.progress = Progress::Over;
                    return Poll::Ready(Some(Err(Incomplete)));
                }
                Progress::Settling(safe) => {
                    let safe = std::task::ready!(safe.as_mut().poll(cx));
                    self.progress = if safe.is_ok() { Progress::Settled } else { Progress::Unrecorded };
                }
                Progress::Settled => {
                    self.progress = Progress::Over;
                    let last = std::mem::take(&mut self.stream.ready);
                    return Poll::Ready((!last.is_empty()).then(|| Ok(last.into())));
                }
                Progress::Passing => {
                    if let Some(piece) = std::task::ready!(self.poll_passing(cx)) {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
            }
        }
    }

    /// The next piece before the last; `None` once the stream has ended and is settled.
    fn poll_passing(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            // Also where the upstream always has more and the client is slow to take it.
            if self.stream.ended.is_none() && Instant::now() >= self.deadline {
                self.stream.ended = Some(End::Failed(self.too_slow()));
            }
            if self.stream.ended.is_some() {
                // Settled before the last piece leaves.
                self.progress = match self.settle() {
                    Ok(Some(safe)) => Progress::Settling(safe),
                    Ok(None) => Progress::Settled,
                    Err(_) => Progress::Unrecorded,
                };
                return Poll::Ready(None);
            }
            if !self.stream.ready.is_empty() {
                let piece = std::mem::take(&mut self.stream.ready);
                self.ticket.sending(&piece);
                return Poll::Ready(Some(piece.into()));
            }
            match self.stream.body.poll_piece(cx) {
                Poll::Ready(piece) => {
                    self.timer.as_mut().reset(self.deadline.min(Instant::now() + self.idle));
                    self.stream.take(piece);
                }
                Poll::Pending => {
                    std::task::ready!(self.timer.as_mut().poll(cx));
                    self.stream.ended = Some(End::Failed(self.too_slow()));
                }
            }
        }
    }

    fn too_slow(&self) -> Fault {
        if Instant::now() >= self.deadline {
            let total = self.deadline.duration_since(self.ticket.arrived);
            timed_out("the call did not end", total, "total_ms")
        } else {
            timed_out("the upstream's stream did not go on", self.idle, "idle_ms")
        }
    }

    /// Phase 9, on the way out: usage, the record, and an error event where the stream failed.
    fn settle(&mut self) -> Result<Option<Safe>, Fault> {
        self.hear();
        let usage = self.stream.usage(self.ticket.prompt_only());
        match self.stream.ended.take() {
            Some(End::Failed(fault)) => {
                let fault = match self.ticket.target() {
                    Some(target) => explained(fault, target),
                    None => fault,
                };
                self.ticket.attempt_failed(&fault, Some(usage));
                let event =
                    self.ticket.show(&fault, |shown| self.surface.write_stream_error(shown, &self.answer));
                self.stream.ready.extend(event);
                self.ticket.sending(&self.stream.ready);
                self.ticket.close(Outcome::Failed, Some(&fault))
            }
            _ => {
                self.ticket.charge(usage);
                self.ticket.attempt_succeeded();
                self.ticket.sending(&self.stream.ready);
                self.ticket.close(Outcome::Ok, None)
            }
        }
    }

    /// Notes what the answer said, for whoever wants to know.
    fn hear(&mut self) {
        let Some(said) = self.stream.stage.heard() else { return };
        self.ticket.model_chose(tool_facts::chosen(&said));
        if let Some(film) = self.ticket.film().filter(|film| !film.keeps_pieces()) {
            let attempt = u32::try_from(self.ticket.attempts()).ok();
            film.shoot(Direction::FromUpstream, attempt, tool_facts::transcript(&said).as_bytes());
        }
    }
}

impl Drop for Relay {
    /// Nobody reads on: what has passed is billed all the same.
    fn drop(&mut self) {
        if matches!(self.progress, Progress::Passing) {
            self.hear();
            self.ticket.charge(self.stream.usage(self.ticket.prompt_only()));
            let fault = self.ticket.gone();
            self.ticket.close_gone(&fault);
        }
    }
}
