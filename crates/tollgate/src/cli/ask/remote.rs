//! A running gate, asked over its API.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::http::Http;
use super::kept::Kept;

/// A running gate.
pub(in crate::cli) struct Remote {
    url: String,
    /// What is presented there: a key, or the token of a login, which is looked for when it is first needed.
    credential: OnceCell<Option<HeaderValue>>,
    /// What else can be asked when nobody answers.
    otherwise: &'static str,
    client: Http,
}

impl Remote {
    pub(super) fn new(url: &str, key: Option<String>, otherwise: &'static str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            bail!("{url}: the address of a gate begins with http:// or https://");
        }
        let credential = match key {
            Some(key) => OnceCell::new_with(Some(Some(bearer(&key)?))),
            None => OnceCell::new(),
        };
        Ok(Self { url: url.trim_end_matches('/').to_owned(), credential, otherwise, client: Http::new()? })
    }

    /// What is presented, where there is something.
    async fn credential(&self) -> Result<Option<&HeaderValue>> {
        let of_login = || async {
            let token = Kept::read()?.token(&self.client, &self.url).await?;
            token.map(|token| bearer(&token)).transpose()
        };
        Ok(self.credential.get_or_try_init(of_login).await?.as_ref())
    }

    /// Sends a request with the gate's key.
    pub(in crate::cli) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(credential) = self.credential().await? {
            request = request.header(AUTHORIZATION, credential.clone());
        }
        let request = request.body(Full::new(body.into()))?;
        self.client.send(request).await.map_err(|why| {
            anyhow::anyhow!(
                "no gate answers at {} ({why}); another one: --url or TOLLGATE_URL{}",
                self.url,
                self.otherwise
            )
        })
    }

    /// For whoever is not let in.
    fn how_to_be_let_in(&self) -> String {
        let logins = Kept::read().unwrap_or_default();
        let others: Vec<&str> = logins.gates().filter(|other| **other != *self.url).collect();
        let elsewhere = match &others[..] {
            [] => String::new(),
            others => format!(" (you are signed in to {})", others.join(", ")),
        };
        format!("its key goes into TOLLGATE_KEY, or `tollgate login` signs in to {}{elsewhere}", self.url)
    }

    /// What the gate answers at `path`.
    pub(in crate::cli) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.answer("GET", path, &[], Bytes::new()).await?).await
    }

    /// Everything that the list at `path` holds of what `filter` says, page by page.
    pub(in crate::cli) async fn all(&self, path: &str, mut filter: Map<String, Value>) -> Result<Value> {
        filter.insert("limit".to_owned(), Value::from(1_000));
        let mut items: Vec<Value> = Vec::new();
        loop {
            let mut page: Value = self.get(&format!("{path}?{}", query(&filter)?)).await?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            match page["next"].take() {
                Value::String(next) => filter.insert("after".to_owned(), Value::String(next)),
                _ => return Ok(Value::Array(items)),
            };
        }
    }

    /// Asks the management API for a change, by `body`, of what still has the tag `expected`.
    pub(in crate::cli) async fn change(
        &self,
        method: &str,
        path: &str,
        expected: Option<&str>,
        body: &Value,
    ) -> Result<Value> {
        let kind = [("content-type", "application/json")];
        let headers: Vec<_> = kind.into_iter().chain(expected.map(|tag| ("if-match", tag))).collect();
        read(self.answer(method, path, &headers, body.to_string()).await?).await
    }

    /// The answer to a request, when it is none of refusal.
    pub(in crate::cli) async fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>> {
        let response = self.send(method, path, headers, body).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.into_body().collect().await?.to_bytes();
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        // The management API answers with problems (RFC 9457), the gate's own door in OpenAI's dialect.
        let why = value["detail"].as_str().or_else(|| value["error"]["message"].as_str());
        let why = why.unwrap_or("it says no more");
        match status.as_u16() {
            401 => bail!("the gate refuses ({why}); {}", self.how_to_be_let_in()),
            403 => bail!("the gate refuses: {why}"),
            _ => bail!("{why} (status {status})"),
        }
    }
}

fn bearer(credential: &str) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(&format!("Bearer {credential}"));
    let mut value = value.context("the key holds odd characters")?;
    value.set_sensitive(true);
    Ok(value)
}

/// What an answer says.
pub(in crate::cli) async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let body = response.into_body().collect().await?.to_bytes();
    serde_json::from_slice(&body).context("the gate's answer cannot be read: is it another version?")
}

/// `filter` as a query.
pub(in crate::cli) fn query(filter: &impl Serialize) -> Result<String> {
    let value = serde_json::to_value(filter)?;
    let pairs = value.as_object().into_iter().flatten().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}={}", segment(&text))
    });
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

/// `text` as a part of an address (RFC 3986 §2.3).
pub(in crate::cli) fn segment(text: &str) -> String {
    let unreserved = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    let piece = |b: u8| if unreserved(&b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(piece).collect()
}
