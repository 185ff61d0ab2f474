//! What people see of their accounts at tool servers.

use maud::{Markup, html};
use tollgate_core::config::identity::Server;

use super::{layout, problem};

/// A tool server at which accounts are connected.
pub(crate) struct Connection {
    /// Its name.
    pub(crate) server: String,
    /// Where it is.
    pub(crate) host: String,
    /// Whether the account is for all.
    pub(crate) for_all: bool,
    /// Since when it is connected.
    pub(crate) since: Option<String>,
    /// What the gate may do there.
    pub(crate) scope: Option<String>,
}

/// The page.
pub(crate) fn connections(
    server: &Server,
    shown: &[Connection],
    token: &str,
    done: Option<&str>,
    wrong: Option<&str>,
) -> Markup {
    let action = format!("{}/oauth/connections", server.path);
    let content = html! {
        @if let Some(done) = done { p role="status" class="done" { (done) } }
        (problem(wrong))
        p { "What agents do for you with these tools, they do with your account there." }
        @if shown.is_empty() { p class="quiet" { "No tool server here wants an account." } }
        @for one in shown {
            div class="entry" {
                p {
                    span class="who" { (one.server) } " at " (one.host)
                    @if one.for_all { " (for everybody)" }
                }
                @match &one.since {
                    Some(since) => {
                        p class="quiet" {
                            "Connected since " (since)
                            @if let Some(scope) = &one.scope { ": " (scope) }
                        }
                    },
                    None => p class="quiet" { "Not connected." },
                }
                form method="post" action=(action) {
                    input type="hidden" name="form" value=(token);
                    input type="hidden" name="server" value=(one.server);
                    @if one.since.is_some() {
                        button type="submit" class="other" name="answer" value="disconnect" {
                            "Disconnect " (one.server)
                        }
                    } @else {
                        button type="submit" name="answer" value="connect" { "Connect " (one.server) }
                    }
                }
            }
        }
        p { a href=(format!("{}/oauth/account", server.path)) { "Your account" } }
    };
    layout(server, "Connected tools", &content)
}
