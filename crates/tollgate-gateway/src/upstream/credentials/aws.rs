//! AWS: requests are signed (Signature Version 4) with keys from the configuration or from the machine.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign as sign_request,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use jiff::Timestamp;
use serde::Deserialize;
use tollgate_core::config::snapshot::{AwsKeys, AwsSource};
use tollgate_core::secret::Secret;

use super::{Fetched, LONGEST_KEPT, post};
use crate::gate::Gate;
use crate::upstream::{UpstreamRequest, egress};

/// Signs `request`, which goes to Amazon Bedrock, as of `now`.
pub(super) fn sign(
    keys: &AwsKeys,
    region: &str,
    now: Timestamp,
    request: &mut UpstreamRequest,
) -> Result<(), String> {
    let uri = request.uri.to_string();
    // Only what no proxy in between changes.
    let signed = [("content-type", "application/json")];
    let signable =
        Signable { service: "bedrock", method: "POST", uri: &uri, headers: &signed, body: &request.body };
    signable.sign(keys, region, now, SigningSettings::default(), &mut request.headers)
}

/// Signs `request`, which goes to an object store that speaks S3, as of `now`. The store wants the body's hash in a
/// header, and the path as it stands.
pub(super) fn sign_object(
    keys: &AwsKeys,
    region: &str,
    now: Timestamp,
    request: &mut Request<Bytes>,
) -> Result<(), String> {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let (uri, method, body) =
        (request.uri().to_string(), request.method().to_string(), request.body().clone());
    let signable = Signable { service: "s3", method: &method, uri: &uri, headers: &[], body: &body };
    signable.sign(keys, region, now, settings, request.headers_mut())
}

/// What is signed of a request.
struct Signable<'a> {
    service: &'a str,
    method: &'a str,
    uri: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

impl Signable<'_> {
    fn sign(
        &self,
        keys: &AwsKeys,
        region: &str,
        now: Timestamp,
        settings: SigningSettings,
        headers: &mut HeaderMap,
    ) -> Result<(), String> {
        let failed = |e: &dyn std::fmt::Display| format!("the request cannot be signed: {e}");
        let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
        let identity = Credentials::new(
            keys.access_key_id.expose(),
            keys.secret_access_key.expose(),
            token,
            None,
            "tollgate",
        )
        .into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(self.service)
            .time(SystemTime::from(now))
            .settings(settings)
            .build()
            .map_err(|e| failed(&e))?
            .into();
        let body = SignableBody::Bytes(self.body);
        let signable = SignableRequest::new(self.method, self.uri, self.headers.iter().copied(), body);
        let signable = signable.map_err(|e| failed(&e))?;
        let (instructions, _) = sign_request(signable, &parameters).map_err(|e| failed(&e))?.into_parts();
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| failed(&e))?;
            let mut value = HeaderValue::from_str(value).map_err(|e| failed(&e))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(())
    }
}

/// Temporary keys, as the container's platform and the metadata service write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Temporary {
    access_key_id: String,
    #[serde(alias = "SecretAccessKey")]
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<Expiration>,
}

/// A time as text, or as seconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expiration {
    Text(Timestamp),
    Seconds(f64),
}

/// The machine's own keys, and for how long they are good.
pub(super) async fn keys(gate: &Gate, source: &AwsSource) -> Result<(Fetched, Duration), String> {
    let temporary = match source {
        AwsSource::Keys(keys) => return Ok((Fetched::Keys(keys.clone()), Duration::from_hours(24))),
        AwsSource::WebIdentity { token_file, role_arn, sts_url } => {
            web_identity(gate, token_file, role_arn, sts_url).await?
        }
        AwsSource::Container { url, token, token_file } => {
            let token = match token_file {
                Some(path) => Some(read_file(path).await?),
                None => token.clone(),
            };
            let mut request = Request::get(url);
            if let Some(token) = token {
                request = request.header("authorization", token.expose());
            }
            read(
                &egress::document(gate, request.body(Bytes::new()).map_err(|e| e.to_string())?, true).await?,
            )?
        }
        AwsSource::Instance { endpoint } => instance(gate, endpoint).await?,
    };
    let lifetime = temporary.lifetime(gate.parts.clock.now());
    Ok((Fetched::Keys(temporary.into_keys()), lifetime))
}

async fn read_file(path: &std::path::Path) -> Result<Secret, String> {
    let text = tokio::fs::read_to_string(path).await;
    text.map(|text| Secret::new(text.trim())).map_err(|e| format!("{} cannot be read: {e}", path.display()))
}

fn read(body: &[u8]) -> Result<Temporary, String> {
    // The text is not repeated: it holds keys.
    serde_json::from_slice(body).map_err(|_| "the answer holds no keys".to_owned())
}

