//! Setting up one-time codes: after a password was right, or from the account's page.

use http::StatusCode;
use tollgate_core::config::identity::SecondFactor;
use tollgate_core::identity::Login;

use super::browser::Browser;
use super::consent::not_from_here;
use super::logins::Listed;
use super::next::Next;
use super::reply::{Error, Reply, page};
use super::{Call, IdentityServer, own, pages, totp};

/// What the secret on the page is carried for: whoever sends it back cannot send another.
const OFFERED: &str = "a secret of one-time codes";

/// The page that shows a secret, and asks for a first code.
pub(crate) fn shown(
    call: &Call<'_>,
    browser: &Browser,
    listed: &Listed,
    next: Next,
    wrong: Option<&str>,
) -> Result<Reply, Error> {
    // The same as before for whoever has mistyped.
    let offered = call.form.get("secret").and_then(|text| call.carried::<(String, String)>(OFFERED, text));
    let own = offered.filter(|(subject, _)| *subject == *listed.login.subject);
    let secret = own.map_or_else(totp::new_secret, |(_, secret)| Ok(secret))?;
    let carried = call.carry(OFFERED, &(listed.login.subject.to_string(), secret.clone()))?;
    let passed = call.carry_passed(browser, listed, next.clone())?;
    let picture = totp::picture(&call.server.issuer, &listed.login.user, &secret);
    let optional = call.server.totp == SecondFactor::Optional;
    let shown = pages::Enrolling {
        passed: &passed,
        secret: &carried,
        readable: &secret,
        picture: picture.as_ref(),
        token: &browser.form_token(call.secrets),
        optional,
        wrong,
    };
    let status = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let mut reply = page(status, &pages::enrol(call.server, &shown), next.ends_at());
    browser.keep(&mut reply);
    Ok(reply)
}

impl IdentityServer {
    /// `POST /oauth/enrol`.
    pub(super) async fn enrol(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let passed = call.passed(&browser)?;
        if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            return Err(not_from_here());
        }
        let listed = self.logins.of_subject(&passed.subject).ok_or_else(not_from_here)?;
        if listed.login.totp.is_some() {
            // Set up meanwhile, in another window: a new sign-in asks for the code.
            return Err(not_from_here());
        }
        if call.form.get("answer") == Some("skip") && call.server.totp == SecondFactor::Optional {
            return self.signed_in_with(call, &browser, &listed, &passed.next, &["pwd"]).await;
        }
        let offered =
            call.form.get("secret").and_then(|text| call.carried::<(String, String)>(OFFERED, text));
        let Some((_, secret)) = offered.filter(|(subject, _)| *subject == passed.subject) else {
            return Err(not_from_here());
        };
        let step = call.form.get("code").and_then(|code| totp::step(&secret, code, call.now));
        let Some(step) = step else {
            let why =
                "The code is wrong. Check the clock of your device, and type the one that it shows now.";
            return shown(call, &browser, &listed, passed.next, Some(why));
        };
        self.is_first_use(call, &listed, step).await?;
        let sealed = totp::seal(call.secrets, &listed.login.subject, &secret)?;
        let after = Login { totp: Some(sealed), updated_at: call.now, ..listed.login.clone() };
        let by = own::principal(&listed.login);
        let listed = self.logins.replace(&by, "enrol_totp", Some(&listed), after).await.map_err(overtaken)?;
        self.signed_in_with(call, &browser, &listed, &passed.next, &["pwd", "otp"]).await
    }
}

/// Why a login was not changed, for whoever has it.
pub(crate) fn overtaken(error: tollgate_core::changes::NotMade) -> Error {
    match error {
        tollgate_core::changes::NotMade::Away(why) => Error::away(why),
        _ => Error::new("invalid_request", "it was changed elsewhere meanwhile; try again"),
    }
}
