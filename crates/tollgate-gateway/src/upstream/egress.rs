//! What the gate fetches on its own behalf: one guarded client.
//!
//! Only hosts that the configuration names; only public addresses unless it says otherwise; the name is resolved
//! once and the connection goes to that very address, so that a name that changes its mind cannot lead inside;
//! redirects stay on the host; size and time are limited. Every fetch leaves an `egress` event.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::ConfigBuilderExt;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tollgate_core::call::CallId;
use tollgate_core::config::snapshot::Egress;
use tollgate_core::deliver::Undelivered;
use tollgate_core::egress::is_public;

use crate::gate::Gate;
use crate::gathered::Gathered;

/// From the name look-up to the last byte.
const TIME: Duration = Duration::from_secs(10);

/// Redirects in a row.
const REDIRECTS: usize = 3;

/// Something that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// Its type, as the server says.
    pub content_type: String,
    /// Its bytes.
    pub body: Bytes,
}

/// What may be fetched.
#[derive(Clone, Copy, Debug)]
struct Rules<'a> {
    /// From these hosts.
    hosts: &'a [String],
    /// Also from addresses that are not public.
    private: bool,
    /// At most so much.
    bytes: usize,
    /// What says how much.
    setting: &'static str,
}

/// The largest token, key set or other document that is no image.
const DOCUMENT_BYTES: usize = 1 << 20;

/// Asks for a document that the gate needs for itself, such as a token: from the host of `request` and no other, and
/// without following redirects. `private` allows an address inside, for what is there by its nature.
pub async fn document(gate: &Gate, request: Request<Bytes>, private: bool) -> Result<Bytes, String> {
    let private = private || gate.runtime().snapshot.egress.private_addresses;
    exactly(gate, request, private).await
}

/// The same, from inside only where `private` says so, whatever the configuration allows for others.
pub(crate) async fn exactly(gate: &Gate, request: Request<Bytes>, private: bool) -> Result<Bytes, String> {
    let good = |response: &Response<Incoming>| is_ok(response.status());
    Ok(asked(gate, request, private, good).await?.into_body())
}

/// The same, with whatever status it is answered.
pub(crate) async fn answered(
    gate: &Gate,
    request: Request<Bytes>,
    private: bool,
) -> Result<Response<Bytes>, String> {
    asked(gate, request, private, |_| Ok(())).await
}

async fn asked(
    gate: &Gate,
    request: Request<Bytes>,
    private: bool,
    good: impl Fn(&Response<Incoming>) -> Result<(), String>,
) -> Result<Response<Bytes>, String> {
    let uri = request.uri().clone();
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let hosts = [host.to_ascii_lowercase()];
    let rules = Rules { hosts: &hosts, private, bytes: DOCUMENT_BYTES, setting: "a fixed limit" };
    let exchange = async {
        let host = allowed_host(rules, &uri)?;
        let mut response = send(rules, &uri, &host, request).await?;
        good(&response)?;
        let body = collected(rules, &mut response).await?;
        Ok(response.map(|_| body))
    };
    let answered = match tokio::time::timeout(TIME, exchange).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("it took longer than {} s", TIME.as_secs())),
    };
    let detail = match &answered {
        Ok(answer) => serde_json::json!({ "host": host, "bytes": answer.body().len() }),
        Err(why) => serde_json::json!({ "host": host, "refused": why }),
    };
    gate.event("egress", None, detail);
    answered
}

/// Delivers `request` to where the configuration says, which may well be inside. Leaves no event: what is delivered
/// each second would fill the journal with itself. Who delivers notes when it fails and when it works again.
pub async fn deliver(request: Request<Bytes>) -> Result<(), Undelivered> {
    let uri = request.uri().clone();
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let hosts = [host.to_ascii_lowercase()];
    let rules = Rules { hosts: &hosts, private: true, bytes: DOCUMENT_BYTES, setting: "a fixed limit" };
    let exchange = async {
        let host = allowed_host(rules, &uri)?;
        let response = send(rules, &uri, &host, request).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(Undelivered::answered(response.status()))
    };
    match tokio::time::timeout(TIME, exchange).await {
        Ok(delivered) => delivered,
        Err(_) => Err(format!("it took longer than {} s", TIME.as_secs()).into()),
    }
}

/// Fetches the image at `url` for the call `call_id`. The reason of a refusal is for the client to read.
pub async fn image(gate: &Gate, egress: &Egress, url: &str, call_id: CallId) -> Result<Fetched, String> {
    let rules = Rules {
        hosts: &egress.image_hosts,
        private: egress.private_addresses,
        bytes: egress.image_bytes,
        setting: "egress.image_bytes",
    };
    let fetched = match tokio::time::timeout(TIME, fetch(rules, url)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(format!("it took longer than {} s", TIME.as_secs())),
    };
    let fetched = fetched.and_then(|fetched| {
        let image =
            ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&fetched.content_type.as_str());
        if image { Ok(fetched) } else { Err(format!("it is no image but {:?}", fetched.content_type)) }
    });
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let detail = match &fetched {
        Ok(fetched) => serde_json::json!({ "host": host, "bytes": fetched.body.len() }),
        Err(why) => serde_json::json!({ "host": host, "refused": why }),
    };
    gate.event("egress", Some(call_id), detail);
    fetched
}

