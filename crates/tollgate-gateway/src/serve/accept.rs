//! The accept loop: connections, their limits, and their end.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tollgate_core::config::snapshot::Snapshot;

use super::io::Patient;
use super::{forwarded, routes};
use crate::gate::Gate;
use crate::inbound::{ClientBody, Inbound};

/// For a TLS handshake and for a request's head.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// For a client to read what it asked for.
const WRITE_TIME: Duration = Duration::from_mins(2);

/// For a connection, whatever happens on it.
const AGE: Duration = Duration::from_hours(12);

/// Concurrent requests on one HTTP/2 connection.
const STREAMS: u32 = 250;

/// Serves until `stop` resolves, then lets calls in flight end, for as long as `timeouts.drain_ms` says or until
/// `hurry` resolves.
pub async fn serve(
    gate: Arc<Gate>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()> + Send,
    hurry: impl Future<Output = ()> + Send,
) {
    let snapshot = Arc::clone(&gate.runtime().snapshot);
    let builder = Arc::new(builder(&snapshot));
    let room = Arc::new(Semaphore::new(snapshot.limits.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        // Connections beyond the limit wait in the system's queue.
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = &mut stop => break,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: a moment later some are free again.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let connection = Connection {
            gate: Arc::clone(&gate),
            builder: Arc::clone(&builder),
            peer: peer.ip(),
            watcher: graceful.watcher(),
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            connection.gate.metrics.connections.inc();
            let metrics = Arc::clone(&connection.gate);
            connection.run(stream, tls).await;
            metrics.metrics.connections.dec();
            drop(permit);
        });
    }
    drop(listener);
    gate.drain();
    let limit = gate.runtime().snapshot.timeouts.drain;
    let ended = tokio::select! {
        () = graceful.shutdown() => true,
        () = tokio::time::sleep(limit) => false,
        () = hurry => false,
    };
    if !ended {
        gate.cut();
        tracing::warn!(open_calls = gate.open_calls(), "stopped before all calls had ended");
    }
}

fn builder(snapshot: &Snapshot) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(snapshot.limits.request_headers)
        .max_buf_size(snapshot.limits.request_head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(snapshot.limits.request_head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

struct Connection {
    gate: Arc<Gate>,
    builder: Arc<Builder<TokioExecutor>>,
    peer: IpAddr,
    watcher: hyper_util::server::graceful::Watcher,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Small pieces of a stream must not wait for one another (Nagle's algorithm).
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Some(tls) = tls else { return self.http(stream).await };
        match tokio::time::timeout(HEAD_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn http<S>(self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let Self { gate, builder, peer, watcher } = self;
        let service = service_fn(move |request: http::Request<Incoming>| {
            let gate = Arc::clone(&gate);
            async move {
                let (head, body) = request.into_parts();
                let trusted = &gate.runtime().snapshot.trusted_proxies;
                let peer = Some(forwarded::client(trusted, &head.headers, peer));
                let inbound = Inbound { head, body: ClientBody::Wire(body), arrived: Instant::now(), peer };
                Ok::<_, Infallible>(routes::handle(&gate, inbound).await)
            }
        });
        let io = TokioIo::new(Patient::new(stream, WRITE_TIME, HEAD_TIME));
        let connection = builder.serve_connection_with_upgrades(io, service).into_owned();
        // On HTTP/2 a client can keep a stream open without ever reading it; the connection's age bounds that.
        match tokio::time::timeout(AGE, watcher.watch(connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = %crate::upstream::reason(&*error), "a connection ended early")
            }
            Err(_) => tracing::debug!("a connection was closed for its age"),
        }
    }
}
