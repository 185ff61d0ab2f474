//! A gate must not be its own upstream: a base URL that points back here would multiply every call until
//! something breaks. Each gate adds its name to `x-tollgate-via` on the way out and refuses what carries it.

use http::HeaderValue;
use tollgate_core::fault::{Fault, FaultClass};

use super::Question;

/// The header that lists the gates that a request has passed.
pub(crate) const VIA: &str = "x-tollgate-via";

/// Gates in a row; more is a loop of gates that rename themselves, or a mistake.
const MOST_GATES: usize = 8;

pub(super) fn check(question: &Question<'_>) -> Result<(), Fault> {
    if has_passed(question.head, &question.gate.parts.instance) {
        return Err(Fault::new(
            FaultClass::Loop,
            "this call has already passed this gate: the `base_url` of the deployment points back to it \
             (OPENAI_BASE_URL and ANTHROPIC_BASE_URL count when the configuration has none)",
        ));
    }
    Ok(())
}

/// Whether the request with this head has passed the gate `own` before, or more gates than it should.
pub(crate) fn has_passed(head: &http::request::Parts, own: &str) -> bool {
    passed(head).any(|name| name == own) || passed(head).count() >= MOST_GATES
}

/// What [`VIA`] says on the way out: the gates that the request with this head has passed, and this one.
pub(crate) fn via(head: &http::request::Parts, instance: &str) -> HeaderValue {
    let mut names: Vec<&str> = passed(head).collect();
    names.push(instance);
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("tollgate"))
}

/// The names of the gates that a request has passed.
fn passed(head: &http::request::Parts) -> impl Iterator<Item = &str> {
    let values = head.headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}
