//! What an upstream said or did, in words that are fit for clients and records: with the deployment's name, and
//! without the secrets that upstreams echo.

use std::time::Duration;

use tollgate_core::config::snapshot::{Cloud, Deployment};
use tollgate_core::fault::{Fault, FaultClass, UpstreamError};
use tollgate_core::secret::Secret;

use crate::route::Candidate;

/// `fault` with the deployment's name before its message, and every secret of the deployment blanked out.
pub(crate) fn explained(mut fault: Fault, candidate: &Candidate) -> Fault {
    let mut secrets = secrets(&candidate.deployment);
    secrets.extend(candidate.health.fetched());
    fault.message = scrub(&secrets, format!("{}: {}", candidate.deployment.id, fault.message));
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

fn secrets(deployment: &Deployment) -> Vec<Secret> {
    let headers = deployment.headers.iter().filter_map(|(_, value)| value.to_str().ok()).map(Secret::new);
    let cloud = deployment.cloud.iter().flat_map(Cloud::secrets);
    deployment.api_key.iter().cloned().chain(headers).chain(cloud).collect()
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
