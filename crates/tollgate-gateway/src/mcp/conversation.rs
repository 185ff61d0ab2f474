//! One request of a client at one server: what the server tells and asks until it has answered, in the client's words.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::bridge::{Answer, InputRequired, Notes, Way, answer, retry, say, wanted};
use tollgate_mcp::json::Object;
use tollgate_mcp::message::{Failure, Message, codes, error, request};
use tollgate_mcp::method::{Fate, fate};

use super::aim::Aimed;
use super::ask::{in_words, message};
use super::client::Client;
use super::link::{Exchange, Heard, Link, LinkError};
use super::questions::{MOST_AT_ONCE, Question, Waits};
use super::result::{Ended, ended};
use super::running::UnderWay;
use super::trouble;
use crate::attempt::Failed;
use crate::gate::Gate;

/// How often a stateless server may ask something of one request.
const MOST_ROUNDS: u32 = 32;

/// What happens next in a conversation.
#[derive(Debug)]
pub(crate) enum Step {
    /// This is said to the client.
    Say(String),
    /// The server has asked this of a client that can only be asked in an answer: the message, as the server sent it.
    Asks(Bytes),
    /// It is over.
    Ended(Result<Ended, Fault>),
}

/// What a client asked of a server.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The request's id, as the client wrote it.
    pub(crate) id: String,
    /// The method, as the client named it.
    pub(crate) method: String,
    /// For whom it is.
    pub(crate) aimed: Aimed,
    /// Who asks.
    pub(crate) client: Client,
    /// Whether the client hears what is said before the answer.
    pub(crate) hears: bool,
    /// For whom the client speaks.
    pub(crate) whose: String,
    /// What the server is told besides: the trace.
    pub(crate) headers: HeaderMap,
    /// What keeps it known as under way, where the client can call it off.
    pub(super) under_way: Option<Arc<UnderWay>>,
    /// Whether the server has forgotten what it knew of the client, who is told so with the answer.
    pub(crate) renewed: bool,
    /// Until when it must be over.
    pub(crate) deadline: Instant,
}

/// A request of a client at a server.
pub(crate) struct Conversation {
    gate: Arc<Gate>,
    link: Arc<Link>,
    exchange: Exchange,
    wanted: Wanted,
    /// Questions that the client was asked and has not answered.
    open: Vec<String>,
    /// The round of a stateless server's questions that is under way.
    round: Option<Round>,
    rounds: u32,
    /// Where the client's answers come, once it was asked something on a stateless server's behalf.
    answers: Option<(mpsc::Sender<Given>, mpsc::Receiver<Given>)>,
    /// What is still to be said before anything else is listened to.
    ready: Vec<String>,
}

/// An answer of the client: by what the server knows the question, and the result.
pub(super) type Given = (String, String);

/// Questions that a stateless server wants answered before it goes on.
#[derive(Debug)]
struct Round {
    /// How many answers are missing.
    missing: usize,
    answered: Vec<(String, String)>,
    /// What the server wants to hear again, as it is written.
    state: Option<String>,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("method", &self.wanted.method).finish_non_exhaustive()
    }
}

impl Conversation {
    /// Asks the server.
    pub(crate) async fn begin(gate: &Arc<Gate>, link: Arc<Link>, wanted: Wanted) -> Result<Self, Failed> {
        let exchange = asked(&link, &wanted).await?;
        Ok(Self {
            gate: Arc::clone(gate),
            link,
            exchange,
            wanted,
            open: Vec::new(),
            round: None,
            rounds: 0,
            answers: None,
            ready: Vec::new(),
        })
    }

    /// Takes over a request that a stateless client makes again: what is answered is answered to that one.
    pub(crate) fn goes_on_as(&mut self, id: String, client: Client, deadline: Instant) {
        (self.wanted.id, self.wanted.client, self.wanted.deadline) = (id, client, deadline);
    }

    /// Answers the question with which it was interrupted: the message, in the server's words.
    pub(crate) async fn reply(&mut self, said: &str) -> Result<(), Fault> {
        self.link.answer(said).await.map_err(|error| trouble::fault(self.link.server(), &error))
    }

    /// The link that it goes over.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// From the server to the client.
    fn back(&self) -> Way {
        Way::new(self.link.revision(), self.wanted.client.revision)
    }

