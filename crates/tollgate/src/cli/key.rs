//! `tollgate key`: keys, which callers present to the gate.

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tollgate_core::access::{HolderKind, Role};

use super::holder::{Command, How, Own, Says, made_known, path, put};
use super::when;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(flatten)]
    Any(Box<Command<KeySaid>>),
    /// Give a key a new secret, which is shown this once
    Rotate(Rotate),
}

/// What can be said of a key only.
#[derive(Debug, Args)]
struct KeySaid {
    /// The user that it belongs to, whose budgets and limits hold too
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The team that it belongs to, whose budgets and limits hold too
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// What it may do besides calling
    #[arg(long, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::name)))]
    role: Option<String>,
    /// Whether it acts with its user's accounts at tool servers
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    acts: Option<bool>,
    /// When it ends: 30d or 12h from now, a day, or a time as in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = when::ahead)]
    expires: Option<Timestamp>,
    /// The addresses and networks that it may be used from, with commas, such as 10.0.0.0/8
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    addresses: Option<Vec<String>>,
}

/// What only keys can be listed by.
#[derive(Debug, Args)]
struct KeyFilter {
    /// Those of this team
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// Those of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

impl Says for KeyFilter {
    fn say(self, said: &mut Map<String, Value>) {
        put(said, "team", self.team);
        put(said, "user", self.user);
    }
}

impl Own for KeySaid {
    type Filter = KeyFilter;
}

impl Says for KeySaid {
    fn say(self, said: &mut Map<String, Value>) {
        put(said, "user", self.user);
        put(said, "team", self.team);
        put(said, "role", self.role);
        put(said, "acts", self.acts);
        put(said, "expires_at", self.expires);
        put(said, "addresses", self.addresses);
    }
}

#[derive(Debug, Args)]
struct Rotate {
    /// The key's name
    #[arg(value_name = "ID")]
    id: String,
    /// How long the secret before is taken, such as 1h
    #[arg(long, value_name = "TIME", value_parser = when::seconds, default_value = "0s")]
    grace: u32,
    /// Print nothing but the secret
    #[arg(long, short)]
    quiet: bool,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        match self.what {
            What::Any(command) => command.run(HolderKind::Key, &self.how).await,
            What::Rotate(rotate) => rotate.run(&self.how).await,
        }
    }
}

impl Rotate {
    async fn run(self, how: &How) -> Result<()> {
        let path = format!("{}/rotate", path(HolderKind::Key, Some(&self.id)));
        let body = json!({ "grace_seconds": self.grace });
        let made = how.remote()?.change("POST", &path, None, &body).await?;
        made_known(HolderKind::Key, &made, self.quiet, "was rotated", how)
    }
}
