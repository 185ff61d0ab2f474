//! `tollgate.yaml` as written. Every member has a default but the models; one that is not known is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::SecretRef;
use super::alerts::AlertWritten;
use super::budgets::BudgetsWritten;
use super::bundles::BundleWritten;
use super::contracts::ToolsWritten;
use super::identity::IdentityWritten;
use super::policies::PolicyWritten;
use super::recording::{CaptureWritten, JournalWritten, TelemetryWritten};
use super::tools::ToolServerWritten;
use super::web::WebWritten;
use crate::access::Network;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Address and port to serve, default `127.0.0.1:4000`.
    pub listen: Option<Spanned<String>>,
    /// Serve TLS with this certificate.
    pub tls: Option<TlsFiles>,
    /// The key that every caller must present. Without it only this machine is served.
    pub master_key: Option<Spanned<SecretRef>>,
    /// What credentials that admins add are encrypted with, default `TOLLGATE_SECRETS_KEY`.
    pub secrets_key: Option<Spanned<SecretRef>>,
    /// What else credentials may be encrypted with that were added before.
    pub secrets_keys_before: Vec<Spanned<SecretRef>>,
    /// Where records are kept, default the user's data folder.
    pub data_dir: Option<PathBuf>,
    /// The index's PostgreSQL database, default `DATABASE_URL`; without one it is a file in `data_dir`.
    pub database_url: Option<Spanned<SecretRef>>,
    /// Where instances share budgets and limits: Valkey, Redis or PostgreSQL; default the database.
    pub counters_url: Option<Spanned<SecretRef>>,
    /// Where other instances reach this one, default `TOLLGATE_ADVERTISE_URL`: `http://10.0.0.7:4000`.
    pub advertise_url: Option<Spanned<SecretRef>>,
    /// Proxies in front of the gate that say truly for whom they ask (`X-Forwarded-For`), by their networks; default none.
    pub trusted_proxies: Vec<Network>,
    /// How budgets and limits are held.
    pub budgets: BudgetsWritten,
    /// Public model names, each with the deployments that serve it. A name may hold one `*`.
    pub models: BTreeMap<String, Vec<Deployment>>,
    /// Tool servers, by the names that addresses and records have for them.
    pub tool_servers: BTreeMap<String, ToolServerWritten>,
    /// How tools are offered.
    pub tools: ToolsWritten,
    /// Whose tokens are taken beside keys.
    pub identity: IdentityWritten,
    /// Web applications that people reach through the gate once they have signed in, by names of your own.
    pub web: BTreeMap<String, WebWritten>,
    /// Rules for calls.
    pub policies: Vec<PolicyWritten>,
    /// Choices of tool servers and tools, each at an address of its own.
    pub tool_bundles: BTreeMap<String, BundleWritten>,
    /// Retries, fallbacks and cooldown.
    pub routing: Routing,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Sizes and counts.
    pub limits: Limits,
    /// Drop request members that the chosen upstream cannot express, instead of refusing the request.
    pub drop_params: bool,
    /// What the gate may fetch by itself.
    pub egress: Egress,
    /// How records are kept.
    pub journal: JournalWritten,
    /// What of content is recorded.
    pub capture: CaptureWritten,
    /// Who else is told of calls.
    pub telemetry: TelemetryWritten,
    /// Who is told of what wants attention.
    pub alerts: Vec<AlertWritten>,
    /// How many days before the end of a key that is told, default 7 and 1.
    pub key_expiring_days: Option<Vec<u32>>,
}

