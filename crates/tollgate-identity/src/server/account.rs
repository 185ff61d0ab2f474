//! What people do with their own account.

use http::StatusCode;
use tollgate_core::config::identity::SecondFactor;
use tollgate_core::identity::Login;

use super::browser::Browser;
use super::consent::not_from_here;
use super::enrol::overtaken;
use super::invitation::names;
use super::next::Next;
use super::reply::{Error, Reply, page, see_other};
use super::sessions::SignedIn;
use super::sign_in::Passed;
use super::throttle::Trying;
use super::{Call, IdentityServer, enrol, grants, own, pages, sessions, sign_in, totp};

/// What became of what was asked for.
enum Done {
    /// The page is shown, with this.
    Shown(Result<&'static str, String>),
    /// Something else is.
    Elsewhere(Reply),
}

impl IdentityServer {
    /// `GET` and `POST /oauth/account`.
    pub(super) async fn account(&self, call: &Call<'_>, posted: bool) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let Some(signed_in) = self.signed_in(call, &browser).await? else {
            return Ok(see_other(&call.page_with("sign-in", &Next::Account)?));
        };
        let mut done = None;
        if posted {
            if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
                return Err(not_from_here());
            }
            match self.done(call, &browser, &signed_in).await? {
                Done::Elsewhere(reply) => return Ok(reply),
                Done::Shown(result) => done = Some(result),
            }
        }
        let listed =
            self.logins.of_subject(&signed_in.session.subject).unwrap_or_else(|| signed_in.listed.clone());
        let applications = grants::applications(&self.store(call), &listed.login, call.now).await?;
        let shown = pages::Account {
            login: &listed.login,
            applications: &applications,
            token: &browser.form_token(call.secrets),
            done: done.as_ref().and_then(|done| done.as_ref().ok()).copied(),
            wrong: done.as_ref().and_then(|done| done.as_ref().err()).map(String::as_str),
            has_connections: call.tool_servers.values().any(|server| server.account().is_some()),
            optional: call.server.totp == SecondFactor::Optional,
        };
        let status = if shown.wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
        let mut reply = page(status, &pages::account(call.server, &shown), None);
        browser.keep(&mut reply);
        Ok(reply)
    }

    async fn done(&self, call: &Call<'_>, browser: &Browser, signed_in: &SignedIn) -> Result<Done, Error> {
        let (listed, by) = (&signed_in.listed, own::principal(signed_in.login()));
        match call.form.get("answer") {
            Some("revoke") => {
                let id = call.form.get("grant").unwrap_or_default();
                let store = self.store(call);
                if let Some(grant) = grants::find(&store, id).await?
                    && grants::revoke_own(&store, id, &listed.login.subject).await?
                {
                    // Nor does it get another one without a question.
                    let whose = (&*listed.login.subject, grant.client.as_str());
                    sessions::take_back(&store, call.server, whose, call.now).await?;
                }
                self.record("grant_revoked", serde_json::json!({ "by": by, "grant": id }))?;
                Ok(Done::Shown(Ok("The application acts for you no more.")))
            }
            Some("password") => self.change_password(call, browser, signed_in).await,
            Some("totp") if listed.login.totp.is_none() => self.set_up_codes(call, browser, signed_in).await,
            Some("no_totp") if call.server.totp == SecondFactor::Optional => {
                self.give_up_codes(call, signed_in).await
            }
            Some("sign_out") => {
                sessions::end(&self.store(call), signed_in).await?;
                Ok(Done::Elsewhere(self.gone(call, browser)))
            }
            Some("sign_out_everywhere") => {
                let after =
                    Login { not_before: Some(call.now), updated_at: call.now, ..listed.login.clone() };
                self.logins.replace(&by, "end_sessions", Some(listed), after).await.map_err(overtaken)?;
                sessions::end(&self.store(call), signed_in).await?;
                Ok(Done::Elsewhere(self.gone(call, browser)))
            }
            _ => Err(not_from_here()),
        }
    }

    /// The page after a sign-out.
    pub(super) fn gone(&self, call: &Call<'_>, browser: &Browser) -> Reply {
        let mut reply =
            page(StatusCode::OK, &pages::says(call.server, "Signed out", "You are signed out."), None);
        browser.end_session(&mut reply);
        reply
    }

    async fn change_password(
        &self,
        call: &Call<'_>,
        browser: &Browser,
        signed_in: &SignedIn,
    ) -> Result<Done, Error> {
        let listed = &signed_in.listed;
        let (Some(current), Some(password)) = (call.form.get("current"), call.form.get("password")) else {
            return Ok(Done::Shown(Err("Both are needed.".to_owned())));
        };
        if let Err(why) = self.is_theirs(call, browser, signed_in, current).await? {
            return Ok(Done::Shown(Err(why)));
        }
        let hash = match self.passwords().chosen(password, names(&listed.login)).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(Done::Shown(Err(why.to_owned()))),
        };
        // Whoever knows the old one is signed out, wherever that is; this browser signs in again.
        let after = Login {
            password: Some(hash),
            not_before: Some(call.now),
            // A link that lies about opens nothing any more.
            invitation: None,
            updated_at: call.now,
            ..listed.login.clone()
        };
        let by = own::principal(&listed.login);
        let listed =
            self.logins.replace(&by, "change_password", Some(listed), after).await.map_err(overtaken)?;
        let amr: Vec<&str> = signed_in.session.amr.iter().map(String::as_str).collect();
        Ok(Done::Elsewhere(self.signed_in_with(call, browser, &listed, &Next::Account, &amr).await?))
    }

    /// Whether `password` is the one of whoever is signed in; otherwise why that cannot be said, for them to read.
    async fn is_theirs(
        &self,
        call: &Call<'_>,
        browser: &Browser,
        signed_in: &SignedIn,
        password: &str,
    ) -> Result<Result<(), String>, Error> {
        let login = signed_in.login();
        let trying =
            Trying { name: &login.user, from: call.peer, browser: browser.known_to(call.secrets, login) };
        if let Err(wait) = self.throttle.begin(&trying) {
            return Ok(Err(sign_in::waits(wait)));
        }
        if !self.passwords().is(password, login.password.as_deref()).await? {
            self.failures.count(Some(login), call.peer);
            return Ok(Err("The current password is wrong.".to_owned()));
        }
        self.throttle.succeeded(&trying);
        Ok(Ok(()))
    }

    /// Whoever is in front of a browser that somebody has left signed in does not set up codes of their own.
    async fn set_up_codes(
        &self,
        call: &Call<'_>,
        browser: &Browser,
        signed_in: &SignedIn,
    ) -> Result<Done, Error> {
        let current = call.form.get("current").unwrap_or_default();
        if let Err(why) = self.is_theirs(call, browser, signed_in, current).await? {
            return Ok(Done::Shown(Err(why)));
        }
        let listed = &signed_in.listed;
        let passed = Passed::now(call, browser, listed, Next::Account).at_account();
        Ok(Done::Elsewhere(enrol::shown(call, browser, listed, &passed, None)?))
    }

    async fn give_up_codes(&self, call: &Call<'_>, signed_in: &SignedIn) -> Result<Done, Error> {
        const CODES: &str = "one-time code to give up";
        let listed = &signed_in.listed;
        let Some(sealed) = &listed.login.totp else { return Err(not_from_here()) };
        // Whoever is signed in has their own count: nobody else is kept out by it.
        let name = format!("{CODES} of {}", listed.login.user);
        let trying = Trying { name: &name, from: None, browser: Some(&listed.login.subject) };
        if let Err(wait) = self.throttle.begin(&trying) {
            return Ok(Done::Shown(Err(sign_in::waits(wait))));
        }
        let secret = totp::open(call.secrets, &listed.login.subject, sealed)?;
        let step = call.form.get("code").and_then(|code| totp::step(&secret, code, call.now));
        let fresh = match step {
            Some(step) => self.is_first_use(call, listed, step).await?,
            None => false,
        };
        if !fresh {
            self.failures.count(Some(&listed.login), call.peer);
            return Ok(Done::Shown(Err("The code is wrong, or was used already.".to_owned())));
        }
        self.throttle.succeeded(&trying);
        let after = Login { totp: None, updated_at: call.now, ..listed.login.clone() };
        let by = own::principal(&listed.login);
        self.logins.replace(&by, "give_up_totp", Some(listed), after).await.map_err(overtaken)?;
        Ok(Done::Shown(Ok("Your password is enough now.")))
    }
}
