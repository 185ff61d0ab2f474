//! The place of what is for anybody who knows where it is: pages on which people sign in, and what programs ask there. The gate
//! reads its requests, within limits for strangers; who answers them is chosen in the composition root.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_llm::formats::openai_chat::OpenAiChat;

use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::inbound::Inbound;
use crate::reject;
use crate::upstream::Boxed;
use crate::voice::InFormat;

/// Answers requests of whoever asks, and finds out by itself who that is.
pub trait Site: Send + Sync {
    /// Whether it answers at `path`, as `snapshot` configures it.
    fn takes(&self, snapshot: &Snapshot, path: &str) -> bool;

    /// Answers a request of whoever is at `peer`.
    fn answer<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        request: Request<Bytes>,
        peer: Option<IpAddr>,
    ) -> Boxed<'a, Response<Bytes>>;
}

/// The answer to a request for `site`.
pub(super) async fn answer(gate: &Gate, site: &dyn Site, inbound: Inbound) -> Response<AnswerBody> {
    let runtime = gate.runtime();
    let Inbound { head, body, peer, .. } = inbound;
    match body.read_small(&runtime.snapshot).await {
        Ok(body) => {
            let request = Request::from_parts(head, body);
            site.answer(&runtime.snapshot, request, peer).await.map(AnswerBody::whole)
        }
        Err(fault) => {
            let mut refused = reject::stranger(&fault, &InFormat(&OpenAiChat));
            // What is left of the body is not read.
            refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            refused
        }
    }
}
