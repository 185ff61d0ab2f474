//! Browsers: their cookies, and whether a form was sent from a page that this server has shown them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::request::Parts;
use tollgate_core::config::SecretsKeys;
use tollgate_core::config::identity::Server;
use tollgate_core::identity::Login;
use tollgate_core::seal::Sealing;

use super::random;
use super::reply::{self, Error, Reply};

/// The cookie of somebody's session.
const SESSION: &str = "tollgate-session";

/// The cookie by which a browser is known, whoever uses it.
const BROWSER: &str = "tollgate-browser";

/// The cookie by which a browser proves that somebody has signed in with it before.
const DEVICE: &str = "tollgate-device";

/// How long a browser is known, in seconds.
const KNOWN_S: u64 = 180 * 24 * 3_600;

/// Nothing longer is looked at.
const LONGEST: usize = 512;

/// What a browser has sent of itself.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    /// Its name, which it has sent or is to be given.
    name: String,
    is_new: bool,
    /// The secret of its session.
    pub(crate) session: Option<String>,
    device: Option<String>,
    secure: bool,
}

impl Browser {
    /// The browser that has sent a request with `head`.
    pub(crate) fn of(head: &Parts, server: &Server) -> Result<Self, Error> {
        let secure = server.is_secure();
        let sent = |name: &str| cookie(&head.headers, &full(name, secure));
        let known = sent(BROWSER).filter(|name| name.len() == 22);
        Ok(Self {
            is_new: known.is_none(),
            name: known.map_or_else(random::name, Ok)?,
            session: sent(SESSION),
            device: sent(DEVICE),
            secure,
        })
    }

    /// Lets the browser keep its name.
    pub(crate) fn keep(&self, reply: &mut Reply) {
        if self.is_new {
            reply::set_cookie(reply, &full(BROWSER, self.secure), &self.name, self.secure, Some(KNOWN_S));
        }
    }

    /// Gives it a session, until it is closed or the session ends.
    pub(crate) fn begin_session(&self, reply: &mut Reply, secret: &str) {
        reply::set_cookie(reply, &full(SESSION, self.secure), secret, self.secure, None);
    }

    /// Takes its session away.
    pub(crate) fn end_session(&self, reply: &mut Reply) {
        reply::set_cookie(reply, &full(SESSION, self.secure), "", self.secure, None);
    }

    /// Lets it prove later that whoever has `login` has signed in with it.
    pub(crate) fn remember(&self, reply: &mut Reply, secrets: &SecretsKeys, login: &Login) {
        if let Some(proof) = self.proofs(secrets, "device", &version(login)).next() {
            reply::set_cookie(reply, &full(DEVICE, self.secure), &proof, self.secure, Some(KNOWN_S));
        }
    }

    /// Its name, where whoever has `login` has signed in with it before, and has not ended all of that since.
    pub(crate) fn known_to(&self, secrets: &SecretsKeys, login: &Login) -> Option<&str> {
        let device = self.device.as_ref()?;
        let known = self.proofs(secrets, "device", &version(login)).any(|proof| random::same(&proof, device));
        known.then_some(&*self.name)
    }

    /// What a form carries so that it is known to come from a page that was shown to this browser: others do not know it
    /// (OWASP, signed double-submit cookie).
    pub(crate) fn form_token(&self, secrets: &SecretsKeys) -> String {
        self.proofs(secrets, "form", self.session.as_deref().unwrap_or_default()).next().unwrap_or_default()
    }

    /// Whether a form with `token`, sent with `head`, is from a page that was shown to this browser.
    pub(crate) fn has_sent(&self, head: &Parts, token: Option<&str>, secrets: &SecretsKeys) -> bool {
        let site = head.headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default());
        let mut good = self.proofs(secrets, "form", self.session.as_deref().unwrap_or_default());
        !self.is_new
            && site.is_none_or(|site| matches!(site, "same-origin" | "none"))
            && token.is_some_and(|token| good.any(|proof| random::same(&proof, token)))
    }

    fn proofs<'a>(
        &self,
        secrets: &'a SecretsKeys,
        purpose: &str,
        of: &str,
    ) -> impl Iterator<Item = String> + use<'a> {
        let content = tollgate_core::seal::bound_to([purpose, &self.name, of]);
        Sealing::new(secrets, "browsers").digests(&content).map(|digest| URL_SAFE_NO_PAD.encode(digest))
    }
}

/// Who `login` is of, since all ended that was before.
fn version(login: &Login) -> String {
    format!("{} {}", login.subject, login.not_before.unwrap_or_default())
}

/// The secret of the session of the browser that has sent `headers`.
pub(crate) fn session_of(headers: &HeaderMap, server: &Server) -> Option<String> {
    cookie(headers, &full(SESSION, server.is_secure()))
}

/// The name of a cookie: with TLS one that no other host and no page without TLS can set (RFC 6265bis §4.1.3.2).
pub(crate) fn full(name: &str, secure: bool) -> String {
    if secure { format!("__Host-{name}") } else { name.to_owned() }
}

/// The cookie `name`, where there is one of that name (RFC 6265 §5.4).
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    // Others may have set what is no text.
    let lines = headers.get_all(http::header::COOKIE).iter().map(http::HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|b| *b == b';'));
    let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    let value = values.next().filter(|value| !value.is_empty() && value.len() <= LONGEST)?;
    // Of two of one name one was set by somebody else.
    values.next().is_none().then(|| value.to_owned())
}
