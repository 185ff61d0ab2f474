//! `tollgate instance`: the gates that share budgets and limits.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::ask::remote;
use super::holder::How;
use super::say;
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
    /// Show which there are, and until when each uses what it has taken
    List,
    /// Say that one will not come back: what it has taken of budgets and not used is free for the others
    Release {
        /// Its name
        id: String,
    },
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let remote = self.how.remote()?;
        match self.what {
            What::List => {
                let answer: Value = remote.get("/api/v1/instances").await?;
                self.how.tell(&answer, || lines(&answer))
            }
            What::Release { id } => {
                let path = format!("/api/v1/instances/{}/release", remote::segment(&id));
                remote.answer("POST", &path, &[], "").await?;
                Ok(say(&format!("the instance `{id}` is released"))?)
            }
        }
    }
}

fn lines(answer: &Value) -> Vec<String> {
    let instances = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if instances.is_empty() {
        return vec!["this gate shares nothing with others".to_owned()];
    }
    let mut table = Table::new(&["instance", "state", "until (UTC)"], 3);
    for instance in instances {
        let text = |member: &str| instance[member].as_str().unwrap_or_default().to_owned();
        let until: String = text("until").replace('T', " ").chars().take(19).collect();
        table.row(vec![text("id"), text("state"), until]);
    }
    table.lines()
}