    /// What happens next.
    pub(crate) async fn next(&mut self) -> Step {
        loop {
            if let Some(message) = self.ready.pop() {
                return Step::Say(message);
            }
            let heard = tokio::select! {
                heard = self.exchange.next() => heard,
                (key, result) = given(&mut self.answers) => {
                    match self.answered(key, result).await {
                        Ok(()) => continue,
                        Err(fault) => return Step::Ended(Err(fault)),
                    }
                }
                () = called_off(self.wanted.under_way.as_deref()) => return Step::Ended(Err(called_off_fault())),
                () = tokio::time::sleep_until(self.wanted.deadline) => return Step::Ended(Err(self.too_late())),
            };
            let step = match heard {
                Err(error) => Some(Step::Ended(Err(trouble::fault(self.link.server(), &error)))),
                Ok(Heard::Notification(text)) => self.notified(&text).map(Step::Say),
                Ok(Heard::Request(text)) => self.asks(text).await,
                Ok(Heard::Answer(text)) => self.answers(&text).await,
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// A notification of the server in the client's words, where the client hears it.
    fn notified(&self, text: &[u8]) -> Option<String> {
        let way = self.back();
        let told = message(text).ok()?;
        let method = told.method()?;
        if fate(method, way.to) != Fate::Forward {
            return None;
        }
        let stateless_log = method == "notifications/message" && way.to.is_stateless();
        if stateless_log && !wanted(told.params().unwrap_or("{}"), self.wanted.client.log_level) {
            return None;
        }
        say(&told, way, None, &mut Notes::default()).ok().map(|said| said.into_owned())
    }

    /// The server asks the client something.
    async fn asks(&mut self, text: Bytes) -> Option<Step> {
        let way = self.back();
        let question = message(&text).ok()?;
        let id = question.id()?.raw().to_owned();
        let method = question.method().unwrap_or_default().to_owned();
        let capability = asked_capability(&question);
        if capability.is_some_and(|capability| !self.wanted.client.can(capability))
            || self.open.len() >= MOST_AT_ONCE
        {
            self.refuse(&id, "the client cannot be asked this: it does not have the capability").await;
            return None;
        }
        let Some(session) = self.wanted.client.session.clone() else {
            if way.to.is_stateless()
                && matches!(method.as_str(), "sampling/createMessage" | "elicitation/create" | "roots/list")
            {
                return Some(Step::Asks(text));
            }
            self.refuse(&id, "the client cannot be asked anything: it has no session").await;
            return None;
        };
        if !self.wanted.hears {
            self.refuse(&id, "the client takes its answer alone, and cannot be asked anything before").await;
            return None;
        }
        let said = match fate(&method, way.to) {
            Fate::Forward => say(&question, way, None, &mut Notes::default()),
            Fate::Instead(_) => {
                self.refuse(&id, "the client's revision of the protocol has no way to be asked this").await;
                return None;
            }
        };
        let said = match said {
            Ok(said) => said.into_owned(),
            Err(why) => {
                self.refuse(&id, &why.to_string()).await;
                return None;
            }
        };
        let waits = Waits::Server(Arc::clone(&self.link), question.text().to_owned());
        let question = Question { session: session.name, revision: way.to, waits };
        let ours = self.gate.tools.questions.open(question);
        self.open.push(ours.clone());
        with_id(&said, &ours).map(Step::Say)
    }

    /// Tells the server that its question has no answer.
    async fn refuse(&mut self, id: &str, why: &str) {
        let failure = Failure { code: codes::INVALID_REQUEST, message: why.into(), data: None };
        // A link that is broken ends the exchange, too.
        let _ = self.link.answer(&error(Some(id), &failure, self.link.revision())).await;
    }

    /// The server has answered, or wants to know something first.
    async fn answers(&mut self, text: &[u8]) -> Option<Step> {
        let way = self.back();
        let heard = match message(text) {
            Ok(heard) => heard,
            Err(why) => {
                return Some(Step::Ended(Err(trouble::unreadable(
                    self.link.server(),
                    &self.wanted.method,
                    &why,
                ))));
            }
        };
        match answer(&heard, &self.wanted.method, way, None, &mut Notes::default()) {
            Answer::Says(said) => {
                let said = with_id(&said, &self.wanted.id).unwrap_or_default();
                let (client, server) = (self.wanted.client.name(&self.wanted.whose), self.link.server());
                self.gate.tools.remembered.knows(client, &server.name, self.link.number());
                Some(Step::Ended(ended(&self.wanted, self.link.server(), &heard, said)))
            }
            Answer::Asks(asks) => self.ask_client(&asks).err().map(|fault| Step::Ended(Err(fault))),
            Answer::Unknown(kind) => {
                let why =
                    format!("its result is of the kind {kind:?}, which the client's revision does not have");
                Some(Step::Ended(Err(trouble::unreadable(self.link.server(), &self.wanted.method, &why))))
            }
        }
    }

    /// Asks a stateful client what a stateless server wants to know.
    fn ask_client(&mut self, asks: &InputRequired<'_>) -> Result<(), Fault> {
        let unsupported =
            |why: String| Fault::new(FaultClass::Unsupported, format!("{}: {why}", self.link.server().name));
        self.rounds += 1;
        if self.rounds > MOST_ROUNDS || asks.asked.len() > MOST_AT_ONCE {
            return Err(unsupported("the server asks more than a call may take".to_owned()));
        }
        let session = match &self.wanted.client.session {
            Some(session) => session.name.clone(),
            None if asks.asked.is_empty() => String::new(),
            None => {
                return Err(unsupported(
                    "the server wants to ask the client something, and the client has no session".to_owned(),
                ));
            }
        };
        let revision = self.wanted.client.revision;
        let answers = &self.answers.get_or_insert_with(|| mpsc::channel(MOST_AT_ONCE)).0;
        for asked in &asks.asked {
            if asked.capability().is_none_or(|capability| !self.wanted.client.can(capability)) {
                return Err(unsupported(format!(
                    "the server asks for {}, which the client cannot do",
                    asked.method
                )));
            }
            let waits = Waits::Request(
                answers.clone(),
                asked.key.clone().into_owned(),
                asked.method.clone().into_owned(),
            );
            let ours = self.gate.tools.questions.open(Question { session: session.clone(), revision, waits });
            self.open.push(ours.clone());
            let said = asked
                .request(&ours, revision, &mut Notes::default())
                .map_err(|why| unsupported(why.to_string()))?;
            self.ready.push(said);
        }
        self.round = Some(Round {
            missing: asks.asked.len(),
            answered: Vec::new(),
            state: asks.state.map(str::to_owned),
        });
        if asks.asked.is_empty() {
            // Nothing is asked: the request is only to be made again.
            let _ = answers.try_send((String::new(), String::new()));
        }
        Ok(())
    }

    /// The client has answered the question that the server knows as `key`. When all are answered the request is made
    /// again.
    async fn answered(&mut self, key: String, result: String) -> Result<(), Fault> {
        let Some(round) = &mut self.round else { return Ok(()) };
        if result.is_empty() && !key.is_empty() {
            let why = "the client did not answer what the server wants to know";
            return Err(Fault::new(FaultClass::Unsupported, why));
        }
        if round.missing > 0 {
            round.missing -= 1;
            round.answered.push((key, result));
        }
        if round.missing > 0 {
            return Ok(());
        }
        let Some(round) = self.round.take() else { return Ok(()) };
        let (method, params) = words(&self.wanted, &self.link)?;
        let text = request("0", &method, params.as_deref());
        let garbage = |why: String| Fault::new(FaultClass::Internal, why);
        let first = message(text.as_bytes()).map_err(garbage)?;
        let answers: Vec<(&str, &str)> =
            round.answered.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let again = retry(&first, "0", &answers, round.state.as_deref())
            .ok_or_else(|| garbage("the request cannot be made again".to_owned()))?;
        let again = message(again.as_bytes()).map_err(garbage)?;
        let exchange =
            self.link.ask(&method, again.params(), &self.wanted.headers, self.wanted.deadline).await;
        self.exchange = exchange.map_err(|error| trouble::fault(self.link.server(), &error))?;
        Ok(())
    }

    fn too_late(&self) -> Fault {
        let total = self.link.server().timeouts.total;
        let fault = crate::explain::timed_out("the call did not end", total, "total_ms");
        Fault { message: format!("{}: {}", self.link.server().name, fault.message), ..fault }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.gate.tools.questions.close(&self.open);
    }
}

/// The next answer of the client's, once there can be any.
async fn given(answers: &mut Option<(mpsc::Sender<Given>, mpsc::Receiver<Given>)>) -> Given {
    if let Some((_, answers)) = answers
        && let Some(given) = answers.recv().await
    {
        return given;
    }
    std::future::pending().await
}

pub(super) async fn called_off(under_way: Option<&UnderWay>) {
    match under_way {
        Some(under_way) => under_way.called_off().await,
        None => std::future::pending().await,
    }
}

pub(super) fn called_off_fault() -> Fault {
    Fault::new(FaultClass::ClientGone, "the client called the request off")
}

/// What the client asked in the words of the server: the method and the params.
fn words(wanted: &Wanted, link: &Link) -> Result<(String, Option<String>), Fault> {
    in_words(&wanted.client, &wanted.method, wanted.aimed.params.as_deref(), link.revision())
}

async fn asked(link: &Arc<Link>, wanted: &Wanted) -> Result<Exchange, Failed> {
    let (method, params) = words(wanted, link)?;
    let asked = link.ask(&method, params.as_deref(), &wanted.headers, wanted.deadline).await;
    Ok(asked.map_err(|error: LinkError| trouble::fault(link.server(), &error))?)
}

/// The capability without which a client is not to be asked `question`; `None` of what every client must answer.
pub(super) fn asked_capability(question: &Message<'_>) -> Option<&'static str> {
    let asked = tollgate_mcp::bridge::Asked {
        key: "".into(),
        method: question.method().unwrap_or_default().to_owned().into(),
        params: question.params(),
    };
    asked.capability()
}

/// `message` with another id.
pub(super) fn with_id(message: &str, id: &str) -> Option<String> {
    let mut draft = Object::read(message)?.draft();
    draft.set("id", id);
    Some(draft.finish().into_owned())
}
