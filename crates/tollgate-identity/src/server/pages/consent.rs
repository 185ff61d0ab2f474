//! Asking whether a client may act for somebody.

use maud::{Markup, html};
use tollgate_core::config::identity::Server;

use super::{Hidden, layout};
use crate::server::discovery::endpoint;

/// What somebody is asked to agree to.
pub(crate) struct Asked<'a> {
    /// What the client calls itself.
    pub(crate) client: &'a str,
    /// Whether nobody here knows it.
    pub(crate) is_strange: bool,
    /// Where the browser goes in the end; `None` for a device.
    pub(crate) to: Option<&'a str>,
    /// What it asks for.
    pub(crate) scopes: &'a [String],
    /// What its tokens are for.
    pub(crate) resources: &'a [String],
    /// Whether it goes on when they are away.
    pub(crate) lasts: bool,
    /// Whoever is asked.
    pub(crate) user: &'a str,
}

/// What it is that is asked for, in words.
pub(super) fn what(server: &Server, asked: &Asked<'_>) -> Markup {
    let userinfo = endpoint(server, "userinfo");
    html! {
        p { span class="who" { (asked.client) } " asks to act for " span class="who" { (asked.user) } ":" }
        ul {
            @for resource in asked.resources.iter().filter(|resource| **resource != userinfo) {
                li { "make calls as you at " code { (resource) } }
            }
            @for scope in asked.scopes.iter().filter(|scope| *scope != "offline_access") { li { (in_words(scope)) } }
            @if asked.lasts { li { "go on when you are away, until you take it back" } }
        }
        @if asked.is_strange {
            p { "Anybody can give an application this name: nobody here has checked it." }
        }
    }
}

/// Asks.
pub(crate) fn consent(server: &Server, asked: &Asked<'_>, form: &Hidden<'_>) -> Markup {
    let content = html! {
        (what(server, asked))
        @if let Some(to) = asked.to {
            p { "You will be sent to " span class="who" { (to) } @if is_this_machine(to) { " – a program on this machine" } "." }
        }
        form method="post" action=(format!("{}/oauth/consent", server.path)) {
            input type="hidden" name="next" value=(form.next);
            input type="hidden" name="form" value=(form.token);
            button type="submit" name="answer" value="allow" { "Allow" }
            button type="submit" name="answer" value="deny" class="other" { "Deny" }
        }
    };
    layout(server, "May this application act for you?", &content)
}

fn is_this_machine(to: &str) -> bool {
    ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|own| to.starts_with(own))
}

fn in_words(scope: &str) -> Markup {
    match scope {
        "openid" => html! { "know that it is you" },
        "profile" => html! { "read your name" },
        "email" => html! { "read your email address" },
        "groups" => html! { "read the groups that you are in" },
        other => html! { code { (other) } },
    }
}
