//! `tollgate journal`: whether the records are what was written, and the index over them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_journal::{PublicKey, Report, Signed, Verifier, chains};

use super::ask::load;
use super::say;
use crate::wire;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check every entry, every segment and every signed head; name what was altered
    Verify(Verify),
    /// Make the index anew from the journal
    Reindex(Reindex),
    /// Print the last signed head of each chain, to be kept elsewhere
    Head(Head),
}

#[derive(Debug, Args)]
struct Verify {
    /// The data folder of the gate
    #[arg(long, value_name = "FOLDER", env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// A head that was kept elsewhere: a file of lines as `tollgate journal head` prints; may be given again
    #[arg(long, value_name = "FILE")]
    head: Vec<PathBuf>,
    /// The key that must have signed, PEM; default journal.pub in the folder
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Reindex {
    /// The data folder of the gate
    #[arg(long, value_name = "FOLDER", env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The index's database, where it is not in the folder
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Add up spend anew too: what stood in segments that were removed is lost
    #[arg(long)]
    spend: bool,
}

#[derive(Debug, Args)]
struct Head {
    /// The data folder of the gate
    #[arg(long, value_name = "FOLDER", env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        match self.what {
            What::Verify(verify) => verify.run(),
            What::Reindex(reindex) => reindex.run().await,
            What::Head(head) => head.run(),
        }
    }
}

fn folder(given: Option<PathBuf>) -> Result<PathBuf> {
    let folder = given.map_or_else(wire::default_data_dir, Ok)?;
    ensure!(
        folder.join("journal").is_dir(),
        "{} holds no journal; another folder: --data-dir",
        folder.display()
    );
    Ok(folder)
}

impl Verify {
    fn run(self) -> Result<()> {
        let data_dir = folder(self.data_dir)?;
        let key_file = self.public_key.unwrap_or_else(|| data_dir.join("journal.pub"));
        let pem = std::fs::read_to_string(&key_file).with_context(|| key_file.display().to_string())?;
        let key = PublicKey::from_pem(&pem)
            .with_context(|| format!("{}: no Ed25519 public key", key_file.display()))?;
        let mut heads = Vec::new();
        for file in &self.head {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let head: Signed =
                    serde_json::from_str(line).with_context(|| format!("{}: no head", file.display()))?;
                heads.push(head);
            }
        }
        let mut wrong = 0;
        let mut reports = Vec::new();
        let there = chains(&data_dir)?;
        for head in &heads {
            let of = head.statement().map(|statement| statement.instance().to_owned()).unwrap_or_default();
            if !there.iter().any(|(instance, _)| *instance == of) {
                wrong += 1;
                say(&format!("chain {of}: a head of it was kept, and it is not here"))?;
            }
        }
        for (instance, chain) in there {
            let mut verifier = Verifier::new(&chain, &instance, key.clone());
            for head in &heads {
                verifier = verifier.against(head.clone());
            }
            let report = verifier.run(|_, _| {}).with_context(|| chain.display().to_string())?;
            wrong += report.findings.len() + report.more;
            if !self.json {
                tell(&instance, &report)?;
            }
            reports.push(as_json(&instance, &report));
        }
        ensure!(!reports.is_empty(), "{} holds no journal", data_dir.display());
        if self.json {
            say(&serde_json::to_string_pretty(&reports)?)?;
        }
        if wrong > 0 {
            bail!("{wrong} findings: the journal is not what was written");
        }
        if !self.json {
            say("ok")?;
        }
        Ok(())
    }
}

fn tell(instance: &str, report: &Report) -> Result<()> {
    let (first, last) = report.range.unwrap_or((0, 0));
    say(&format!(
        "chain {instance}: {} entries ({first} to {last}) in {} segments, {} removed, signed up to {}",
        report.entries, report.segments, report.removed, report.signed_to
    ))?;
    for finding in &report.findings {
        say(&format!("  {finding}"))?;
    }
    if report.more > 0 {
        say(&format!("  and {} more", report.more))?;
    }
    Ok(())
}

fn as_json(instance: &str, report: &Report) -> serde_json::Value {
    json!({
        "instance": instance,
        "entries": report.entries,
        "first": report.range.map(|range| range.0),
        "last": report.range.map(|range| range.1),
        "segments": report.segments,
        "removed": report.removed,
        "heads": report.heads,
        "signed_to": report.signed_to,
        "findings": report.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "more": report.more,
    })
}

impl Reindex {
    async fn run(self) -> Result<()> {
        let data_dir = folder(self.data_dir)?;
        let url = self.database_url.as_deref().filter(|url| url.starts_with("postgres"));
        let index = tollgate_store::open(url, &data_dir).await?;
        if self.spend {
            index.clear_with_spend().await?;
        } else {
            index.clear().await?;
        }
        let count = load(&Arc::clone(&index), &data_dir).await?;
        say(&format!("{count} entries were loaded"))?;
        Ok(())
    }
}

impl Head {
    fn run(self) -> Result<()> {
        for (instance, chain) in chains(&folder(self.data_dir)?)? {
            let head = std::fs::read_to_string(chain.join("head.json"));
            say(head.with_context(|| format!("no head of {instance} was signed yet"))?.trim())?;
        }
        Ok(())
    }
}
