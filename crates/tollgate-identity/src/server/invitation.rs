//! Taking an invitation: whoever has the link chooses a password.

use http::StatusCode;
use tollgate_core::identity::Login;

use super::browser::Browser;
use super::consent::not_from_here;
use super::enrol::overtaken;
use super::next::Next;
use super::reply::{Error, Reply, page};
use super::sign_in::Passed;
use super::{Call, IdentityServer, own, pages};

impl IdentityServer {
    /// `GET` and `POST /oauth/invitation`.
    pub(super) async fn invitation(&self, call: &Call<'_>, posted: bool) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let token = call.form.get("token").unwrap_or_default();
        if !self.logins.is_read() {
            return Err(Error::away("logins could not be read yet"));
        }
        let Some(listed) = self.logins.invited(token, call.now) else {
            self.rate.take_from("wrong invitations", call.peer, 60)?;
            return Err(Error::new(
                "invalid_request",
                "this invitation was taken, or is over; if you have chosen a password, sign in, otherwise ask for another one",
            ));
        };
        let shown = |status, wrong: Option<&str>| {
            let form = browser.form_token(call.secrets);
            let markup = pages::invitation(call.server, token, &listed.login.user, &form, wrong);
            let mut reply = page(status, &markup, None);
            browser.keep(&mut reply);
            Ok(reply)
        };
        if !posted {
            return shown(StatusCode::OK, None);
        }
        if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            return Err(not_from_here());
        }
        let (Some(password), Some(again)) = (call.form.get("password"), call.form.get("again")) else {
            return shown(StatusCode::BAD_REQUEST, Some("Type the password twice."));
        };
        if password != again {
            return shown(StatusCode::BAD_REQUEST, Some("The two are not the same."));
        }
        let hash = match self.passwords().chosen(password, names(&listed.login)).await? {
            Ok(hash) => hash,
            Err(why) => return shown(StatusCode::BAD_REQUEST, Some(why)),
        };
        let after = Login {
            password: Some(hash),
            invitation: None,
            // Whoever was signed in with the password before is not with this one.
            not_before: Some(call.now),
            updated_at: call.now,
            ..listed.login.clone()
        };
        let by = own::principal(&listed.login);
        let listed =
            self.logins.replace(&by, "choose_password", Some(&listed), after).await.map_err(overtaken)?;
        if listed.login.totp.is_some() {
            // The link is no second factor.
            return Ok(super::reply::see_other(&call.page_with("sign-in", &Next::Account)?));
        }
        super::enrol::shown(
            call,
            &browser,
            &listed,
            &Passed::now(call, &browser, &listed, Next::Account),
            None,
        )
    }
}

/// What a password must not be made of.
pub(crate) fn names(login: &Login) -> Vec<String> {
    let spec = &login.spec;
    let all =
        [Some(login.user.to_string()), spec.email.clone(), spec.name.clone(), Some("tollgate".to_owned())];
    let all: Vec<String> = all.into_iter().flatten().collect();
    let parts = all
        .iter()
        .flat_map(|name| name.split(['@', '.', ' ']))
        .filter(|part| part.len() > 2)
        .map(str::to_owned);
    let parts: Vec<String> = parts.collect();
    all.into_iter().chain(parts).collect()
}
