//! What a client asks a person for (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1), once it is known to be in order.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollgate_core::config::identity::{Client, GrantKind, Server};

use super::clients::{Known, is_redirect};
use super::discovery::{endpoint, scopes};
use super::form::Form;
use super::mint::is_of_gate;
use super::reply::Error;

/// The longest `state` and `nonce`, in bytes: they go through addresses.
const LONGEST: usize = 4_096;

/// The most resources that a token is for.
const MOST_RESOURCES: usize = 10;

/// The longest address of a resource, in bytes.
const LONGEST_RESOURCE: usize = 512;

/// What a client asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Request {
    pub(crate) client: String,
    /// Where the browser goes in the end.
    pub(crate) redirect_uri: String,
    /// What is granted where nobody objects: what is not known here is left out (OpenID Connect Core §3.1.2.1).
    pub(crate) scopes: Vec<String>,
    /// What the access token is for.
    pub(crate) resources: Vec<String>,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    /// RFC 7636: `S256` only.
    pub(crate) challenge: Option<String>,
    pub(crate) prompts: Vec<Prompt>,
    /// How long ago the sign-in may be, in seconds.
    pub(crate) max_age: Option<i64>,
    /// Who it is for, as far as the client knows.
    pub(crate) login_hint: Option<String>,
    /// Whose ID token the client has shown; nobody's where it is no good one.
    pub(crate) hinted: Option<String>,
    /// When it came, in milliseconds since 1970.
    pub(crate) at_ms: i64,
}

/// How people are to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Prompt {
    /// Not at all.
    None,
    /// To sign in, also if they have.
    Login,
    /// To agree, also if they have.
    Consent,
    /// Who they are.
    SelectAccount,
}

/// Why a client is not answered: on a page where it is not known where to send the browser, otherwise there.
pub(crate) enum Refused {
    Page(Error),
    There(Box<Request>, Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Page(error)
    }
}

/// The client and the address: as long as these are not in order, nobody is sent anywhere.
pub(crate) fn redirect_uri(form: &Form, client: &Client) -> Result<String, Error> {
    let wrong = |why: &str| Error::new("invalid_request", why);
    if !client.may(GrantKind::AuthorizationCode) {
        return Err(Error::new("unauthorized_client", "nobody signs in to this client in a browser"));
    }
    match form.get("redirect_uri") {
        Some(asked) if client.redirect_uris.iter().any(|known| is_redirect(known, asked)) => {
            Ok(asked.to_owned())
        }
        Some(_) => Err(wrong(
            "the client asks to send you to an address that is not one of its own (`redirect_uri`)",
        )),
        None => match &client.redirect_uris[..] {
            [only] => Ok(only.clone()),
            _ => Err(wrong("the client does not say where to send you (`redirect_uri`)")),
        },
    }
}

/// Reads what `known` asks for.
pub(crate) fn read(form: &Form, known: &Known, server: &Server, now: Timestamp) -> Result<Request, Refused> {
    let client = &known.client;
    let redirect_uri = redirect_uri(form, client)?;
    let short = |name: &str| form.get(name).filter(|text| text.len() <= LONGEST).map(str::to_owned);
    let mut request = Request {
        client: client.id.clone(),
        redirect_uri,
        scopes: Vec::new(),
        resources: Vec::new(),
        state: short("state"),
        nonce: short("nonce"),
        challenge: None,
        prompts: Vec::new(),
        max_age: None,
        login_hint: short("login_hint"),
        hinted: None,
        at_ms: now.as_millisecond(),
    };
    match in_order(form, known, server, &mut request) {
        Ok(()) => Ok(request),
        Err(error) => Err(Refused::There(Box::new(request), error)),
    }
}

fn in_order(form: &Form, known: &Known, server: &Server, request: &mut Request) -> Result<(), Error> {
    let wrong = |why: &str| Err(Error::new("invalid_request", why));
    for (name, code) in [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")] {
        if form.get(name).is_some() {
            return Err(Error::new(code, format!("`{name}` is not taken here")));
        }
    }
    match form.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(Error::new("unsupported_response_type", "the only `response_type` is `code`")),
        None => return wrong("`response_type` is missing"),
    }
    if form.get("response_mode").is_some_and(|mode| mode != "query") {
        return wrong("the only `response_mode` is `query`");
    }
    for name in ["state", "nonce"] {
        if form.get(name).is_some_and(|text| text.len() > LONGEST) {
            return wrong("`state` or `nonce` is longer than 4096 bytes");
        }
    }
    request.challenge = challenge(form, &known.client)?;
    request.prompts = prompts(form)?;
    request.max_age = match form.get("max_age").map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(i64::from(seconds)),
        Some(Err(_)) => return wrong("`max_age` is no number of seconds"),
    };
    request.scopes = granted_scopes(form, &known.client, server);
    request.resources = resources(form, &known.client, server)?;
    Ok(())
}

