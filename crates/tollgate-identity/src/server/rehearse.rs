//! A login that nobody makes: what an application would see of somebody, and why it would refuse, before anybody tries.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_core::config::identity::{Client, GrantKind, Server};
use tollgate_core::identity::Login;

use super::authorize::may_use;
use super::clients::is_redirect;
use super::discovery::{endpoint, scopes};
use super::{Logins, claims, grants, mint};

/// What an application asks for and expects, as its own configuration says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expects {
    /// The user who would sign in.
    pub user: String,
    /// The scopes that it asks for, separated by spaces or commas; default those that there are for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The issuer that it is configured with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Where it is sent back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// The domain that email addresses must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_domain: Option<String>,
    /// Whether it sends no PKCE challenge.
    pub without_pkce: bool,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is in order.
    pub ok: bool,
    /// What it is; where it is not in order, what to do.
    pub text: String,
}

/// What would happen.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// The application.
    pub client: String,
    /// The issuer that it must be configured with, to the letter.
    pub issuer: String,
    /// Where it finds everything else.
    pub discovery: String,
    /// The scopes that would be granted.
    pub scopes: Vec<String>,
    /// Whether it would get a refresh token.
    pub refresh_token: bool,
    /// The claims of the ID token.
    pub id_token: Map<String, Value>,
    /// What the user information says.
    pub userinfo: Map<String, Value>,
    /// Whom the access token would be for.
    pub access_token_audience: Value,
    /// What was looked at.
    pub findings: Vec<Finding>,
}

/// What applications for people ask for.
const USUAL: &str = "openid profile email groups offline_access";

/// Why there is nothing to rehearse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRehearsal {
    /// There is no such application.
    #[error("there is no client `{0}` in the configuration")]
    NoClient(String),
    /// There is no such user.
    #[error("the user `{0}` does not sign in here")]
    NoUser(String),
}

/// Rehearses how somebody signs in to the application `client`.
pub fn rehearse(
    server: &Server,
    logins: &Logins,
    client: &str,
    expects: &Expects,
    now: Timestamp,
) -> Result<Rehearsal, NoRehearsal> {
    let known = server.clients.iter().find(|known| known.id == client);
    let client = known.ok_or_else(|| NoRehearsal::NoClient(client.to_owned()))?;
    let listed = logins.find(&expects.user).ok_or_else(|| NoRehearsal::NoUser(expects.user.clone()))?;
    let login = &listed.login;
    let asked: Vec<&str> =
        expects.scope.as_deref().unwrap_or(USUAL).split([' ', ',']).filter(|one| !one.is_empty()).collect();
    let all = scopes(server);
    let may = |scope: &&&str| all.contains(*scope) && client.may_ask_for(scope);
    let granted: Vec<String> = asked.iter().filter(may).map(|scope| (*scope).to_owned()).collect();
    let id_token = mint::id_claims(server, client, login, &granted, now);
    let mut userinfo = claims::of(server, login, &granted);
    userinfo.insert("sub".to_owned(), (*login.subject).into());
    let resource = client.resources.first().cloned().unwrap_or_else(|| endpoint(server, "userinfo"));
    let refresh_token = grants::gets_refresh_token(client, &granted, client.consent);
    let findings = findings(server, client, login, expects, (&asked, &granted), refresh_token, &id_token);
    Ok(Rehearsal {
        client: client.id.clone(),
        issuer: server.issuer.to_string(),
        discovery: format!("{}/.well-known/openid-configuration", server.issuer),
        access_token_audience: mint::audience(server, &[resource], &granted),
        scopes: granted,
        refresh_token,
        id_token,
        userinfo,
        findings,
    })
}

fn findings(
    server: &Server,
    client: &Client,
    login: &Login,
    expects: &Expects,
    (asked, granted): (&[&str], &[String]),
    refresh_token: bool,
    id_token: &Map<String, Value>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |ok: bool, good: String, bad: String| {
        found.push(Finding { ok, text: if ok { good } else { bad } });
    };
    let id = &client.id;
    say(
        client.may(GrantKind::AuthorizationCode),
        "people sign in to it in a browser".to_owned(),
        format!("nobody signs in to it: give the client `{id}` `redirect_uris`"),
    );
    if let Some(issuer) = &expects.issuer {
        say(
            issuer == &*server.issuer,
            format!("the issuer is {issuer}, to the letter"),
            format!(
                "the issuer is {} here, to the letter, and not {issuer}: tokens of it are refused there",
                server.issuer
            ),
        );
    }
    if let Some(uri) = &expects.redirect_uri {
        say(
            client.redirect_uris.iter().any(|known| is_redirect(known, uri)),
            format!("it may be sent back to {uri}"),
            format!("it may not be sent back to {uri}: add that to its `redirect_uris`, to the letter"),
        );
    }
    if expects.without_pkce {
        say(
            !client.pkce,
            "it may do without PKCE".to_owned(),
            format!("it sends no PKCE challenge and would be refused: set `pkce: false` for `{id}`"),
        );
    }
    say(
        may_use(client, login),
        format!("`{}` may use it", login.user),
        format!("`{}` is in none of its `groups` and would be refused", login.user),
    );
    say(
        login.password.is_some(),
        format!("`{}` has a password", login.user),
        format!("`{}` has no password yet: the invitation was not taken", login.user),
    );
    for scope in asked {
        if !granted.iter().any(|one| one == scope) {
            say(
                false,
                String::new(),
                format!(
                    "the scope `{scope}` is not granted: it is not known here, or not among the client's `scopes`"
                ),
            );
        }
    }
    if asked.contains(&"offline_access") {
        say(
            refresh_token,
            "it gets a refresh token".to_owned(),
            "it asks for offline_access and gets no refresh token: add `refresh_token` to its `grants`"
                .to_owned(),
        );
    }
    if asked.contains(&"email") {
        email(login, expects, id_token, &mut say);
    }
    found
}

/// What applications want of an email address before they believe that somebody has it.
fn email(
    login: &Login,
    expects: &Expects,
    id_token: &Map<String, Value>,
    say: &mut impl FnMut(bool, String, String),
) {
    let email = id_token.get("email").and_then(Value::as_str).unwrap_or_default();
    say(
        !email.is_empty(),
        format!("`email` is {email}"),
        format!(
            "`{0}` has no email address, which applications want: tollgate user invite {0} --email …",
            login.user
        ),
    );
    if email.is_empty() {
        return;
    }
    say(
        id_token.get("email_verified") == Some(&Value::Bool(true)),
        "`email_verified` is true, as a boolean".to_owned(),
        "`email_verified` is not true".to_owned(),
    );
    if let Some(domain) = &expects.email_domain {
        let of = email.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
        say(
            of.eq_ignore_ascii_case(domain),
            format!("the address is of {domain}"),
            format!("the address is of `{of}`, and the application takes those of {domain} only"),
        );
    }
}
