//! The page on which people see their accounts at tool servers, connect them and disconnect them.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_core::access::Role;
use tollgate_core::config::tools::{AccountAuth, AccountOf, ToolServer, Url};
use tollgate_core::unseen::is_unseen;

use super::discover::Found;
use super::keep::{self, Hidden, Kept};
use super::not_there;
use super::register::{CALLBACK, back_at};
use super::token::{Given, asked, recent, request};
use crate::server::browser::Browser;
use crate::server::consent::not_from_here;
use crate::server::next::Next;
use crate::server::reply::{Error, Reply, page, see_other, with_query};
use crate::server::sessions::SignedIn;
use crate::server::store::Changed;
use crate::server::{Call, IdentityServer, own, pages, random};

/// What is carried while somebody connects an account.
const CONNECTING: &str = "an account that is being connected";

/// How long somebody may take there, in seconds.
const GOOD_S: i64 = 900;

/// An account that is being connected; the browser brings it back as `state`.
#[derive(Deserialize, Serialize)]
struct Connecting {
    server: String,
    /// At which authorization server: another one that answers is not asked for tokens (mix-up, RFC 9700 §4.4).
    issuer: String,
    verifier: String,
    /// What the browser's forms carry: in another one they are others.
    form: String,
    /// Whose it becomes; without a subject it is for all.
    subject: Option<String>,
    /// As whom the gate has asked.
    client: String,
}

/// A server at which accounts are connected.
type At<'a> = (&'a ToolServer, &'a Url, &'a AccountAuth);

