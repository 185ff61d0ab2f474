//! `tollgate credential`: secrets for models that admins add, each for hosts that are named.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use tollgate_core::addition::AdditionKind;

use super::addition::{self, One, state};
use super::complain;
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
    /// Add one; its secret is read from standard input, and never shown again
    Add(Add),
    /// List them, without their secrets
    List,
    /// Remove one that no model uses
    Delete(One),
}

#[derive(Debug, Args)]
struct Add {
    /// Its name; made up where none is given
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// A host that it may be sent to, such as api.openai.com or 10.0.0.5:8000; may be given again
    #[arg(long, value_name = "HOST", required = true)]
    host: Vec<String>,
    /// Read the secret from this environment variable instead
    // Not an argument itself: those are seen by everybody on the machine.
    #[arg(long, value_name = "VARIABLE")]
    secret_env: Option<String>,
    /// What people should know of it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Add {
    fn said(self) -> Result<Map<String, Value>> {
        let secret = match &self.secret_env {
            Some(name) => std::env::var(name).with_context(|| format!("{name} is not set"))?,
            None => first_line()?,
        };
        let secret = secret.trim();
        if secret.is_empty() {
            bail!("there is no secret: it is read from standard input, or from --secret-env VARIABLE");
        }
        let mut said = Map::new();
        put(&mut said, "id", self.id);
        put(&mut said, "hosts", Some(self.host));
        put(&mut said, "note", self.note);
        put(&mut said, "secret", Some(secret));
        Ok(said)
    }
}

fn first_line() -> Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        complain("the secret, and a line's end:");
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(line)
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let (kind, how) = (AdditionKind::Credential, &self.how);
        match self.what {
            What::Add(add) => addition::add(kind, add.said()?, "id", how).await,
            What::List => addition::list(kind, how, table).await,
            What::Delete(one) => addition::delete(kind, one, how).await,
        }
    }
}

fn table(credentials: &[Value]) -> Vec<String> {
    let mut table = Table::new(&["credential", "hosts", "ends in", "state"], 4);
    for credential in credentials {
        let hosts = match credential["hosts"].as_array().map_or(&[][..], Vec::as_slice) {
            [] => String::new(),
            [one] => text(one).to_owned(),
            [first, rest @ ..] => format!("{} and {} more", text(first), rest.len()),
        };
        let (id, hint) = (text(&credential["id"]).to_owned(), text(&credential["hint"]).to_owned());
        table.row(vec![id, hosts, hint, state(credential)]);
    }
    table.lines()
}