fn challenge(form: &Form, client: &Client) -> Result<Option<String>, Error> {
    let wrong = |why: &str| Err(Error::new("invalid_request", why));
    let method = form.get("code_challenge_method");
    match (form.get("code_challenge"), method) {
        (Some(challenge), Some("S256")) => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            match challenge.len() == 43 && challenge.bytes().all(plain) {
                true => Ok(Some(challenge.to_owned())),
                false => wrong("`code_challenge` is no SHA-256 in Base64 for addresses (RFC 7636 §4.2)"),
            }
        }
        (Some(_), _) => wrong("the only `code_challenge_method` is `S256`"),
        (None, Some(_)) => wrong("`code_challenge` is missing"),
        (None, None) if client.pkce => wrong(
            "`code_challenge` is missing (PKCE, RFC 7636, with `S256`); for an application that cannot: `pkce: false` in its configuration",
        ),
        (None, None) => Ok(None),
    }
}

fn prompts(form: &Form) -> Result<Vec<Prompt>, Error> {
    // What is not known here is as if it were not said.
    let one = |word: &str| match word {
        "none" => Some(Prompt::None),
        "login" => Some(Prompt::Login),
        "consent" => Some(Prompt::Consent),
        "select_account" => Some(Prompt::SelectAccount),
        _ => None,
    };
    let prompts: Vec<Prompt> = form.words("prompt").filter_map(one).collect();
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(Error::new("invalid_request", "`prompt` says `none` and something else"));
    }
    Ok(prompts)
}

/// The scopes that are asked for, as far as they are known here and the client may have them.
pub(crate) fn granted_scopes(form: &Form, client: &Client, server: &Server) -> Vec<String> {
    let known = scopes(server);
    let mut granted: Vec<String> = Vec::new();
    for scope in form.words("scope") {
        if known.contains(&scope) && client.may_ask_for(scope) && !granted.iter().any(|one| one == scope) {
            granted.push(scope.to_owned());
        }
    }
    granted
}

/// What tokens are asked for, or are for where nothing is said: never for nothing, and never for the gate and somebody else,
/// who could use it here.
pub(crate) fn resources(form: &Form, client: &Client, server: &Server) -> Result<Vec<String>, Error> {
    let asked: Vec<&str> = form.all("resource").collect();
    let wrong = |why: String| Err(Error::new("invalid_target", why));
    if form.get("audience").is_some() {
        return wrong("what a token is for is said by `resource` (RFC 8707), not by `audience`".to_owned());
    }
    if asked.len() > MOST_RESOURCES || asked.iter().any(|resource| resource.len() > LONGEST_RESOURCE) {
        return wrong(format!(
            "there are more than {MOST_RESOURCES} resources, or one of more than {LONGEST_RESOURCE} bytes"
        ));
    }
    if asked.is_empty() {
        return Ok(vec![client.resources.first().cloned().unwrap_or_else(|| endpoint(server, "userinfo"))]);
    }
    let mut resources = Vec::new();
    for resource in asked {
        // Clients differ in whether an address ends with a slash.
        let bare = resource.trim_end_matches('/');
        let goes_up = bare.split('/').any(|part| matches!(part, "." | ".."));
        if resource.contains(['#', '?', '%', '\\']) || goes_up || !client.may_reach(bare) {
            return wrong(format!("the tokens of this client are not for `{resource}`"));
        }
        resources.push(bare.to_owned());
    }
    if resources.len() > 1 && !resources.iter().all(|resource| is_of_gate(server, resource)) {
        return wrong("a token is for one resource, or for several addresses of the gate".to_owned());
    }
    Ok(resources)
}

/// `request`, as far as the client may ask for it now.
pub(crate) fn still(mut request: Request, known: &Known, server: &Server) -> Result<Request, Error> {
    let client = &known.client;
    if !client.redirect_uris.iter().any(|own| is_redirect(own, &request.redirect_uri)) {
        return Err(Error::new(
            "invalid_request",
            "the client does not have this address any more (`redirect_uri`)",
        ));
    }
    (request.scopes, request.resources) = rest(client, server, &request.scopes, &request.resources)?;
    Ok(request)
}

/// What of `scopes` and `resources` that were granted the client may have now.
pub(crate) fn rest(
    client: &Client,
    server: &Server,
    scopes: &[String],
    resources: &[String],
) -> Result<(Vec<String>, Vec<String>), Error> {
    let known = super::discovery::scopes(server);
    let scopes =
        scopes.iter().filter(|scope| known.contains(&scope.as_str()) && client.may_ask_for(scope)).cloned();
    let userinfo = endpoint(server, "userinfo");
    let resources = resources.iter().filter(|resource| **resource == userinfo || client.may_reach(resource));
    let resources: Vec<String> = resources.cloned().collect();
    if resources.is_empty() {
        return Err(Error::new("invalid_grant", "the client may not use any more what was granted"));
    }
    Ok((scopes.collect(), resources))
}
