//! Web applications behind the gate: how somebody who has signed in here is known at an application's own host.
//!
//! A browser without a visit is sent from there to `/oauth/visit` here, where its user signs in, and back with what only that
//! browser can use. Nothing is kept: what is carried is encrypted, and a visit ends with the session that it came of.

mod at_application;
mod cookie;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tollgate_core::config::web::{OWN_PATHS, WebApplication};

pub use self::at_application::page_of;
use super::browser::Browser;
use super::next::Next;
use super::reply::{Error, Reply, see_other};
use super::{Call, IdentityServer};

/// What is carried from an application to the sign-in.
const GOING: &str = "a visit to an application";

/// What is carried back.
const ARRIVING: &str = "an arrival at an application";

/// How long a browser may take for the way back, in seconds.
const ARRIVES_S: i64 = 60;

/// For so long a token that says who somebody is is used again.
const REUSED: Duration = Duration::from_secs(60);

/// Somebody on the way to an application, who has to sign in first.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Going {
    /// Its name here.
    application: String,
    /// Its address.
    pub(crate) url: String,
    /// What is asked for there.
    path: String,
    /// What that browser alone has there: whoever is sent back in another one does not arrive (login CSRF).
    browser: String,
}

/// Somebody on the way back, who has signed in.
#[derive(Debug, Deserialize, Serialize)]
struct Arriving {
    going: Going,
    /// Where the session is kept that this comes of.
    session: String,
}

/// What is known of visits.
pub(crate) struct Visits {
    /// Tokens that say who somebody is, by session, application and version of the login.
    tokens: Cache<String, Arc<str>>,
}

impl Default for Visits {
    fn default() -> Self {
        Self { tokens: Cache::builder().max_capacity(10_000).time_to_live(REUSED).build() }
    }
}

impl IdentityServer {
    /// `GET /oauth/visit`.
    pub(super) async fn visit(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let going = call.form.get("for").and_then(|text| call.carried::<Going>(GOING, text));
        let out_of_date = || {
            Error::new(
                "invalid_request",
                "this page is out of date; go back to the application and begin again",
            )
        };
        self.arrive(call, going.ok_or_else(out_of_date)?).await
    }

    /// Sends the browser back to the application, once its user has signed in.
    pub(crate) async fn arrive(&self, call: &Call<'_>, going: Going) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let Some(signed_in) = self.signed_in(call, &browser).await? else {
            return Ok(see_other(&call.page_with("sign-in", &Next::Visit(going))?));
        };
        let back = format!("{}{OWN_PATHS}callback", going.url);
        let arriving = Arriving { going, session: signed_in.name };
        let code = call.carry_until(ARRIVING, &arriving, call.now.as_second() + ARRIVES_S)?;
        Ok(see_other(&format!("{back}?code={code}")))
    }
}

/// Whether a browser may be sent to `path` of an application: to nothing that browsers take for another host.
fn is_path(path: &str) -> bool {
    path.len() <= 4_096
        && path.starts_with('/')
        && !path.starts_with("//")
        && !path.starts_with(OWN_PATHS)
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

impl Going {
    fn to(application: &WebApplication, path: &str, browser: &str) -> Self {
        Self {
            application: application.name.to_string(),
            url: application.url.clone(),
            path: if is_path(path) { path.to_owned() } else { "/".to_owned() },
            browser: browser.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attack: an address that looks like one of the application's, and is another's.
    #[test]
    fn browsers_stay_at_the_application() {
        for path in ["/", "/a?b=c", "/a//b", "/@evil.example"] {
            assert!(is_path(path), "{path}");
        }
        for path in
            ["", "a", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/.tollgate/x"]
        {
            assert!(!is_path(path), "{path}");
        }
    }
}
