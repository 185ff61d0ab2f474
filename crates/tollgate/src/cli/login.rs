//! `tollgate login`: signs in to a gate, at whoever gives out tokens for it, with a code that is typed in a browser
//! (RFC 8628), on this machine or on another one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::ask::Gate;
use super::ask::http::{Http, text};
use super::ask::kept::{Kept, Login};
use super::say;

/// The gate's command line, as a client of the gate's own server.
const CLIENT: &str = "tollgate";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    gate: Gate,
    /// Where to sign in, where the gate takes tokens of several
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// This program's client id there, where it is not signed in at the gate itself
    #[arg(long, value_name = "ID", default_value = CLIENT)]
    client_id: String,
    /// What is asked for there
    #[arg(long, value_name = "SCOPES", default_value = "openid profile email groups offline_access")]
    scope: String,
}

#[derive(Debug, Args)]
pub(crate) struct Leaving {
    #[command(flatten)]
    gate: Gate,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let (http, url) = (Http::new()?, self.gate.address());
        let (issuer, resource) = self.issuer(&http, url).await?;
        let metadata = metadata(&http, &issuer).await?;
        let device = text(&metadata, "device_authorization_endpoint");
        let device = device.with_context(|| format!("{issuer} lets no programs sign in with a code"))?;
        let form = [("client_id", &*self.client_id), ("scope", &*self.scope), ("resource", &*resource)];
        let (status, begun) = http.form(device, &form).await?;
        if status != 200 {
            bail!("{issuer} refuses: {}", why(&begun));
        }
        let code = text(&begun, "user_code")?;
        let at = begun["verification_uri_complete"]
            .as_str()
            .map_or_else(|| text(&begun, "verification_uri"), Ok)?;
        say(&format!("Open {at}\nand check that it shows the code {code}"))?;
        let login = Login {
            issuer,
            token_endpoint: text(&metadata, "token_endpoint")?.to_owned(),
            revocation_endpoint: metadata["revocation_endpoint"].as_str().map(str::to_owned),
            client_id: self.client_id,
            access_token: String::new(),
            ends: Timestamp::UNIX_EPOCH,
            refresh_token: None,
        };
        let said = waited(&http, &login, &begun, &resource).await?;
        let who =
            said["id_token"].as_str().or(said["access_token"].as_str()).and_then(name).unwrap_or_default();
        Kept::read()?.keep(url, Some(login.with(&said)?))?;
        say(&format!("signed in to {url} as {who}"))?;
        if std::env::var_os("TOLLGATE_KEY").is_some_and(|key| !key.is_empty()) {
            super::complain("TOLLGATE_KEY is set, and goes before the login: unset it");
        }
        Ok(())
    }

    /// At whom to sign in, and what for: as the gate says (RFC 9728).
    async fn issuer(&self, http: &Http, url: &str) -> Result<(String, String)> {
        let said = http.document(&format!("{url}/.well-known/oauth-protected-resource")).await?;
        let said = said.with_context(|| {
            format!("{url} takes keys only: `identity.url` and an issuer, or `identity.server`, are not configured there")
        })?;
        let resource = text(&said, "resource")?.to_owned();
        let known = said["authorization_servers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let known: Vec<&str> = known.collect();
        match (&self.issuer, &known[..]) {
            (Some(wanted), _) if known.contains(&wanted.as_str()) => Ok((wanted.clone(), resource)),
            (Some(wanted), _) => bail!("{url} takes no tokens of {wanted}, but of {}", known.join(", ")),
            (None, [first, ..]) => Ok(((*first).to_owned(), resource)),
            (None, []) => bail!("{url} takes no tokens"),
        }
    }
}

/// What `issuer` says of itself; it must name the same issuer (RFC 8414 §3.3).
async fn metadata(http: &Http, issuer: &str) -> Result<Value> {
    let at = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let said = http.document(&at).await?.with_context(|| format!("there is nothing at {at}"))?;
    if said["issuer"].as_str() != Some(issuer) {
        bail!("{at} is of another issuer");
    }
    Ok(said)
}

/// Waits until somebody has let this device in.
async fn waited(http: &Http, login: &Login, begun: &Value, resource: &str) -> Result<Value> {
    let device = text(begun, "device_code")?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device),
        ("client_id", &*login.client_id),
        ("resource", resource),
    ];
    let mut interval = begun["interval"].as_u64().unwrap_or(5).clamp(1, 60);
    loop {
        tokio::time::sleep(Duration::from_secs(interval)).await;
        let (status, said) = http.form(&login.token_endpoint, &form).await?;
        match said["error"].as_str() {
            None if status == 200 => return Ok(said),
            Some("authorization_pending") => {}
            Some("slow_down") => interval += 5,
            _ => bail!("not signed in: {}", why(&said)),
        }
    }
}

fn why(said: &Value) -> &str {
    said["error_description"].as_str().or(said["error"].as_str()).unwrap_or("it says no more")
}

/// Whom a token names, for people to read.
fn name(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let said: Value = serde_json::from_slice(&payload).ok()?;
    ["preferred_username", "email", "name", "sub"]
        .iter()
        .find_map(|name| said[name].as_str().map(str::to_owned))
}

impl Leaving {
    pub(super) async fn run(self) -> Result<()> {
        let url = self.gate.address();
        let mut kept = Kept::read()?;
        let Some(login) = kept.at(url).cloned() else { bail!("nobody is signed in to {url}") };
        kept.keep(url, None)?;
        if let (Some(at), Some(token)) = (&login.revocation_endpoint, &login.refresh_token) {
            // What is not given back ends by itself.
            let given_back =
                Http::new()?.form(at, &[("token", token), ("client_id", &login.client_id)]).await;
            if let Err(error) = given_back {
                super::complain(&format!("{} was not told: {error}", login.issuer));
            }
        }
        Ok(say(&format!("signed out of {url}"))?)
    }
}
