//! Who is in front of a browser at an application, and how the application is told.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
use tollgate_core::access::NotLetIn;
use tollgate_core::config::identity::{ClaimSource, Server};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::web::{IDENTITY_HEADER, WebApplication};
use tollgate_core::identity::{Login, Visitor};

use super::cookie::Visit;
use crate::server::reply::Error;
use crate::server::sessions::SignedIn;
use crate::server::store::Store;
use crate::server::{IdentityServer, claims, random, sessions};

/// How long a token is good that says who somebody is, in seconds.
const GOOD_S: i64 = 120;

impl IdentityServer {
    /// Whoever has signed in to `application` in the browser that has sent `headers`; `None` where nobody has.
    pub async fn visitor(
        &self,
        snapshot: &Snapshot,
        application: &WebApplication,
        headers: &HeaderMap,
    ) -> Result<Option<Visitor>, NotLetIn> {
        let Some(server) = snapshot.identity_server.as_deref() else { return Ok(None) };
        let Some(visit) = Visit::of(&snapshot.secrets, application, headers) else { return Ok(None) };
        if !self.logins.is_read() {
            return Err(NotLetIn::Untold("logins could not be read yet".to_owned()));
        }
        let untold = |error: Error| NotLetIn::Untold(error.why);
        let (store, now) = (Store::new(&*self.shelf, &snapshot.secrets), self.clock.now());
        let found = sessions::named(&store, &self.logins, visit.session, now).await.map_err(untold)?;
        let Some(signed_in) = found else { return Ok(None) };
        // They sign in again, as they would have to anywhere.
        let Some(subject) = self.subject_of(snapshot, &signed_in) else { return Ok(None) };
        Ok(Some(Visitor {
            subject: Arc::new(subject),
            groups: signed_in.login().spec.groups.clone(),
            session: random::hashed(&signed_in.name).chars().take(16).collect(),
            headers: self.told(server, application, &signed_in, now).map_err(untold)?,
        }))
    }

    fn told(
        &self,
        server: &Server,
        application: &WebApplication,
        signed_in: &SignedIn,
        now: Timestamp,
    ) -> Result<HeaderMap, Error> {
        let login = signed_in.login();
        let token = self.token_for(server, application, signed_in, now)?;
        let mut headers = HeaderMap::new();
        let mut say = |name: &HeaderName, value: &str| {
            // A name that no header can hold is in the token.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name.clone(), value);
            }
        };
        say(&HeaderName::from_static(IDENTITY_HEADER), &token);
        for (name, source) in &application.headers {
            if let Some(value) = plainly(*source, login) {
                say(name, &value);
            }
        }
        Ok(headers)
    }

    fn token_for(
        &self,
        server: &Server,
        application: &WebApplication,
        signed_in: &SignedIn,
        now: Timestamp,
    ) -> Result<Arc<str>, Error> {
        // What is said changes with the login, and with the configuration.
        let version =
            (signed_in.listed.change, application.algorithm.name(), &application.audience, &server.claims);
        let name = format!("{} {} {version:?}", signed_in.name, application.name);
        if let Some(known) = self.visits.tokens.get(&name) {
            return Ok(known);
        }
        let scopes = ["profile", "email", "groups"].map(str::to_owned);
        let mut said = claims::of(server, signed_in.login(), &scopes);
        let session = &signed_in.session;
        let own = [
            ("iss", json!(&*server.issuer)),
            ("sub", json!(&*signed_in.login().subject)),
            ("aud", json!(application.audience)),
            ("iat", json!(now.as_second())),
            ("exp", json!(now.as_second() + GOOD_S)),
            ("auth_time", json!(session.began.as_second())),
            ("amr", json!(session.amr)),
        ];
        said.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let token = self.signing.sign(application.algorithm, "JWT", &Value::Object(said), now)?;
        let token: Arc<str> = token.into();
        self.visits.tokens.insert(name, Arc::clone(&token));
        Ok(token)
    }
}

/// What `source` says of `login`, in plain text.
fn plainly(source: ClaimSource, login: &Login) -> Option<String> {
    match claims::source_of(source, login)? {
        Value::String(text) => Some(text),
        // One that holds a comma would be taken for two.
        Value::Array(all) => {
            let texts = all.iter().filter_map(Value::as_str).filter(|text| !text.contains(','));
            Some(texts.collect::<Vec<_>>().join(","))
        }
        _ => None,
    }
}
