//! `tollgate check FILE`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use tollgate_core::config::identity::{Client, GrantKind};
use tollgate_core::config::resolve::Overrides;
use tollgate_core::config::snapshot::{Deployment, Snapshot};
use tollgate_core::config::tools::{Reached, ToolServer};

use super::say;
use crate::configuration::{Read, Source};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// tollgate.yaml, or a LiteLLM config.yaml
    file: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        let read = Source::File(self.file.clone()).read(&Overrides::default())?;
        if let Some(files) = &read.snapshot.tls {
            tollgate_gateway::serve::acceptor(files).map_err(anyhow::Error::msg)?;
        }
        let all: Vec<_> = read.snapshot.models.iter().flat_map(|model| &model.deployments).collect();
        let out = all.iter().filter(|deployment| deployment.unavailable.is_some()).count();
        if self.json {
            say(&as_json(&read).to_string())?;
        } else {
            for line in lines(&read) {
                say(&line)?;
            }
            let note = if out == 0 {
                String::new()
            } else {
                format!(", {out} of {} deployments out of service", all.len())
            };
            say(&format!("{}: ok{note}", self.file.display()))?;
        }
        // Without any they are added at run time, which the file has a key for.
        ensure!(
            all.is_empty() || out < all.len(),
            "{}: nothing can be served: every deployment is out of service",
            self.file.display()
        );
        Ok(())
    }
}

fn lines(read: &Read) -> Vec<String> {
    let Snapshot { listen, master_key, models, .. } = &read.snapshot;
    let access = if master_key.is_some() { "with the master key" } else { "from this machine only" };
    let mut lines = vec![format!("serves {listen}, {access}")];
    for model in models.iter() {
        lines.push(model.name.to_string());
        lines.extend(model.deployments.iter().map(|deployment| format!("  {}", describe(deployment))));
    }
    for server in read.snapshot.tool_servers.values() {
        lines.push(format!("tools of {}  {}", server.name, reached(server)));
    }
    for bundle in read.snapshot.tool_bundles.values() {
        lines.push(format!("tools at /mcp/{}  {}", bundle.name, bundle.servers.join(", ")));
    }
    if let Some(server) = &read.snapshot.identity_server {
        lines.push(format!("people sign in at {}", server.issuer));
        lines.extend(server.clients.iter().map(|client| format!("  {}", application(client))));
    }
    for one in read.snapshot.web.iter() {
        let reached =
            one.upstream.as_ref().map_or("behind a proxy that asks".to_owned(), ToString::to_string);
        lines.push(format!("application {}  {}  {}", one.name, one.url, reached.trim_end_matches('/')));
    }
    if !read.not_acted_on.is_empty() {
        lines.push("understood but not acted on:".to_owned());
        lines.extend(read.not_acted_on.iter().map(|name| format!("  {name}")));
    }
    lines
}

/// An application, and what it is for.
fn application(client: &Client) -> String {
    let people = client.may(GrantKind::AuthorizationCode) || client.may(GrantKind::DeviceCode);
    let what = if people { "people sign in to it" } else { "a program" };
    let tokens = match &client.resources[..] {
        [] => "no tokens for calls".to_owned(),
        resources => format!("tokens for {}", resources.join(", ")),
    };
    format!("{}  {what}, {tokens}", client.id)
}

/// How a tool server is reached, without what may be a secret in it.
fn reached(server: &ToolServer) -> String {
    let shared = if server.shared { ", shared" } else { "" };
    match &server.reached {
        Reached::Command(command) => {
            format!("{}{shared}", command.line.first().map_or("", String::as_str))
        }
        Reached::Url(url) => format!("{}{shared}", url.uri.host().unwrap_or_default()),
    }
}

fn describe(deployment: &Deployment) -> String {
    if let Some(why) = &deployment.unavailable {
        return format!("{}  OUT OF SERVICE: {why}", deployment.id);
    }
    let price = match &deployment.facts.price {
        Some(_) => "",
        None if deployment.model.contains('*') => "",
        None => "  no price: its cost will be `unknown`",
    };
    format!("{}{price}", deployment.id)
}

fn as_json(read: &Read) -> serde_json::Value {
    let models: serde_json::Map<String, serde_json::Value> = read
        .snapshot
        .models
        .iter()
        .map(|model| {
            let deployments = model.deployments.iter().map(|d| serde_json::json!({ "id": d.id, "unavailable": d.unavailable, "priced": d.facts.price.is_some() }));
            (model.name.to_string(), deployments.collect())
        })
        .collect();
    serde_json::json!({
        "listen": read.snapshot.listen.to_string(),
        "master_key": read.snapshot.master_key.is_some(),
        "models": models,
        "tool_servers": read.snapshot.tool_servers.keys().collect::<Vec<_>>(),
        "tool_bundles": read.snapshot.tool_bundles.keys().collect::<Vec<_>>(),
        "web": read.snapshot.web.iter().map(|one| &one.name).collect::<Vec<_>>(),
        "not_acted_on": read.not_acted_on,
    })
}
