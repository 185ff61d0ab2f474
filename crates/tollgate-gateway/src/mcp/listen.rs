//! What a stateful client hears outside of its requests: that a list has changed, that a resource has, what servers log and
//! ask unasked.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::select_all;
use futures_util::stream;
use http::{HeaderValue, Response, header};
use tokio::sync::{broadcast, watch};
use tollgate_mcp::bridge::{Notes, Way, say};
use tollgate_mcp::message::{Kind, notification};
use tollgate_mcp::method::{Fate, fate};

use super::ask::{message, refuse};
use super::audience::Audience;
use super::client::Client;
use super::conversation::{asked_capability, with_id};
use super::endpoint::Endpoint;
use super::events::{ALIVE, event};
use super::link::{Events, Heard, Link};
use super::questions::{Question, Waits};
use super::session::whose;
use super::tools::Changed;
use crate::answer::{AnswerBody, Incomplete};
use crate::gate::Gate;
use crate::identify::Identified;

/// How often a quiet stream says that it is alive.
const QUIET: std::time::Duration = std::time::Duration::from_secs(15);

/// The stream of what `client` hears at `endpoint`.
pub(super) fn stream(
    gate: &Arc<Gate>,
    endpoint: &Endpoint,
    identified: Identified,
    client: Client,
) -> Response<AnswerBody> {
    let listening = Listening {
        changes: gate.tools.changes.subscribe(),
        opened: gate.tools.links.opened(),
        whose: whose(&identified.principal),
        gate: Arc::clone(gate),
        endpoint: endpoint.clone(),
        client,
        links: Vec::new(),
        first: true,
        open: Vec::new(),
    };
    let stop = Box::pin(gate.stopping());
    let pieces = stream::unfold((listening, stop), |(mut listening, mut stop)| async move {
        tokio::select! {
            piece = listening.piece() => Some((Ok::<_, Incomplete>(piece), (listening, stop))),
            () = &mut stop => None,
        }
    });
    let mut response = Response::new(AnswerBody::Events(Box::pin(pieces)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

struct Listening {
    gate: Arc<Gate>,
    endpoint: Endpoint,
    client: Client,
    whose: String,
    changes: broadcast::Receiver<Changed>,
    opened: watch::Receiver<u64>,
    links: Vec<(Arc<Link>, Events)>,
    first: bool,
    /// Questions that were asked here and are not answered.
    open: Vec<String>,
}

impl Listening {
    /// The next piece.
    async fn piece(&mut self) -> Bytes {
        if std::mem::take(&mut self.first) {
            self.find_links();
            // Some clients wait for the first byte before they go on.
            return Bytes::from_static(ALIVE);
        }
        loop {
            let quiet = tokio::time::sleep(QUIET);
            let heard = tokio::select! {
                changed = self.changes.recv() => {
                    match self.changed(changed) {
                        Some(said) => return said,
                        None => continue,
                    }
                }
                opened = self.opened.changed() => {
                    if opened.is_ok() {
                        self.find_links();
                    }
                    continue;
                }
                heard = next(&mut self.links) => heard,
                () = quiet => return Bytes::from_static(ALIVE),
            };
            let (at, heard) = heard;
            let link = Arc::clone(&self.links[at].0);
            let said = match heard {
                Some(Heard::Notification(text)) => self.notified(&link, &text),
                Some(Heard::Request(text)) => self.asks(&link, &text).await,
                Some(Heard::Answer(_)) => None,
                None => {
                    self.links.remove(at);
                    None
                }
            };
            if let Some(said) = said {
                return event(&said);
            }
        }
    }

    /// Listens to links of this client that have been opened since.
    fn find_links(&mut self) {
        for server in &self.endpoint.servers {
            let audience = Audience::of(&self.gate, server, &self.client, &self.whose);
            let Some(link) = self.gate.tools.links.find(server, &audience.name) else { continue };
            if !self.links.iter().any(|(known, _)| Arc::ptr_eq(known, &link)) {
                let events = link.events();
                self.links.push((link, events));
            }
        }
    }

    fn changed(&self, changed: Result<Changed, broadcast::error::RecvError>) -> Option<Bytes> {
        let changed = match changed {
            Ok(changed) if self.endpoint.servers.iter().any(|server| server.name == changed.server) => {
                changed
            }
            // Something was missed: whoever asks again is right in any case.
            Err(broadcast::error::RecvError::Lagged(_)) => {
                Changed { server: Arc::from(""), tools: true, prompts: true, resources: true }
            }
            _ => return None,
        };
        let of = [
            (changed.tools, "notifications/tools/list_changed"),
            (changed.prompts, "notifications/prompts/list_changed"),
            (changed.resources, "notifications/resources/list_changed"),
        ];
        let said: Vec<u8> = of
            .into_iter()
            .filter(|(has, _)| *has)
            .flat_map(|(_, method)| event(&notification(method, None)))
            .collect();
        (!said.is_empty()).then(|| said.into())
    }

    /// A notification of a server. That a list has changed is said when the gate has listed it again.
    fn notified(&self, link: &Link, text: &[u8]) -> Option<String> {
        let way = Way::new(link.revision(), self.client.revision);
        let told = message(text, way.from).ok()?;
        let method = told.method()?;
        if method.ends_with("/list_changed") || fate(method, way.to) != Fate::Forward {
            return None;
        }
        say(&told, way, None, &mut Notes::default()).ok().map(|said| said.into_owned())
    }

    /// A server asks something outside of a request.
    async fn asks(&mut self, link: &Arc<Link>, text: &[u8]) -> Option<String> {
        let way = Way::new(link.revision(), self.client.revision);
        let question = message(text, way.from).ok()?;
        let (Kind::Request { method, .. }, Some(session)) = (question.kind(), &self.client.session) else {
            return None;
        };
        let can = asked_capability(&question).is_none_or(|capability| self.client.can(capability));
        let said = (can && fate(method, way.to) == Fate::Forward)
            .then(|| say(&question, way, None, &mut Notes::default()).ok().map(|said| said.into_owned()))
            .flatten();
        let Some(said) = said else {
            refuse(link, text).await;
            return None;
        };
        let waits = Waits::Server(Arc::clone(link), question.text().to_owned());
        let asked = Question { session: session.name.clone(), revision: way.to, waits };
        let ours = self.gate.tools.questions.open(asked);
        self.open.push(ours.clone());
        with_id(&said, &ours)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.gate.tools.questions.close(&self.open);
    }
}

/// What is heard next over any of the links, and over which; never, where there are none.
async fn next(links: &mut [(Arc<Link>, Events)]) -> (usize, Option<Heard>) {
    if links.is_empty() {
        return std::future::pending().await;
    }
    let each = links.iter_mut().map(|(_, events)| Box::pin(events.next()));
    let (heard, at, _) = select_all(each).await;
    (at, heard)
}
