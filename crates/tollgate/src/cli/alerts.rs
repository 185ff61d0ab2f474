//! `tollgate alerts`: whether alerts arrive.

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::holder::How;
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
    /// Send a test alert to each address that is configured, and say what became of it; status 0 when all were taken
    Test,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let What::Test = self.what;
        let remote = self.how.remote()?;
        let answer = remote.change("POST", "/api/v1/alerts/test", None, &json!({})).await?;
        let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure!(
            !items.is_empty(),
            "the gate tells nobody: name addresses under `alerts` in its configuration"
        );
        self.how.tell(&answer, || lines(items))?;
        ensure!(items.iter().all(|item| item["delivered"] == true), "not every test alert was taken");
        Ok(())
    }
}

fn lines(items: &[Value]) -> Vec<String> {
    let mut table = Table::new(&["host", "format", "test alert"], 3);
    for item in items {
        let text = |member: &str| item[member].as_str().unwrap_or_default().to_owned();
        let became = if item["delivered"] == true { "taken".to_owned() } else { text("why") };
        table.row(vec![text("host"), text("format"), became]);
    }
    table.lines()
}
