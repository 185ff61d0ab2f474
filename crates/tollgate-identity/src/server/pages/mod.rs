//! Pages for people. They work without scripts, with a keyboard, and with a screen reader; nothing is loaded from elsewhere.

mod account;
mod connections;
mod consent;
mod device;
mod sign_in;

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use tollgate_core::config::identity::Server;
use tollgate_core::config::web::WebApplication;

use super::reply::{self, Error, Reply, page};

pub(crate) use self::account::{Account, Application, account};
pub(crate) use self::connections::{Connection, connections};
pub(crate) use self::consent::{Asked, consent};
pub(crate) use self::device::{activate, confirm};
pub(crate) use self::sign_in::{Enrolling, code, enrol, invitation, sign_in};

/// What a form carries besides what is typed.
pub(crate) struct Hidden<'a> {
    /// What is done next.
    pub(crate) next: &'a str,
    /// That it is from a page that this browser was shown.
    pub(crate) token: &'a str,
}

/// The page called `title`.
fn layout(server: &Server, title: &str, content: &Markup) -> Markup {
    layout_with(&format!("{}/oauth/style.css", server.path), &server.issuer, title, content)
}

fn layout_with(style: &str, whose: &str, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " – Tollgate" }
                link rel="stylesheet" href=(style);
                link rel="icon" href="data:,";
            }
            body {
                main {
                    h1 { (title) }
                    (content)
                }
                footer { (whose) }
            }
        }
    }
}

/// What went wrong, where it is read at once.
fn problem(wrong: Option<&str>) -> Markup {
    html! { @if let Some(wrong) = wrong { p role="alert" class="wrong" id="problem" { (wrong) } } }
}

/// A page that says something, and where to go on.
pub(crate) fn says(server: &Server, title: &str, text: &str) -> Markup {
    let account = format!("{}/oauth/account", server.path);
    layout(server, title, &html! { p { (text) } p { a href=(account) { "Your account" } } })
}

/// `text`, which was written for programs, as a sentence for people.
fn sentence(text: &str) -> String {
    let text = text.replace('`', "");
    let mut letters = text.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '?', ')']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// Why something was not done, for people.
pub(crate) fn refused(server: &Server, error: &Error) -> Reply {
    let content = html! {
        p role="alert" class="wrong" { (sentence(&error.why)) }
        p class="quiet" { "For whoever runs the application: " code { (error.code) } }
    };
    page(error.status, &layout(server, "That did not work", &content), None)
}

/// Why somebody is not let into an application, shown at its host.
pub(crate) fn refused_at(application: &WebApplication, status: StatusCode, why: &str) -> Markup {
    let content = html! {
        p role="alert" class="wrong" { (sentence(why)) }
        @match status {
            StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST => {
                p { a href="/.tollgate/sign-in?to=/" { "Sign in" } }
            }
            StatusCode::FORBIDDEN => p { a href="/.tollgate/sign-out" { "Sign in as somebody else" } },
            _ => {}
        }
    };
    layout_with("/.tollgate/style.css", &application.url, "That did not work", &content)
}

/// Asks whether somebody wants to sign out.
pub(crate) fn logout(server: &Server, user: &str, parameters: &[(&str, &str)], token: &str) -> Markup {
    let content = html! {
        p { "You are signed in as " span class="who" { (user) } ". Sign out?" }
        form method="post" action=(format!("{}/oauth/logout", server.path)) {
            @for (name, value) in parameters { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="form" value=(token);
            button type="submit" name="answer" value="leave" { "Sign out" }
        }
    };
    layout(server, "Sign out", &content)
}

/// The style sheet.
pub(crate) fn style() -> Reply {
    reply::style(include_str!("style.css"))
}
