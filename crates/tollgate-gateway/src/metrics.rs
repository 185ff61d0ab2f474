//! Counters for Prometheus. Every label has few values: names come from configuration or from this code, never
//! from a request.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Labels of a call.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CallLabels {
    /// The client's format.
    pub surface: &'static str,
    /// The configured model name; empty for models that are not configured.
    pub model: Arc<str>,
    /// How it ended.
    pub outcome: &'static str,
    /// The fault's class; empty when there was none.
    pub fault: &'static str,
    /// Who has to change something; empty when nobody has.
    pub blame: &'static str,
}

/// Labels of an attempt.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct AttemptLabels {
    /// The deployment.
    pub deployment: Arc<str>,
    /// The fault's class; empty when it was answered.
    pub fault: &'static str,
}

/// Labels of tokens and money.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DeploymentLabels {
    /// The deployment.
    pub deployment: Arc<str>,
}

/// Labels of what was refused before anyone was identified.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StrangerLabels {
    /// Why: a fault's class.
    pub reason: &'static str,
}

type Histograms = Family<DeploymentLabels, Histogram, fn() -> Histogram>;

/// All counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Calls that ended.
    pub calls: Family<CallLabels, Counter>,
    /// Attempts that ended.
    pub attempts: Family<AttemptLabels, Counter>,
    /// Input tokens.
    pub input_tokens: Family<DeploymentLabels, Counter>,
    /// Output tokens.
    pub output_tokens: Family<DeploymentLabels, Counter>,
    /// Cost, where it is known, in nano-dollars.
    pub cost: Family<DeploymentLabels, Counter>,
    /// Attempts that were charged and whose cost is not known.
    pub unpriced: Family<DeploymentLabels, Counter>,
    /// From a request's arrival to its answer's end.
    pub duration: Histograms,
    /// From a request's arrival to its answer's first byte.
    pub first_byte: Histograms,
    /// Requests refused before anyone was identified.
    pub strangers: Family<StrangerLabels, Counter>,
    /// Calls that have begun and not ended.
    pub open_calls: Gauge,
    /// Connections of clients.
    pub connections: Gauge,
    /// Other instances that requests can be handed on to.
    pub peers: Gauge,
    /// Requests of tools' clients that were handed on to another instance.
    pub handed_on: Counter<u64, AtomicU64>,
    /// Sessions with tool servers.
    pub tool_sessions: Gauge,
    /// Reloads that failed.
    pub failed_reloads: Counter<u64, AtomicU64>,
    /// 1 while new calls can be recorded.
    pub recordable: Gauge,
    /// 1 while the file on the disk is not what is served: its last reload failed.
    pub stale_configuration: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0])
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tollgate");
        macro_rules! counted {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
            ($name:literal, $help:literal, $unit:expr, $metric:expr) => {{
                let metric = $metric;
                registry.register_with_unit($name, $help, $unit, metric.clone());
                metric
            }};
        }
        Self {
            calls: counted!("calls", "Calls that ended", Family::default()),
            attempts: counted!("attempts", "Attempts that ended", Family::default()),
            input_tokens: counted!("input_tokens", "Input tokens", Family::default()),
            output_tokens: counted!("output_tokens", "Output tokens", Family::default()),
            cost: counted!("cost_nano_usd", "Cost in nano-dollars, where it is known", Family::default()),
            unpriced: counted!(
                "unpriced_attempts",
                "Attempts that were charged and whose cost is not known",
                Family::default()
            ),
            duration: counted!(
                "call_duration",
                "From a request's arrival to its answer's end",
                Unit::Seconds,
                Family::new_with_constructor(seconds as fn() -> Histogram)
            ),
            first_byte: counted!(
                "first_byte",
                "From a request's arrival to its answer's first byte",
                Unit::Seconds,
                Family::new_with_constructor(seconds as fn() -> Histogram)
            ),
            strangers: counted!(
                "strangers",
                "Requests refused before anyone was identified",
                Family::default()
            ),
            open_calls: counted!("open_calls", "Calls that have begun and not ended", Gauge::default()),
            connections: counted!("connections", "Connections of clients", Gauge::default()),
            peers: counted!("peers", "Other instances that requests can be handed on to", Gauge::default()),
            handed_on: counted!(
                "handed_on",
                "Requests of tools' clients that were handed on to another instance",
                Counter::default()
            ),
            tool_sessions: counted!("tool_sessions", "Sessions with tool servers", Gauge::default()),
            recordable: counted!("recordable", "1 while new calls can be recorded", Gauge::default()),
            stale_configuration: counted!(
                "stale_configuration",
                "1 while the last reload has failed and an older configuration is served",
                Gauge::default()
            ),
            failed_reloads: counted!("failed_reloads", "Reloads that changed nothing", Counter::default()),
            registry,
        }
    }

    /// The text for Prometheus (OpenMetrics 1.0).
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