impl IdentityServer {
    /// `GET` and `POST /oauth/connections`.
    pub(crate) async fn connections(&self, call: &Call<'_>, posted: bool) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let Some(signed_in) = self.signed_in(call, &browser).await? else {
            return Ok(see_other(&call.page_with("sign-in", &Next::Connections)?));
        };
        if !posted {
            let done = call.form.get("done").map(|_| "It is connected.");
            return self.connections_page(call, &browser, &signed_in, Ok(done)).await;
        }
        if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            return Err(not_from_here());
        }
        let at = named(call, &signed_in, call.form.get("server").unwrap_or_default())?;
        match call.form.get("answer") {
            Some("connect") => match self.begin_connecting(call, &browser, &signed_in, at).await {
                Ok(reply) => Ok(reply),
                Err(error) => self.connections_page(call, &browser, &signed_in, Err(error.why)).await,
            },
            Some("disconnect") => {
                let said = self.disconnect(call, &signed_in, at).await?;
                self.connections_page(call, &browser, &signed_in, Ok(Some(said))).await
            }
            _ => Err(not_from_here()),
        }
    }

    async fn connections_page(
        &self,
        call: &Call<'_>,
        browser: &Browser,
        signed_in: &SignedIn,
        done: Result<Option<&str>, String>,
    ) -> Result<Reply, Error> {
        let mut shown = Vec::new();
        for (server, url, account) in all(call, signed_in) {
            let name = keep::name(&server.name, subject_of(account, signed_in));
            let kept = keep::find(&self.store(call), &name, &url.uri.to_string()).await?;
            shown.push(pages::Connection {
                server: server.name.to_string(),
                host: url.uri.host().unwrap_or_default().to_owned(),
                for_all: account.of == AccountOf::Gate,
                since: kept.as_ref().map(|kept| kept.since.to_string().chars().take(10).collect()),
                scope: kept.and_then(|kept| kept.scope).map(|scope| scope.replace(is_unseen, "\u{fffd}")),
            });
        }
        let token = browser.form_token(call.secrets);
        let wrong = done.as_ref().err().map(String::as_str);
        let said = done.as_ref().ok().copied().flatten();
        let markup = pages::connections(call.server, &shown, &token, said, wrong);
        let status = if wrong.is_some() { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
        // A form here leads to wherever a server's authorization server is.
        let ends_at = (!shown.is_empty()).then_some("");
        let mut reply = page(status, &markup, ends_at);
        browser.keep(&mut reply);
        Ok(reply)
    }

    /// Sends the browser to where its user lets the gate act for them.
    async fn begin_connecting(
        &self,
        call: &Call<'_>,
        browser: &Browser,
        signed_in: &SignedIn,
        (server, url, account): At<'_>,
    ) -> Result<Reply, Error> {
        self.rate.take("accounts of a user", &signed_in.login().subject, 30)?;
        let found = self.found(server, (url, account)).await?;
        let ours = self.ours(call, (&server.name, account), &found, None).await?;
        let verifier = random::secret()?;
        let challenge = random::challenge(&verifier);
        let connecting = Connecting {
            server: server.name.to_string(),
            issuer: found.metadata.issuer.clone(),
            verifier,
            form: browser.form_token(call.secrets),
            subject: subject_of(account, signed_in).map(str::to_owned),
            client: ours.id.clone(),
        };
        let state = call.carry_until(CONNECTING, &connecting, call.now.as_second() + GOOD_S)?;
        let back = back_at(call.server, &server.name);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", &ours.id),
            ("redirect_uri", &back),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &found.resource),
        ]);
        if let Some(scope) = account.scope.as_ref().or(found.scope.as_ref()) {
            query.append_pair("scope", scope);
        }
        let endpoint = &found.metadata.authorization_endpoint;
        Ok(see_other(&with_query(endpoint, &query.finish())))
    }

    /// `GET /oauth/connections/callback/NAME`: the browser comes back.
    pub(crate) async fn connected(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let Some(signed_in) = self.signed_in(call, &browser).await? else {
            return Ok(see_other(&call.page_with("sign-in", &Next::Connections)?));
        };
        let state = call.form.get("state").and_then(|text| call.carried::<Connecting>(CONNECTING, text));
        let own = |state: &Connecting| random::same(&state.form, &browser.form_token(call.secrets));
        let state = state.filter(own).ok_or_else(not_from_here)?;
        // Whoever has sent the browser on to another server's place does not get what was meant for that.
        if !call.head.uri.path().ends_with(&format!("{CALLBACK}{}", state.server)) {
            return Err(not_from_here());
        }
        self.rate.take("accounts that are brought back", &signed_in.login().subject, 60)?;
        let at = named(call, &signed_in, &state.server)?;
        // Whoever is signed in may be somebody else by now.
        if state.subject.as_deref() != subject_of(at.2, &signed_in) {
            return Err(not_from_here());
        }
        match self.finished(call, &signed_in, at, state).await {
            // Not at an address that would send the code again.
            Ok(()) => Ok(see_other(&format!("{}/oauth/connections?done={}", call.server.path, at.0.name))),
            Err(error) => self.connections_page(call, &browser, &signed_in, Err(error.why)).await,
        }
    }

    async fn finished(
        &self,
        call: &Call<'_>,
        signed_in: &SignedIn,
        (server, url, account): At<'_>,
        state: Connecting,
    ) -> Result<(), Error> {
        let found = self.found(server, (url, account)).await?;
        let says = call.form.get("iss");
        let must_say = found.metadata.authorization_response_iss_parameter_supported;
        let other = says.is_some_and(|says| says != found.metadata.issuer) || (must_say && says.is_none());
        if found.metadata.issuer != state.issuer || other {
            return Err(Error::new(
                "invalid_request",
                "another server has answered than the one that was asked",
            ));
        }
        if let Some(error) = call.form.get("error") {
            let shown: String = error.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
            return Err(Error::new("access_denied", format!("nothing was connected: {shown}")));
        }
        let code = call.form.get("code").ok_or_else(not_from_here)?;
        let ours = self.ours(call, (&server.name, account), &found, Some(&state.client)).await?;
        let back = back_at(call.server, &server.name);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &back),
            ("code_verifier", &state.verifier),
            ("resource", &found.resource),
        ];
        let given = asked(&*self.fetch()?, &found.token, &ours, &form).await;
        let given =
            given.map_err(|refused| not_there(format!("nothing was connected: {}", refused.words())))?;
        self.is_known_there(call, &server.name, &found).await?;
        let kept = kept(call, (url, account), &found, ours, given);
        self.keep_account(call, signed_in, (server, url, account), kept).await
    }

    async fn keep_account(
        &self,
        call: &Call<'_>,
        signed_in: &SignedIn,
        (server, url, account): At<'_>,
        kept: Kept,
    ) -> Result<(), Error> {
        let name = keep::name(&server.name, subject_of(account, signed_in));
        let detail = json!({
            "by": own::principal(signed_in.login()),
            "server": &*server.name,
            "issuer": kept.issuer,
            "scope": kept.scope,
            "for_all": account.of == AccountOf::Gate,
        });
        self.record("account_connected", detail)?;
        let ends = kept.ends(call.now);
        let change = |_: Option<Kept>| Ok(Changed { document: kept.clone(), ends, result: () });
        self.store(call).change(&name, change).await?;
        self.accounts.recent.invalidate(&recent(&name, &url.uri.to_string()));
        Ok(())
    }

    /// Ends an account, and tells whoever has given it out.
    async fn disconnect(
        &self,
        call: &Call<'_>,
        signed_in: &SignedIn,
        (server, url, account): At<'_>,
    ) -> Result<&'static str, Error> {
        let name = keep::name(&server.name, subject_of(account, signed_in));
        let kept = keep::find(&self.store(call), &name, &url.uri.to_string()).await?;
        let by = own::principal(signed_in.login());
        let for_all = account.of == AccountOf::Gate;
        self.record(
            "account_disconnected",
            json!({ "by": by, "server": &*server.name, "for_all": for_all }),
        )?;
        self.store(call).remove(&name).await?;
        self.accounts.recent.invalidate(&recent(&name, &url.uri.to_string()));
        let Some(kept) = kept else { return Ok("It was not connected.") };
        match self.taken_back(&kept).await {
            true => Ok("It is disconnected, and its tokens are taken back."),
            false => {
                Ok("It is disconnected. Its tokens could not be taken back there: they end by themselves.")
            }
        }
    }

    /// Takes the tokens of an account back where they were given out (RFC 7009).
    async fn taken_back(&self, kept: &Kept) -> bool {
        let Some(endpoint) = &kept.revocation else { return false };
        let Some(fetch) = self.fetcher() else { return false };
        let token = kept.refresh.as_ref().unwrap_or(&kept.access);
        let hint = if kept.refresh.is_some() { "refresh_token" } else { "access_token" };
        // Some want it there whatever the client is; empty is as if it were left out (RFC 6749 §3.2).
        let mut form = vec![("token", token.expose()), ("token_type_hint", hint)];
        if !kept.ours.in_form {
            form.push(("client_secret", ""));
        }
        let Ok(request) = request(endpoint, &kept.ours, &form) else { return false };
        fetch.ask(request, endpoint.private).await.is_ok_and(|answer| answer.status().is_success())
    }
}

