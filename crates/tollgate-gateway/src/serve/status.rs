//! Health for load balancers and Kubernetes, and counters for Prometheus.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use tokio::time::Instant;
use tollgate_core::access::Role;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::openai_chat::OpenAiChat;

use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::identify;
use crate::inbound::Inbound;
use crate::llm::deployments;
use crate::pipeline::refuse_stranger;
use crate::voice::InFormat;

/// OpenMetrics 1.0, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The answer at `path`, when there is one.
pub(super) async fn answer(gate: &Arc<Gate>, inbound: &Inbound, path: &str) -> Option<Response<AnswerBody>> {
    Some(match path {
        "/livez" => text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        // The words that LiteLLM's probes look for.
        "/health/liveliness" | "/health/liveness" => {
            text(StatusCode::OK, "application/json", "\"I'm alive!\"".to_owned())
        }
        "/readyz" => match readiness(gate) {
            Ok(()) => text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n")),
        },
        "/health/readiness" => match readiness(gate) {
            Ok(()) => text(StatusCode::OK, "application/json", json!({ "status": "healthy" }).to_string()),
            Err(why) => {
                let body = json!({ "status": "unhealthy", "reason": why }).to_string();
                text(StatusCode::SERVICE_UNAVAILABLE, "application/json", body)
            }
        },
        // Model names and spend are nobody's business who has no key, or one that is for calls only.
        "/metrics" => match operator(gate, inbound).await {
            Ok(()) => {
                measure(gate);
                text(StatusCode::OK, OPEN_METRICS, gate.metrics.render())
            }
            Err(fault) => refuse_stranger(gate, &fault, &InFormat(&OpenAiChat), inbound.peer),
        },
        // Nor is which upstreams there are, and how they do.
        "/health" => match operator(gate, inbound).await {
            Ok(()) => deployments::health(&gate.runtime(), Instant::now()),
            Err(fault) => refuse_stranger(gate, &fault, &InFormat(&OpenAiChat), inbound.peer),
        },
        _ => return None,
    })
}

/// Takes the measures that are not taken whenever they change.
fn measure(gate: &Gate) {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    gate.metrics.recordable.set(i64::from(gate.is_recordable()));
    gate.metrics.tool_sessions.set(count(gate.tools.links.count()));
    let peers = &gate.parts.peers;
    gate.metrics.peers.set(count(peers.present().iter().filter(|peer| *peer.life != *peers.life()).count()));
}

/// Whoever may see how the whole gate does.
async fn operator(gate: &Gate, inbound: &Inbound) -> Result<(), Fault> {
    let identified = identify::identify(gate, &gate.runtime().snapshot, inbound).await?;
    let role = identified.caller.map_or(Role::Admin, |caller| caller.role());
    if matches!(role, Role::Admin | Role::Auditor) {
        return Ok(());
    }
    Err(Fault::new(FaultClass::Forbidden, "the key is for calls; an admin's or an auditor's is needed here"))
}

fn readiness(gate: &Gate) -> Result<(), &'static str> {
    if gate.is_draining() {
        Err("the gate is stopping")
    } else if gate.is_recordable() {
        Ok(())
    } else {
        Err("records cannot be written")
    }
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
