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
    /// Make a link with which a user chooses a password, and the user where there is none; it is shown this once
    Invite(Invite),
    /// Show how a user signs in
    Login(One),
    /// Say in which groups a user is; none where none is given
    Groups(Groups),
    /// End a user's sessions, and what applications were granted
    SignOut(SignOut),
    /// Let a user sign in here no more
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
    /// The email address; default the name, where that is one
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
    /// The groups
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
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
            Self::Login(One { id }) => {
                let login: Value = remote.get(&of(&id, "login")).await?;
                how.tell(&login, || lines(&login))
            }
            Self::Groups(Groups { one: One { id }, groups }) => {
                let login =
                    remote.change("PATCH", &of(&id, "login"), None, &json!({ "groups": groups })).await?;
                how.tell(&login, || lines(&login))
            }
            Self::SignOut(SignOut { one: One { id }, password, totp }) => {
                let said = json!({ "password": password, "totp": totp });
                let login = remote.change("POST", &of(&id, "login/end"), None, &said).await?;
                how.tell(&login, || vec![format!("all that the user `{id}` was signed in to has ended")])
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
