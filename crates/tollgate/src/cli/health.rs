//! `tollgate health`: asks a gate whether it is ready. For containers, which hold neither a shell nor curl.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::Empty;
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::say;

/// A gate that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What to ask; over http, as the certificate of a gate with TLS is not for 127.0.0.1
    #[arg(long, env = "TOLLGATE_HEALTH_URL", default_value = "http://127.0.0.1:4000/readyz")]
    url: Uri,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let Self { url } = self;
        ensure!(url.scheme_str() == Some("http"), "{url}: only http:// can be asked");
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let answer = tokio::time::timeout(PATIENCE, client.get(url.clone()))
            .await
            .with_context(|| format!("{url}: no answer within {} s", PATIENCE.as_secs()))?
            .with_context(|| format!("{url}: no answer"))?;
        ensure!(answer.status().is_success(), "{url}: {}", answer.status());
        say("ok")?;
        Ok(())
    }
}
