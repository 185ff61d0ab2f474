//! The client of the command line: for gates, and for those at whom people sign in.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::remote::segment;

/// The longest answer that is read of those at whom people sign in, in bytes.
const LARGEST: usize = 1 << 20;

/// A client.
#[derive(Clone)]
pub(in crate::cli) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    pub(in crate::cli) fn new() -> Result<Self> {
        let tls = rustls::ClientConfig::builder().try_with_platform_verifier()?.with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// The answer to `request`, or why nobody answers.
    pub(in crate::cli) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        let sent = self.0.request(request).await;
        sent.map_err(|error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        })
    }

    /// The document at `url`; `None` where there is none.
    pub(in crate::cli) async fn document(&self, url: &str) -> Result<Option<Value>> {
        let (status, said) = self.asked(Request::get(url).body(Full::default())?, url).await?;
        Ok((status == 200).then_some(said))
    }

    /// What is answered to a form at `url`, and with which status.
    pub(in crate::cli) async fn form(&self, url: &str, form: &[(&str, &str)]) -> Result<(u16, Value)> {
        let pairs: Vec<String> =
            form.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value))).collect();
        let request = Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.asked(request.body(Full::new(pairs.join("&").into()))?, url).await
    }

    async fn asked(&self, request: Request<Full<Bytes>>, url: &str) -> Result<(u16, Value)> {
        let answer = self.send(request).await;
        let answer = answer.map_err(|why| anyhow::anyhow!("nobody answers at {url} ({why})"))?;
        let status = answer.status();
        if status.is_redirection() {
            bail!("{url} sends us elsewhere, and nothing that is secret goes there");
        }
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|why| anyhow::anyhow!("{url}: {why}"))?.to_bytes();
        let said =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap_or_default() };
        Ok((status.as_u16(), said))
    }
}

/// The text `name` of what was answered.
pub(in crate::cli) fn text<'a>(said: &'a Value, name: &str) -> Result<&'a str> {
    said[name].as_str().with_context(|| format!("the answer has no `{name}`"))
}