async fn fetch(rules: Rules<'_>, url: &str) -> Result<Fetched, String> {
    let mut uri: Uri = url.parse().map_err(|_| "the address does not parse".to_owned())?;
    for _ in 0..=REDIRECTS {
        let host = allowed_host(rules, &uri)?;
        let mut response = get(rules, &uri, &host).await?;
        if !response.status().is_redirection() {
            return read(rules, &mut response).await;
        }
        let location = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
        let next = location.and_then(|location| follow(&uri, location)).ok_or("it redirects to nowhere")?;
        if next.host() != uri.host() || next.scheme() != uri.scheme() || next.port_u16() != uri.port_u16() {
            return Err("it redirects to another host".to_owned());
        }
        uri = next;
    }
    Err("it redirects too often".to_owned())
}

fn follow(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse().ok()?);
        return Uri::from_parts(parts).ok();
    }
    location.parse().ok().filter(|uri: &Uri| uri.host().is_some())
}

/// The host of `uri`, when it may be fetched from.
fn allowed_host(rules: Rules<'_>, uri: &Uri) -> Result<String, String> {
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("only http and https are fetched".to_owned());
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("an address with a user in it is not fetched".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let allowed = rules.hosts.iter().any(|rule| match rule.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => *rule == host,
    });
    if allowed { Ok(host) } else { Err(format!("the host `{host}` is not in `egress.image_hosts`")) }
}

async fn get(rules: Rules<'_>, uri: &Uri, host: &str) -> Result<Response<Incoming>, String> {
    send(rules, uri, host, Request::new(Bytes::new())).await
}

/// Sends `request` to `host`, to the very address that its name was resolved to.
async fn send(
    rules: Rules<'_>,
    uri: &Uri,
    host: &str,
    mut request: Request<Bytes>,
) -> Result<Response<Incoming>, String> {
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let address = resolve(rules, host, port).await?;
    let failed = |e: &dyn std::error::Error| format!("it cannot be reached: {}", super::reason(e));
    let stream = TcpStream::connect(address).await.map_err(|e| failed(&e))?;
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    *request.uri_mut() = path.parse().map_err(|e: http::uri::InvalidUri| failed(&e))?;
    let authority = uri.authority().map_or(host, |a| a.as_str());
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(authority).map_err(|e| failed(&e))?);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
    );
    let request = request.map(Full::new);
    if tls {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(&e))?;
        let config = rustls::ClientConfig::builder().try_with_platform_verifier().map_err(|e| failed(&e))?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.with_no_client_auth()));
        let stream = connector.connect(name, stream).await.map_err(|e| failed(&e))?;
        exchange(TokioIo::new(stream), request).await
    } else {
        exchange(TokioIo::new(stream), request).await
    }
}

async fn exchange<I>(io: I, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let failed = |e: hyper::Error| format!("it cannot be fetched: {}", super::reason(&e));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(failed)?;
    // It ends with the response, which is read or dropped within the time limit.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(failed)
}

async fn resolve(rules: Rules<'_>, host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|e| format!("`{host}` cannot be resolved: {e}"))?;
    let mut refused = None;
    for address in found {
        if rules.private || is_public(address.ip()) {
            return Ok(address);
        }
        refused = Some(address.ip());
    }
    Err(match refused {
        Some(ip) => format!("`{host}` is at {ip}, which is not public (egress.private_addresses)"),
        None => format!("`{host}` has no address"),
    })
}

async fn read(rules: Rules<'_>, response: &mut Response<Incoming>) -> Result<Fetched, String> {
    is_ok(response.status())?;
    let content_type =
        response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Ok(Fetched { content_type, body: collected(rules, response).await? })
}

fn is_ok(status: StatusCode) -> Result<(), String> {
    if status == StatusCode::OK { Ok(()) } else { Err(format!("the server answered {}", status.as_u16())) }
}

async fn collected(rules: Rules<'_>, response: &mut Response<Incoming>) -> Result<Bytes, String> {
    let mut body = Gathered::new(rules.bytes);
    while let Some(frame) = response.body_mut().frame().await {
        let frame = frame.map_err(|e| format!("it broke off: {}", super::reason(&e)))?;
        if let Ok(data) = frame.into_data() {
            let too_large = |_| format!("it is larger than {} bytes ({})", rules.bytes, rules.setting);
            body.push(data).map_err(too_large)?;
        }
    }
    Ok(body.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[String]) -> Rules<'_> {
        Rules { hosts, private: false, bytes: 10, setting: "a test" }
    }

    #[test]
    fn only_hosts_that_are_named() {
        let hosts = ["a.example".to_owned(), "*.b.example".to_owned()];
        let rules = rules(&hosts);
        let may = |url: &str| allowed_host(rules, &url.parse().unwrap()).is_ok();
        assert!(may("https://a.example/x.png") && may("http://c.b.example/"));
        for url in [
            "https://b.example/",
            "https://xb.example/",
            "https://a.example.evil/",
            "https://evil/a.example",
            "ftp://a.example/",
            "https://a.example@evil/",
            "https://u@a.example/",
            "/a.example",
        ] {
            assert!(!may(url), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let error = fetch(rules(&["localhost".to_owned()]), "http://localhost:1/x.png").await.unwrap_err();
        assert!(error.contains("not public"), "{error}");
    }
}
