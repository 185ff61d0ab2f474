//! A bare reverse proxy of the same libraries: what remains when the gate does nothing but relay.

use std::sync::Arc;

use anyhow::Result;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

type HyperClient = Client<HttpConnector, Incoming>;

/// Serves until killed.
pub(crate) async fn serve(port: u16, upstream: &str) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: HyperClient = Client::builder(TokioExecutor::new()).build(connector);
    let upstream: Arc<str> = upstream.into();
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), Arc::clone(&upstream));
        tokio::spawn(async move {
            let service = service_fn(move |request| forward(client.clone(), Arc::clone(&upstream), request));
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn forward(
    client: HyperClient,
    upstream: Arc<str>,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    *request.uri_mut() = format!("{upstream}{path}").parse::<Uri>()?;
    request.headers_mut().remove("host");
    Ok(client.request(request).await?)
}
