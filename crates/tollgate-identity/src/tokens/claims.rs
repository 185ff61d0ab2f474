//! What a token claims (RFC 7519 §4.1, RFC 9068 §2.2): whether it is good here and now, and who presents it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tollgate_core::config::identity::{Identity, Issuer, is_scope};
use tollgate_core::identity::Subject;
use tollgate_core::principal::{Actor, ActorKind, Principal};
use tollgate_core::unseen::is_unseen;

/// The longest name of a user or an agent, in bytes: it stands in records.
const LONGEST_NAME: usize = 256;

/// Groups of a user; directories have users with hundreds.
const MOST_GROUPS: usize = 2_000;

/// Scopes of a token.
const MOST_SCOPES: usize = 200;

/// Parties that act for one another.
const MOST_ACTORS: usize = 8;

/// Somebody who has signed in elsewhere.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// What they are called here.
    pub(crate) user: Arc<str>,
    /// Who that is there.
    pub(crate) subject: String,
    /// The email address, where nobody has left it in doubt.
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) groups: Vec<String>,
}

/// The claims of a token.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// Who has given the token out.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// One text, or several.
    fn texts(&self, name: &str) -> impl Iterator<Item = &str> + Clone {
        let value = self.0.get(name);
        let one = value.and_then(Value::as_str);
        let several = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        one.into_iter().chain(several)
    }

    /// Who has signed in at `issuer`, as they are to be called here.
    pub(crate) fn arrival(&self, issuer: &Issuer) -> Result<Arrival, String> {
        let subject = self.text("sub").filter(|sub| sub.len() <= 255 && sub.is_ascii());
        let subject = subject.ok_or("does not say who that is (`sub`)")?.to_owned();
        // The gate vouches for an address to applications: only where the issuer does, and in its own domains.
        let verified = self.0.get("email_verified") == Some(&Value::Bool(true));
        let within = |email: &&str| issuer.email_domains.as_ref().is_none_or(|known| is_of(email, known));
        let plain =
            |text: &&str| text.len() <= 200 && !text.trim().is_empty() && !text.chars().any(is_unseen);
        Ok(Arrival {
            user: self.user(issuer)?,
            subject,
            email: self.text("email").filter(|_| verified).filter(within).map(str::to_owned),
            name: self.text("name").filter(plain).map(str::to_owned),
            groups: self.groups(issuer)?.filter(plain).map(str::to_owned).collect(),
        })
    }

    /// The person who it is of, by the name that is never another's; `None` where it is a program's.
    pub(crate) fn person(&self) -> Option<&str> {
        self.text("sub").filter(|_| self.program().is_none())
    }

    /// The whole number that `name` says.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// The moment that `name` says (RFC 7519 §2, NumericDate); `Err` where it says none.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_i64().or_else(|| whole(value.as_f64()?));
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(Some).ok_or_else(|| format!("has a time that is none (`{name}`)"))
    }

    /// Whom the token is for.
    pub(crate) fn audience(&self) -> Vec<String> {
        self.texts("aud").map(str::to_owned).collect()
    }

    /// Whether the token is good at `now`, and until when it is.
    pub(crate) fn good_until(&self, issuer: &Issuer, now: Timestamp) -> Result<Timestamp, String> {
        let Some(end) = self.time("exp")? else {
            return Err("does not say when it ends (`exp`)".to_owned());
        };
        let end = later(end, issuer.skew);
        if now >= end {
            return Err(format!("ended at {}", self.time("exp")?.unwrap_or(end)));
        }
        for (name, what) in [("nbf", "is not good before"), ("iat", "was given out at")] {
            if let Some(time) = self.time(name)?.filter(|time| now < earlier(*time, issuer.skew)) {
                return Err(format!("{what} {time}, which is to come"));
            }
        }
        Ok(end)
    }

    /// Who presents the token, which is good until `until`.
    pub(crate) fn subject(
        &self,
        issuer: &Issuer,
        identity: &Arc<Identity>,
        until: Timestamp,
    ) -> Result<Subject, String> {
        // It would be good only with a proof that whoever presents it has a key (RFC 9449, RFC 8705).
        if self.0.contains_key("cnf") {
            return Err("is bound to a key of whoever has it (`cnf`), which is not asked for here".to_owned());
        }
        let act = self.actors(issuer)?;
        let (role, team) = identity.of(&issuer.name, self.groups(issuer)?);
        let (sub, user) = match self.program() {
            Some(_) if !issuer.agents => return Err("is a program's, which are not taken here".to_owned()),
            Some(program) => {
                let id = format!("{}/{}", issuer.name, name_of(program)?).into();
                (Actor { kind: ActorKind::Agent, id }, None)
            }
            None => {
                let user = self.user(issuer)?;
                (Actor { kind: ActorKind::User, id: Arc::clone(&user) }, Some(user))
            }
        };
        let (identity, scopes) = (Arc::clone(identity), self.scopes());
        let principal = Principal { sub, act, user: None, team: None };
        let login = self.text("sub").filter(|_| issuer.own && user.is_some()).map(Arc::from);
        Ok(Subject { principal, role, user, login, team, identity, scopes, until })
    }

    /// The program that has got the token for itself: then its `sub` names the program (RFC 9068 §2.2). A token that only
    /// leaves out who a person is is none of a program's.
    fn program(&self) -> Option<&str> {
        let sub = self.text("sub")?;
        ["client_id", "azp", "appid", "cid"].iter().any(|name| self.text(name) == Some(sub)).then_some(sub)
    }

    /// The person who presents the token.
    fn user(&self, issuer: &Issuer) -> Result<Arc<str>, String> {
        let claim = &issuer.user;
        let user = self.text(claim).ok_or_else(|| format!("does not say who presents it (`{claim}`)"))?;
        let user = name_of(user)?;
        self.check_email(issuer, user)?;
        // Mail finds its way whatever the case is, and issuers keep it as it was typed.
        Ok(if claim == "email" { user.to_lowercase().into() } else { Arc::from(user) })
    }

    /// What the token is good for: `scope`, or `scp` as Entra ID and Okta have it.
    fn scopes(&self) -> Vec<Arc<str>> {
        let all = ["scope", "scp"].into_iter().flat_map(|name| self.texts(name));
        let scopes = all.flat_map(str::split_ascii_whitespace).filter(|scope| is_scope(scope));
        scopes.take(MOST_SCOPES).map(Arc::from).collect()
    }

    fn groups(&self, issuer: &Issuer) -> Result<impl Iterator<Item = &str> + Clone, String> {
        if self.texts(&issuer.groups).nth(MOST_GROUPS).is_some() {
            return Err(format!("names more than {MOST_GROUPS} groups"));
        }
        Ok(self.texts(&issuer.groups))
    }

    /// Users who are named by an email address have one that the issuer has not left in doubt.
    fn check_email(&self, issuer: &Issuer, user: &str) -> Result<(), String> {
        if issuer.user == "email"
            && self.0.get("email_verified").is_some_and(|said| *said != Value::Bool(true))
        {
            return Err("has an email address that nobody has verified (`email_verified`)".to_owned());
        }
        let Some(domains) = &issuer.email_domains else { return Ok(()) };
        if is_of(user, domains) {
            return Ok(());
        }
        Err(format!("is of a user outside of {}", domains.join(", ")))
    }

    /// Who acts for the subject, nearest first (RFC 8693 §4.1).
    fn actors(&self, issuer: &Issuer) -> Result<Vec<Actor>, String> {
        let mut actors = Vec::new();
        let mut next = self.0.get("act");
        while let Some(act) = next {
            let id = ["sub", "client_id"].iter().find_map(|name| act.get(name)?.as_str());
            let id = name_of(id.ok_or("names somebody who acts for its subject, and not whom (`act`)")?)?;
            if actors.len() == MOST_ACTORS {
                return Err(format!("has a chain of more than {MOST_ACTORS} who act (`act`)"));
            }
            actors.push(Actor { kind: ActorKind::Agent, id: format!("{}/{id}", issuer.name).into() });
            next = act.get("act");
        }
        // The first is who acts now, and has it from those behind it.
        actors.reverse();
        Ok(actors)
    }
}

