//! What telemetry reads of a `closed` entry.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A call that has ended.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    entry: String,
    at: Timestamp,
    pub(super) call_id: String,
    pub(super) trace: Trace,
    pub(super) principal: Principal,
    pub(super) surface: String,
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) deployment: String,
    pub(super) outcome: String,
    #[serde(default)]
    pub(super) status: u64,
    #[serde(default)]
    pub(super) fault: Option<Fault>,
    #[serde(default)]
    pub(super) attempts: Vec<Attempt>,
    #[serde(default)]
    pub(super) usage: Option<Usage>,
    /// A number, or `unknown`.
    #[serde(default)]
    cost_nano_usd: Value,
    #[serde(default)]
    pub(super) chosen: Vec<Chosen>,
    duration_us: u64,
    #[serde(default)]
    pub(super) first_byte_us: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Trace {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    #[serde(default)]
    pub(super) parent_span_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Principal {
    pub(super) sub: Actor,
}

#[derive(Debug, Deserialize)]
pub(super) struct Actor {
    pub(super) kind: String,
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Fault {
    pub(super) class: String,
    pub(super) blame: String,
    #[serde(default)]
    pub(super) side_effect: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attempt {
    pub(super) deployment: String,
    #[serde(default)]
    pub(super) status: Option<u64>,
    #[serde(default)]
    pub(super) fault: Option<String>,
    pub(super) started_us: u64,
    pub(super) waited_us: u64,
    #[serde(default)]
    pub(super) usage: Option<Usage>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    pub(super) input_tokens: u64,
    #[serde(default)]
    pub(super) output_tokens: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    pub(super) name: String,
}

impl Call {
    /// Reads a `closed` entry; `None` for every other.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(line).ok().filter(|call| call.entry == "closed")
    }

    /// When it came, in nanoseconds since 1970.
    pub(super) fn began_ns(&self) -> u64 {
        self.ended_ns().saturating_sub(self.duration_us * 1_000)
    }

    pub(super) fn ended_ns(&self) -> u64 {
        u64::try_from(self.at.as_nanosecond()).unwrap_or(0)
    }

    pub(super) fn seconds(&self) -> f64 {
        seconds(self.duration_us)
    }

    pub(super) fn cost(&self) -> Option<u64> {
        self.cost_nano_usd.as_u64()
    }

    /// The provider of the deployment that answered.
    pub(super) fn provider(&self) -> &str {
        provider_of(&self.deployment)
    }
}

/// Microseconds as seconds.
pub(super) fn seconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

/// A deployment's id begins with its provider.
pub(super) fn provider_of(deployment: &str) -> &str {
    super::names::provider(deployment.split('/').next().unwrap_or_default())
}
