//! What is recorded, how it is kept, and who else is told: the settings `journal` and `capture`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::resolve::Resolver;
use super::snapshot::{Cloud, Models};
use super::{ConfigError, SecretRef, file};
use crate::record::CaptureMode;
use crate::redact::Redactor;
use crate::secret::Secret;

/// What a power cut may lose. A killed process loses nothing in any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Nothing: calls wait until their entries are on the disk.
    Every,
    /// The last tenth of a second.
    #[default]
    Interval,
    /// What the system had not written yet.
    Off,
}

/// What happens to new calls when entries cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// They are refused.
    #[default]
    Refuse,
    /// They go on unrecorded, and are counted.
    Continue,
}

/// `journal` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalWritten {
    /// What a power cut may lose: `every`, `interval` (default), `off`.
    pub sync: Sync,
    /// What happens to new calls when the disk is full: `refuse` (default), `continue`.
    pub when_full: WhenFull,
    /// A segment is sealed when it is larger, default 67108864.
    pub segment_bytes: Option<u64>,
    /// A segment is sealed when it is older, default 24.
    pub segment_hours: Option<u64>,
    /// Sealed segments are removed when they are older. Default: never.
    pub keep_days: Option<u64>,
    /// Room that is held back for calls under way when the disk is full, default 16777216.
    pub reserve_bytes: Option<u64>,
    /// How often the head is signed, default 60.
    pub head_seconds: Option<u64>,
    /// The instance's name, default one that is made at the first start.
    pub instance: Option<Spanned<String>>,
    /// The Ed25519 key that signs heads, PEM; default one that is made at the first start.
    pub key: Option<Spanned<SecretRef>>,
    /// The key of content digests; default one that is made at the first start.
    pub digest_key: Option<Spanned<SecretRef>>,
    /// What side files are encrypted with. Default: they are not.
    pub content_key: Option<Spanned<SecretRef>>,
    /// Where signed heads are published.
    pub publish: Vec<TargetWritten>,
    /// Who gets every entry, as JSON.
    pub sink: Option<SinkWritten>,
}

/// A place outside of the gate, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetWritten {
    /// A file to which each head is appended.
    pub file: Option<PathBuf>,
    /// An address to which it is sent: POST; PUT with `s3`.
    pub url: Option<Spanned<String>>,
    /// Headers of that request.
    pub headers: BTreeMap<String, SecretRef>,
    /// The address is an object in a store that speaks S3: the request is signed.
    pub s3: Option<file::Aws>,
}

/// A sink as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkWritten {
    /// Where entries are sent: JSON Lines by POST.
    pub url: Spanned<String>,
    /// Headers of that request.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// How much longer than `keep_days` segments are kept for it while it does not take them, default 30.
    #[serde(default)]
    pub wait_days: Option<u64>,
}

/// `telemetry` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryWritten {
    /// Traces and metrics for an OpenTelemetry collector. Default: none are sent.
    pub otlp: Option<OtlpWritten>,
}

/// A collector as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpWritten {
    /// Its address, without `/v1/traces`: OTLP over HTTP, usually on port 4318.
    pub url: Spanned<String>,
    /// Headers of requests to it.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// Whether traces are sent, default true.
    #[serde(default)]
    pub traces: Option<bool>,
    /// Whether metrics are sent, default true.
    #[serde(default)]
    pub metrics: Option<bool>,
    /// How often, default 5.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// Where it is.
    pub address: Address,
    /// Whether traces are sent.
    pub traces: bool,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// How often.
    pub every: Duration,
}

/// `capture` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureWritten {
    /// How much of bodies is kept: `none` (default), `redacted`, `full`.
    pub bodies: CaptureMode,
    /// The same for single models.
    pub models: BTreeMap<String, CaptureMode>,
    /// Regular expressions of what is blanked out besides keys, e-mail addresses, card and telephone numbers.
    pub patterns: Vec<Spanned<String>>,
    /// Request headers whose values are recorded, in every mode. Default none.
    pub headers: Vec<Spanned<String>>,
    /// The most that is kept of one call, default 1048576.
    pub call_bytes: Option<usize>,
    /// The most that stands in an entry itself, default 4096; what is larger is kept in a side file.
    pub inline_bytes: Option<usize>,
}

