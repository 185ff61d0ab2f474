//! Streamable HTTP (2025-03-26 and later): each message is a request of its own, and is answered with a message or with a
//! stream of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tollgate_core::config::tools::{Auth, ToolServer, Url};
use tollgate_core::egress::Reach;
use tollgate_core::identity::{Acting, Granted};
use tollgate_core::secret::Secret;
use tollgate_mcp::headers::mirrored;
use tollgate_mcp::message::Message;
use tollgate_mcp::revision::Revision;

use super::asked::Asked;
use super::pool::Means;
use super::wire::outgoing;
use super::{Heard, LinkError};
use crate::gathered::Gathered;
use crate::upstream::{SendError, UpstreamBody, UpstreamRequest, UpstreamResponse};

/// What answers may come as.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// So much is read of an answer that is no message.
const MOST_OF_ERROR: usize = 64 << 10;

/// A server that is reached so.
#[derive(Debug)]
pub(super) struct Http {
    means: Arc<Means>,
    pub(super) server: Arc<ToolServer>,
    url: Url,
    /// In whose name it is asked, where it acts for people.
    acting: Option<Acting>,
    /// What is spoken, once that is agreed.
    agreed: RwLock<Agreed>,
    next: AtomicU64,
    gone: AtomicBool,
    /// The account that is used here, where the server wants one.
    account: Mutex<Option<Arc<str>>>,
    /// The token that was sent last: servers echo what they were sent.
    sent_last: Mutex<Option<Secret>>,
    /// Requests that are under way: whoever made one may be asked what the server asks outside of any.
    pub(super) under_way: Mutex<BTreeMap<u64, mpsc::Sender<Heard>>>,
}

#[derive(Clone, Debug, Default)]
struct Agreed {
    revision: Option<Revision>,
    session: Option<HeaderValue>,
}

impl Http {
    pub(super) fn new(
        means: &Arc<Means>,
        server: &Arc<ToolServer>,
        url: &Url,
        acting: Option<&Acting>,
    ) -> Arc<Self> {
        Arc::new(Self {
            means: Arc::clone(means),
            server: Arc::clone(server),
            url: url.clone(),
            acting: acting.cloned(),
            agreed: RwLock::default(),
            next: AtomicU64::new(1),
            gone: AtomicBool::new(false),
            account: Mutex::default(),
            sent_last: Mutex::default(),
            under_way: Mutex::default(),
        })
    }

    /// The server speaks `revision` from now on.
    pub(super) fn speaks(&self, revision: Revision) {
        self.agreed.write().revision = Some(revision);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.gone.load(Ordering::Relaxed)
    }

    /// What is spoken before anything is agreed is the newest that begins with `initialize`.
    pub(super) fn revision(&self) -> Revision {
        self.agreed.read().revision.unwrap_or(Revision::NEWEST_STATEFUL)
    }

    /// Whether the server has begun a session.
    pub(super) fn has_session(&self) -> bool {
        self.agreed.read().session.is_some()
    }