/// The account that `given` makes.
fn kept(
    call: &Call<'_>,
    (url, account): (&Url, &AccountAuth),
    found: &Found,
    ours: super::register::Ours,
    given: Given,
) -> Kept {
    let asked = account.scope.clone().or_else(|| found.scope.clone());
    Kept {
        url: url.uri.to_string(),
        issuer: found.metadata.issuer.clone(),
        token: found.token.clone(),
        revocation: found.revocation.clone(),
        ours,
        resource: found.resource.clone(),
        renewed_at: given.renewed_at(call.now),
        // Where it says nothing else, it is what was asked for (RFC 6749 §5.1).
        scope: given.scope.or(asked),
        access: Hidden::new(given.access_token),
        refresh: given.refresh_token.map(Hidden::new),
        since: call.now,
        renewing: None,
    }
}

/// Whose the account becomes.
fn subject_of<'a>(account: &AccountAuth, signed_in: &'a SignedIn) -> Option<&'a str> {
    (account.of == AccountOf::User).then_some(&*signed_in.session.subject)
}

/// The servers at which whoever is signed in connects accounts: one for all is an admin's affair.
fn all<'a>(call: &Call<'a>, signed_in: &SignedIn) -> Vec<At<'a>> {
    let login = signed_in.login();
    let (role, _) = call.identity.of(login.issuer(), login.spec.groups.iter().map(String::as_str));
    let servers = call.tool_servers.values().filter_map(|server| {
        let (url, account) = server.account()?;
        Some((&**server, url, account))
    });
    servers.filter(|(_, _, account)| account.of == AccountOf::User || role == Role::Admin).collect()
}

fn named<'a>(call: &Call<'a>, signed_in: &SignedIn, name: &str) -> Result<At<'a>, Error> {
    let found = all(call, signed_in).into_iter().find(|(server, ..)| *server.name == *name);
    found.ok_or_else(|| {
        Error::new("invalid_request", "there is no such tool server, or not for you to connect")
    })
}