/// How records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// What a power cut may lose.
    pub sync: Sync,
    /// What happens to new calls when entries cannot be written.
    pub when_full: WhenFull,
    /// A segment is sealed when it is larger.
    pub segment_bytes: u64,
    /// A segment is sealed when it is older.
    pub segment_age: Duration,
    /// Sealed segments are removed when they are older; `None` keeps all.
    pub keep: Option<Duration>,
    /// How much longer for a sink that does not take them.
    pub wait_for_sink: Duration,
    /// Room that is held back.
    pub reserve_bytes: u64,
    /// How often the head is signed.
    pub head_every: Duration,
    /// The instance's name.
    pub instance: Option<String>,
    /// The Ed25519 key that signs heads, PEM.
    pub key: Option<Secret>,
    /// The key of content digests.
    pub digest_key: Option<Secret>,
    /// What side files are encrypted with.
    pub content_key: Option<Secret>,
    /// Where signed heads are published.
    pub publish: Vec<Publish>,
    /// Who gets every entry.
    pub sink: Option<Address>,
}

/// Where signed heads are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    /// A file to which each is appended.
    File(PathBuf),
    /// An address to which it is sent.
    Url(Address),
    /// An object in a store that speaks S3.
    Object(Address, Cloud),
}

/// An address outside of the gate, and the headers of requests to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub uri: Uri,
    /// Headers; their values are secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is kept of content.
#[derive(Clone, Debug)]
pub struct CaptureSettings {
    bodies: CaptureMode,
    models: BTreeMap<String, CaptureMode>,
    /// What blanks out in `redacted`.
    pub redactor: Arc<Redactor>,
    /// Request headers whose values are recorded.
    pub headers: Vec<HeaderName>,
    /// The most that is kept of one call.
    pub call_bytes: usize,
    /// The most that stands in an entry itself.
    pub inline_bytes: usize,
}

impl CaptureSettings {
    /// How much of the bodies of calls to `model` is kept.
    pub fn mode(&self, model: &str) -> CaptureMode {
        self.models.get(model).copied().unwrap_or(self.bodies)
    }
}

/// Headers whose values are credentials: no list allows them.
const NEVER: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key"];

const DAY: u64 = 86_400;

