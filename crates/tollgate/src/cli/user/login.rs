//! How users sign in at the gate itself: the part of `tollgate user` that is about that.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tollgate_core::access::HolderKind;

use crate::cli::complain;
use crate::cli::holder::shown::text;
use crate::cli::holder::{How, path, put};

/// What can be done with logins.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Invite a user: prints, this once, a link to choose a password; makes the user where there is none
    Invite(Invite),
    /// Show how a user signs in here
    ShowLogin(One),
    /// Show in which groups a user is, or say in which
    Groups(Groups),
    /// End a user's sessions, and what applications were granted
    SignOut(SignOut),
    /// Take a user's password, codes and sessions away; the user and their keys stay
    RemoveLogin(One),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// The user
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Invite {
    #[command(flatten)]
    one: One,
    /// The email address; default the ID, where that is one
    #[arg(long)]
    email: Option<String>,
    /// What people call them
    #[arg(long)]
    name: Option<String>,
    /// A group that they are in; may be given again
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// How long the link is good, in hours, default 72
    #[arg(long, value_name = "HOURS")]
    hours: Option<u64>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Groups {
    #[command(flatten)]
    one: One,
    /// The groups that they are in from now on, and no others
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// None any more
    #[arg(long, conflicts_with = "groups")]
    none: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SignOut {
    #[command(flatten)]
    one: One,
    /// Take the password away too: an invitation makes another one
    #[arg(long)]
    password: bool,
    /// Take one-time codes away too, for whoever has lost their device
    #[arg(long)]
    totp: bool,
}

fn of(user: &str, what: &str) -> String {
    format!("{}/{what}", path(HolderKind::User, Some(user)))
}

impl Command {
    pub(in crate::cli) async fn run(self, how: &How) -> Result<()> {
        let remote = how.remote()?;
        match self {
            Self::Invite(invite) => invite.run(how).await,
            Self::ShowLogin(One { id }) => {
                let login: Value = remote.get(&of(&id, "login")).await?;
                how.tell(&login, || lines(&login))
            }
            Self::Groups(Groups { one: One { id }, groups, none: false }) if groups.is_empty() => {
                let login: Value = remote.get(&of(&id, "login")).await?;
                how.tell(&login["groups"], || {
                    let groups = login["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    groups.map(str::to_owned).collect()
                })
            }
            Self::Groups(Groups { one: One { id }, groups, .. }) => {
                let login =
                    remote.change("PATCH", &of(&id, "login"), None, &json!({ "groups": groups })).await?;
                how.tell(&login, || lines(&login))
            }
            Self::SignOut(SignOut { one: One { id }, password, totp }) => {
                let said = json!({ "password": password, "totp": totp });
                let login = remote.change("POST", &of(&id, "login/end"), None, &said).await?;
                how.tell(&login, || {
                    let mut lines = vec![format!("all that the user `{id}` was signed in to has ended")];
                    lines.extend(password.then(|| "the password is taken away".to_owned()));
                    lines.extend(totp.then(|| "one-time codes are taken away".to_owned()));
                    lines
                })
            }
            Self::RemoveLogin(One { id }) => {
                remote.answer("DELETE", &of(&id, "login"), &[], "").await?;
                how.tell(&json!({ "user": id, "removed": true }), || {
                    vec![format!("the user `{id}` does not sign in here any more")]
                })
            }
        }
    }
}

impl Invite {
    async fn run(self, how: &How) -> Result<()> {
        let id = self.one.id;
        let mut said = Map::new();
        put(&mut said, "email", self.email);
        put(&mut said, "name", self.name);
        if !self.group.is_empty() {
            said.insert("groups".to_owned(), json!(self.group));
        }
        if let Some(hours) = self.hours {
            said.insert("valid_hours".to_owned(), json!(hours));
        }
        let made = how.remote()?.change("POST", &of(&id, "invitation"), None, &Value::Object(said)).await?;
        if !how.json {
            // Apart from the link, which may be all that somebody wants to keep of the output.
            let ends = text(&made["ends_at"]);
            complain(&format!("`{id}` is invited; whoever has this link chooses the password, until {ends}"));
        }
        how.tell(&made, || vec![text(&made["link"]).to_owned()])
    }
}

fn lines(login: &Value) -> Vec<String> {
    let mut lines = vec![text(&login["user"]).to_owned()];
    let mut line = |what: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("  {what:<13} {value}"));
        }
    };
    let yes = |value: &Value| if value.as_bool() == Some(true) { "yes" } else { "no" };
    line("email", text(&login["email"]));
    line("name", text(&login["name"]));
    let groups: Vec<&str> =
        login["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    line("groups", &groups.join(", "));
    line("password", yes(&login["password"]));
    line("one-time code", yes(&login["totp"]));
    line("invited until", text(&login["invited_until"]));
    line("subject", text(&login["subject"]));
    lines
}
