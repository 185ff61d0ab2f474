//! Signing in on a device that has no browser (RFC 8628): it shows a code, which somebody types elsewhere.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_core::config::identity::GrantKind;

use super::authorize::may_use;
use super::browser::Browser;
use super::clients::Known;
use super::consent::not_from_here;
use super::discovery::endpoint;
use super::next::Next;
use super::reply::{Error, Reply, json_reply, page, see_other};
use super::request::{granted_scopes, resources};
use super::store::Changed;
use super::throttle::Trying;
use super::{Call, IdentityServer, grants, pages, random, sign_in};

/// How long a code is good.
const LASTS: SignedDuration = SignedDuration::from_mins(10);

/// How often a device may ask, in seconds.
const INTERVAL_S: i64 = 5;

/// What codes are made of: letters that are not taken for another, and that make no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// How many of them: with five guesses before a wait, nobody finds one.
const LENGTH: usize = 8;

/// A device that waits.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Device {
    client: String,
    scopes: Vec<String>,
    resources: Vec<String>,
    /// The hash of what the device proves itself by.
    secret: String,
    ends: Timestamp,
    asked: Option<Timestamp>,
    /// How long it must wait between two questions, in seconds.
    interval_s: i64,
    answer: Answer,
}

/// What somebody has said.
#[derive(Clone, Debug, Deserialize, Serialize)]
enum Answer {
    NotYet,
    Denied,
    Allowed {
        subject: String,
        auth_time: Timestamp,
        amr: Vec<String>,
    },
    /// The device has its tokens.
    Over,
}

fn document(code: &str) -> String {
    format!("device/{code}")
}

/// A code as it is shown.
fn shown(code: &str) -> String {
    let (first, last) = code.split_at(code.len() / 2);
    format!("{first}-{last}")
}

/// A code as somebody has typed it.
fn typed(text: &str) -> Option<String> {
    let code: String =
        text.chars().filter(|c| c.is_ascii_alphabetic()).map(|c| c.to_ascii_uppercase()).collect();
    (code.len() == LENGTH && code.bytes().all(|b| LETTERS.contains(&b))).then_some(code)
}

/// Sends the browser to the page at which codes are typed.
pub(crate) fn page_at(call: &Call<'_>, code: Option<&str>) -> Reply {
    let query = code.map(|code| format!("?user_code={}", shown(code))).unwrap_or_default();
    see_other(&format!("{}/oauth/activate{query}", call.server.path))
}

impl IdentityServer {
    /// `POST /oauth/device`: a device begins (RFC 8628 §3.1).
    pub(super) async fn authorize_device(&self, call: &Call<'_>) -> Result<Reply, Error> {
        self.rate.take_from("device", call.peer, 300)?;
        // What waits is kept: not for everybody who asks.
        self.rate.take("device", "", 10_000)?;
        let known = self.authenticated(call).await?;
        if !known.client.may(GrantKind::DeviceCode) {
            return Err(Error::new("unauthorized_client", "this client does not sign in on devices"));
        }
        let secret = random::secret()?;
        let device = Device {
            client: known.client.id.clone(),
            scopes: granted_scopes(&call.form, &known.client, call.server),
            resources: resources(&call.form, &known.client, call.server)?,
            secret: random::hashed(&secret),
            ends: call.now + LASTS,
            asked: None,
            interval_s: INTERVAL_S,
            answer: Answer::NotYet,
        };
        let code = new_code()?;
        if !self.store(call).make(&document(&code), &device, device.ends).await? {
            return Err(Error::away("a code of a device was drawn twice"));
        }
        let uri = endpoint(call.server, "activate");
        let said = json!({
            "device_code": format!("{code}.{secret}"),
            "user_code": shown(&code),
            "verification_uri": uri,
            "verification_uri_complete": format!("{uri}?user_code={}", shown(&code)),
            "expires_in": LASTS.as_secs(),
            "interval": INTERVAL_S,
        });
        Ok(json_reply(StatusCode::OK, &said))
    }

