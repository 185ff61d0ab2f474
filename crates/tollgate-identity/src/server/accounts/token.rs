//! Tokens of an account: a code is redeemed, and what ends is renewed, by one at a time among all instances, as a refresh
//! token that is used twice ends the account (OAuth 2.1 §4.3.1).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Request, Uri, header};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use tollgate_core::config::identity::Server;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::tools::ToolServer;
use tollgate_core::identity::{Fetch, NoAccount};
use tollgate_core::secret::Secret;

use super::keep::{self, Hidden, Kept};
use super::missing;
use super::register::Ours;
use crate::server::IdentityServer;
use crate::server::reply::Error;
use crate::server::store::{Changed, Store};

/// A token is renewed when it is good for less than this.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// How long a token is good of which nobody says how long.
const UNTOLD_S: i64 = 3_600;

/// Whoever began to renew tokens longer ago than this did not end it.
const RENEWS: SignedDuration = SignedDuration::from_secs(20);

/// How often it is looked whether somebody else is done.
const LOOKS: u32 = 80;

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
        let lasts = self.expires_in.unwrap_or(UNTOLD_S).clamp(0, 24 * 3_600);
        now + SignedDuration::from_secs(lasts)
    }
}

/// What is answered to `form` at `endpoint`, sent as whoever the gate is there.
pub(super) async fn asked(
    fetch: &dyn Fetch,
    (endpoint, private): (&str, bool),
    ours: &Ours,
    form: &[(&str, &str)],
) -> Result<Given, NotGiven> {
    let away = |why: String| NotGiven::Away(why);
    let request = request(endpoint, ours, form).map_err(away)?;
    let answer = fetch.ask(request, private).await.map_err(away)?;
    if answer.status().is_success() {
        let given: Given = serde_json::from_slice(answer.body())
            .map_err(|_| away("what was given out is no token".to_owned()))?;
        if !given.token_type.eq_ignore_ascii_case("bearer") {
            return Err(away("what was given out is no bearer token".to_owned()));
        }
        return Ok(given);
    }
    match serde_json::from_slice::<Said>(answer.body()) {
        Ok(said) if answer.status().is_client_error() => {
            let short = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
            let why = said.error_description.map(short).unwrap_or_default();
            Err(NotGiven::Refused(short(said.error), why))
        }
        _ => Err(away(format!("it answers {}", answer.status().as_u16()))),
    }
}

/// `form` as a request of the gate.
pub(super) fn request(
    endpoint: &str,
    ours: &Ours,
    form: &[(&str, &str)],
) -> Result<Request<Vec<u8>>, String> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    // Also beside a header: some ask for it (RFC 6749 §3.2.1).
    body.extend_pairs(form).append_pair("client_id", &ours.id);
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.parse::<Uri>().map_err(|_| "its address is none".to_owned())?;
    let headers = request.headers_mut();
    match &ours.secret {
        Some(secret) if !ours.in_form => {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&ours.id), encoded(secret.expose()));
            let basic = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
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
        &self,
        snapshot: &Snapshot,
        own: &Server,
        (server, name): (&ToolServer, &str),
        refused: Option<&Secret>,
    ) -> Result<Secret, NoAccount> {
        let good = |token: &Secret, ends: Timestamp| {
            refused.is_none_or(|refused| refused != token) && self.clock.now() + MARGIN < ends
        };
        if let Some((token, _)) = self.accounts.recent.get(name).filter(|(token, ends)| good(token, *ends)) {
            return Ok(token);
        }
        let turn = self.accounts.turn(name);
        let _one_at_a_time = turn.lock().await;
        let store = Store::new(&*self.shelf, &snapshot.secrets);
        let away = |error: Error| NoAccount::Away(error.why);
        let url = server.account().map(|(url, _)| url.uri.to_string()).unwrap_or_default();
        for _ in 0..LOOKS {
            let kept = keep::find(&store, name, &url).await.map_err(away)?;
            let kept = kept.ok_or_else(|| {
                missing(own, "it wants your account there, and none is connected yet; connect it here")
            })?;
            if good(&kept.access.secret(), kept.access_ends) {
                self.accounts.recent.insert(name.to_owned(), (kept.access.secret(), kept.access_ends));
                return Ok(kept.access.secret());
            }
            let kept = match self.turn(&store, name, &kept).await.map_err(away)? {
                Turn::There(kept) => kept,
                Turn::Mine(kept) => Box::new(self.renewed(&store, own, (server, name), *kept).await?),
                Turn::Others => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                    continue;
                }
                Turn::Nobody => {
                    return Err(missing(
                        own,
                        "it wants your account there, and what was connected has ended; connect it again here",
                    ));
                }
            };
            return Ok(kept.access.secret());
        }
        Err(NoAccount::Away("another instance is getting new tokens".to_owned()))
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

    async fn renewed(
        &self,
        store: &Store<'_>,
        own: &Server,
        (server, name): (&ToolServer, &str),
        kept: Kept,
    ) -> Result<Kept, NoAccount> {
        let away = |error: Error| NoAccount::Away(error.why);
        let fetch = self.fetch.get().and_then(std::sync::Weak::upgrade);
        let fetch = fetch.ok_or_else(|| NoAccount::Away("the gate is not ready".to_owned()))?;
        let refresh = kept.refresh.as_ref().map(Hidden::expose).unwrap_or_default();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh),
            ("resource", kept.resource.as_str()),
        ];
        let given = asked(&*fetch, (&kept.token_endpoint, kept.private), &kept.ours, &form).await;
        let now = self.clock.now();
        match given {
            Ok(given) => {
                let mut after = Kept {
                    access_ends: given.ends(now),
                    access: Hidden::new(given.access_token.clone()),
                    renewing: None,
                    ..kept
                };
                if let Some(refresh) = given.refresh_token {
                    after.refresh = Some(Hidden::new(refresh));
                }
                // Whoever has disconnected it meanwhile has.
                let change = |known: Option<Kept>| {
                    known.ok_or_else(|| Error::new("invalid_request", "the account was disconnected"))?;
                    Ok(Changed { document: after.clone(), ends: after.ends(now), result: () })
                };
                store.change(name, change).await.map_err(away)?;
                Ok(after)
            }
            Err(NotGiven::Refused(code, why)) if code == "invalid_grant" => {
                // Nothing makes it good again but whoever has connected it.
                store.remove(name).await.map_err(away)?;
                self.accounts.recent.invalidate(name);
                self.note("account_ended", json!({ "server": &*server.name, "account": name, "why": &code }));
                let why = NotGiven::Refused(code, why).words();
                Err(missing(own, format!("what was connected has ended ({why}); connect it again here")))
            }
            Err(failed) => {
                let change = |known: Option<Kept>| {
                    let mut known =
                        known.ok_or_else(|| Error::new("invalid_request", "the account was disconnected"))?;
                    known.renewing = None;
                    Ok(Changed { ends: known.ends(now), document: known, result: () })
                };
                store.change(name, change).await.map_err(away)?;
                Err(NoAccount::Away(format!("no new token from `{}`: {}", kept.issuer, failed.words())))
            }
        }
    }
}
