//! How applications' users are told of faults where no page is shown: their programs read it.

use serde_json::json;
use tollgate_core::config::web::WebApplication;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::Shown;

use crate::voice::Voice;

/// The surface's name.
pub(super) const NAME: &str = "web";

/// How a request for an application is answered that goes no further.
pub(super) struct WebVoice<'a> {
    pub(super) application: &'a WebApplication,
}

impl Voice for WebVoice<'_> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        let fault = shown.fault;
        json!({ "error": { "type": fault.class.name(), "message": &*fault.message } })
            .to_string()
            .into_bytes()
    }

    /// Where to sign in: the scheme is the gate's own, as what lets people in is a cookie.
    fn challenge(&self, fault: &Fault) -> Option<String> {
        let url = &self.application.url;
        (fault.class == FaultClass::Unauthenticated)
            .then(|| format!("Tollgate sign_in=\"{url}/.tollgate/sign-in\""))
    }
}
