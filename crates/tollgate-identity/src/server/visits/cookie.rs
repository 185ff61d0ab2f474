//! What a browser keeps at an application's host: that its user has signed in, and what it is known by until they have.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tollgate_core::config::SecretsKeys;
use tollgate_core::config::web::WebApplication;
use tollgate_core::seal::{Sealing, bound_to};

use crate::server::browser::{cookie, full};
use crate::server::reply::{Error, Reply, set_cookie};

/// The cookie of a visit.
const VISIT: &str = "tollgate-visit";

/// The cookie by which a browser is known until its user has signed in.
const GOING: &str = "tollgate-going";

/// How long a browser is known so, in seconds.
const GOING_S: u64 = 3_600;

/// What visits are sealed for.
const PURPOSE: &str = "visits";

/// A visit: of which session.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Visit {
    pub(super) session: String,
}

impl Visit {
    /// The visit of the browser that has sent `headers` to `application`: one to another application is none.
    pub(super) fn of(
        secrets: &SecretsKeys,
        application: &WebApplication,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let sent = cookie(headers, &full(VISIT, application.is_secure()))?;
        let sealed = URL_SAFE_NO_PAD.decode(sent).ok()?;
        let plain = Sealing::new(secrets, PURPOSE).open(&bound(application), &sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    /// Gives it to the browser, until that is closed.
    pub(super) fn keep(
        &self,
        reply: &mut Reply,
        secrets: &SecretsKeys,
        application: &WebApplication,
    ) -> Result<(), Error> {
        let plain = serde_json::to_vec(self).map_err(Error::away)?;
        let sealed = Sealing::new(secrets, PURPOSE).seal(&bound(application), &plain);
        let text = URL_SAFE_NO_PAD.encode(sealed.ok_or_else(|| Error::away("there is no `secrets_key`"))?);
        let secure = application.is_secure();
        set_cookie(reply, &full(VISIT, secure), &text, secure, None);
        Ok(())
    }
}

fn bound(application: &WebApplication) -> Vec<u8> {
    bound_to([PURPOSE, &application.name, &application.url])
}

/// Takes the visit away.
pub(super) fn end(reply: &mut Reply, application: &WebApplication) {
    let secure = application.is_secure();
    set_cookie(reply, &full(VISIT, secure), "", secure, None);
}

/// What the browser is known by until its user has signed in.
pub(super) fn going(headers: &HeaderMap, application: &WebApplication) -> Option<String> {
    cookie(headers, &full(GOING, application.is_secure()))
}

/// Lets the browser be known by `name` until its user has signed in.
pub(super) fn keep_going(reply: &mut Reply, application: &WebApplication, name: &str) {
    let secure = application.is_secure();
    set_cookie(reply, &full(GOING, secure), name, secure, Some(GOING_S));
}
