//! Signing in, one-time codes, invitations.

use maud::{Markup, html};
use tollgate_core::config::identity::Server;

use super::{Hidden, layout, problem};
use crate::server::totp::Picture;

/// Asks for a name and a password.
pub(crate) fn sign_in(
    server: &Server,
    form: &Hidden<'_>,
    name: &str,
    wrong: Option<&str>,
    elsewhere: &[(&str, &str)],
) -> Markup {
    let known = !name.is_empty();
    let content = html! {
        (problem(wrong))
        form method="post" action=(format!("{}/oauth/sign-in", server.path)) {
            input type="hidden" name="next" value=(form.next);
            input type="hidden" name="form" value=(form.token);
            label for="username" { "Name or email address" }
            input type="text" id="username" name="username" value=(name) autocomplete="username" autocapitalize="none"
                spellcheck="false" required autofocus[!known] aria-describedby=[wrong.map(|_| "problem")];
            label for="password" { "Password" }
            input type="password" id="password" name="password" autocomplete="current-password" required
                autofocus[known] aria-describedby=[wrong.map(|_| "problem")];
            button type="submit" { "Sign in" }
        }
        @for (issuer, label) in elsewhere {
            form method="get" action=(format!("{}/oauth/with", server.path)) {
                input type="hidden" name="issuer" value=(issuer);
                input type="hidden" name="next" value=(form.next);
                button type="submit" class="other" { "Sign in with " (label) }
            }
        }
    };
    layout(server, "Sign in", &content)
}

/// Asks for a one-time code.
pub(crate) fn code(server: &Server, passed: &str, token: &str, wrong: Option<&str>) -> Markup {
    let content = html! {
        (problem(wrong))
        form method="post" action=(format!("{}/oauth/code", server.path)) {
            input type="hidden" name="passed" value=(passed);
            input type="hidden" name="form" value=(token);
            (code_field("Code from your authenticator application", wrong))
            button type="submit" { "Sign in" }
        }
    };
    layout(server, "One-time code", &content)
}

fn code_field(label: &str, wrong: Option<&str>) -> Markup {
    html! {
        label for="code" { (label) }
        input type="text" id="code" name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]*"
            maxlength="7" required autofocus aria-describedby=[wrong.map(|_| "problem")];
    }
}

/// What is shown of a secret that is to be set up.
pub(crate) struct Enrolling<'a> {
    /// That the password was right.
    pub(crate) passed: &'a str,
    /// The secret, carried.
    pub(crate) secret: &'a str,
    /// The secret, for people.
    pub(crate) readable: &'a str,
    /// The secret, for cameras.
    pub(crate) picture: Option<&'a Picture>,
    /// That it is from a page that this browser was shown.
    pub(crate) token: &'a str,
    /// Whether they may do without.
    pub(crate) optional: bool,
    /// What went wrong.
    pub(crate) wrong: Option<&'a str>,
}

/// Sets up one-time codes.
pub(crate) fn enrol(server: &Server, shown: &Enrolling<'_>) -> Markup {
    let action = format!("{}/oauth/enrol", server.path);
    let hidden = html! {
        input type="hidden" name="passed" value=(shown.passed);
        input type="hidden" name="form" value=(shown.token);
    };
    let grouped: Vec<&str> =
        shown.readable.as_bytes().chunks(4).filter_map(|part| std::str::from_utf8(part).ok()).collect();
    let content = html! {
        p { "With a code from an authenticator application, your password alone is not enough for somebody else." }
        @if let Some(picture) = shown.picture {
            svg role="img" aria-label="The secret, for a camera; it stands below in letters too"
                viewBox=(format!("0 0 {0} {0}", picture.size)) shape-rendering="crispEdges" {
                path d=(picture.path) fill="#000000" {}
            }
        }
        p { "Scan it, or type this into the application: " code { (grouped.join(" ")) } }
        (problem(shown.wrong))
        form method="post" action=(action) {
            (hidden)
            input type="hidden" name="secret" value=(shown.secret);
            (code_field("The code that the application shows", shown.wrong))
            button type="submit" { "Set up" }
        }
        @if shown.optional {
            form method="post" action=(action) {
                (hidden)
                button type="submit" class="other" name="answer" value="skip" { "Not now" }
            }
        }
    };
    layout(server, "One-time codes", &content)
}

/// Asks whoever was invited to choose a password.
pub(crate) fn invitation(
    server: &Server,
    token: &str,
    user: &str,
    form: &str,
    wrong: Option<&str>,
) -> Markup {
    let content = html! {
        p { "You are invited as " span class="who" { (user) } ". At least twelve characters; several words that do not belong together are good." }
        (problem(wrong))
        form method="post" action=(format!("{}/oauth/invitation", server.path)) {
            input type="hidden" name="token" value=(token);
            input type="hidden" name="form" value=(form);
            // Password managers keep the name with the password.
            input type="hidden" name="username" value=(user) autocomplete="username";
            label for="password" { "Password" }
            input type="password" id="password" name="password" autocomplete="new-password" minlength="12" required
                autofocus aria-describedby=[wrong.map(|_| "problem")];
            label for="again" { "The same again" }
            input type="password" id="again" name="again" autocomplete="new-password" minlength="12" required;
            button type="submit" { "Go on" }
        }
    };
    layout(server, "Choose a password", &content)
}
