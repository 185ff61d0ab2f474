//! What a stateful client hears outside of its requests: that a list has changed, that a resource has, what servers log and
//! ask unasked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select_all;
use futures_util::stream;
use http::Response;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tollgate_core::access::{Caller, NotLetIn};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::bridge::{Filter, Notes, Way, acknowledged, closed, say, tagged};
use tollgate_mcp::capability;
use tollgate_mcp::json::Object;
use tollgate_mcp::message::{Kind, Message, notification};
use tollgate_mcp::method::{Fate, fate};
use uuid::Uuid;

use super::aim::who_has;
use super::allowed::who_forbids_the_rest;
use super::ask::{message, refuse};
use super::audience::Audience;
use super::client::Client;
use super::conversation::{asked_capability, with_id};
use super::endpoint::Endpoint;
use super::events::{ALIVE, QUIET, event, response};
use super::link::{Events, Heard, Link};
use super::offer::Offer;
use super::questions::{Question, Waits};
use super::tools::Changed;
use super::{subscriptions, trouble};
use crate::answer::{AnswerBody, Incomplete};
use crate::gate::Gate;
use crate::identify;

/// How long servers may take to say that they tell of resources.
const PATIENCE: Duration = Duration::from_secs(10);

/// Resources of one subscription.
const MOST_URIS: usize = 100;

/// The stream of what a client hears.
pub(super) fn stream(listening: Listening) -> Response<AnswerBody> {
    let stop = Box::pin(listening.gate.stopping());
    let pieces = stream::unfold(Some((listening, stop)), |at| async move {
        let (mut listening, mut stop) = at?;
        tokio::select! {
            piece = listening.piece() => piece.map(|piece| (Ok::<_, Incomplete>(piece), Some((listening, stop)))),
            () = &mut stop => listening.last().map(|piece| (Ok(piece), None)),
        }
    });
    response(Box::pin(pieces))
}

/// What a client without a session wants to be told of, which says so in one request.
struct Subscription {
    /// The request's id, as it is written: everything that is told names it.
    id: String,
    /// By what servers' links know that it watches something.
    who: String,
    wants: Filter,
    /// Resources that are watched for it.
    watched: Vec<(Arc<Link>, String)>,
}

/// A client that listens.
pub(crate) struct Listening {
    gate: Arc<Gate>,
    endpoint: Endpoint,
    client: Client,
    whose: String,
    /// Whose rules hold; `None` for whoever runs the gate.
    caller: Option<Caller>,
    /// Whether nothing more is said.
    over: bool,
    changes: broadcast::Receiver<Changed>,
    opened: watch::Receiver<u64>,
    links: Vec<(Arc<Link>, Events)>,
    first: bool,
    /// Questions that were asked here and are not answered.
    open: Vec<String>,
    /// What it wants to be told of; `None` stands for everything.
    subscription: Option<Subscription>,
}

impl Listening {
    /// `client`, who speaks for `whose` at `endpoint`, listens.
    pub(super) fn new(
        gate: &Arc<Gate>,
        endpoint: &Endpoint,
        (whose, caller): (&str, Option<Caller>),
        client: Client,
    ) -> Self {
        Self {
            changes: gate.tools.changes.subscribe(),
            opened: gate.tools.links.opened(),
            whose: whose.to_owned(),
            caller,
            over: false,
            gate: Arc::clone(gate),
            endpoint: endpoint.clone(),
            client,
            links: Vec::new(),
            first: true,
            open: Vec::new(),
            subscription: None,
        }
    }

    /// It listens to what the request `id` says that it wants, as far as there is something to tell of it.
    pub(super) async fn subscribed(mut self, id: &str, mut wants: Filter, offer: &Offer) -> Self {
        let who = Uuid::now_v7().simple().to_string();
        let can = |name: &str| offer.servers.iter().any(|listed| capability::has(&listed.capabilities, name));
        (wants.prompts, wants.resources) =
            (wants.prompts && can("prompts"), wants.resources && can("resources"));
        let mut watched = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        wants.uris.truncate(MOST_URIS);
        for uri in std::mem::take(&mut wants.uris) {
            match self.watch(offer, &who, &uri, deadline).await {
                Ok(link) => {
                    watched.push((link, uri.clone()));
                    wants.uris.push(uri);
                }
                // What is not granted is not in the answer.
                Err(fault) => tracing::debug!(%fault, "a client is not told of a resource"),
            }
        }
        self.subscription = Some(Subscription { id: id.to_owned(), who, wants, watched });
        self
    }

    async fn watch(
        &self,
        offer: &Offer,
        who: &str,
        uri: &str,
        deadline: Instant,
    ) -> Result<Arc<Link>, Fault> {
        let listed = who_has(offer, &self.endpoint, self.caller.as_ref(), uri)?;
        if !capability::has(&listed.capabilities, "resources.subscribe") {
            return Err(Fault::new(FaultClass::Unsupported, "the server does not tell of resources"));
        }
        let audience = Audience::of(
            &self.gate,
            &listed.server,
            &self.client,
            (&self.whose, self.endpoint.acting.as_ref()),
        );
        let link = self.gate.tools.link(&listed.server, &audience, &self.client, deadline).await;
        let link = link.map_err(|error| trouble::fault(&listed.server, &error))?;
        subscriptions::watch(&link, (&self.client, who), uri, deadline).await?;
        Ok(link)
    }

