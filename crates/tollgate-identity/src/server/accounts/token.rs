//! Tokens of an account: a code is redeemed, and what ends is renewed, by one at a time among all instances, as a refresh
//! token that is used twice ends the account (OAuth 2.1 §4.3.1).

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Uri, header};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use tollgate_core::config::SecretsKeys;
use tollgate_core::config::identity::Server;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::tools::{AccountAuth, ToolServer};
use tollgate_core::identity::{Fetch, Granted, NoAccount};
use tollgate_core::secret::Secret;
use tollgate_core::unseen::is_unseen;

use super::keep::{self, Endpoint, Hidden, Kept};
use super::missing;
use super::register::Ours;
use crate::server::IdentityServer;
use crate::server::elsewhere::basic;
use crate::server::reply::Error;
use crate::server::store::{Changed, Store};

/// A token is renewed when it is good for less than this, or for less than half of what it was.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// How long a token is good of which nobody says how long.
const UNTOLD_S: i64 = 3_600;

/// Whoever began to renew tokens longer ago than this did not end it.
const RENEWS: SignedDuration = SignedDuration::from_secs(20);

/// How often it is looked whether somebody else is done, and how soon again.
const LOOKS: u32 = 80;
const LOOKS_AGAIN: Duration = Duration::from_millis(250);

/// What is given out (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct Given {
    pub(super) access_token: String,
    token_type: String,
    expires_in: Option<i64>,
    pub(super) refresh_token: Option<String>,
    pub(super) scope: Option<String>,
}

/// Why nothing was given out (RFC 6749 §5.2).
#[derive(Debug, Deserialize)]
struct Said {
    error: String,
    error_description: Option<String>,
}

/// Why there is no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotGiven {
    /// It is refused: the code, and why.
    Refused(String, String),
    /// Nobody can tell.
    Away(String),
}

impl NotGiven {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Refused(code, why) if why.is_empty() => code.clone(),
            Self::Refused(code, why) => format!("{code}: {why}"),
            Self::Away(why) => why.clone(),
        }
    }
}

impl Given {
    pub(super) fn ends(&self, now: Timestamp) -> Timestamp {
        now + self.lasts()
    }

    fn lasts(&self) -> SignedDuration {
        SignedDuration::from_secs(self.expires_in.unwrap_or(UNTOLD_S).clamp(0, 24 * 3_600))
    }

    /// From when on another one is got.
    pub(super) fn renewed_at(&self, now: Timestamp) -> Timestamp {
        now + self.lasts() - MARGIN.min(self.lasts() / 2)
    }
}

/// What is answered to `form` at `endpoint`, sent as whoever the gate is there.
pub(super) async fn asked(
    fetch: &dyn Fetch,
    endpoint: &Endpoint,
    ours: &Ours,
    form: &[(&str, &str)],
) -> Result<Given, NotGiven> {
    let away = |why: String| NotGiven::Away(why);
    let request = request(endpoint, ours, form).map_err(away)?;
    let answer = fetch.ask(request, endpoint.private).await.map_err(away)?;
    let said = serde_json::from_slice::<Said>(answer.body()).ok();
    // Some say so in an answer that is none (GitHub).
    if answer.status().is_success() && said.is_none() {
        let given: Given = serde_json::from_slice(answer.body())
            .map_err(|_| away("what was given out is no token".to_owned()))?;
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let refresh = given.refresh_token.as_deref().is_none_or(plain);
        if !given.token_type.eq_ignore_ascii_case("bearer") || !plain(&given.access_token) || !refresh {
            return Err(away("what was given out is no bearer token".to_owned()));
        }
        return Ok(given);
    }
    match said {
        Some(said) if !answer.status().is_server_error() && !is_passing(&said.error) => {
            let short = |text: String| text.chars().filter(|c| !is_unseen(*c)).take(200).collect::<String>();
            let why = said.error_description.map(short).unwrap_or_default();
            Err(NotGiven::Refused(short(said.error), why))
        }
        _ => Err(away(format!("it answers {}", answer.status().as_u16()))),
    }
}

/// Whether what is refused now may be given later.
fn is_passing(code: &str) -> bool {
    matches!(code, "temporarily_unavailable" | "server_error" | "slow_down" | "authorization_pending")
}

