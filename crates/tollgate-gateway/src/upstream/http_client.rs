//! Upstreams over HTTP/1.1 and HTTP/2, with and without TLS. Redirects are not followed: a credential goes only
//! to the host that it was configured for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::RwLock;
use rustls::ClientConfig;
use tollgate_core::egress::Reach;

use super::in_time::InTime;
use super::resolver::Resolver;
use super::{
    Boxed, Forwarding, SendError, Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse, reason,
};
use crate::inbound::ClientBody;

type Connector = InTime<HttpsConnector<HttpConnector<Resolver>>>;
type HyperClient = Client<Connector, Full<Bytes>>;
type Forwarder = Client<Connector, ClientBody>;

/// Connections that nothing has used for this long are closed.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// How often a quiet connection is tried.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Idle connections kept per host.
const POOL_SIZE: usize = 256;

/// Only reloads can make more pools than there are deployments.
const MOST_CLIENTS: usize = 1_000;

/// Pools of connections, one for each connect time-out in the configuration and for what may be reached: a connection
/// that one deployment may make is not lent to another that may not.
pub struct HttpClient {
    /// Read once, when the first client is made: a gate with plain upstreams never needs the system's roots.
    tls: std::sync::OnceLock<Result<ClientConfig, String>>,
    clients: RwLock<HashMap<(Duration, Reach), Arc<HyperClient>>>,
    forwarders: RwLock<HashMap<Duration, Arc<Forwarder>>>,
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        // A connection that died silently is found out before calls wait on it.
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_while_idle(true);
    builder
}

fn not_sent(error: &hyper_util::client::legacy::Error) -> SendError {
    let text = reason(error);
    if error.is_connect() { SendError::Connect(text) } else { SendError::Broken(text) }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// No connections yet.
    pub fn new() -> Self {
        Self { tls: std::sync::OnceLock::new(), clients: RwLock::default(), forwarders: RwLock::default() }
    }

    /// What makes connections to what is within `reach`.
    fn connector(&self, reach: Reach) -> Result<(ClientConfig, HttpConnector<Resolver>), SendError> {
        let tls = self.tls.get_or_init(|| {
            let builder = ClientConfig::builder().try_with_platform_verifier();
            builder.map(|builder| builder.with_no_client_auth()).map_err(|e| e.to_string())
        });
        let tls = tls
            .clone()
            .map_err(|e| SendError::Connect(format!("the system's certificates cannot be read: {e}")))?;
        let mut http = HttpConnector::new_with_resolver(Resolver::within(reach));
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEP_ALIVE));
        http.enforce_http(false);
        Ok((tls, http))
    }

    /// What carries requests of browsers: over HTTP/1.1, as only there they switch to other protocols.
    fn forwarder(&self, connect_timeout: Duration) -> Result<Arc<Forwarder>, SendError> {
        if let Some(client) = self.forwarders.read().get(&connect_timeout) {
            return Ok(Arc::clone(client));
        }
        let (tls, http) = self.connector(Reach::Anywhere)?;
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector =
            InTime { connector: https.enable_http1().wrap_connector(http), limit: connect_timeout };
        let client = Arc::new(builder().build(connector));
        let mut clients = self.forwarders.write();
        Ok(Arc::clone(clients.entry(connect_timeout).or_insert(client)))
    }

    fn client(&self, connect_timeout: Duration, reach: Reach) -> Result<Arc<HyperClient>, SendError> {
        if let Some(client) = self.clients.read().get(&(connect_timeout, reach)) {
            return Ok(Arc::clone(client));
        }
        let (tls, http) = self.connector(reach)?;
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let https = https.enable_all_versions().wrap_connector(http);
        let client = builder().build(InTime { connector: https, limit: connect_timeout });
        let mut clients = self.clients.write();
        if clients.len() >= MOST_CLIENTS {
            // Requests under way keep theirs.
            clients.clear();
        }
        Ok(Arc::clone(clients.entry((connect_timeout, reach)).or_insert_with(|| Arc::new(client))))
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
            // An address in the place of a name is not looked up.
            let host = upstream.uri.host().unwrap_or_default();
            upstream.reach.check_literal(host).map_err(SendError::Connect)?;
            let client = self.client(upstream.connect_timeout, upstream.reach)?;
            let mut request = Request::new(Full::new(upstream.body));
            *request.method_mut() = upstream.method;
            *request.uri_mut() = upstream.uri;
            *request.headers_mut() = upstream.headers;
            let response = client.request(request).await.map_err(|error| not_sent(&error))?;
            let (head, body) = response.into_parts();
            Ok(UpstreamResponse {
                status: head.status,
                headers: head.headers,
                body: UpstreamBody::Wire(body),
            })
        })
    }

    fn forward(&self, request: Request<ClientBody>, connect_timeout: Duration) -> Forwarding<'_> {
        Box::pin(async move {
            let client = self.forwarder(connect_timeout)?;
            client.request(request).await.map_err(|error| not_sent(&error))
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Uri};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn sent(reach: Reach, uri: &str) -> Result<u16, SendError> {
        let request = UpstreamRequest {
            deployment: Arc::from("d"),
            provider: "openai",
            format: "openai_chat",
            stream: false,
            method: http::Method::POST,
            uri: uri.parse::<Uri>().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            connect_timeout: Duration::from_secs(5),
            reach,
        };
        HttpClient::new().send(request).await.map(|response| response.status.as_u16())
    }

    /// Answers every connection with `answer`, and says at which port.
    async fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4_096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    /// The address that is connected to decides, however it is written.
    #[tokio::test]
    async fn what_is_beyond_reach_is_not_connected_to() {
        let port = server(OK).await;
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
            match sent(Reach::Public, &format!("http://{host}:{port}/")).await {
                Err(SendError::Connect(_)) => {}
                other => panic!("{host}: {other:?}"),
            }
        }
        let Err(SendError::Connect(why)) = sent(Reach::Public, &format!("http://localhost:{port}/")).await
        else {
            panic!("it was connected to")
        };
        assert!(why.contains("which is not public (egress.private_hosts"), "{why}");
        for reach in [Reach::Private, Reach::Anywhere] {
            assert_eq!(sent(reach, &format!("http://localhost:{port}/")).await, Ok(200));
            assert_eq!(sent(reach, &format!("http://127.0.0.1:{port}/")).await, Ok(200));
        }
    }

    /// A connection that somebody else was allowed to make is not used.
    #[tokio::test]
    async fn connections_are_not_lent() {
        let client = HttpClient::new();
        let one = client.client(Duration::from_secs(1), Reach::Anywhere).unwrap();
        let again = client.client(Duration::from_secs(1), Reach::Anywhere).unwrap();
        let other = client.client(Duration::from_secs(1), Reach::Public).unwrap();
        assert!(Arc::ptr_eq(&one, &again) && !Arc::ptr_eq(&one, &other));
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let port = server("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        assert_eq!(sent(Reach::Private, &format!("http://127.0.0.1:{port}/")).await, Ok(307));
    }
}