    /// What a device that asks for its tokens is answered (RFC 8628 §3.4).
    pub(super) async fn of_device(&self, call: &Call<'_>, known: &Known) -> Result<Reply, Error> {
        let code = call.form.get("device_code");
        let code = code.ok_or_else(|| Error::new("invalid_request", "`device_code` is missing"))?;
        let unknown = || Error::new("invalid_grant", "the device code is not known, or was used");
        let (code, secret) = code.split_once('.').ok_or_else(unknown)?;
        let code = typed(code).ok_or_else(unknown)?;
        let change = |device: Option<Device>| {
            let mut device = device.filter(|device| random::same(&device.secret, &random::hashed(secret)));
            let device =
                device.as_mut().filter(|device| device.client == known.client.id).ok_or_else(unknown)?;
            if call.now >= device.ends {
                return Err(Error::new("expired_token", "nobody has typed the code in time; begin again"));
            }
            let result = asked(device, call.now);
            Ok(Changed { document: device.clone(), ends: device.ends, result })
        };
        let device = self.store(call).change(&document(&code), change).await??;
        let Answer::Allowed { subject, auth_time, amr } = device.answer else { return Err(unknown()) };
        let store = self.store(call);
        let granted = grants::begin_directly(
            &store,
            call,
            known,
            (subject, auth_time, amr),
            (device.scopes, device.resources),
        );
        let granted = granted.await?;
        self.tokens_of(call, known, granted, true).await
    }

    /// `GET` and `POST /oauth/activate`: somebody types the code of a device, and is asked (RFC 8628 §3.3).
    pub(super) async fn activate(&self, call: &Call<'_>, posted: bool) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let code = call.form.get("user_code");
        let Some(signed_in) = self.signed_in(call, &browser).await? else {
            let next = Next::Activate(code.and_then(typed));
            return Ok(see_other(&call.page_with("sign-in", &next)?));
        };
        let token = browser.form_token(call.secrets);
        let asks = |status, wrong: Option<&str>| {
            let code = code.and_then(typed).map(|code| shown(&code)).unwrap_or_default();
            let mut reply = page(status, &pages::activate(call.server, &code, &token, wrong), None);
            browser.keep(&mut reply);
            Ok(reply)
        };
        if !posted {
            return asks(StatusCode::OK, None);
        }
        if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            return Err(not_from_here());
        }
        let whom = &signed_in.session.subject;
        let trying = Trying { name: "code of a device", from: None, browser: Some(whom) };
        if let Err(wait) = self.throttle.begin(&trying) {
            return asks(StatusCode::TOO_MANY_REQUESTS, Some(&sign_in::waits(wait)));
        }
        let code = code.and_then(typed);
        let device = match &code {
            Some(code) => self.store(call).read::<Device>(&document(code)).await?,
            None => None,
        };
        let waiting =
            device.filter(|device| call.now < device.ends && matches!(device.answer, Answer::NotYet));
        let (Some(code), Some(device)) = (code, waiting) else {
            return asks(StatusCode::FORBIDDEN, Some("There is no such code, or it is over."));
        };
        self.throttle.succeeded(&trying);
        let known = self.client(call, &device.client).await?;
        if !may_use(&known.client, signed_in.login()) {
            return Err(Error::new("access_denied", "you may not sign in to this application"));
        }
        let answer = match call.form.get("answer") {
            Some("allow") => Answer::Allowed {
                subject: whom.clone(),
                auth_time: signed_in.session.began,
                amr: signed_in.session.amr.clone(),
            },
            Some(_) => Answer::Denied,
            None => {
                let asked = pages::Asked {
                    client: &known.client.name,
                    is_strange: known.is_strange,
                    to: None,
                    scopes: &device.scopes,
                    resources: &device.resources,
                    lasts: grants::gets_refresh_token(&known.client, &device.scopes, true),
                    user: &signed_in.login().user,
                };
                let form = pages::Hidden { next: "", token: &token };
                return Ok(page(
                    StatusCode::OK,
                    &pages::confirm(call.server, &asked, &shown(&code), &form),
                    None,
                ));
            }
        };
        let said = match answer {
            Answer::Allowed { .. } => "You can go back to the device: it is signed in.",
            _ => "The device was not signed in.",
        };
        self.answer_device(call, &code, answer).await?;
        self.record(
            "device_decided",
            json!({ "by": super::own::principal(signed_in.login()), "client": device.client, "said": said }),
        )?;
        Ok(page(StatusCode::OK, &pages::says(call.server, "Done", said), None))
    }

    async fn answer_device(&self, call: &Call<'_>, code: &str, answer: Answer) -> Result<(), Error> {
        let change = |device: Option<Device>| {
            let waiting =
                device.filter(|device| call.now < device.ends && matches!(device.answer, Answer::NotYet));
            let mut device = waiting.ok_or_else(|| Error::new("invalid_request", "the code is over"))?;
            device.answer = answer.clone();
            Ok(Changed { ends: device.ends, document: device, result: () })
        };
        self.store(call).change(&document(code), change).await
    }
}