/// `form` as a request of the gate.
pub(super) fn request(
    endpoint: &Endpoint,
    ours: &Ours,
    form: &[(&str, &str)],
) -> Result<Request<Vec<u8>>, String> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    // Also beside a header: some ask for it (RFC 6749 §3.2.1).
    body.extend_pairs(form).append_pair("client_id", &ours.id);
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.uri.parse::<Uri>().map_err(|_| "its address is none".to_owned())?;
    let headers = request.headers_mut();
    match &ours.secret {
        Some(secret) if !ours.in_form => {
            let basic = HeaderValue::from_str(basic(&ours.id, &secret.secret()).expose());
            let mut basic = basic.map_err(|_| "the gate's secret there cannot be sent".to_owned())?;
            basic.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, basic);
        }
        Some(secret) => {
            body.append_pair("client_secret", secret.expose());
        }
        None => {}
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    *request.body_mut() = body.finish().into_bytes();
    Ok(request)
}

/// Who gets new tokens.
enum Turn {
    /// They are there already.
    There(Box<Kept>),
    /// Whoever asks, with these.
    Mine(Box<Kept>),
    /// Somebody else.
    Others,
    /// Nobody: there is nothing to get them with.
    Nobody,
}

impl IdentityServer {
    /// A token of the account `name` at `server`.
    pub(super) async fn kept_token(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        own: &Arc<Server>,
        (server, name): (&ToolServer, &str),
        refused: Option<&Secret>,
    ) -> Result<Granted, NoAccount> {
        let Some((url, account)) = server.account() else {
            return Err(NoAccount::Away("it wants no account".to_owned()));
        };
        let url = url.uri.to_string();
        let recent = recent(name, &url);
        let good = |granted: &Granted, until: Timestamp| {
            refused.is_none_or(|refused| *refused != granted.token) && self.clock.now() < until
        };
        let known = self.accounts.recent.get(&recent);
        if let Some((granted, _)) = known.filter(|(granted, until)| good(granted, *until)) {
            return Ok(granted);
        }
        let turn = self.accounts.turn(name);
        let _one_at_a_time = turn.lock().await;
        let store = Store::new(&*self.shelf, &snapshot.secrets);
        let away = |error: Error| NoAccount::Away(error.why);
        for _ in 0..LOOKS {
            let kept = keep::find(&store, name, &url).await.map_err(away)?;
            let kept = kept.ok_or_else(|| {
                missing(own, "it wants your account there, and none is connected yet; connect it here")
            })?;
            let kept = if good(&kept.granted(), kept.good_until()) {
                Some(kept)
            } else {
                match self.turn(&store, name, &kept).await.map_err(away)? {
                    Turn::There(kept) => Some(*kept),
                    Turn::Mine(kept) => self.renew(snapshot, own, (server, account), (name, *kept)).await?,
                    Turn::Others => None,
                    Turn::Nobody => return Err(self.ended(&store, own, (server, name), &kept).await?),
                }
            };
            if let Some(kept) = kept {
                self.accounts.recent.insert(recent, (kept.granted(), kept.good_until()));
                return Ok(kept.granted());
            }
            tokio::time::sleep(LOOKS_AGAIN).await;
        }
        Err(NoAccount::Away("another instance is getting new tokens".to_owned()))
    }

    /// Gets new tokens instead of those of `kept`, as whoever the gate is by the configuration of now.
    async fn renew(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        own: &Arc<Server>,
        (server, account): (&ToolServer, &AccountAuth),
        (name, mut kept): (&str, Kept),
    ) -> Result<Option<Kept>, NoAccount> {
        if let Some((id, secret)) = &account.client {
            kept.ours.id.clone_from(id);
            kept.ours.secret = secret.as_ref().map(|secret| Hidden::new(secret.expose().to_owned()));
        }
        let (secrets, own) = (snapshot.secrets.clone(), Arc::clone(own));
        let (server, name) = (Arc::clone(&server.name), name.to_owned());
        let renewing = tokio::spawn(Arc::clone(self).renewed(Renewal { secrets, own, server, name, kept }));
        renewing.await.map_err(|_| NoAccount::Away("it was broken off".to_owned()))?
    }

    /// Forgets an account that the server refuses, and that nothing makes good again but whoever has connected it.
    async fn ended(
        &self,
        store: &Store<'_>,
        own: &Server,
        (server, name): (&ToolServer, &str),
        kept: &Kept,
    ) -> Result<NoAccount, NoAccount> {
        let gone = instead_of(store, name, kept, |_| None).await;
        if gone.map_err(|error| NoAccount::Away(error.why))? {
            self.accounts.recent.invalidate(&recent(name, &kept.url));
            let why = "the server refuses it";
            self.note("account_ended", json!({ "server": &*server.name, "account": name, "why": why }));
        }
        let why = "it wants your account there, and what was connected has ended; connect it again here";
        Ok(missing(own, why))
    }

