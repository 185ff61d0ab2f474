//! Images by URL for an upstream that takes only bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::Surface;
use tollgate_llm::json::splice;

use super::body_fault;
use crate::leg::Leg;
use crate::upstream::egress;

/// Images of one request that the gate fetches at most.
const MOST: usize = 20;

/// `text` with every image address replaced by the image; `None` when there are none.
pub(super) async fn inline(
    surface: &dyn Surface,
    text: &str,
    ticket: &mut Leg,
) -> Result<Option<String>, Fault> {
    let found = surface.image_urls(text).map_err(|e| body_fault(&e))?;
    if found.is_empty() {
        return Ok(None);
    }
    let refuse = |url: &str, why: &str| {
        let shown: String = url.chars().take(200).collect();
        let message =
            format!("the upstream takes images only as bytes, and {shown} cannot be fetched: {why}");
        Fault::new(FaultClass::Unsupported, message).param("image_url")
    };
    let rules = ticket.runtime.snapshot.egress.clone();
    if found.len() > MOST {
        return Err(refuse(&found[MOST].1, "there are more images than are fetched for one request"));
    }
    let most_bytes = ticket.runtime.snapshot.limits.request_body_bytes;
    let mut edits = Vec::with_capacity(found.len());
    let mut bytes = 0;
    for (span, url) in found {
        let fetched = egress::image(ticket.gate(), &rules, &url, ticket.call_id)
            .await
            .map_err(|why| refuse(&url, &why))?;
        bytes += fetched.body.len();
        if bytes > most_bytes {
            return Err(refuse(&url, "all images together are larger than limits.request_body_bytes"));
        }
        edits.push(surface.inline_image(span, &fetched.content_type, &STANDARD.encode(&fetched.body)));
    }
    ticket.edited("image_urls", "image_url: fetched and sent as bytes");
    String::from_utf8(splice(text, edits))
        .map(Some)
        .map_err(|_| Fault::new(FaultClass::Internal, "an edit broke the body"))
}
