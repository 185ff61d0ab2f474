//! Clients that register by themselves (RFC 7591), where `mcp` allows it. What they say is encrypted into the id that they
//! get: nothing is kept, so nothing fills up, and every instance knows them (RFC 7591 appendix A.5.2).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_core::config::identity::{Client, GrantKind, SigningAlgorithm, check_redirect};
use tollgate_core::unseen::is_unseen;

use super::clients::stranger;
use super::reply::{Error, Reply, json_reply};
use super::{Call, IdentityServer};

/// What ids of such clients begin with.
const PREFIX: &str = "reg.";

/// How long a client is known, in seconds: then it registers again.
const KNOWN_S: i64 = 90 * 24 * 3_600;

/// The most addresses of a client: they stand in its id.
const MOST_REDIRECTS: usize = 10;

/// All of them together, in bytes.
const MOST_BYTES: usize = 2_048;

/// The longest name that people are shown, in characters.
pub(crate) const LONGEST_NAME: usize = 80;

/// What a client says of itself (RFC 7591 §2). What is not taken here is left out, and the answer says what was taken.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    #[serde(default)]
    pub(crate) redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) client_name: Option<String>,
    #[serde(default)]
    pub(crate) grant_types: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) response_types: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    pub(crate) id_token_signed_response_alg: Option<String>,
}

/// What stands in an id. Short names: it goes with every request.
#[derive(Debug, Deserialize, Serialize)]
struct Id {
    n: String,
    r: Vec<String>,
    d: bool,
    a: Option<SigningAlgorithm>,
}

/// A client's name, as people are shown it: nothing that they do not see, and nobody else's.
pub(crate) fn shown(name: Option<&str>, otherwise: &str) -> String {
    let plain = |c: &char| !is_unseen(*c) && !matches!(c, '(' | ')');
    let name: String = name.unwrap_or_default().chars().filter(plain).take(LONGEST_NAME).collect();
    let is_ours = name.to_lowercase().contains("tollgate");
    if name.trim().is_empty() || is_ours { otherwise.to_owned() } else { name.trim().to_owned() }
}

/// Whether a client may be as it says; otherwise why not.
pub(crate) fn check(said: &Said) -> Result<(), Error> {
    let wrong = |why: String| Err(Error::new("invalid_client_metadata", why));
    let redirect_uris = said.redirect_uris.as_deref().unwrap_or_default();
    if redirect_uris.len() > MOST_REDIRECTS
        || redirect_uris.iter().map(String::len).sum::<usize>() > MOST_BYTES
    {
        return wrong(format!(
            "there are more than {MOST_REDIRECTS} `redirect_uris`, or they are longer than {MOST_BYTES} bytes"
        ));
    }
    for uri in redirect_uris {
        check_redirect(uri).map_err(|why| Error::new("invalid_redirect_uri", why))?;
    }
    let needs_redirect =
        said.grant_types.as_ref().is_none_or(|all| all.iter().any(|one| one == "authorization_code"));
    if redirect_uris.is_empty() && needs_redirect {
        return Err(Error::new("invalid_redirect_uri", "`redirect_uris` is missing"));
    }
    if said.token_endpoint_auth_method.as_ref().is_some_and(|method| method != "none") {
        return wrong("only public clients register here: `token_endpoint_auth_method` is `none`".to_owned());
    }
    if said.response_types.as_ref().is_some_and(|all| all.iter().any(|one| one != "code")) {
        return wrong("the only `response_types` is `code`".to_owned());
    }
    Ok(())
}

impl IdentityServer {
    /// `POST /oauth/register`.
    pub(super) fn register(&self, call: &Call<'_>) -> Result<Reply, Error> {
        if !call.server.mcp {
            let why = "clients do not register here; whoever runs the gate names them, or sets `identity.server.mcp`";
            return Err(Error { status: StatusCode::FORBIDDEN, ..Error::new("access_denied", why) });
        }
        self.rate.take_from("register", call.peer, 60)?;
        let said: Said = serde_json::from_slice(call.body).map_err(|_| {
            Error::new("invalid_client_metadata", "the body cannot be read as metadata of a client")
        })?;
        // A client that would have a secret gets none: it says how it goes on without.
        let said = Said { token_endpoint_auth_method: None, ..said };
        check(&said)?;
        let id = Id {
            n: shown(said.client_name.as_deref(), "An application without a name"),
            d: said.grant_types.iter().flatten().any(|grant| grant == GrantKind::DeviceCode.name()),
            r: said.redirect_uris.unwrap_or_default(),
            a: call
                .server
                .algorithms
                .iter()
                .copied()
                .find(|alg| said.id_token_signed_response_alg.as_deref() == Some(alg.name())),
        };
        let issued = call.now.as_second();
        let sealed = call.carry_until("a client that has registered", &id, issued + KNOWN_S)?;
        let client = client(call, &format!("{PREFIX}{sealed}"), id);
        let said = json!({
            "client_id": client.id,
            "client_id_issued_at": issued,
            "client_name": client.name,
            "redirect_uris": client.redirect_uris,
            "grant_types": client.grants.iter().map(|grant| grant.name()).collect::<Vec<_>>(),
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "id_token_signed_response_alg": client.algorithm.name(),
        });
        Ok(json_reply(StatusCode::CREATED, &said))
    }
}

/// The client whose id `id` is, where it has registered here not too long ago.
pub(crate) fn registered(call: &Call<'_>, id: &str) -> Option<Client> {
    let known: Id = call.carried("a client that has registered", id.strip_prefix(PREFIX)?)?;
    Some(client(call, id, known))
}

fn client(call: &Call<'_>, id: &str, known: Id) -> Client {
    let mut client = stranger(call.server, id);
    client.name = known.n;
    client.redirect_uris = known.r;
    if client.redirect_uris.is_empty() {
        client.grants.retain(|grant| *grant != GrantKind::AuthorizationCode);
    }
    if known.d {
        client.grants.push(GrantKind::DeviceCode);
    }
    client.algorithm = known.a.unwrap_or(client.algorithm);
    client
}