    /// Whose turn it is to get new tokens instead of those of `before`.
    async fn turn(&self, store: &Store<'_>, name: &str, before: &Kept) -> Result<Turn, Error> {
        let now = self.clock.now();
        store
            .change(name, |kept: Option<Kept>| {
                let mut kept =
                    kept.ok_or_else(|| Error::new("invalid_request", "the account was disconnected"))?;
                let turn = if kept.access != before.access {
                    Turn::There(Box::new(kept.clone()))
                } else if kept.refresh.is_none() {
                    Turn::Nobody
                } else if kept.renewing.is_some_and(|since| now < since + RENEWS) {
                    Turn::Others
                } else {
                    kept.renewing = Some(now);
                    Turn::Mine(Box::new(kept.clone()))
                };
                Ok(Changed { ends: kept.ends(now), document: kept, result: turn })
            })
            .await
    }

    /// Gets new tokens instead of those of `kept`. Whoever wants them may hang up meanwhile: what was given out is kept.
    /// `None` where another account is there by now.
    async fn renewed(self: Arc<Self>, renewal: Renewal) -> Result<Option<Kept>, NoAccount> {
        let Renewal { secrets, own, server, name, kept } = renewal;
        let store = Store::new(&*self.shelf, &secrets);
        let away = |error: Error| NoAccount::Away(error.why);
        let fetch = self.fetcher().ok_or_else(|| NoAccount::Away("the gate is not ready".to_owned()))?;
        let refresh = kept.refresh.as_ref().map(Hidden::expose).unwrap_or_default();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh),
            ("resource", kept.resource.as_str()),
        ];
        let given = asked(&*fetch, &kept.token, &kept.ours, &form).await;
        let now = self.clock.now();
        match given {
            Ok(given) => {
                let mut after = Kept {
                    renewed_at: given.renewed_at(now),
                    access: Hidden::new(given.access_token.clone()),
                    renewing: None,
                    ..kept.clone()
                };
                if let Some(refresh) = given.refresh_token {
                    after.refresh = Some(Hidden::new(refresh));
                }
                let ends = after.ends(now);
                let kept = instead_of(&store, &name, &kept, |_| Some((after.clone(), ends)));
                Ok(kept.await.map_err(away)?.then_some(after))
            }
            Err(NotGiven::Refused(code, why)) if is_over(&code) => {
                // Nothing makes it good again but whoever has connected it.
                if !instead_of(&store, &name, &kept, |_| None).await.map_err(away)? {
                    return Ok(None);
                }
                self.accounts.recent.invalidate(&recent(&name, &kept.url));
                self.note("account_ended", json!({ "server": &*server, "account": name, "why": &code }));
                let why = NotGiven::Refused(code, why).words();
                Err(missing(&own, format!("what was connected has ended ({why}); connect it again here")))
            }
            Err(failed) => {
                let ends = kept.ends(now);
                let before = |known: Kept| Some((Kept { renewing: None, ..known }, ends));
                instead_of(&store, &name, &kept, before).await.map_err(away)?;
                let why = format!("no new token from `{}`: {}", kept.issuer, failed.words());
                match failed {
                    NotGiven::Refused(..) => Err(missing(&own, format!("{why}; connect it again here"))),
                    NotGiven::Away(_) => Err(NoAccount::Away(why)),
                }
            }
        }
    }
}

/// New tokens that somebody gets.
struct Renewal {
    secrets: SecretsKeys,
    own: Arc<Server>,
    server: Arc<str>,
    name: String,
    kept: Kept,
}

/// What tokens of an account are called where they were looked up a moment ago: at another address it is another account.
pub(super) fn recent(name: &str, url: &str) -> String {
    format!("{name} {url}")
}

/// Whether a refresh token is of no use any more (RFC 6749 §5.2; GitHub says it in its own word).
fn is_over(code: &str) -> bool {
    matches!(code, "invalid_grant" | "bad_refresh_token")
}

/// Puts what `after` says in the place of `before`, or forgets it, and says whether that was still there: whoever has
/// disconnected it meanwhile, or connected it anew, has.
async fn instead_of(
    store: &Store<'_>,
    name: &str,
    before: &Kept,
    after: impl Fn(Kept) -> Option<(Kept, Timestamp)>,
) -> Result<bool, Error> {
    let over = || Error::new("invalid_request", "it is there no more");
    let changed = store
        .change(name, |known: Option<Option<Kept>>| {
            let known = known.flatten().filter(|known| known.access == before.access).ok_or_else(over)?;
            let (document, ends) =
                after(known).map_or((None, Timestamp::UNIX_EPOCH), |(kept, ends)| (Some(kept), ends));
            Ok(Changed { document, ends, result: () })
        })
        .await;
    match changed {
        Ok(()) => Ok(true),
        Err(error) if error == over() => Ok(false),
        Err(error) => Err(error),
    }
}