/// What `device` is answered that asks at `now`: itself where it was let in, once.
fn asked(device: &mut Device, now: Timestamp) -> Result<Device, Error> {
    // Somewhat early is on time: networks are not exact.
    let early = device
        .asked
        .is_some_and(|last| now < last + SignedDuration::from_secs((device.interval_s - 1).max(1)));
    device.asked = Some(now);
    if early {
        device.interval_s += INTERVAL_S;
        return Err(Error::new("slow_down", "the device asks too often"));
    }
    match device.answer {
        Answer::NotYet => Err(Error::new("authorization_pending", "nobody has typed the code yet")),
        // At this endpoint, as all errors but those of clients (RFC 6749 §5.2).
        Answer::Denied => Err(Error {
            status: StatusCode::BAD_REQUEST,
            ..Error::new("access_denied", "whoever was asked did not agree")
        }),
        Answer::Over => Err(Error::new("invalid_grant", "the device code was used")),
        Answer::Allowed { .. } => {
            let allowed = device.clone();
            device.answer = Answer::Over;
            Ok(allowed)
        }
    }
}

fn new_code() -> Result<String, Error> {
    let mut code = String::new();
    while code.len() < LENGTH {
        // Bytes that would make some letters likelier are drawn again.
        let fair = random::bytes::<16>()?.into_iter().filter(|byte| usize::from(*byte) < 240);
        code.extend(
            fair.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).take(LENGTH - code.len()),
        );
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = new_code().unwrap();
        assert_eq!(typed(&shown(&code)).as_ref(), Some(&code));
        assert_eq!(typed(&format!(" {} ", code.to_lowercase())), Some(code));
        for wrong in ["", "BCDF", "AAAA-AAAA", "BCDF-GHJK-L", "../../BCDFGHJK"] {
            assert_eq!(typed(wrong).filter(|_| !wrong.starts_with('.')), None, "{wrong}");
        }
    }

    #[test]
    fn a_device_that_asks_too_often_is_slowed_down_and_has_its_tokens_once() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut device = Device {
            client: "tv".to_owned(),
            scopes: Vec::new(),
            resources: Vec::new(),
            secret: String::new(),
            ends: at(600),
            asked: None,
            interval_s: INTERVAL_S,
            answer: Answer::NotYet,
        };
        let ask =
            |device: &mut Device, second| asked(device, at(second)).map(drop).map_err(|error| error.code);
        assert_eq!(ask(&mut device, 0), Err("authorization_pending"));
        assert_eq!(ask(&mut device, 5), Err("authorization_pending"));
        assert_eq!(ask(&mut device, 6), Err("slow_down"));
        assert_eq!(ask(&mut device, 12), Err("slow_down"), "it must wait ten seconds now");
        device.answer = Answer::Allowed { subject: "1".to_owned(), auth_time: at(0), amr: Vec::new() };
        assert_eq!(ask(&mut device, 40), Ok(()));
        assert_eq!(ask(&mut device, 80), Err("invalid_grant"));
    }
}