/// The metadata service, version 2: a token first, then the role's name, then its keys.
async fn instance(gate: &Gate, endpoint: &str) -> Result<Temporary, String> {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let endpoint = endpoint.trim_end_matches('/');
    let ask = async |request: http::request::Builder| {
        egress::document(gate, request.body(Bytes::new()).map_err(|e| e.to_string())?, true).await
    };
    let token = Request::put(format!("{endpoint}/latest/api/token"))
        .header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let token = ask(token).await?;
    let get = |path: &str| {
        Request::get(format!("{endpoint}{path}")).header("x-aws-ec2-metadata-token", token.as_ref())
    };
    let role = ask(get(ROLES)).await?;
    let role = std::str::from_utf8(&role).unwrap_or_default().lines().next().unwrap_or_default().trim();
    if role.is_empty() {
        return Err("this machine has no role".to_owned());
    }
    read(&ask(get(&format!("{ROLES}{role}"))).await?)
}

/// AWS's token service: the platform's token for a role's keys (`AssumeRoleWithWebIdentity`).
async fn web_identity(
    gate: &Gate,
    token_file: &std::path::Path,
    role_arn: &str,
    sts_url: &str,
) -> Result<Temporary, String> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "AssumeRoleWithWebIdentityResponse")]
        response: AnswerBody,
    }
    #[derive(Deserialize)]
    struct AnswerBody {
        #[serde(rename = "AssumeRoleWithWebIdentityResult")]
        result: AnswerResult,
    }
    #[derive(Deserialize)]
    struct AnswerResult {
        #[serde(rename = "Credentials")]
        credentials: Temporary,
    }
    let token = read_file(token_file).await?;
    let request = post(
        &format!("{}/", sts_url.trim_end_matches('/')),
        &[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role_arn),
            ("RoleSessionName", "tollgate"),
            ("WebIdentityToken", token.expose()),
        ],
    )?;
    let body = egress::document(gate, request, false).await?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| "the token service's answer holds no keys".to_owned())?;
    Ok(answer.response.result.credentials)
}

impl Temporary {
    fn lifetime(&self, now: Timestamp) -> Duration {
        let until = match &self.expiration {
            Some(Expiration::Text(until)) => until.as_second(),
            #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
            Some(Expiration::Seconds(until)) => *until as i64,
            None => now.as_second() + 3600,
        };
        let left = u64::try_from(until.saturating_sub(now.as_second())).unwrap_or(0);
        Duration::from_secs(left).min(LONGEST_KEPT)
    }

    fn into_keys(self) -> AwsKeys {
        AwsKeys {
            access_key_id: Secret::new(self.access_key_id),
            secret_access_key: Secret::new(self.secret_access_key),
            session_token: self.token.map(Secret::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature was made with botocore.
    #[test]
    fn a_request_is_signed_as_other_tools_sign_it() {
        let keys = AwsKeys {
            access_key_id: Secret::new("AKIDEXAMPLE"),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        let mut request = UpstreamRequest {
            deployment: "bedrock/m".into(),
            provider: "bedrock",
            format: "bedrock_converse",
            stream: false,
            method: http::Method::POST,
            uri: "https://bedrock-runtime.us-east-1.amazonaws.com/model/a.b-v1%3A0/converse".parse().unwrap(),
            headers: http::HeaderMap::new(),
            body: "{}".into(),
            reach: tollgate_core::egress::Reach::Anywhere,
            connect_timeout: Duration::ZERO,
        };
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        sign(&keys, "us-east-1", now, &mut request).unwrap();
        let authorization = request.headers["authorization"].to_str().unwrap();
        assert_eq!(request.headers["x-amz-date"], "20150830T123600Z");
        assert!(
            authorization.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, Signature="
            ),
            "{authorization}"
        );
        assert!(authorization.ends_with(SIGNATURE), "{authorization}");
    }

    const SIGNATURE: &str = "d93b565c566ac3815e0fde2c662f61b59f2ad6cb28934337385d51eacf3e7ac3";

    #[test]
    fn temporary_keys_are_read_in_every_spelling() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for text in [
            r#"{"AccessKeyId":"a","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-01T01:00:00Z"}"#,
            r#"{"AccessKeyId":"a","SecretAccessKey":"s","SessionToken":"t","Expiration":1767229200}"#,
        ] {
            let read = read(text.as_bytes()).unwrap();
            assert_eq!(read.lifetime(now), Duration::from_hours(1));
            assert_eq!(read.into_keys().session_token.unwrap().expose(), "t");
        }
        assert!(read(b"<html>").is_err());
    }
}
