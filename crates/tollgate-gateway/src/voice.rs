//! How a protocol tells its clients of faults. [`reject`](crate::reject) makes the response; a voice only writes it down.

use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::{Shown, Surface};

/// How a protocol tells its clients of faults.
pub trait Voice: Send + Sync {
    /// The protocol's name in records and counters.
    fn name(&self) -> &'static str;

    /// The body of an answer that says it, JSON.
    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8>;

    /// What a client without a good credential is told of getting one (`WWW-Authenticate`, RFC 9110 §11.6.1).
    fn challenge(&self, fault: &Fault) -> Option<String> {
        (fault.class == FaultClass::Unauthenticated).then(|| "Bearer".to_owned())
    }

    /// The HTTP status of that answer.
    fn status(&self, fault: &Fault) -> u16 {
        fault.status()
    }
}

/// Faults as a format of LLM calls says them.
#[derive(Clone, Copy)]
pub struct InFormat(pub &'static dyn Surface);

impl Voice for InFormat {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        self.0.write_error(shown)
    }
}
