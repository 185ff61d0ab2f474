//! Phases 8 and 9 for MCP: the answer to the client, whole or as a stream of events, and the end of the call before its last
//! piece leaves.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::Outcome;

use super::conversation::{Conversation, Step};
use super::events::{ALIVE, QUIET, event};
use super::listen::{self, Listening};
use super::parked::Parks;
use super::result::{Ended, with_fault};
use super::voice::{FaultData, McpVoice};
use crate::answer::{AnswerBody, Incomplete};
use crate::reject;
use crate::ticket::Ticket;

/// What is answered.
pub(crate) enum Answer {
    /// This message of the gate's own, and the id of a session that begins with it.
    Here(String, Option<String>),
    /// What the client wants to be told of, for as long as it listens.
    Listens(Box<Listening>),
    /// This message, with which the client is asked whether the call may be made.
    Asks(String),
    /// This message of a server.
    Whole(Ended),
    /// What a server says until it has answered, of which this is the first.
    Stream(String, Box<Conversation>, Parks),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Here(..) => "Here",
            Self::Listens(_) => "Listens",
            Self::Asks(_) => "Asks",
            Self::Whole(_) => "Whole",
            Self::Stream(..) => "Stream",
        })
    }
}

/// Hands `answer` to the client.
pub(super) async fn relay(answer: Answer, mut ticket: Ticket, voice: &McpVoice) -> Response<AnswerBody> {
    ticket.status(200);
    match answer {
        Answer::Here(message, session) => {
            let mut headers = HeaderMap::new();
            if let Some(session) = session.and_then(|id| HeaderValue::from_str(&id).ok()) {
                headers.insert(HeaderName::from_static(super::said::SESSION), session);
            }
            whole(ticket, voice, headers, Ended { message, fault: None, status: 200, question: false }).await
        }
        Answer::Listens(listening) => {
            let head = respond(HeaderMap::new(), &ticket, "text/event-stream");
            ticket.first_byte();
            // What is told later is no part of the call: it may go on for days.
            match ticket.settle(Outcome::Ok, None).await {
                Ok(()) => {
                    let mut response = listen::stream(*listening);
                    response.headers_mut().extend(head.into_parts().0.headers);
                    response
                }
                Err(fault) => reject::stranger(&fault, voice),
            }
        }
        Answer::Asks(message) => {
            let fault = Fault::new(FaultClass::ApprovalPending, "whoever makes the call is asked");
            let ended = Ended { message, fault: Some(fault), status: 200, question: true };
            whole(ticket, voice, HeaderMap::new(), ended).await
        }
        Answer::Whole(ended) => {
            let ended = close(&mut ticket, ended);
            whole(ticket, voice, HeaderMap::new(), ended).await
        }
        Answer::Stream(first, conversation, parks) => {
            let mut response = respond(HeaderMap::new(), &ticket, "text/event-stream");
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            // What stands between must not keep events back (nginx).
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
            ticket.first_byte();
            let (conversation, voice) = (Some((conversation, parks)), voice.clone());
            let talk = Talk { conversation, ticket, voice, first: Some(first), over: false };
            let pieces = stream::unfold(talk, |mut talk| async move {
                let piece = talk.piece().await?;
                Some((piece, talk))
            });
            *response.body_mut() = AnswerBody::Events(Box::pin(pieces));
            response
        }
    }
}

/// Notes how the attempt ended, and puts what is known of a failure beside it.
fn close(ticket: &mut Ticket, ended: Ended) -> Ended {
    let (status, question) = (ended.status, ended.question);
    if question {
        ticket.asks_back();
    }
    match ended.fault {
        None => {
            ticket.attempt_succeeded();
            ended
        }
        Some(fault) => {
            ticket.attempt_failed(&fault, None);
            let data = ticket.show(&fault, |shown| FaultData::of(shown).text());
            let message = with_fault(&ended.message, &data).unwrap_or(ended.message);
            Ended { message, fault: Some(fault), status, question }
        }
    }
}

async fn whole(
    mut ticket: Ticket,
    voice: &McpVoice,
    headers: HeaderMap,
    ended: Ended,
) -> Response<AnswerBody> {
    let Ended { message, fault, status, .. } = ended;
    ticket.status(status);
    ticket.first_byte();
    ticket.sending(message.as_bytes());
    let mut response = respond(headers, &ticket, "application/json");
    let micros = u64::try_from(ticket.overhead().as_micros()).unwrap_or(u64::MAX);
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-tollgate-overhead-us"), HeaderValue::from(micros));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let outcome = match &fault {
        None => Outcome::Ok,
        Some(fault) if fault.class == FaultClass::ApprovalPending => Outcome::Refused,
        Some(_) => Outcome::Failed,
    };
    // An answer that cannot be recorded is not handed over.
    match ticket.settle(outcome, fault.as_ref()).await {
        Ok(()) => {
            *response.body_mut() = AnswerBody::whole(message);
            response
        }
        Err(fault) => reject::stranger(&fault, voice),
    }
}

fn respond(headers: HeaderMap, ticket: &Ticket, content_type: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(None));
    *response.headers_mut() = headers;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reject::identify(ticket, response.headers_mut());
    response
}

/// A conversation on its way to the client.
struct Talk {
    /// What is said, and as what the request waits when the server asks something; `None` once it does.
    conversation: Option<(Box<Conversation>, Parks)>,
    ticket: Ticket,
    voice: McpVoice,
    first: Option<String>,
    over: bool,
}

impl Talk {
    /// The next piece; an error where the answer cannot be completed.
    async fn piece(&mut self) -> Option<Result<Bytes, Incomplete>> {
        if self.over {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(Ok(self.sent(&first)));
        }
        let (conversation, _) = self.conversation.as_mut()?;
        let step = tokio::select! {
            step = conversation.next() => step,
            () = tokio::time::sleep(QUIET) => return Some(Ok(Bytes::from_static(ALIVE))),
        };
        match step {
            Step::Say(message) => Some(Ok(self.sent(&message))),
            Step::Asks(question) => {
                let (conversation, parks) = self.conversation.take()?;
                let gate = std::sync::Arc::clone(self.ticket.gate());
                let asks = parks.park(&gate, question, *conversation);
                Some(self.end(asks).await)
            }
            Step::Ended(ended) => Some(self.end(ended).await),
        }
    }

    fn sent(&mut self, message: &str) -> Bytes {
        let piece = event(message);
        self.ticket.sending(&piece);
        piece
    }

    /// The last piece, once the call is closed.
    async fn end(&mut self, ended: Result<Ended, Fault>) -> Result<Bytes, Incomplete> {
        self.over = true;
        let (message, fault) = match ended {
            Ok(ended) => {
                let Ended { message, fault, .. } = close(&mut self.ticket, ended);
                (message, fault)
            }
            Err(fault) => {
                self.ticket.attempt_failed(&fault, None);
                (self.ticket.show(&fault, |shown| self.voice.message(shown)), Some(fault))
            }
        };
        let piece = self.sent(&message);
        let outcome = match &fault {
            None => Outcome::Ok,
            Some(fault) if fault.class == FaultClass::ClientGone => Outcome::ClientGone,
            Some(_) => Outcome::Failed,
        };
        self.ticket.settle(outcome, fault.as_ref()).await.map_err(|_| Incomplete)?;
        Ok(piece)
    }
}