    /// Whether the client may still hear what is said here: its key, and where it may listen, may have changed.
    fn may_still(&mut self) -> bool {
        let gate = &self.gate;
        let ended = self.client.session.as_ref().is_some_and(|session| gate.tools.seals.has_ended(session));
        if let Some(caller) = &self.caller {
            match identify::again(gate, &gate.runtime().snapshot, caller, None) {
                Ok(caller) => self.caller = Some(caller),
                // Where a request came from does not change.
                Err(NotLetIn::Unready | NotLetIn::Address) => {}
                Err(_) => return false,
            }
        }
        let snapshot = &gate.runtime().snapshot;
        match Endpoint::at(&self.endpoint.address, snapshot, self.caller.as_ref()) {
            Ok(endpoint) => self.endpoint = endpoint,
            Err(_) => return false,
        }
        // For as long as somebody listens, somebody wants to know what there is.
        let acting = self.endpoint.acting.as_ref();
        self.endpoint.servers.iter().for_each(|server| gate.tools.catalogue.wanted(server, acting));
        !ended
    }

    /// The next piece; `None` where there is none any more.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let piece = self.heard().await;
        if !self.may_still() {
            return None;
        }
        match piece {
            Some(piece) => Some(piece),
            None => {
                self.over = true;
                self.last()
            }
        }
    }

    /// What is heard next; `None` where something that was promised cannot be heard any more.
    async fn heard(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.first) {
            self.find_links();
            return Some(match &self.subscription {
                Some(subscription) => event(&acknowledged(&subscription.id, &subscription.wants)),
                // Some clients wait for the first byte before they go on.
                None => Bytes::from_static(ALIVE),
            });
        }
        loop {
            let quiet = tokio::time::sleep(QUIET);
            let heard = tokio::select! {
                changed = self.changes.recv() => {
                    match self.changed(changed) {
                        Some(said) => return Some(said),
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
                () = quiet => return Some(Bytes::from_static(ALIVE)),
            };
            let (at, heard) = heard;
            let link = Arc::clone(&self.links[at].0);
            let said = match heard {
                Some(Heard::Notification(text)) => self.notified(&link, &text),
                Some(Heard::Request(text)) => self.asks(&link, &text).await,
                Some(Heard::Answer(_)) => None,
                None => {
                    self.links.remove(at);
                    let watched = self.subscription.iter().flat_map(|subscription| &subscription.watched);
                    if watched.into_iter().any(|(watched, _)| Arc::ptr_eq(watched, &link)) {
                        return None;
                    }
                    None
                }
            };
            if let Some(said) = said {
                return Some(event(&said));
            }
        }
    }

    /// What is said when the gate stops.
    fn last(&self) -> Option<Bytes> {
        self.subscription.as_ref().map(|subscription| event(&closed(&subscription.id)))
    }

    /// The notification `said`, in the client's words, where it wants to be told.
    fn wanted(&self, said: String) -> Option<String> {
        let Some(subscription) = &self.subscription else { return Some(said) };
        let told = message(said.as_bytes()).ok()?;
        subscription.wants.wants(&told).then(|| tagged(&told, &subscription.id).into_owned())
    }

    /// Listens to links of this client that have been opened since.
    fn find_links(&mut self) {
        for server in &self.endpoint.servers {
            let audience =
                Audience::of(&self.gate, server, &self.client, (&self.whose, self.endpoint.acting.as_ref()));
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
            .filter_map(|(_, method)| self.wanted(notification(method, None)))
            .flat_map(|said| event(&said))
            .collect();
        (!said.is_empty()).then(|| said.into())
    }

    /// A notification of a server. That a list has changed is said when the gate has listed it again.
    fn notified(&self, link: &Link, text: &[u8]) -> Option<String> {
        let way = Way::new(link.revision(), self.client.revision);
        let told = message(text).ok()?;
        let method = told.method()?;
        if method.ends_with("/list_changed") || fate(method, way.to) != Fate::Forward {
            return None;
        }
        if who_forbids_the_rest(self.caller.as_ref(), &link.server().name).is_some() {
            return None;
        }
        if link.server().shared && !self.is_told_of(link, &told) {
            return None;
        }
        let said = say(&told, way, None, &mut Notes::default()).ok()?.into_owned();
        self.wanted(said)
    }

    /// Whether what a server tells whom callers share is for this one: of a resource that it has asked for. What the server
    /// logs may be about anybody.
    fn is_told_of(&self, link: &Link, told: &Message<'_>) -> bool {
        let uri = told
            .params()
            .and_then(Object::read)
            .and_then(|params| params.string("uri").map(|uri| uri.into_owned()));
        let who = match &self.subscription {
            Some(subscription) => &subscription.who,
            None => self.client.name(&self.whose),
        };
        told.method() == Some("notifications/resources/updated")
            && uri.is_some_and(|uri| link.is_watched(&uri, who))
    }

    /// A server asks something outside of a request.
    async fn asks(&mut self, link: &Arc<Link>, text: &[u8]) -> Option<String> {
        let way = Way::new(link.revision(), self.client.revision);
        let question = message(text).ok()?;
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
        let Some(Subscription { who, watched, .. }) = self.subscription.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !watched.is_empty() {
            runtime.spawn(async move {
                for (link, uri) in watched {
                    if let Err(fault) =
                        subscriptions::unwatch(&link, &who, &uri, Instant::now() + PATIENCE).await
                    {
                        tracing::debug!(%fault, "a server was not told that nobody listens any more");
                    }
                }
            });
        }
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
