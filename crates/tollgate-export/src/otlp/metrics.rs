//! Metrics: what calls used and how long they took, added up since the gate began to count.

use std::collections::BTreeMap;

use jiff::Timestamp;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};

use super::call::{Call, seconds};
use super::names;
use super::values::text;

/// The bounds that the conventions advise.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const FIRST_TOKEN: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// More different series than that are counted under the model `other`: a pattern may stand for any number of models.
const MOST: usize = 2_000;

/// What tells one series from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    operation: &'static str,
    provider: String,
    model: String,
    error: String,
    token_type: &'static str,
}

#[derive(Debug, Default)]
struct Series {
    count: u64,
    sum: f64,
    buckets: Vec<u64>,
}

/// What was measured since the gate began to count.
#[derive(Debug)]
pub(super) struct Measured {
    since: Timestamp,
    tokens: BTreeMap<Labels, Series>,
    durations: BTreeMap<Labels, Series>,
    first_tokens: BTreeMap<Labels, Series>,
    cost_nano_usd: BTreeMap<Labels, u64>,
}

impl Measured {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            since,
            tokens: BTreeMap::new(),
            durations: BTreeMap::new(),
            first_tokens: BTreeMap::new(),
            cost_nano_usd: BTreeMap::new(),
        }
    }

    pub(super) fn has_any(&self) -> bool {
        !self.durations.is_empty()
    }

    /// Takes a call that has ended.
    pub(super) fn take(&mut self, call: &Call) {
        let full = self.durations.len() >= MOST;
        // What a client asked for and nobody served may be any text.
        let model = if call.deployment.is_empty() {
            ""
        } else if full {
            "other"
        } else {
            &call.model
        };
        let labels = Labels {
            operation: names::operation(&call.surface),
            provider: call.provider().to_owned(),
            model: model.to_owned(),
            ..Labels::default()
        };
        let error = call.fault.as_ref().map_or(String::new(), |fault| fault.class.clone());
        observe(&mut self.durations, Labels { error, ..labels.clone() }, SECONDS, call.seconds());
        if let Some(usage) = call.usage {
            for (token_type, tokens) in [
                (names::TOKEN_TYPE_INPUT, usage.input_tokens),
                (names::TOKEN_TYPE_OUTPUT, usage.output_tokens),
            ] {
                #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^53")]
                observe(&mut self.tokens, Labels { token_type, ..labels.clone() }, TOKENS, tokens as f64);
            }
        }
        if let Some(us) = call.first_byte_us {
            observe(&mut self.first_tokens, labels.clone(), FIRST_TOKEN, seconds(us));
        }
        if let Some(nano) = call.cost() {
            *self.cost_nano_usd.entry(labels).or_default() += nano;
        }
    }

    /// Everything, as of `now`.
    pub(super) fn metrics(&self, now: Timestamp) -> Vec<Metric> {
        let mut metrics = vec![
            self.histogram(names::TOKEN_USAGE, "{token}", "Tokens in and out", TOKENS, &self.tokens, now),
            self.histogram(
                names::OPERATION_DURATION,
                "s",
                "How long calls took",
                SECONDS,
                &self.durations,
                now,
            ),
            self.histogram(
                names::TIME_TO_FIRST_TOKEN,
                "s",
                "Until the first byte of the answer",
                FIRST_TOKEN,
                &self.first_tokens,
                now,
            ),
            self.cost(now),
        ];
        metrics.retain(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => !histogram.data_points.is_empty(),
            Some(Data::Sum(sum)) => !sum.data_points.is_empty(),
            _ => false,
        });
        metrics
    }

    fn histogram(
        &self,
        name: &str,
        unit: &str,
        description: &str,
        bounds: &[f64],
        series: &BTreeMap<Labels, Series>,
        now: Timestamp,
    ) -> Metric {
        let point = |(labels, series): (&Labels, &Series)| HistogramDataPoint {
            attributes: labels.attributes(),
            start_time_unix_nano: nanos(self.since),
            time_unix_nano: nanos(now),
            count: series.count,
            sum: Some(series.sum),
            bucket_counts: series.buckets.clone(),
            explicit_bounds: bounds.to_vec(),
            ..Default::default()
        };
        let histogram = Histogram {
            data_points: series.iter().map(point).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        };
        metric(name, unit, description, Data::Histogram(histogram))
    }

    fn cost(&self, now: Timestamp) -> Metric {
        let point = |(labels, nano): (&Labels, &u64)| NumberDataPoint {
            attributes: labels.attributes(),
            start_time_unix_nano: nanos(self.since),
            time_unix_nano: nanos(now),
            value: Some(Value::AsInt(i64::try_from(*nano).unwrap_or(i64::MAX))),
            ..Default::default()
        };
        let sum = Sum {
            data_points: self.cost_nano_usd.iter().map(point).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        };
        metric(names::COST, "{nano_usd}", "What calls cost, where that is known", Data::Sum(sum))
    }
}

fn metric(name: &str, unit: &str, description: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
        ..Default::default()
    }
}

fn observe(all: &mut BTreeMap<Labels, Series>, labels: Labels, bounds: &[f64], value: f64) {
    let series = all.entry(labels).or_default();
    series.buckets.resize(bounds.len() + 1, 0);
    let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
    series.buckets[bucket] += 1;
    series.count += 1;
    series.sum += value;
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

impl Labels {
    fn attributes(&self) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
        let all = [
            (names::OPERATION, self.operation),
            (names::PROVIDER, &self.provider),
            (names::REQUEST_MODEL, &self.model),
            (names::ERROR_TYPE, &self.error),
            (names::TOKEN_TYPE, self.token_type),
        ];
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| text(name, value))
            .collect()
    }
}
