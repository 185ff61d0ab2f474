//! Letting in a device that has no browser.

use maud::{Markup, html};
use tollgate_core::config::identity::Server;

use super::consent::what;
use super::{Asked, Hidden, layout, problem};

/// Asks for the code that the device shows.
pub(crate) fn activate(server: &Server, code: &str, token: &str, wrong: Option<&str>) -> Markup {
    let content = html! {
        p { "Type the code that the device or the program shows." }
        (problem(wrong))
        form method="post" action=(format!("{}/oauth/activate", server.path)) {
            input type="hidden" name="form" value=(token);
            label for="user_code" { "Code" }
            input type="text" id="user_code" name="user_code" value=(code) autocomplete="off" autocapitalize="characters"
                spellcheck="false" maxlength="12" required autofocus aria-describedby=[wrong.map(|_| "problem")];
            button type="submit" { "Go on" }
        }
    };
    layout(server, "Sign in on a device", &content)
}

/// Asks whether the device that shows `code` may act for whoever is signed in.
pub(crate) fn confirm(server: &Server, asked: &Asked<'_>, code: &str, form: &Hidden<'_>) -> Markup {
    let content = html! {
        (what(server, asked))
        p { "Go on only if you began this yourself, and the device shows the code " code class="who" { (code) }
            ". Nobody who calls or writes to you needs it." }
        form method="post" action=(format!("{}/oauth/activate", server.path)) {
            input type="hidden" name="user_code" value=(code);
            input type="hidden" name="form" value=(form.token);
            button type="submit" name="answer" value="allow" { "Allow" }
            button type="submit" name="answer" value="deny" class="other" { "Deny" }
        }
    };
    layout(server, "May this device act for you?", &content)
}