/// Certificate files, PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// One upstream model that serves a public name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The adapter: `openai`, `anthropic`, `openai_compatible`, `simulator`.
    pub provider: Spanned<String>,
    /// The upstream's name for the model, default the public name.
    #[serde(default)]
    pub model: Option<String>,
    /// The credential, default the provider's usual environment variable.
    #[serde(default)]
    pub api_key: Option<Spanned<SecretRef>>,
    /// Region and access key, for providers on AWS.
    #[serde(default)]
    pub aws: Option<Aws>,
    /// Project, location and service account, for providers on Google Cloud.
    #[serde(default)]
    pub google: Option<Google>,
    /// API version and application, for providers on Azure.
    #[serde(default)]
    pub azure: Option<Azure>,
    /// Where the upstream is, default the provider's usual environment variable or address.
    #[serde(default)]
    pub base_url: Option<Spanned<String>>,
    /// Share of the traffic among deployments of the same `order`, default 1; 0 keeps it for the end.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Lower ones are tried first, default 0.
    #[serde(default)]
    pub order: Option<i32>,
    /// Requests per minute that this instance sends there at most.
    #[serde(default)]
    pub rpm: Option<u64>,
    /// Tokens per minute that this instance sends there at most.
    #[serde(default)]
    pub tpm: Option<u64>,
    /// Its price, default the catalog's.
    #[serde(default)]
    pub price: Option<PriceWritten>,
    /// `max_tokens` where the protocol demands one and the client gave none, default the catalog's.
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    /// Whether the upstream takes images by URL (default) or must be sent their bytes.
    #[serde(default)]
    pub image_urls: Option<bool>,
    /// Whether the upstream understands `stream_options.include_usage` (default).
    #[serde(default)]
    pub stream_usage: Option<bool>,
    /// The format to speak where the provider speaks several, default the client's.
    #[serde(default)]
    pub format: Option<Spanned<String>>,
    /// Further headers to send.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// Overrides of `timeouts` for this deployment.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Why it is out of service; only a translation from another format sets it.
    #[serde(skip)]
    pub unavailable: Option<String>,
}

/// An AWS region and access key, each by default what AWS's own tools use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// Such as `us-east-1`, default `AWS_REGION`.
    pub region: Option<String>,
    /// Default `AWS_ACCESS_KEY_ID`, else the machine's role.
    pub access_key_id: Option<SecretRef>,
    /// Default `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<SecretRef>,
    /// Of temporary keys, default `AWS_SESSION_TOKEN`.
    pub session_token: Option<SecretRef>,
}

/// A Google Cloud project and service account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Google {
    /// Default `GOOGLE_CLOUD_PROJECT`, else the service account's.
    pub project: Option<String>,
    /// Such as `europe-west4` or `global`, default `us-central1`.
    pub location: Option<String>,
    /// A service account's key, JSON, usually `{ file: PATH }`; default the file that
    /// `GOOGLE_APPLICATION_CREDENTIALS` names, else the machine's service account.
    pub credentials: Option<SecretRef>,
}

/// An Azure API version and an application in Microsoft Entra ID.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Azure {
    /// Default `AZURE_API_VERSION`, else `2024-10-21`.
    pub api_version: Option<String>,
    /// A token that is obtained elsewhere, default `AZURE_AD_TOKEN`.
    pub token: Option<SecretRef>,
    /// Default `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// Default `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// Default `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretRef>,
}

/// A price as written, decimal dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceWritten {
    /// USD per million input tokens, default 0.
    #[serde(default)]
    pub input_usd_per_mtok: Option<String>,
    /// USD per million output tokens, default 0.
    #[serde(default)]
    pub output_usd_per_mtok: Option<String>,
    /// USD per million cached input tokens, default as input.
    #[serde(default)]
    pub cache_read_usd_per_mtok: Option<String>,
    /// USD per million input tokens written to the cache, default as input.
    #[serde(default)]
    pub cache_write_usd_per_mtok: Option<String>,
    /// USD per picture made.
    #[serde(default)]
    pub usd_per_image: Option<String>,
    /// USD per thousand searches, as reranking counts them.
    #[serde(default)]
    pub usd_per_1k_searches: Option<String>,
}

/// Model names to try instead, by the name that failed.
pub type Fallbacks = BTreeMap<String, Vec<String>>;

