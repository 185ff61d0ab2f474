//! OpenTelemetry: traces and metrics over OTLP/HTTP (protobuf), made from `closed` entries.
//!
//! A call is a span, each of its attempts a span below it, with the ids that the upstreams were told. Names are those of
//! the GenAI conventions, all of them in [`names`].

mod call;
mod metrics;
mod names;
mod spans;
mod values;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};
use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tollgate_core::config::recording::{Address, Otlp};
use tollgate_core::deliver::{Deliver, Parcel};

use self::call::Call;
use self::metrics::Measured;
use self::values::text;
use crate::reading::Reading;
use crate::trying::Trying;

/// What is read of the journal at once.
const BATCH: usize = 1 << 20;

/// Tells the collector for as long as the future lives.
pub async fn tell(deliver: Arc<dyn Deliver>, settings: Otlp, mut reading: Reading, version: &str) {
    let source = Source::new(&reading.instance, version);
    let mut measured = Measured::new(Timestamp::now());
    let mut traces = Trying::new(&*deliver, "otlp_traces");
    let mut metrics = Trying::new(&*deliver, "otlp_metrics");
    loop {
        let Some((calls, last, more)) = read(&mut reading).await else {
            tokio::time::sleep(settings.every).await;
            continue;
        };
        calls.iter().for_each(|call| measured.take(call));
        if settings.traces && !calls.is_empty() {
            let request = source.traces(calls.iter().flat_map(spans::of).collect());
            traces.until_done(&parcel(&settings.address, "v1/traces", request.encode_to_vec())).await;
        }
        if let Some(last) = last {
            reading.took(last);
        }
        if more {
            continue;
        }
        if settings.metrics && measured.has_any() {
            let request = source.metrics(measured.metrics(Timestamp::now()));
            // One try: the next numbers hold these.
            drop(metrics.once(parcel(&settings.address, "v1/metrics", request.encode_to_vec())).await);
        }
        tokio::time::sleep(settings.every).await;
    }
}

/// The calls that have ended since the last time, the last entry read, and whether there are more.
async fn read(reading: &mut Reading) -> Option<(Vec<Call>, Option<u64>, bool)> {
    match reading.read(BATCH).await {
        Ok(followed) => {
            let bytes: usize = followed.entries.iter().map(|(_, line)| line.len()).sum();
            let calls = followed.entries.iter().filter_map(|(_, line)| Call::read(line)).collect();
            Some((calls, followed.entries.last().map(|(seq, _)| *seq), bytes >= BATCH))
        }
        Err(error) => {
            tracing::warn!(%error, "the journal cannot be read for telemetry");
            None
        }
    }
}

fn parcel(address: &Address, path: &str, body: Vec<u8>) -> Parcel {
    // As OTLP/HTTP has it: the signal's path below the base address.
    let base = address.uri.to_string();
    let uri: Option<Uri> = format!("{}/{path}", base.trim_end_matches('/')).parse().ok();
    Parcel {
        uri: uri.unwrap_or_else(|| address.uri.clone()),
        method: Method::POST,
        content_type: "application/x-protobuf",
        headers: address.headers.clone(),
        body,
        sign: None,
    }
}

/// Who tells.
struct Source {
    resource: Resource,
    scope: InstrumentationScope,
}

impl Source {
    fn new(instance: &str, version: &str) -> Self {
        let attributes = vec![
            text(names::SERVICE_NAME, "tollgate"),
            text(names::SERVICE_VERSION, version),
            text(names::SERVICE_INSTANCE_ID, instance),
        ];
        let scope = InstrumentationScope {
            name: "tollgate".to_owned(),
            version: version.to_owned(),
            ..Default::default()
        };
        Self { resource: Resource { attributes, ..Default::default() }, scope }
    }

    fn traces(
        &self,
        spans: Vec<opentelemetry_proto::tonic::trace::v1::Span>,
    ) -> opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest {
        use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
        let scope_spans = vec![ScopeSpans { scope: Some(self.scope.clone()), spans, ..Default::default() }];
        let spans =
            ResourceSpans { resource: Some(self.resource.clone()), scope_spans, ..Default::default() };
        opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest {
            resource_spans: vec![spans],
        }
    }

    fn metrics(
        &self,
        metrics: Vec<opentelemetry_proto::tonic::metrics::v1::Metric>,
    ) -> opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest {
        use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
        let scope_metrics =
            vec![ScopeMetrics { scope: Some(self.scope.clone()), metrics, ..Default::default() }];
        let metrics =
            ResourceMetrics { resource: Some(self.resource.clone()), scope_metrics, ..Default::default() };
        opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest {
            resource_metrics: vec![metrics],
        }
    }
}

/// How often the collector is told when the configuration does not say.
pub const USUALLY: Duration = Duration::from_secs(5);
