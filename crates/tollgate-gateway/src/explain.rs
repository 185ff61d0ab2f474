//! What an upstream said or did, in words that are fit for clients and records: with the deployment's name, and
//! without the secrets that upstreams echo.

use std::time::Duration;

use tollgate_core::fault::{Fault, FaultClass, UpstreamError};
use tollgate_core::secret::Secret;

use crate::route::Target;

/// `fault` with the name of what was tried before its message, and every secret of that blanked out.
pub(crate) fn explained(mut fault: Fault, target: &Target) -> Fault {
    let secrets = target.secrets();
    fault.message = scrub(&secrets, format!("{}: {}", target.id(), fault.message));
    fault.upstream = fault.upstream.map(|upstream| Box::new(scrubbed(*upstream, &secrets)));
    fault
}

/// A time-out, as a fault that names the setting.
pub(crate) fn timed_out(what: &str, limit: Duration, setting: &str) -> Fault {
    Fault::new(FaultClass::Timeout, format!("{what} within {} ms (timeouts.{setting})", limit.as_millis()))
}

fn scrubbed(error: UpstreamError, secrets: &[Secret]) -> UpstreamError {
    let text = |text: Option<String>| text.map(|text| scrub(secrets, text));
    UpstreamError {
        format: error.format,
        status: error.status,
        kind: text(error.kind),
        code: text(error.code),
        param: text(error.param),
        message: scrub(secrets, error.message),
    }
}

/// Blanks out secrets, and cuts what is longer than a person reads: records are kept.
fn scrub(secrets: &[Secret], text: String) -> String {
    const LONGEST: usize = 2_000;
    let mut text = secrets.iter().fold(text, |text, secret| secret.scrub(text));
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}
