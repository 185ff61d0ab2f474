//! Keys, teams and users on the command line. They are one kind of thing, holders: one implementation makes, lists,
//! shows, changes, blocks and deletes all of them.

pub(super) mod rules;
mod said;
pub(super) mod shown;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tollgate_core::access::HolderKind;

use super::ask::{Gate, Remote, remote};
use super::{complain, say};

pub(super) use self::said::{Nothing, Own, Said, Says, put};

/// What can be done with holders of every kind.
#[derive(Debug, Subcommand)]
pub(super) enum Command<O: Own> {
    /// Make one; a key's secret is shown this once
    Create(Create<O>),
    /// List them
    List(List<O::Filter>),
    /// Show one, and how it stands with each budget and limit
    Show(One),
    /// Change what is said of one; what is not given stays
    Set(Set<O>),
    /// Refuse its calls from now on
    Block(One),
    /// Take its calls again
    Unblock(One),
    /// Remove it
    Delete(One),
}

#[derive(Debug, Args)]
pub(super) struct Create<O: Own> {
    /// Its name, unique among its kind; made up where none is given
    #[arg(value_name = "ID")]
    name: Option<String>,
    /// The same
    #[arg(long, conflicts_with = "name", hide_short_help = true)]
    id: Option<String>,
    /// Print nothing but the secret of a key, or the name of what has none
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    said: Said<O>,
}

#[derive(Debug, Args)]
pub(super) struct List<F: Says> {
    /// Those that people call so
    #[arg(long, value_name = "TEXT")]
    alias: Option<String>,
    #[command(flatten)]
    own: F,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Its name
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Set<O: Own> {
    /// Its name
    #[arg(value_name = "ID")]
    id: String,
    /// A member that goes back to what it is when nobody says anything, such as models; may be given again
    #[arg(long, value_name = "MEMBER")]
    unset: Vec<String>,
    #[command(flatten)]
    said: Said<O>,
}

/// Whom a command about holders asks, and how it prints what it is told.
#[derive(Debug, Args)]
pub(super) struct How {
    #[command(flatten)]
    gate: Gate,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl How {
    /// The gate.
    pub(super) fn remote(&self) -> Result<Remote> {
        self.gate.remote()
    }

    /// Prints `answer` as JSON where that is asked for, and `words` otherwise.
    pub(super) fn tell(&self, answer: &Value, words: impl FnOnce() -> Vec<String>) -> Result<()> {
        if self.json {
            say(&serde_json::to_string_pretty(answer)?)?;
        } else {
            words().iter().try_for_each(|line| say(line))?;
        }
        Ok(())
    }
}

/// Where holders of `kind` are, or the one that is called `id`.
pub(super) fn path(kind: HolderKind, id: Option<&str>) -> String {
    let one = id.map(|id| format!("/{}", remote::segment(id))).unwrap_or_default();
    format!("/api/v1/{}s{one}", kind.name())
}

impl<O: Own> Command<O> {
    pub(super) async fn run(self, kind: HolderKind, how: &How) -> Result<()> {
        let remote = how.remote()?;
        match self {
            Self::Create(create) => create.run(kind, how, &remote).await,
            Self::List(list) => list.run(kind, how, &remote).await,
            Self::Show(One { id }) => {
                let answer: Value = remote.get(&path(kind, Some(&id))).await?;
                how.tell(&answer, || shown::one(kind, &answer))
            }
            Self::Set(Set { id, unset, said }) => {
                let mut patch = said.into_json();
                patch.extend(unset.into_iter().map(|member| (member, Value::Null)));
                ensure!(!patch.is_empty(), "nothing was said that is to be changed");
                patched(kind, &id, patch, "was changed", how, &remote).await
            }
            Self::Block(One { id }) => {
                let patch = [("blocked".to_owned(), json!(true))].into_iter().collect();
                patched(kind, &id, patch, "is blocked", how, &remote).await
            }
            Self::Unblock(One { id }) => {
                let patch = [("blocked".to_owned(), json!(false))].into_iter().collect();
                patched(kind, &id, patch, "is not blocked any more", how, &remote).await
            }
            Self::Delete(One { id }) => {
                remote.answer("DELETE", &path(kind, Some(&id)), &[], "").await?;
                how.tell(&json!({ "id": id, "deleted": true }), || {
                    vec![format!("the {} `{id}` is deleted", kind.name())]
                })
            }
        }
    }
}

async fn patched(
    kind: HolderKind,
    id: &str,
    patch: Map<String, Value>,
    done: &str,
    how: &How,
    remote: &Remote,
) -> Result<()> {
    let answer = remote.change("PATCH", &path(kind, Some(id)), None, &Value::Object(patch)).await?;
    how.tell(&answer, || vec![format!("the {} `{id}` {done}", kind.name())])
}

impl<O: Own> Create<O> {
    async fn run(self, kind: HolderKind, how: &How, remote: &Remote) -> Result<()> {
        let mut said = self.said.into_json();
        put(&mut said, "id", self.id.or(self.name));
        let made = remote.change("POST", &path(kind, None), None, &Value::Object(said)).await?;
        made_known(kind, &made, self.quiet, "was made", how)
    }
}

/// Tells of a holder that was just made, or of a key that was just rotated.
pub(super) fn made_known(kind: HolderKind, made: &Value, quiet: bool, what: &str, how: &How) -> Result<()> {
    let (id, secret) = (shown::text(&made["id"]), made["key"].as_str());
    if quiet {
        return Ok(say(secret.unwrap_or(id))?);
    }
    if secret.is_some() && !how.json {
        // Apart from the secret, which may be all that somebody wants to keep of the output.
        complain(&format!("the key `{id}` {what}; this is its secret, which is shown this once"));
    }
    how.tell(made, || {
        vec![secret.map_or_else(|| format!("the {} `{id}` {what}", kind.name()), str::to_owned)]
    })
}

impl<F: Says> List<F> {
    async fn run(self, kind: HolderKind, how: &How, remote: &Remote) -> Result<()> {
        let mut filter = Map::new();
        put(&mut filter, "alias", self.alias);
        self.own.say(&mut filter);
        let all = remote.all(&path(kind, None), filter).await?;
        how.tell(&all, || shown::list(kind, all.as_array().map_or(&[], Vec::as_slice)))
    }
}
