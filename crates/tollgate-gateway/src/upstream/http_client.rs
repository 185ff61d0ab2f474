//! Upstreams over HTTP/1.1 and HTTP/2, with and without TLS. Redirects are not followed: a credential goes only
//! to the host that it was configured for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::RwLock;
use rustls::ClientConfig;

use super::in_time::InTime;
use super::{Boxed, SendError, Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse, reason};

type HyperClient = Client<InTime<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// Connections that nothing has used for this long are closed.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// How often a quiet connection is tried.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Idle connections kept per host.
const POOL_SIZE: usize = 256;

/// Pools of connections, one for each connect time-out in the configuration.
pub struct HttpClient {
    /// Read once, when the first client is made: a gate with plain upstreams never needs the system's roots.
    tls: std::sync::OnceLock<Result<ClientConfig, String>>,
    clients: RwLock<HashMap<Duration, Arc<HyperClient>>>,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// No connections yet.
    pub fn new() -> Self {
        Self { tls: std::sync::OnceLock::new(), clients: RwLock::default() }
    }

    fn client(&self, connect_timeout: Duration) -> Result<Arc<HyperClient>, SendError> {
        if let Some(client) = self.clients.read().get(&connect_timeout) {
            return Ok(Arc::clone(client));
        }
        let tls = self.tls.get_or_init(|| {
            let builder = ClientConfig::builder().try_with_platform_verifier();
            builder.map(|builder| builder.with_no_client_auth()).map_err(|e| e.to_string())
        });
        let tls = tls
            .clone()
            .map_err(|e| SendError::Connect(format!("the system's certificates cannot be read: {e}")))?;
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEP_ALIVE));
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            // A connection that died silently is found out before calls wait on it.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_while_idle(true)
            .build(InTime { connector: https, limit: connect_timeout });
        Ok(Arc::clone(self.clients.write().entry(connect_timeout).or_insert_with(|| Arc::new(client))))
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl Upstream for HttpClient {
    fn send(&self, upstream: UpstreamRequest) -> Boxed<'_, Result<UpstreamResponse, SendError>> {
        Box::pin(async move {
            let client = self.client(upstream.connect_timeout)?;
            let mut request = Request::new(Full::new(upstream.body));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = upstream.uri;
            *request.headers_mut() = upstream.headers;
            let response = client.request(request).await.map_err(|error| {
                let text = reason(&error);
                if error.is_connect() { SendError::Connect(text) } else { SendError::Broken(text) }
            })?;
            let (head, body) = response.into_parts();
            Ok(UpstreamResponse {
                status: head.status,
                headers: head.headers,
                body: UpstreamBody::Wire(body),
            })
        })
    }
}
