//! WebSockets (RFC 6455): once both sides have switched, bytes pass as they come, as long as whoever has opened it may.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tollgate_core::config::web::WebApplication;
use tollgate_core::fault::{Fault, FaultClass};

use super::Visit;
use super::decide::{Asked, Passed};
use crate::gate::Gate;

/// How often it is asked whether whoever has opened it still may.
const AGAIN: Duration = Duration::from_secs(15);

/// The most that are open at once: beside the connections that requests come on.
const MOST: usize = 10_000;

/// The most that one person has open, or that are open from one address where nobody has to be known.
const MOST_OF_ONE: usize = 100;

/// How many are open, and whose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open(Arc<Mutex<HashMap<String, usize>>>);

/// A place for one, as long as this lives.
struct Place {
    all: Open,
    whose: String,
}

impl Open {
    fn enter(&self, whose: String) -> Result<Place, Fault> {
        let mut all = self.0.lock();
        let own = all.get(&whose).copied().unwrap_or(0);
        if own >= MOST_OF_ONE || all.values().sum::<usize>() >= MOST {
            let why = "too many WebSockets are open; close some, or try again later";
            return Err(Fault::new(FaultClass::LimitExceeded, why));
        }
        all.insert(whose.clone(), own + 1);
        Ok(Place { all: self.clone(), whose })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        match all.get_mut(&self.whose) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(all.remove(&self.whose)),
        }
    }
}

/// With what somebody has opened one, or has begun to be answered.
pub(super) struct Opened {
    pub(super) gate: Arc<Gate>,
    pub(super) application: Arc<str>,
    pub(super) method: String,
    pub(super) headers: HeaderMap,
    pub(super) path: String,
    pub(super) peer: Option<IpAddr>,
    /// The session of whoever was known then.
    pub(super) session: Option<String>,
}

/// Says in `headers` that the protocol is switched.
pub(super) fn say(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Joins both sides, once the head of `response` has reached the client.
pub(super) fn join(
    visit: &Visit<'_>,
    opened: Opened,
    client: OnUpgrade,
    response: &mut Response<Incoming>,
) -> Result<(), Fault> {
    let from = || format!("{:?}", opened.peer);
    let place = visit.gate.open_sockets.enter(opened.session.clone().unwrap_or_else(from))?;
    let application = hyper::upgrade::on(response);
    tokio::spawn(async move {
        let _place = place;
        let (Ok(client), Ok(application)) = tokio::join!(client, application) else { return };
        let (mut client, mut application) = (TokioIo::new(client), TokioIo::new(application));
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut application) => {}
            () = no_longer(&opened) => {}
            () = opened.gate.stopping() => {}
        }
    });
    Ok(())
}

/// Resolves when whoever has `opened` it may not any more: by the configuration and the session as they are then.
pub(super) async fn no_longer(opened: &Opened) {
    loop {
        tokio::time::sleep(AGAIN).await;
        let runtime = opened.gate.runtime();
        let Some(application) = runtime.snapshot.web.named(&opened.application).cloned() else { return };
        if !may_still(&application, opened).await {
            return;
        }
    }
}

async fn may_still(application: &Arc<WebApplication>, opened: &Opened) -> bool {
    let visit = Visit { gate: &opened.gate, runtime: opened.gate.runtime(), application };
    let asked = Asked { method: Some(&opened.method), path: Some(&opened.path), peer: opened.peer };
    match visit.decide(&opened.headers, &asked).await {
        // Whoever was known when it began is the one that it is for.
        Ok(Passed::Known(visitor)) => opened.session.is_none() || Some(visitor.session) == opened.session,
        Ok(Passed::Anybody) => opened.session.is_none(),
        // That nobody can tell just now takes nobody's work away.
        Err(fault) => fault.status() >= 500,
    }
}