impl Resolver<'_> {
    pub(super) fn journal(&self, written: &JournalWritten) -> Result<JournalSettings, ConfigError> {
        let secret = |written: &Option<Spanned<SecretRef>>, what: &str| {
            let Some(written) = written else { return Ok(None) };
            let read = written.value.read(self.world.environment);
            read.map(Some).map_err(|why| ConfigError::at(written.referenced, format!("{what}: {why}")))
        };
        if let Some(name) = &written.instance {
            let fits = (1..=64).contains(&name.value.len())
                && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !fits {
                return Err(ConfigError::at(
                    name.referenced,
                    format!("`{}` is no name of an instance", name.value),
                )
                .hint("up to 64 letters, digits and `-`"));
            }
        }
        let wait_days = written.sink.as_ref().and_then(|sink| sink.wait_days).unwrap_or(30);
        Ok(JournalSettings {
            sync: written.sync,
            when_full: written.when_full,
            segment_bytes: written.segment_bytes.unwrap_or(64 << 20).max(64 << 10),
            segment_age: Duration::from_secs(written.segment_hours.unwrap_or(24).max(1) * 3_600),
            keep: written.keep_days.map(|days| Duration::from_secs(days.max(1) * DAY)),
            wait_for_sink: Duration::from_secs(wait_days * DAY),
            reserve_bytes: written.reserve_bytes.unwrap_or(16 << 20).max(64 << 10),
            head_every: Duration::from_secs(written.head_seconds.unwrap_or(60).max(1)),
            instance: written.instance.as_ref().map(|name| name.value.clone()),
            key: secret(&written.key, "the journal's key")?,
            digest_key: secret(&written.digest_key, "the key of digests")?,
            content_key: secret(&written.content_key, "the key of side files")?,
            publish: written.publish.iter().map(|target| self.publish(target)).collect::<Result<_, _>>()?,
            sink: match &written.sink {
                Some(sink) => Some(self.address(&sink.url, &sink.headers)?),
                None => None,
            },
        })
    }

    pub(super) fn otlp(&self, written: &TelemetryWritten) -> Result<Option<Otlp>, ConfigError> {
        let Some(written) = &written.otlp else { return Ok(None) };
        Ok(Some(Otlp {
            address: self.address(&written.url, &written.headers)?,
            traces: written.traces.unwrap_or(true),
            metrics: written.metrics.unwrap_or(true),
            every: Duration::from_secs(written.seconds.unwrap_or(5).max(1)),
        }))
    }

    fn publish(&self, written: &TargetWritten) -> Result<Publish, ConfigError> {
        match (&written.file, &written.url) {
            (Some(file), None) => Ok(Publish::File(file.clone())),
            (None, Some(url)) => {
                let address = self.address(url, &written.headers)?;
                let Some(aws) = &written.s3 else { return Ok(Publish::Url(address)) };
                match super::cloud::aws_keys(aws, self.world) {
                    Ok(cloud) => Ok(Publish::Object(address, cloud)),
                    Err(why) => Err(ConfigError::at(url.referenced, format!("journal.publish: {why}"))),
                }
            }
            _ => Err(ConfigError::new("each of `journal.publish` names either a `file` or a `url`")),
        }
    }

    pub(super) fn address(
        &self,
        url: &Spanned<String>,
        headers: &BTreeMap<String, SecretRef>,
    ) -> Result<Address, ConfigError> {
        let wrong = |why: String| ConfigError::at(url.referenced, why);
        let text = super::cloud::filled(Some(&url.value), self.world).map_err(wrong)?.unwrap_or_default();
        self.address_at(&text, url.referenced, headers)
    }

    /// The address `text`, which stands at `place`. No error shows it: it may be a secret.
    pub(super) fn address_at(
        &self,
        text: &str,
        place: Location,
        headers: &BTreeMap<String, SecretRef>,
    ) -> Result<Address, ConfigError> {
        let wrong = |why: String| ConfigError::at(place, why);
        let uri: Uri = text.parse().map_err(|_| wrong("this is no address".to_owned()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(wrong("an address begins with http:// or https://".to_owned()));
        }
        let headers = headers.iter().map(|(name, value)| {
            let value = value.read(self.world.environment)?;
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header"))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| format!("the value of `{name}` cannot stand in a header"))?;
            value.set_sensitive(true);
            Ok((name, value))
        });
        let headers = headers.collect::<Result<_, String>>().map_err(wrong)?;
        Ok(Address { uri, headers })
    }
}

pub(super) fn capture(written: &CaptureWritten, models: &Models) -> Result<CaptureSettings, ConfigError> {
    for name in written.models.keys() {
        if !models.names().any(|known| known == name) {
            let message = format!("`capture.models` names the model `{name}`, which is not configured");
            return Err(ConfigError::new(message).hint_nearest(name, models.names()));
        }
    }
    // One by one first, to say which line is wrong.
    for pattern in &written.patterns {
        Redactor::new(std::slice::from_ref(&pattern.value))
            .map_err(|why| ConfigError::at(pattern.referenced, why))?;
    }
    let patterns: Vec<String> = written.patterns.iter().map(|pattern| pattern.value.clone()).collect();
    let header = |name: &Spanned<String>| {
        let wrong = |why: &str| ConfigError::at(name.referenced, format!("`{}` {why}", name.value));
        let parsed: HeaderName = name.value.parse().map_err(|_| wrong("is no header"))?;
        if NEVER.contains(&parsed.as_str()) {
            return Err(wrong("is a credential and is never recorded"));
        }
        Ok(parsed)
    };
    Ok(CaptureSettings {
        bodies: written.bodies,
        models: written.models.clone(),
        redactor: Arc::new(Redactor::new(&patterns).map_err(ConfigError::new)?),
        headers: written.headers.iter().map(header).collect::<Result<_, _>>()?,
        call_bytes: written.call_bytes.unwrap_or(1 << 20),
        inline_bytes: written.inline_bytes.unwrap_or(4_096),
    })
}
