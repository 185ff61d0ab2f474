//! What the server says of people (OpenID Connect Core §5.1, §5.4), as far as scopes allow.

use serde_json::{Map, Value, json};
use tollgate_core::config::identity::{ClaimSource, ClaimValue, Server};
use tollgate_core::identity::Login;

/// What is said of `login` where `scopes` were granted. The ID token and the user information say the same.
pub(crate) fn of(server: &Server, login: &Login, scopes: &[String]) -> Map<String, Value> {
    let has = |scope: &str| scopes.iter().any(|known| known == scope);
    let mut said = Map::new();
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            said.insert(name.to_owned(), value);
        }
    };
    if has("profile") {
        say("name", Some(login.spec.name.as_deref().unwrap_or(&login.user).into()));
        say("preferred_username", Some((*login.user).into()));
        say("updated_at", Some(login.updated_at.as_second().into()));
    }
    if has("email") && login.spec.email.is_some() {
        say("email", login.spec.email.as_deref().map(Into::into));
        // Whoever has invited them has vouched for it.
        say("email_verified", Some(true.into()));
    }
    if has("groups") {
        say("groups", Some(json!(login.spec.groups)));
    }
    for claim in server.claims.iter().filter(|claim| has(&claim.scope)) {
        say(
            &claim.name,
            match &claim.value {
                ClaimValue::Fixed(value) => Some(value.clone()),
                ClaimValue::Of(source) => source_of(*source, login),
            },
        );
    }
    said
}

/// What `source` says of `login`.
pub(crate) fn source_of(source: ClaimSource, login: &Login) -> Option<Value> {
    match source {
        ClaimSource::User => Some((*login.user).into()),
        ClaimSource::Subject => Some((*login.subject).into()),
        ClaimSource::Email => login.spec.email.as_deref().map(Into::into),
        ClaimSource::Name => login.spec.name.as_deref().map(Into::into),
        ClaimSource::Groups => Some(json!(login.spec.groups)),
    }
}
