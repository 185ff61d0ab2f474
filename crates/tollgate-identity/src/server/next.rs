//! What a browser carries from page to page: what it is to do when its user has signed in, and that a password was right.
//! Encrypted: nobody else writes or reads it, and nothing is kept for whoever does not come back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tollgate_core::seal::Sealing;

use super::reply::{Error, Reply};
use super::request::Request;
use super::visits::Going;
use super::{Call, IdentityServer};

/// The longest text that is opened.
const LONGEST: usize = 32 << 10;

/// How long somebody may take to sign in, in seconds.
const GOOD_S: i64 = 3_600;

/// What a browser does when its user has signed in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Next {
    /// Goes on with what a client has asked for.
    Authorize(Box<Request>),
    /// Lets a device in.
    Activate(Option<String>),
    /// Shows the account.
    Account,
    /// Goes to a path of the gate.
    Local(String),
    /// Shows the accounts at tool servers.
    Connections,
    /// Goes back to a web application behind the gate.
    Visit(Going),
}

/// Whether a browser may be sent to `path` after a sign-in: to what the gate itself shows, and nowhere else.
pub(crate) fn is_local(path: &str) -> bool {
    let plain =
        path.len() <= 1_024 && path.bytes().all(|b| b.is_ascii_graphic()) && !path.contains(['\\', '#']);
    plain
        && path.starts_with("/api/")
        && !path.contains("//")
        && !path.split(['/', '?']).any(|part| part == "..")
}

impl Next {
    /// To whom the browser goes in the end, where it leaves this server.
    pub(crate) fn ends_at(&self) -> Option<&str> {
        match self {
            Self::Authorize(request) => Some(super::consent::origin(&request.redirect_uri)),
            Self::Visit(going) => Some(&going.url),
            Self::Activate(_) | Self::Account | Self::Connections | Self::Local(_) => None,
        }
    }
}

/// Something that is carried, and until when it is good.
#[derive(Deserialize, Serialize)]
struct Carried<T> {
    what: T,
    until: i64,
}

impl Call<'_> {
    /// `what`, to be carried for `purpose`.
    pub(crate) fn carry<T: Serialize>(&self, purpose: &'static str, what: &T) -> Result<String, Error> {
        self.carry_until(purpose, what, self.now.as_second() + GOOD_S)
    }

    /// The same, until a moment in seconds since 1970.
    pub(crate) fn carry_until<T: Serialize>(
        &self,
        purpose: &'static str,
        what: &T,
        until: i64,
    ) -> Result<String, Error> {
        let text = serde_json::to_vec(&Carried { what, until }).map_err(Error::away)?;
        let sealed = Sealing::new(self.secrets, purpose).seal(self.server.issuer.as_bytes(), &text);
        let sealed = sealed.ok_or_else(|| Error::away("there is no `secrets_key`"))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What was carried for `purpose`, where it is good still.
    pub(crate) fn carried<T: DeserializeOwned>(&self, purpose: &'static str, text: &str) -> Option<T> {
        if text.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = Sealing::new(self.secrets, purpose).open(self.server.issuer.as_bytes(), &sealed)?;
        let carried: Carried<T> = serde_json::from_slice(&plain).ok()?;
        (self.now.as_second() < carried.until).then_some(carried.what)
    }

    /// `next`, as a part of a page or an address.
    pub(crate) fn carry_next(&self, next: &Next) -> Result<String, Error> {
        self.carry("what to do next", next)
    }

    /// What the browser is to do next.
    pub(crate) fn next(&self) -> Result<Next, Error> {
        let carried = self.form.get("next").and_then(|text| self.carried("what to do next", text));
        carried.ok_or_else(|| {
            Error::new(
                "invalid_request",
                "this page is out of date; go back to the application and begin again",
            )
        })
    }

    /// The address of one of the pages, with what to do next.
    pub(crate) fn page_with(&self, name: &str, next: &Next) -> Result<String, Error> {
        Ok(format!("{}/oauth/{name}?next={}", self.server.path, self.carry_next(next)?))
    }
}

impl IdentityServer {
    /// Goes on with what is next, after a sign-in.
    pub(super) async fn go_on(&self, call: &Call<'_>) -> Result<Reply, Error> {
        match call.next()? {
            Next::Authorize(request) => self.decide(call, *request, false).await,
            Next::Activate(code) => Ok(super::device::page_at(call, code.as_deref())),
            Next::Visit(going) => self.arrive(call, going).await,
            Next::Local(path) => Ok(super::reply::see_other(&path)),
            Next::Connections => {
                Ok(super::reply::see_other(&format!("{}/oauth/connections", call.server.path)))
            }
            Next::Account => Ok(super::reply::see_other(&format!("{}/oauth/account", call.server.path))),
        }
    }
}
