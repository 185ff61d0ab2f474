//! `tollgate model`: models that admins add while the gate runs.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tollgate_core::addition::AdditionKind;

use super::addition::{self, One, state};
use super::holder::shown::text;
use super::holder::{How, put};
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
    /// Add one
    Add(Box<Add>),
    /// List them, those of the configuration file too
    List,
    /// Show one, and why it is out of service
    Show(One),
    /// Remove one that was added
    Delete(One),
}

#[derive(Debug, Args)]
struct Add {
    /// The public name, or a pattern with one `*`
    #[arg(value_name = "NAME")]
    name: String,
    /// The adapter, such as openai or openai_compatible
    #[arg(long, required_unless_present = "deployments")]
    provider: Option<String>,
    /// The upstream's name for the model; otherwise the public name
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,
    /// The credential to call it with: `tollgate credential add`
    #[arg(long, value_name = "ID")]
    credential: Option<String>,
    /// Where the upstream is; otherwise the provider's own address
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// US dollars for a million input tokens; otherwise the catalog's price
    #[arg(long, value_name = "USD", requires = "output_price")]
    input_price: Option<String>,
    /// US dollars for a million output tokens
    #[arg(long, value_name = "USD", requires = "input_price")]
    output_price: Option<String>,
    /// A file with a list of deployments, JSON, as in the configuration file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider", "model", "credential", "base_url", "input_price"])]
    deployments: Option<PathBuf>,
    /// What people should know of it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Add {
    fn said(self) -> Result<Map<String, Value>> {
        let mut said = Map::new();
        put(&mut said, "name", Some(self.name));
        put(&mut said, "note", self.note);
        let deployments = match self.deployments {
            Some(file) => read(&file)?,
            None => {
                let mut one = Map::new();
                put(&mut one, "provider", self.provider);
                put(&mut one, "model", self.model);
                put(&mut one, "credential", self.credential);
                put(&mut one, "base_url", self.base_url);
                let price = self.input_price.zip(self.output_price);
                let price = price.map(
                    |(input, output)| json!({ "input_usd_per_mtok": input, "output_usd_per_mtok": output }),
                );
                put(&mut one, "price", price);
                json!([one])
            }
        };
        put(&mut said, "deployments", Some(deployments));
        Ok(said)
    }
}

fn read(file: &PathBuf) -> Result<Value> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(|_| text),
        _ => std::fs::read_to_string(file),
    };
    let text = read.with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let (kind, how) = (AdditionKind::Model, &self.how);
        match self.what {
            What::Add(add) => addition::add(kind, add.said()?, "name", how).await,
            What::List => addition::list(kind, how, table).await,
            What::Show(one) => addition::show(kind, one, how, lines).await,
            What::Delete(one) => addition::delete(kind, one, how).await,
        }
    }
}

fn table(models: &[Value]) -> Vec<String> {
    let mut table = Table::new(&["model", "from", "served by", "state"], 4);
    for model in models {
        let served = match model["deployments"].as_array().map_or(&[][..], Vec::as_slice) {
            [] => String::new(),
            [one] => upstream(one, model),
            [first, rest @ ..] => format!("{} and {} more", text(&first["provider"]), rest.len()),
        };
        let cells = ["name", "source"].map(|member| text(&model[member]).to_owned());
        table.row(cells.into_iter().chain([served, state(model)]).collect());
    }
    table.lines()
}

/// `openai/gpt-4o`.
fn upstream(deployment: &Value, model: &Value) -> String {
    let upstream = deployment["model"].as_str().unwrap_or(text(&model["name"]));
    format!("{}/{upstream}", text(&deployment["provider"]))
}

fn lines(model: &Value) -> Vec<String> {
    let mut lines = vec![format!("model {}", text(&model["name"]))];
    let mut line = |what: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {what:<10} {value}"));
        }
    };
    line("from", text(&model["source"]).to_owned());
    line("state", state(model));
    line("why", text(&model["why"]).to_owned());
    line("note", text(&model["note"]).to_owned());
    for member in ["created_at", "updated_at"] {
        line(member.trim_end_matches("_at"), text(&model[member]).to_owned());
    }
    for deployment in model["deployments"].as_array().into_iter().flatten() {
        line("served by", upstream(deployment, model));
        let members = deployment.as_object().into_iter().flatten();
        for (member, value) in members.filter(|(member, _)| !["provider", "model"].contains(&member.as_str()))
        {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            line("", format!("{member} {value}"));
        }
    }
    lines
}
