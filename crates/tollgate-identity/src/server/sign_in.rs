//! Signing in: a name and a password, then a one-time code where that is set up.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_core::config::identity::SecondFactor;
use tollgate_core::ports::Change;

use super::browser::Browser;
use super::consent::not_from_here;
use super::logins::Listed;
use super::next::{Next, is_local};
use super::reply::{Error, Reply, page, see_other};
use super::store::Changed;
use super::throttle::Trying;
use super::{Call, IdentityServer, elsewhere, own, pages, sessions, totp};

/// What one-time codes are called where guesses are counted.
const CODES: &str = "one-time code";

/// What it is carried for that a password was right.
const PASSED: &str = "a password was right";

/// That a password was right: for the next minutes, in one browser, as long as nothing of the login changes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Passed {
    /// Whose.
    subject: String,
    /// Which version of the login it was the password of.
    change: Change,
    /// What the browser's forms carry: in another one they are others.
    form: String,
    /// Until when, in seconds since 1970: however often something is mistyped meanwhile.
    until: i64,
    /// Whether they are signed in, and set up codes from their account.
    pub(crate) at_account: bool,
    pub(crate) next: Next,
}

impl Passed {
    /// The password of `listed` was right just now.
    pub(crate) fn now(call: &Call<'_>, browser: &Browser, listed: &Listed, next: Next) -> Self {
        const GOOD_S: i64 = 600;
        Self {
            subject: listed.login.subject.to_string(),
            change: listed.change,
            form: browser.form_token(call.secrets),
            until: call.now.as_second() + GOOD_S,
            at_account: false,
            next,
        }
    }

    /// The same, of somebody who is signed in.
    pub(crate) fn at_account(self) -> Self {
        Self { at_account: true, ..self }
    }

    /// The same, to be carried.
    pub(crate) fn carried(&self, call: &Call<'_>) -> Result<String, Error> {
        call.carry_until(PASSED, self, self.until)
    }
}