    /// The next number for a request.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks `method`. The request is on its way when what is heard of it is asked for first.
    pub(super) fn ask(
        self: &Arc<Self>,
        method: &str,
        params: Option<&str>,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Asked, LinkError> {
        if !self.is_open() {
            return Err(LinkError::SessionGone);
        }
        let id = self.number();
        let (text, token) = outgoing(id, method, params);
        Ok(Asked::new(self, id, token, method, (text, headers.clone(), deadline)))
    }

    /// Whoever may be asked what the server asks outside of requests: the last who made one. Of a session that callers
    /// share that may be somebody else than the server means, so there it is whoever is alone.
    pub(super) fn asked_last(&self) -> Option<mpsc::Sender<Heard>> {
        let under_way = self.under_way.lock();
        let certain = !self.server.shared || under_way.len() == 1;
        under_way.values().next_back().filter(|_| certain).cloned()
    }

    /// Sends a message that wants no answer.
    pub(super) async fn tell(&self, message: String) -> Result<(), LinkError> {
        let deadline = Instant::now() + self.server.timeouts.first_byte;
        let response = self.post(message, &HeaderMap::new(), deadline).await?;
        if response.status.is_success() { Ok(()) } else { Err(self.refused(response).await) }
    }

    /// Ends the session, where there is one. Servers that do not end sessions say so, and nobody minds.
    pub(super) async fn close(&self) {
        self.gone.store(true, Ordering::Relaxed);
        if self.agreed.read().session.is_none() {
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        let _ = self.sent(Method::DELETE, &self.url.uri, Bytes::new(), &HeaderMap::new(), deadline).await;
    }

    /// Posts `message`.
    pub(super) async fn post(
        &self,
        message: String,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<UpstreamResponse, LinkError> {
        let mut headers = headers.clone();
        let revision = self.revision();
        if !revision.transport().mirrored.is_empty()
            && let Ok(read) = crate::mcp::ask::message(message.as_bytes())
        {
            mirror(&read, revision, &mut headers);
        }
        self.sent(Method::POST, &self.url.uri, Bytes::from(message), &headers, deadline).await
    }

    /// Asks for the stream of what the server says unasked, or for the rest of one that broke off after `last`.
    pub(super) async fn get(
        &self,
        last: Option<&str>,
        deadline: Instant,
    ) -> Result<UpstreamResponse, LinkError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
            headers.insert(HeaderName::from_static("last-event-id"), last);
        }
        self.sent(Method::GET, &self.url.uri, Bytes::new(), &headers, deadline).await
    }

    /// Sends a request. A token that the server refuses is fetched anew once.
    async fn sent(
        &self,
        method: Method,
        uri: &Uri,
        body: Bytes,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<UpstreamResponse, LinkError> {
        let request = || {
            let request = self.request(method.clone(), body.clone(), headers);
            request.map(|request| UpstreamRequest { uri: uri.clone(), ..request })
        };
        let Some(token) = self.token_by(deadline, None).await? else {
            return self.carried(request()?, None, deadline).await;
        };
        let response = self.carried(request()?, Some(&token), deadline).await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let token = self.token_by(deadline, Some(&token)).await?;
        self.carried(request()?, token.as_ref(), deadline).await
    }

    /// Whether `granted` is of the account that was used here before: what the server remembers of that one is not for another.
    fn of_same_account(&self, granted: &Granted) -> Result<(), LinkError> {
        let mut account = self.account.lock();
        let before = account.get_or_insert_with(|| Arc::clone(&granted.account));
        if *before == granted.account {
            return Ok(());
        }
        self.gone.store(true, Ordering::Relaxed);
        Err(LinkError::SessionGone)
    }

    /// The same as [`Self::token`], for no longer than until `deadline`: whoever gives tokens out may be slow.
    async fn token_by(
        &self,
        deadline: Instant,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, LinkError> {
        let late = || LinkError::NoToken("it was not given out in time".to_owned());
        tokio::time::timeout_at(deadline, self.token(refused)).await.unwrap_or_else(|_| Err(late()))
    }

    /// A token for the server, where it wants one; another one than `refused`.
    async fn token(&self, refused: Option<&Secret>) -> Result<Option<Secret>, LinkError> {
        let tokens = &self.means.tokens;
        match &self.url.auth {
            Auth::None | Auth::Bearer(_) => Ok(None),
            Auth::ClientCredentials(client) => {
                tokens.token(client, refused).await.map(Some).map_err(LinkError::NotSent)
            }
            Auth::Account(_) | Auth::Exchange(_) => {
                let granted = tokens.of_account(&self.server, self.acting.as_ref(), refused).await?;
                self.of_same_account(&granted)?;
                Ok(Some(granted.token))
            }
        }
    }

    /// What the server says, without the token that it was sent.
    pub(super) fn scrubbed(&self, text: Bytes) -> Bytes {
        let sent = self.sent_last.lock();
        let Some(token) = sent.as_ref().map(Secret::expose).filter(|token| !token.is_empty()) else {
            return text;
        };
        if memchr::memmem::find(&text, token.as_bytes()).is_none() {
            return text;
        }
        String::from_utf8_lossy(&text).replace(token, "[the gate's token]").into()
    }

    /// Sends `request`, with `token` where the server wants one.
    async fn carried(
        &self,
        mut request: UpstreamRequest,
        token: Option<&Secret>,
        deadline: Instant,
    ) -> Result<UpstreamResponse, LinkError> {
        if let Some(token) = token {
            bearer(token.expose(), &mut request.headers)?;
            *self.sent_last.lock() = Some(token.clone());
        }
        let limit = self.server.timeouts.first_byte;
        let deadline = deadline.min(Instant::now() + limit);
        match tokio::time::timeout_at(deadline, self.means.upstream.send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(SendError::Connect(why))) => Err(LinkError::NotSent(why)),
            Ok(Err(SendError::Broken(why))) => Err(LinkError::Broken(format!("the connection broke: {why}"))),
            Err(_) => Err(LinkError::TooLate {
                what: "the server did not begin to answer",
                limit,
                setting: "first_byte_ms",
            }),
        }
    }

    fn request(&self, method: Method, body: Bytes, more: &HeaderMap) -> Result<UpstreamRequest, LinkError> {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::ACCEPT, ACCEPT);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
        );
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let Agreed { revision, session } = self.agreed.read().clone();
        if let Some((name, revision)) =
            revision.and_then(|revision| Some((revision.transport().version?, revision)))
        {
            insert(&mut headers, name, revision.name());
        }
        if let Some(session) = session {
            headers.insert(HeaderName::from_static(crate::mcp::said::SESSION), session);
        }
        for (name, value) in more {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.url.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Auth::Bearer(token) = &self.url.auth {
            bearer(token.expose(), &mut headers)?;
        }
        Ok(UpstreamRequest {
            deployment: Arc::clone(&self.server.name),
            provider: "mcp",
            format: "mcp",
            stream: true,
            method,
            uri: self.url.uri.clone(),
            headers,
            body,
            connect_timeout: self.server.timeouts.connect,
            // The operator writes where tool servers are.
            reach: Reach::Anywhere,
        })
    }

    /// Keeps the session that begins with `response`.
    pub(super) fn keep_session(&self, response: &UpstreamResponse) {
        let session = response.headers.get(crate::mcp::said::SESSION);
        let short = session.filter(|id| id.len() <= 4_096).cloned().map(|mut id| {
            id.set_sensitive(true);
            id
        });
        self.agreed.write().session = short;
    }

    /// Posts `message` to `uri`, where the server has said that it wants messages; its answer comes another way.
    pub(super) async fn post_to(&self, uri: &Uri, message: Bytes) -> Result<(), LinkError> {
        let deadline = Instant::now() + self.server.timeouts.first_byte;
        let response = self.sent(Method::POST, uri, message, &HeaderMap::new(), deadline).await?;
        if response.status.is_success() { Ok(()) } else { Err(self.refused(response).await) }
    }

    /// Why `response` is no answer.
    pub(super) async fn refused(&self, response: UpstreamResponse) -> LinkError {
        let UpstreamResponse { status, headers, body } = response;
        let said = collected(body, MOST_OF_ERROR).await.unwrap_or_default();
        self.refusal(status, &headers, &said)
    }

    pub(super) fn refusal(&self, status: StatusCode, headers: &HeaderMap, said: &[u8]) -> LinkError {
        let session = self.agreed.read().session.is_some();
        if status == StatusCode::NOT_FOUND && session {
            self.gone.store(true, Ordering::Relaxed);
            return LinkError::SessionGone;
        }
        let retry_after =
            headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let said = self.scrubbed(said.to_vec().into());
        let said = tollgate_mcp::hidden::excerpt(&String::from_utf8_lossy(&said), 200);
        LinkError::Status { status: status.as_u16(), retry_after: retry_after.map(Duration::from_secs), said }
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

fn bearer(token: &str, headers: &mut HeaderMap) -> Result<(), LinkError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| LinkError::NotSent("the token holds characters that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// Headers that repeat what the message says, where the revision wants them.
fn mirror(message: &Message<'_>, revision: Revision, headers: &mut HeaderMap) {
    for (name, value) in mirrored(message, revision) {
        insert(headers, name, &value);
    }
}

pub(super) async fn collected(mut body: UpstreamBody, limit: usize) -> Result<Bytes, LinkError> {
    let mut gathered = Gathered::new(limit);
    while let Some(piece) = body.piece().await {
        let piece = piece.map_err(|why| LinkError::Broken(format!("the answer broke off: {why}")))?;
        gathered.push(piece).map_err(|_| too_large(limit))?;
    }
    Ok(gathered.finish())
}

pub(super) fn too_large(limit: usize) -> LinkError {
    LinkError::Garbage(format!("a message is larger than {limit} bytes (limits.message_bytes)"))
}

pub(super) fn is_events(headers: &HeaderMap) -> bool {
    essence(headers) == "text/event-stream"
}

pub(super) fn essence(headers: &HeaderMap) -> String {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
