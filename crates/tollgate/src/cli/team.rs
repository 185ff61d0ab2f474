//! `tollgate team`: teams, whose budgets and limits hold for all of their keys together.

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};
use tollgate_core::access::HolderKind;

use super::holder::{Command, How, Nothing, Own, Says, put};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Command<TeamSaid>,
    #[command(flatten)]
    how: How,
}

/// What can be said of a team only.
#[derive(Debug, Args)]
struct TeamSaid {
    /// A user who belongs to it, as USER or USER:admin; may be given again
    #[arg(long, value_name = "USER")]
    member: Option<Vec<String>>,
}

impl Own for TeamSaid {
    type Filter = Nothing;
}

impl Says for TeamSaid {
    fn say(self, said: &mut Map<String, Value>) {
        let member = |text: String| match text.rsplit_once(':') {
            Some((user, role @ ("admin" | "member"))) => json!({ "user": user, "role": role }),
            _ => json!({ "user": text }),
        };
        put(said, "members", self.member.map(|all| all.into_iter().map(member).collect::<Vec<_>>()));
    }
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        self.what.run(HolderKind::Team, &self.how).await
    }
}