impl IdentityServer {
    /// What was carried since the password was right in this browser, and whose it is.
    pub(crate) async fn passed(&self, call: &Call<'_>, browser: &Browser) -> Result<(Passed, Listed), Error> {
        if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            return Err(not_from_here());
        }
        let passed = call.form.get("passed").and_then(|text| call.carried::<Passed>(PASSED, text));
        let own = |passed: &Passed| super::random::same(&passed.form, &browser.form_token(call.secrets));
        let passed = passed.filter(own).ok_or_else(not_from_here)?;
        let listed = self.logins.of_subject_since(&passed.subject, passed.change).await?;
        let listed = listed.filter(|listed| listed.change == passed.change).ok_or_else(not_from_here)?;
        Ok((passed, listed))
    }

    /// `GET /oauth/sign-in`.
    pub(super) async fn sign_in_page(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let next = match (call.form.get("next"), call.form.get("return_to")) {
            (Some(_), _) => call.next()?,
            (None, Some(path)) if is_local(path) => Next::Local(path.to_owned()),
            (None, _) => Next::Account,
        };
        let browser = Browser::of(call.head, call.server)?;
        shown(call, &browser, &next, StatusCode::OK, None)
    }

    /// `POST /oauth/sign-in`: a name and a password.
    pub(super) async fn sign_in(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let next = call.next()?;
        if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            if self.signed_in(call, &browser).await?.is_some() {
                // In another window, since the page was shown.
                return Ok(see_other(&call.page_with("continue", &next)?));
            }
            let why = "That took too long, or your browser keeps no cookies. Try again.";
            return shown(call, &browser, &next, StatusCode::BAD_REQUEST, Some(why));
        }
        let (Some(name), Some(password)) = (call.form.get("username"), call.form.get("password")) else {
            return shown(call, &browser, &next, StatusCode::BAD_REQUEST, Some("Both are needed."));
        };
        if !self.logins.is_read() {
            return Err(Error::away("logins could not be read yet"));
        }
        // Counted as it was typed: whether there is such a user is not to be seen from that.
        let name = name.trim().to_lowercase();
        let listed = self.logins.find(&name).filter(|listed| listed.login.password.is_some());
        let login = listed.as_ref().map(|listed| &listed.login);
        let known = login.and_then(|login| browser.known_to(call.secrets, login));
        let trying = Trying { name: &name, from: call.peer, browser: known };
        let Some(_one_at_a_time) = self.hashing.enter(&name, call.peer) else {
            let why = "You are being signed in already. Try again in a moment.";
            return shown(call, &browser, &next, StatusCode::TOO_MANY_REQUESTS, Some(why));
        };
        if let Err(wait) = self.throttle.begin(&trying) {
            self.failures.count(login, call.peer);
            return shown(call, &browser, &next, StatusCode::TOO_MANY_REQUESTS, Some(&waits(wait)));
        }
        let right = self.passwords().is(password, login.and_then(|login| login.password.as_deref())).await?;
        let Some(listed) = listed.clone().filter(|_| right) else {
            self.failures.count(login, call.peer);
            // The same of names that there are and that there are not.
            return shown(
                call,
                &browser,
                &next,
                StatusCode::FORBIDDEN,
                Some("The name or the password is wrong."),
            );
        };
        self.throttle.succeeded(&trying);
        // Who is blocked learns it from whoever has their password only.
        self.lets_in(&listed.login, call.now)?;
        let required = call.server.totp == SecondFactor::Required;
        match &listed.login.totp {
            Some(_) => {
                let passed = Passed::now(call, &browser, &listed, next.clone()).carried(call)?;
                Ok(asks_for_code(call, &browser, (&passed, next.ends_at()), StatusCode::OK, None))
            }
            None if required => super::enrol::shown(
                call,
                &browser,
                &listed,
                &Passed::now(call, &browser, &listed, next),
                None,
            ),
            None => self.signed_in_with(call, &browser, &listed, &next, &["pwd"]).await,
        }
    }

    /// `POST /oauth/code`: the one-time code.
    pub(super) async fn sign_in_with_code(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let (passed, listed) = self.passed(call, &browser).await?;
        let again = |status, why: &str| {
            let text = call.form.get("passed").unwrap_or_default();
            Ok(asks_for_code(call, &browser, (text, passed.next.ends_at()), status, Some(why)))
        };
        let Some(sealed) = &listed.login.totp else { return Err(not_from_here()) };
        // By where they come from: whoever has the password only does not keep out whoever has both.
        let name = format!("{CODES} of {}", listed.login.user);
        let known = browser.known_to(call.secrets, &listed.login);
        let trying = Trying { name: &name, from: call.peer, browser: known };
        if let Err(wait) = self.throttle.begin(&trying) {
            return again(StatusCode::TOO_MANY_REQUESTS, &waits(wait));
        }
        let secret = totp::open(call.secrets, &listed.login.subject, sealed)?;
        let step = call.form.get("code").and_then(|code| totp::step(&secret, code, call.now));
        let fresh = match step {
            Some(step) => self.is_first_use(call, &listed, step).await?,
            None => false,
        };
        if !fresh {
            self.failures.count(Some(&listed.login), call.peer);
            return again(
                StatusCode::FORBIDDEN,
                "The code is wrong, or was used already. Wait for the next one.",
            );
        }
        self.throttle.succeeded(&trying);
        self.signed_in_with(call, &browser, &listed, &passed.next, &["pwd", "otp"]).await
    }

    /// Whether no code of this step or of a later one was used before (RFC 6238 §5.2).
    pub(crate) async fn is_first_use(
        &self,
        call: &Call<'_>,
        listed: &Listed,
        step: u64,
    ) -> Result<bool, Error> {
        let name = format!("code/{}", listed.login.subject);
        let ends = call.now + jiff::SignedDuration::from_mins(10);
        let change = |last: Option<u64>| {
            let fresh = last.is_none_or(|last| last < step);
            Ok(Changed { document: last.unwrap_or(0).max(step), ends, result: fresh })
        };
        self.store(call).change(&name, change).await
    }

    /// Begins a session, which none that the browser had before becomes (session fixation).
    pub(crate) async fn signed_in_with(
        &self,
        call: &Call<'_>,
        browser: &Browser,
        listed: &Listed,
        next: &Next,
        amr: &[&str],
    ) -> Result<Reply, Error> {
        let login = &listed.login;
        self.lets_in(login, call.now)?;
        self.rate.take("sign-ins of a user", &login.subject, 60)?;
        let network = call.peer.map(|peer| peer.to_canonical().to_string());
        self.record("signed_in", json!({ "by": own::principal(login), "from": network, "with": amr }))?;
        if let Some(before) = self.signed_in(call, browser).await? {
            sessions::end(&self.store(call), &before).await?;
        }
        let (secret, _) = sessions::begin(&self.store(call), call.server, login, amr, call.now).await?;
        let mut reply = see_other(&call.page_with("continue", next)?);
        browser.begin_session(&mut reply, &secret);
        browser.remember(&mut reply, call.secrets, login);
        Ok(reply)
    }
}

/// The page that asks for a name and a password.
fn shown(
    call: &Call<'_>,
    browser: &Browser,
    next: &Next,
    status: StatusCode,
    wrong: Option<&str>,
) -> Result<Reply, Error> {
    let text = call.carry_next(next)?;
    let form = pages::Hidden { next: &text, token: &browser.form_token(call.secrets) };
    let hint = match next {
        Next::Authorize(request) => request.login_hint.as_deref(),
        Next::Activate(_) | Next::Account | Next::Connections | Next::Local(_) | Next::Visit(_) => None,
    };
    let name = call.form.get("username").or(hint).unwrap_or_default();
    let mut reply = page(
        status,
        &pages::sign_in(call.server, &form, name, wrong, &elsewhere::offered(call)),
        next.ends_at(),
    );
    browser.keep(&mut reply);
    Ok(reply)
}

/// The page that asks for a one-time code: what is carried with it, and where the browser goes in the end.
fn asks_for_code(
    call: &Call<'_>,
    browser: &Browser,
    (passed, ends_at): (&str, Option<&str>),
    status: StatusCode,
    wrong: Option<&str>,
) -> Reply {
    let markup = pages::code(call.server, passed, &browser.form_token(call.secrets), wrong);
    let mut reply = page(status, &markup, ends_at);
    browser.keep(&mut reply);
    reply
}

/// For whoever has to wait.
pub(crate) fn waits(wait: Duration) -> String {
    format!("Too many attempts. Try again in {} seconds.", wait.as_secs() + 1)
}