/// Whether the address `email` is of one of these `domains`.
fn is_of(email: &str, domains: &[String]) -> bool {
    let domain = email.rsplit_once('@').map(|(_, domain)| domain);
    domain.is_some_and(|domain| domains.iter().any(|known| known.eq_ignore_ascii_case(domain)))
}

/// Whether a token for `audience` of `issuer` is one for what is at `path`; otherwise why not, in words that follow "the
/// token".
pub(crate) fn is_for(
    audience: &[String],
    issuer: &Issuer,
    identity: &Identity,
    path: &str,
) -> Result<(), String> {
    let here = |one: &String| issuer.audience.contains(one) || identity.is_at(one, path);
    if audience.iter().any(here) {
        return Ok(());
    }
    if audience.is_empty() {
        return Err("does not say whom it is for (`aud`)".to_owned());
    }
    let own = identity.url.iter().map(|url| format!("{url}{path}"));
    let known: Vec<String> = issuer.audience.iter().cloned().chain(own).collect();
    Err(format!("is for somebody else: its `aud` is none of {}", known.join(", ")))
}

fn whole(number: f64) -> Option<i64> {
    let fits = number.is_finite() && number.abs() < 1e12;
    #[expect(clippy::cast_possible_truncation, reason = "it fits, and parts of a second are dropped")]
    fits.then_some(number as i64)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// `name` as it stands in records: short, and of characters that people see as they are.
fn name_of(name: &str) -> Result<&str, String> {
    let plain = name.len() <= LONGEST_NAME && !name.chars().any(is_unseen);
    plain.then_some(name).ok_or_else(|| "names its subject in a way that no record can hold".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_core::access::Role;
    use tollgate_core::config::identity::Group;

    use super::*;

    fn issuer() -> Issuer {
        Issuer {
            name: "corp".into(),
            issuer: "https://login.example.com".into(),
            audience: vec!["https://gate.example.com".to_owned()],
            keys_url: None,
            user: "email".to_owned(),
            groups: "groups".to_owned(),
            email_domains: None,
            agents: true,
            private: false,
            skew: Duration::from_secs(60),
            own: false,
            sign_in: None,
        }
    }

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    const NOW: i64 = 1_800_000_000;

    fn until(value: Value) -> Result<Timestamp, String> {
        let claims = claims(value);
        is_for(&claims.audience(), &issuer(), &Identity::default(), "/v1/models")?;
        claims.good_until(&issuer(), Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn a_token_is_good_for_whom_and_when_it_says() {
        let aud = "https://gate.example.com";
        assert_eq!(until(json!({"aud": aud, "exp": NOW + 10})).unwrap().as_second(), NOW + 70);
        assert!(until(json!({"aud": ["x", aud], "exp": NOW - 59, "nbf": NOW + 59, "iat": NOW})).is_ok());
        assert!(until(json!({"aud": aud, "exp": 1_800_000_010.5})).is_ok());
        for (wrong, why) in [
            (json!({"exp": NOW + 10}), "does not say whom"),
            (json!({"aud": "", "exp": NOW + 10}), "somebody else"),
            (json!({"aud": [], "exp": NOW + 10}), "does not say whom"),
            (json!({"aud": {"a": aud}, "exp": NOW + 10}), "does not say whom"),
            (json!({"aud": format!("{aud}/"), "exp": NOW + 10}), "somebody else"),
            (json!({"aud": format!("{aud}.evil.example"), "exp": NOW + 10}), "somebody else"),
            (json!({"aud": aud}), "does not say when it ends"),
            (json!({"aud": aud, "exp": "soon"}), "is none"),
            (json!({"aud": aud, "exp": 1e300}), "is none"),
            (json!({"aud": aud, "exp": NOW - 60}), "ended at"),
            (json!({"aud": aud, "exp": NOW + 10, "nbf": NOW + 61}), "is to come"),
            (json!({"aud": aud, "exp": NOW + 10, "iat": NOW + 61}), "is to come"),
        ] {
            let said = until(wrong.clone()).unwrap_err();
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }

    #[test]
    fn people_and_programs_are_told_apart_and_groups_have_a_meaning() {
        let identity = Identity {
            groups: vec![Group {
                group: "platform".into(),
                issuer: None,
                role: Some(Role::Auditor),
                team: Some("ops".into()),
            }],
            ..Identity::default()
        };
        let identity = Arc::new(identity);
        let subject =
            |value| claims(value).subject(&issuer(), &identity, Timestamp::from_second(NOW).unwrap());
        let ann =
            subject(json!({"sub": "1", "email": "ann@example.com", "groups": ["a", "platform"]})).unwrap();
        assert_eq!((ann.principal.sub.kind, ann.user.as_deref()), (ActorKind::User, Some("ann@example.com")));
        assert_eq!((ann.role, ann.team.as_deref()), (Role::Auditor, Some("ops")));
        let ci = subject(json!({"sub": "ci", "client_id": "ci"})).unwrap();
        assert_eq!(
            (ci.principal.sub.kind, &*ci.principal.sub.id, ci.user),
            (ActorKind::Agent, "corp/ci", None)
        );
        let chain = json!({"email": "a@b.example", "act": {"sub": "now", "act": {"sub": "before"}}});
        let ids: Vec<String> =
            subject(chain).unwrap().principal.act.iter().map(|actor| actor.id.to_string()).collect();
        assert_eq!(ids, ["corp/before", "corp/now"]);
        for wrong in [
            json!({}),
            json!({"email": "a@b.example", "email_verified": false}),
            json!({"email": "a@b.example", "email_verified": "true"}),
            json!({"email": "a\nb"}),
            json!({"email": "a@b.example", "act": {}}),
            json!({"email": "a@b.example", "act": "b"}),
            json!({"email": "a@b.example", "cnf": {"jkt": "x"}}),
            json!({"email": "a\u{202e}b@b.example"}),
            // Whoever leaves out who they are is not a program by that.
            json!({"sub": "1", "client_id": "webapp", "groups": ["platform"]}),
            json!({"client_id": "webapp"}),
        ] {
            assert!(subject(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_user_belongs_to_a_domain_to_the_letter() {
        let issuer = Issuer { email_domains: Some(vec!["example.com".into()]), ..issuer() };
        let may = |email: &str| {
            let claims = claims(json!({"email": email}));
            claims.subject(&issuer, &Arc::default(), Timestamp::MAX).is_ok()
        };
        let ann = claims(json!({"email": "Ann@Example.com"}));
        let ann = ann.subject(&issuer, &Arc::default(), Timestamp::MAX).unwrap();
        assert_eq!(ann.user.as_deref(), Some("ann@example.com"), "who is blocked stays so in capitals");
        let ci = Issuer { agents: false, ..issuer.clone() };
        let ci = claims(json!({"sub": "ci", "cid": "ci"})).subject(&ci, &Arc::default(), Timestamp::MAX);
        assert!(ci.unwrap_err().contains("a program's"));
        assert!(may("ann@example.com") && may("ann@EXAMPLE.com"));
        for other in ["ann@evil.example.com", "ann@example.com.evil", "example.com", "ann@evilexample.com"] {
            assert!(!may(other), "{other}");
        }
    }
}
