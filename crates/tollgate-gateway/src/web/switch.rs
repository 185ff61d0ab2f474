//! WebSockets (RFC 6455): once both sides have switched, bytes pass as they come, as long as whoever has opened it may.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tollgate_core::config::web::WebApplication;
use tollgate_core::fault::{Fault, FaultClass};

use super::Visit;
use super::decide::Asked;
use crate::gate::Gate;

/// How often it is asked whether whoever has opened it still may.
const AGAIN: Duration = Duration::from_secs(15);

/// The most that are open at once: beside the connections that requests come on.
const MOST: usize = 10_000;

/// How many are open.
#[derive(Clone, Debug)]
pub(crate) struct Open(Arc<Semaphore>);

impl Default for Open {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// With what somebody has opened one.
pub(super) struct Opened {
    pub(super) headers: HeaderMap,
    pub(super) path: String,
    pub(super) peer: Option<IpAddr>,
}

/// Says in `headers` that the protocol is switched.
pub(super) fn say(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Refuses a WebSocket that a page of another site opens: for those browsers know no rule of their own (RFC 6455 §10.2).
pub(super) fn check_origin(headers: &HeaderMap, application: &WebApplication) -> Result<(), Fault> {
    let url = application.url.as_bytes();
    if headers.get(header::ORIGIN).is_none_or(|origin| origin.as_bytes() == url) {
        return Ok(());
    }
    let why = "a page of another site opens no WebSocket in the name of whoever is signed in";
    Err(Fault::new(FaultClass::Forbidden, why))
}

/// Joins both sides, once the head of `response` has reached the client.
pub(super) fn join(
    visit: &Visit<'_>,
    opened: Opened,
    client: OnUpgrade,
    response: &mut Response<Incoming>,
) -> Result<(), Fault> {
    let full = |_| Fault::new(FaultClass::LimitExceeded, "too many WebSockets are open; try again later");
    let room = Arc::clone(&visit.gate.open_sockets.0).try_acquire_owned().map_err(full)?;
    let application = hyper::upgrade::on(response);
    let (gate, name) = (Arc::clone(visit.gate), Arc::clone(&visit.application.name));
    tokio::spawn(async move {
        let _room = room;
        let (Ok(client), Ok(application)) = tokio::join!(client, application) else { return };
        let (mut client, mut application) = (TokioIo::new(client), TokioIo::new(application));
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut application) => {}
            () = no_longer(&gate, &name, &opened) => {}
            () = gate.stopping() => {}
        }
    });
    Ok(())
}

/// Resolves when whoever has `opened` it may not any more: by the configuration and the session as they are then.
async fn no_longer(gate: &Arc<Gate>, name: &str, opened: &Opened) {
    loop {
        tokio::time::sleep(AGAIN).await;
        let runtime = gate.runtime();
        let Some(application) = runtime.snapshot.web.named(name).cloned() else { return };
        if !may_still(gate, &application, opened).await {
            return;
        }
    }
}

async fn may_still(gate: &Arc<Gate>, application: &Arc<WebApplication>, opened: &Opened) -> bool {
    let visit = Visit { gate, runtime: gate.runtime(), application };
    let asked = Asked { method: Some("GET"), path: Some(&opened.path), peer: opened.peer };
    match visit.decide(&opened.headers, &asked).await {
        Ok(_) => true,
        // That nobody can tell just now takes nobody's work away.
        Err(fault) => fault.status() >= 500,
    }
}
