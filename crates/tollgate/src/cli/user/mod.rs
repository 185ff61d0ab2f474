//! `tollgate user`: users, whose budgets and limits hold for all of their keys together, and how they sign in.

mod login;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use tollgate_core::access::HolderKind;

use super::holder::{Command, How, Nothing, Own, Says, put};

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
    Holder(Command<UserSaid>),
    #[command(flatten)]
    Login(login::Command),
}

/// What can be said of a user only.
#[derive(Debug, Args)]
struct UserSaid {
    /// How to reach them
    #[arg(long)]
    email: Option<String>,
}

impl Own for UserSaid {
    type Filter = Nothing;
}

impl Says for UserSaid {
    fn say(self, said: &mut Map<String, Value>) {
        put(said, "email", self.email);
    }
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        match self.what {
            What::Holder(command) => command.run(HolderKind::User, &self.how).await,
            What::Login(command) => command.run(&self.how).await,
        }
    }
}
