//! An alert as it is sent: signed as Standard Webhooks says (<https://www.standardwebhooks.com>, specification 1.0), or as
//! Slack's incoming webhooks take it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::json;
use tollgate_core::config::alerts::{AlertFormat, AlertTarget, WebhookSecret};
use tollgate_core::deliver::Parcel;

use super::alert::Alert;
use super::words;

/// `alert` for `target`, as it is sent at `now`. Another try is written anew: its time is signed, and receivers refuse what
/// is old.
pub(super) fn parcel(target: &AlertTarget, alert: &Alert, instance: &str, now: Timestamp) -> Parcel {
    let text = words::of(alert, now);
    let mut headers = target.address.headers.clone();
    let body = match target.format {
        AlertFormat::Slack => json!({ "text": escaped(&text) }).to_string(),
        AlertFormat::Webhook => {
            let body = message(alert, instance, &text);
            headers.extend(standard(&alert.id, now.as_second(), &body, target.secret.as_ref()));
            body
        }
    };
    Parcel {
        uri: target.address.uri.clone(),
        method: Method::POST,
        content_type: "application/json",
        headers,
        body: body.into_bytes(),
        sign: None,
    }
}

fn message(alert: &Alert, instance: &str, text: &str) -> String {
    let mut data = json!(alert.what);
    (data["text"], data["instance"]) = (text.into(), instance.into());
    json!({ "type": alert.kind(), "timestamp": alert.at, "data": data }).to_string()
}

/// The headers `webhook-id`, `webhook-timestamp` and, with a secret, `webhook-signature`.
fn standard(
    id: &str,
    second: i64,
    body: &str,
    secret: Option<&WebhookSecret>,
) -> Vec<(HeaderName, HeaderValue)> {
    let signature = secret.map(|secret| ("webhook-signature", signature(secret, id, second, body)));
    let plain = [("webhook-id", id.to_owned()), ("webhook-timestamp", second.to_string())];
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    };
    plain.into_iter().chain(signature).filter_map(header).collect()
}

fn signature(secret: &WebhookSecret, id: &str, second: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let tag = hmac::sign(&key, format!("{id}.{second}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// `text` with what Slack takes for a mention, a link or an entity written so that it is none.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tollgate_core::config::alerts::AlertKind;
    use tollgate_core::config::recording::Address;

    use super::*;

    /// The specification's own example, as its libraries test it.
    #[test]
    fn a_signature_is_what_the_specification_says() {
        let secret = WebhookSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    fn target(format: AlertFormat) -> AlertTarget {
        let address = Address { uri: "https://hooks.example/s3cret".parse().unwrap(), headers: Vec::new() };
        AlertTarget { address, format, secret: None, kinds: AlertKind::ALL.to_vec() }
    }

    fn sent(format: AlertFormat, detail: &Value) -> (Parcel, Value) {
        let line = json!({ "at": "2026-05-20T10:00:00Z", "event": "key_expiring", "detail": detail });
        let alert = Alert::read(line.to_string().as_bytes()).unwrap().1;
        let parcel = parcel(&target(format), &alert, "gate-1", "2026-05-20T10:00:05Z".parse().unwrap());
        let body = serde_json::from_slice(&parcel.body).unwrap();
        (parcel, body)
    }

    #[test]
    fn a_webhook_says_what_it_is_and_when_it_was_tried() {
        let detail =
            json!({ "key": "bot", "ends_at": "2026-05-27T10:00:00Z", "lead_days": 7, "days_left": 7 });
        let (parcel, body) = sent(AlertFormat::Webhook, &detail);
        assert_eq!(
            (&body["type"], &body["timestamp"]),
            (&json!("key_expiring"), &json!("2026-05-20T10:00:00Z"))
        );
        assert_eq!((&body["data"]["key"], &body["data"]["instance"]), (&json!("bot"), &json!("gate-1")));
        assert!(body["data"]["text"].as_str().unwrap().starts_with("The key `bot` ends in 7 days"));
        let names: Vec<_> =
            parcel.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            (names.len(), names[0].0, names[1]),
            (2, "webhook-id", ("webhook-timestamp", "1779271205"))
        );
    }

    #[test]
    fn a_hostile_name_makes_no_mention_and_no_link_in_slack() {
        let detail = json!({
            "key": "bot", "alias": "<!channel> <https://evil.example|free & easy> `*x*`", "ends_at": "2026-05-27T10:00:00Z",
            "lead_days": 7, "days_left": 7,
        });
        let (parcel, body) = sent(AlertFormat::Slack, &detail);
        let text = body["text"].as_str().unwrap();
        assert!(
            text.contains("(`&lt;!channel&gt; &lt;https://evil.example|free &amp; easy&gt; '*x*'`)"),
            "{text}"
        );
        assert!(!text.contains(['<', '>']) && body.as_object().unwrap().len() == 1);
        assert!(parcel.headers.is_empty());
    }
}
