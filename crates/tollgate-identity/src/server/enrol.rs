//! Setting up one-time codes: after a password was right, or from the account's page.

use http::StatusCode;
use tollgate_core::config::identity::SecondFactor;
use tollgate_core::identity::Login;

use super::browser::Browser;
use super::consent::not_from_here;
use super::logins::Listed;
use super::reply::{Error, Reply, page};
use super::sign_in::Passed;
use super::{Call, IdentityServer, own, pages, totp};

/// What the secret on the page is carried for: whoever sends it back cannot send another.
const OFFERED: &str = "a secret of one-time codes";

/// The page that shows a secret, and asks for a first code.
pub(crate) fn shown(
    call: &Call<'_>,
    browser: &Browser,
    listed: &Listed,
    passed: &Passed,
    wrong: Option<&str>,
) -> Result<Reply, Error> {
    // The same as before for whoever has mistyped.
    let secret = offered(call, listed).map_or_else(totp::new_secret, Ok)?;
    let carried = call.carry(OFFERED, &(listed.login.subject.to_string(), secret.clone()))?;
    let picture = totp::picture(&call.server.issuer, &listed.login.user, &secret);
    let shown = pages::Enrolling {
        passed: &passed.carried(call)?,
        secret: &carried,
        readable: &secret,
        picture: picture.as_ref(),
        token: &browser.form_token(call.secrets),
        optional: call.server.totp == SecondFactor::Optional && !passed.at_account,
        wrong,
    };
    let status = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let mut reply = page(status, &pages::enrol(call.server, &shown), passed.next.ends_at());
    browser.keep(&mut reply);
    Ok(reply)
}

/// The secret that the page has shown to whoever has `listed`.
fn offered(call: &Call<'_>, listed: &Listed) -> Option<String> {
    let (subject, secret) = call.carried::<(String, String)>(OFFERED, call.form.get("secret")?)?;
    (subject == *listed.login.subject).then_some(secret)
}

impl IdentityServer {
    /// `POST /oauth/enrol`.
    pub(super) async fn enrol(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let (passed, listed) = self.passed(call, &browser).await?;
        if listed.login.totp.is_some() {
            // Set up meanwhile, in another window: a new sign-in asks for the code.
            return Err(not_from_here());
        }
        let may_skip = call.server.totp == SecondFactor::Optional && !passed.at_account;
        if call.form.get("answer") == Some("skip") && may_skip {
            return self.signed_in_with(call, &browser, &listed, &passed.next, &["pwd"]).await;
        }
        let secret = offered(call, &listed).ok_or_else(not_from_here)?;
        let step = call.form.get("code").and_then(|code| totp::step(&secret, code, call.now));
        let Some(step) = step else {
            let why =
                "The code is wrong. Check the clock of your device, and type the one that it shows now.";
            return shown(call, &browser, &listed, &passed, Some(why));
        };
        self.is_first_use(call, &listed, step).await?;
        let sealed = totp::seal(call.secrets, &listed.login.subject, &secret)?;
        let after = Login { totp: Some(sealed), updated_at: call.now, ..listed.login.clone() };
        let by = own::principal(&listed.login);
        let listed = self.logins.replace(&by, "enrol_totp", Some(&listed), after).await.map_err(overtaken)?;
        if passed.at_account {
            // Their session goes on as it was.
            let text = "From now on you are asked for a code when you sign in.";
            return Ok(page(StatusCode::OK, &pages::says(call.server, "Set up", text), None));
        }
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
