//! The management API's place: the gate reads and identifies its requests as it does any other; who answers them is
//! chosen in the composition root.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use tollgate_core::fault::Fault;
use tollgate_llm::formats::openai_chat::OpenAiChat;

use super::site;
use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::inbound::Inbound;
use crate::pipeline::refuse_stranger;
use crate::upstream::Boxed;
use crate::voice::InFormat;
use crate::{identify, reject};

/// The body of an answer of the management API.
pub type ManagedBody =
    Pin<Box<dyn Body<Data = Bytes, Error = Box<dyn std::error::Error + Send + Sync>> + Send>>;

/// Answers requests that manage the gate. Their principal stands in their extensions, and the caller where a key that the
/// gate has given out was presented.
pub trait Managed: Send + Sync {
    /// Whether it answers at `path`.
    fn takes(&self, path: &str) -> bool;

    /// Whether the answer at `path` is for anybody, and holds nothing of this gate.
    fn is_for_anybody(&self, path: &str) -> bool;

    /// How `fault` is said at `path`: the type of the body, and the body; `None` where it is said as OpenAI says it.
    fn says(&self, path: &str, fault: &Fault) -> Option<(&'static str, Vec<u8>)>;

    /// Answers one.
    fn answer(&self, request: Request<Bytes>) -> Boxed<'_, Response<ManagedBody>>;
}

/// The answer to a request that manages the gate.
pub(super) async fn answer(gate: &Gate, managed: &dyn Managed, inbound: Inbound) -> Response<AnswerBody> {
    let runtime = gate.runtime();
    let peer = inbound.peer;
    let path = inbound.head.uri.path().to_owned();
    if managed.is_for_anybody(&path) {
        return answered(gate, managed, Request::from_parts(inbound.head, Bytes::new())).await;
    }
    let identified = match site::signed_in(gate, &runtime.snapshot, &inbound).await {
        Some(signed_in) => signed_in,
        None => identify::identify(gate, &runtime.snapshot, &inbound).await,
    };
    let identified = match identified {
        Ok(identified) => identified,
        Err(fault) => {
            if let Some(redirected) = site::to_sign_in(gate, &runtime.snapshot, &inbound) {
                return redirected;
            }
            let refused = refuse_stranger(gate, &fault, &InFormat(&OpenAiChat), peer);
            return in_its_words(managed, &path, &fault, refused);
        }
    };
    let Inbound { mut head, body, .. } = inbound;
    head.extensions.insert(identified.principal);
    if let Some(caller) = identified.caller {
        head.extensions.insert(caller);
    }
    let body: Result<Bytes, Fault> = body.read(&runtime.snapshot).await;
    match body {
        Ok(body) => answered(gate, managed, Request::from_parts(head, body)).await,
        Err(fault) => in_its_words(managed, &path, &fault, reject::stranger(&fault, &InFormat(&OpenAiChat))),
    }
}

/// `refused`, as what manages the gate says it at `path`.
fn in_its_words(
    managed: &dyn Managed,
    path: &str,
    fault: &Fault,
    mut refused: Response<AnswerBody>,
) -> Response<AnswerBody> {
    if let Some((kind, body)) = managed.says(path, fault) {
        refused.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        *refused.body_mut() = AnswerBody::whole(body);
    }
    refused
}

async fn answered(gate: &Gate, managed: &dyn Managed, request: Request<Bytes>) -> Response<AnswerBody> {
    let response = managed.answer(request).await;
    let stop = Box::pin(gate.stopping());
    response.map(|body| AnswerBody::Managed(Box::pin(UntilStop { body, stop })))
}

/// A body that ends when the gate stops: one that follows the journal would not end by itself.
struct UntilStop {
    body: ManagedBody,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Body for UntilStop {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.body.as_mut().poll_frame(cx) {
            Poll::Pending => self.stop.as_mut().poll(cx).map(|()| None),
            ready => ready,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