/// Retries, fallbacks and cooldown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// Further attempts at a model after the first, default 2.
    pub retries: Option<u32>,
    /// Pause before the first further attempt at the same deployment; it doubles, with jitter. Default 250.
    pub backoff_ms: Option<u64>,
    /// The longest pause; an upstream that asks for a longer one is not waited for. Default 10000.
    pub backoff_max_ms: Option<u64>,
    /// Among deployments of the same `order`: how one is chosen. Default `weighted`.
    pub strategy: Option<Strategy>,
    /// Failures within a minute after which a deployment rests, default 3.
    pub allowed_fails: Option<u32>,
    /// How long it rests, default 30000; 0 turns cooldown off.
    pub cooldown_ms: Option<u64>,
    /// Share of failures within a minute, in percent, above which a deployment rests, from ten calls on. Default off.
    pub error_percent: Option<u8>,
    /// Average time to the first byte above which a deployment rests, from ten calls on. Default off.
    pub slow_ms: Option<u64>,
    /// Ask another deployment as well when the first has not begun to answer for so long; whoever answers first
    /// counts, and both may be billed. Default off.
    pub hedge_ms: Option<u64>,
    /// For single models: what is different there.
    pub models: BTreeMap<String, ModelRouting>,
    /// After any failure that another model may not have.
    pub fallbacks: Fallbacks,
    /// When the prompt is too long for the model.
    pub context_window_fallbacks: Fallbacks,
    /// When the provider's content policy refuses.
    pub content_policy_fallbacks: Fallbacks,
    /// For models without fallbacks of their own.
    pub default_fallbacks: Vec<String>,
}

/// How one of several deployments is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By chance, according to `weight`.
    #[default]
    Weighted,
    /// The one with the fewest calls in flight, by weight.
    LeastBusy,
    /// The one that has used the fewest tokens this minute, by weight.
    LeastUsed,
    /// The one that has begun to answer soonest of late.
    Latency,
    /// The one with the lowest price.
    Cost,
}

/// What is different for one model.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelRouting {
    /// How one of its deployments is chosen.
    pub strategy: Option<Strategy>,
    /// Failures within a minute after which a deployment rests.
    pub allowed_fails: Option<u32>,
    /// How long it rests.
    pub cooldown_ms: Option<u64>,
    /// Share of failures in percent above which it rests.
    pub error_percent: Option<u8>,
    /// Average time to the first byte above which it rests.
    pub slow_ms: Option<u64>,
    /// When to ask another deployment as well; 0 turns it off.
    pub hedge_ms: Option<u64>,
}

/// How long to wait, in milliseconds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection to the upstream, default 10000.
    pub connect_ms: Option<u64>,
    /// For the first byte of its answer, default 600000.
    pub first_byte_ms: Option<u64>,
    /// For the next piece of a stream, default 600000: models that reason are silent for minutes.
    pub idle_ms: Option<u64>,
    /// For the whole call, all attempts together, default 3600000.
    pub total_ms: Option<u64>,
    /// For the client's request body, default 60000. Not per deployment.
    pub request_ms: Option<u64>,
    /// For calls in flight when the gate stops, default 30000. Not per deployment.
    pub drain_ms: Option<u64>,
}

/// Sizes and counts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body, default 33554432.
    pub request_body_bytes: Option<usize>,
    /// Largest request head, default 65536.
    pub request_head_bytes: Option<usize>,
    /// Most request headers, default 100.
    pub request_headers: Option<usize>,
    /// Deepest nesting of a request body, default 128.
    pub request_depth: Option<usize>,
    /// Largest answer that is no stream, default 67108864.
    pub response_body_bytes: Option<usize>,
    /// Largest event of a stream, default 8388608.
    pub stream_event_bytes: Option<usize>,
    /// Most connections at once, default 10000.
    pub connections: Option<usize>,
    /// Most attempts of one call, retries and fallbacks together, default 8.
    pub attempts: Option<u32>,
}

/// What the gate may fetch by itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Hosts that images may be fetched from: `example.com`, or `*.example.com` for all below it. Default none.
    pub image_hosts: Vec<String>,
    /// Allow addresses on this machine and in private networks, default false.
    pub private_addresses: bool,
    /// Hosts inside that models which admins add may be served by, by their exact names: `vllm.internal:8000`. Default
    /// none.
    pub private_hosts: Vec<Spanned<String>>,
    /// Largest image, default 5242880.
    pub image_bytes: Option<usize>,
}
