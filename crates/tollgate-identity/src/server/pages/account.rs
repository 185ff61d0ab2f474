//! What people see of their own account, and change there.

use maud::{Markup, html};
use tollgate_core::config::identity::Server;
use tollgate_core::identity::Login;

use super::{layout, problem};

/// An application that may act for somebody.
pub(crate) struct Application {
    /// Which grant.
    pub(crate) id: String,
    /// What it calls itself.
    pub(crate) name: String,
    /// Since when.
    pub(crate) since: String,
}

/// What is shown.
pub(crate) struct Account<'a> {
    /// Whose it is.
    pub(crate) login: &'a Login,
    /// Applications that may act for them.
    pub(crate) applications: &'a [Application],
    /// That it is from a page that this browser was shown.
    pub(crate) token: &'a str,
    /// What was done.
    pub(crate) done: Option<&'a str>,
    /// What went wrong.
    pub(crate) wrong: Option<&'a str>,
    /// Whether there are tool servers that want accounts.
    pub(crate) has_connections: bool,
    /// Whether one-time codes may be given up.
    pub(crate) optional: bool,
}

/// The page.
pub(crate) fn account(server: &Server, shown: &Account<'_>) -> Markup {
    let action = format!("{}/oauth/account", server.path);
    let spec = &shown.login.spec;
    let button = |answer: &str, label: &str, grant: Option<&str>| {
        html! {
            form method="post" action=(action) {
                input type="hidden" name="form" value=(shown.token);
                @if let Some(grant) = grant { input type="hidden" name="grant" value=(grant); }
                button type="submit" class="other" name="answer" value=(answer) { (label) }
            }
        }
    };
    let content = html! {
        @if let Some(done) = shown.done { p role="status" class="done" { (done) } }
        (problem(shown.wrong))
        p { "You are signed in as " span class="who" { (shown.login.user) } "." }
        @if let Some(email) = &spec.email { p class="quiet" { (email) } }
        @if !spec.groups.is_empty() { p class="quiet" { "Groups: " (spec.groups.join(", ")) } }
        h2 { "Applications that act for you" }
        @if shown.applications.is_empty() { p class="quiet" { "None." } }
        @for application in shown.applications {
            div class="entry" {
                p { span class="who" { (application.name) } " since " (application.since) }
                (button("revoke", &format!("Take it back from {}", application.name), Some(&application.id)))
            }
        }
        @if shown.has_connections {
            h2 { "Tools" }
            p { a href=(format!("{}/oauth/connections", server.path)) { "Accounts that tools use for you" } }
        }
        h2 { "Password" }
        form method="post" action=(action) {
            input type="hidden" name="form" value=(shown.token);
            label for="current" { "Current password" }
            input type="password" id="current" name="current" autocomplete="current-password" required;
            label for="password" { "New password, twelve characters or more" }
            input type="password" id="password" name="password" autocomplete="new-password" minlength="12" required;
            button type="submit" name="answer" value="password" { "Change it" }
        }
        h2 { "One-time codes" }
        @if shown.login.totp.is_none() {
            form method="post" action=(action) {
                input type="hidden" name="form" value=(shown.token);
                label for="known" { "Your password" }
                input type="password" id="known" name="current" autocomplete="current-password" required;
                button type="submit" class="other" name="answer" value="totp" { "Set them up" }
            }
        } @else if shown.optional {
            p { "They are set up." }
            form method="post" action=(action) {
                input type="hidden" name="form" value=(shown.token);
                label for="code" { "Current code" }
                input type="text" id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="7" required;
                button type="submit" class="other" name="answer" value="no_totp" { "Do without them" }
            }
        } @else {
            p { "They are set up." }
        }
        h2 { "Leave" }
        (button("sign_out", "Sign out here", None))
        (button("sign_out_everywhere", "Sign out everywhere", None))
    };
    layout(server, "Your account", &content)
}
