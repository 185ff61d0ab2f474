//! `tollgate idp`: the gate's own authorization server.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask::remote::{query, segment};
use super::holder::How;
use super::holder::shown::text;
use super::table::Table;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what an application would see of somebody who signs in, and why it would refuse
    Lint(Lint),
    /// List the keys that tokens are signed with
    Keys,
    /// Take a signing key out of use at once; another one is made, and whoever has tokens asks for new ones
    Withdraw {
        /// The key, as `keys` names it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// What an application expects, as its own configuration says.
#[derive(Debug, Args, serde::Serialize)]
struct Lint {
    /// The application, as `identity.server.clients` names it
    #[arg(long, value_name = "ID")]
    #[serde(skip)]
    client: String,
    /// The user who would sign in
    #[arg(long, value_name = "ID")]
    user: String,
    /// The scopes that it asks for, with commas; default openid,profile,email,offline_access
    #[arg(long, value_name = "SCOPES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The issuer that it is configured with
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Where it is sent back to
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
    /// The domain that email addresses must have there
    #[arg(long, value_name = "DOMAIN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    email_domain: Option<String>,
    /// It sends no PKCE challenge
    #[arg(long)]
    without_pkce: bool,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let how = &self.how;
        match self.what {
            What::Lint(lint) => lint.run(how).await,
            What::Keys => {
                let said: Value = how.remote()?.get("/api/v1/signing-keys").await?;
                how.tell(&said["items"], || keys(&said["items"]))
            }
            What::Withdraw { id } => {
                let path = format!("/api/v1/signing-keys/{}", segment(&id));
                how.remote()?.answer("DELETE", &path, &[], "").await?;
                how.tell(&json!({ "id": id, "withdrawn": true }), || {
                    vec![format!("the signing key `{id}` is out of use")]
                })
            }
        }
    }
}

impl Lint {
    async fn run(self, how: &How) -> Result<()> {
        let path = format!("/api/v1/clients/{}/rehearsal?{}", segment(&self.client), query(&self)?);
        let said: Value = how.remote()?.get(&path).await?;
        how.tell(&said, || lines(&said))?;
        let findings = said["findings"].as_array().into_iter().flatten();
        match findings.filter(|finding| finding["ok"].as_bool() != Some(true)).count() {
            0 => Ok(()),
            1 => bail!("the sign-in would fail: one thing is not in order"),
            wrong => bail!("the sign-in would fail: {wrong} things are not in order"),
        }
    }
}

fn keys(items: &Value) -> Vec<String> {
    let mut table = Table::new(&["key", "kid", "signs from"], 3);
    for key in items.as_array().into_iter().flatten() {
        table.row(vec![
            text(&key["id"]).to_owned(),
            text(&key["kid"]).to_owned(),
            text(&key["current_from"]).to_owned(),
        ]);
    }
    table.lines()
}

fn lines(said: &Value) -> Vec<String> {
    let pretty = |value: &Value| {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>()
    };
    let scopes: Vec<&str> =
        said["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut lines = vec![
        format!("issuer      {}", text(&said["issuer"])),
        format!("discovery   {}", text(&said["discovery"])),
        format!("scopes      {}", scopes.join(" ")),
        "ID token".to_owned(),
    ];
    lines.extend(pretty(&said["id_token"]));
    lines.push("user information".to_owned());
    lines.extend(pretty(&said["userinfo"]));
    for finding in said["findings"].as_array().into_iter().flatten() {
        let sign = if finding["ok"].as_bool() == Some(true) { "ok   " } else { "WRONG" };
        lines.push(format!("{sign} {}", text(&finding["text"])));
    }
    lines
}
