//! One immutable, resolved configuration. A reload publishes the next one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;

use super::alerts::AlertTarget;
use super::approvals::HoldRules;
use super::budgets::Budgets;
use super::bundles::{Bundle, ToolNames};
use super::contracts::Policy;
use super::file::{self, Fallbacks, Strategy, TlsFiles};
use super::identity::{Identity, Server};
pub use super::models::{Found, Model, Models, Origin};
use super::recording::{CaptureSettings, JournalSettings, Otlp};
use super::resolve::timeouts;
use super::secrets::SecretsKeys;
use super::tools::ToolServer;
use super::web::WebApplications;
use crate::access::Network;
use crate::egress::{Host, Reach};
use crate::policy::Rule;
use crate::ports::ModelFacts;
use crate::secret::Secret;

/// One immutable, resolved configuration.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Where to serve.
    pub listen: SocketAddr,
    /// With which certificate; `None` serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// What every caller must present; `None` serves this machine only.
    pub master_key: Option<Secret>,
    /// Where records are kept, when the file says so.
    pub data_dir: Option<PathBuf>,
    /// The index's PostgreSQL database; `None` where it is a file in the data folder.
    pub database_url: Option<Secret>,
    /// Where other instances reach this one, where they do.
    pub advertise_url: Option<Arc<str>>,
    /// Proxies in front of the gate that say truly for whom they ask.
    pub trusted_proxies: Arc<[Network]>,
    /// How budgets and limits are held.
    pub budgets: Budgets,
    /// Public models by name, and patterns by their text.
    pub models: Models,
    /// Tool servers by name.
    pub tool_servers: BTreeMap<Arc<str>, Arc<ToolServer>>,
    /// Choices of tool servers and tools, by name.
    pub tool_bundles: BTreeMap<Arc<str>, Arc<Bundle>>,
    /// What becomes of tools that have changed.
    pub contracts: Contracts,
    /// Rules for calls, in the order in which they are asked.
    pub policies: Arc<[Rule]>,
    /// Whose tokens are taken beside keys.
    pub identity: Arc<Identity>,
    /// The gate's own authorization server.
    pub identity_server: Option<Arc<Server>>,
    /// Web applications that people reach through the gate.
    pub web: WebApplications,
    /// Which calls somebody must approve.
    pub holds: HoldRules,
    /// Sessions of MCP clients that began earlier are over.
    pub sessions_not_before: Option<Timestamp>,
    /// How clients see tools' names.
    pub tool_names: ToolNames,
    /// Retries, fallbacks and cooldown.
    pub routing: Routing,
    /// Time-outs that are not a deployment's.
    pub timeouts: GateTimeouts,
    /// Sizes and counts.
    pub limits: Limits,
    /// Drop what an upstream cannot express instead of refusing.
    pub drop_params: bool,
    /// What the gate may fetch by itself.
    pub egress: Egress,
    /// How records are kept.
    pub journal: JournalSettings,
    /// What of content is recorded.
    pub capture: CaptureSettings,
    /// The collector that is told of calls.
    pub otlp: Option<Otlp>,
    /// Who is told of what wants attention.
    pub alerts: Vec<AlertTarget>,
    /// How many days before the end of a key that is told, the longest first.
    pub key_expiring_days: Vec<u32>,
    /// What credentials that admins add are encrypted with.
    pub secrets: SecretsKeys,
    /// How long to wait for deployments that say nothing else, as written.
    pub shared_timeouts: file::Timeouts,
    /// Whether there may be models that were added and could not be read yet.
    pub added_unread: bool,
}

impl Snapshot {
    /// The same, with the models that admins have `added`. What the file says of a name goes before that.
    #[must_use]
    pub fn with(&self, added: Vec<Model>, added_unread: bool) -> Self {
        Self { models: self.models.with(added), added_unread, ..self.clone() }
    }
}

/// What becomes of tools that have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contracts {
    /// The rules.
    pub policy: Policy,
    /// The text of the lock, where that is the only source; what is in it is read by whoever holds tools to it.
    pub lock: Option<Arc<str>>,
}

/// One upstream model that serves a public name.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Stable over reloads while provider, model and address stay: it keys health and counters.
    pub id: Arc<str>,
    /// The adapter's name.
    pub provider: &'static str,
    /// The upstream's name for the model; may hold the pattern's `*`.
    pub model: Arc<str>,
    /// The upstream's address, without a slash at its end.
    pub base_url: Arc<str>,
    /// The credential, where it is a plain key.
    pub api_key: Option<Secret>,
    /// The credential, where it is more than a key.
    pub cloud: Option<Cloud>,
    /// The version of the API, where the address says it.
    pub api_version: Option<Arc<str>>,
    /// The format to speak, when it is not the client's choice.
    pub format: Option<Arc<str>>,
    /// Share of the traffic among its peers.
    pub weight: u32,
    /// Lower ones are tried first.
    pub order: i32,
    /// Requests per minute at most.
    pub rpm: Option<u64>,
    /// Tokens per minute at most.
    pub tpm: Option<u64>,
    /// Price and limits of the model; what the configuration says wins over the catalog.
    pub facts: ModelFacts,
    /// What the configuration says of the model.
    pub configured: ModelFacts,
    /// Whether it takes images by URL.
    pub image_urls: bool,
    /// Whether it understands `stream_options.include_usage`.
    pub stream_usage: bool,
    /// Further headers to send, marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Which addresses its connections may be made to.
    pub reach: Reach,
    /// Why it is out of service.
    pub unavailable: Option<String>,
}

/// A credential that is more than a key: requests are signed with it, or a token is fetched with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// Requests are signed (AWS Signature Version 4).
    Aws {
        /// For which region.
        region: Arc<str>,
        /// With which keys.
        source: AwsSource,
    },
    /// A token is fetched from Google.
    Google(GoogleSource),
    /// A token is fetched from Microsoft Entra ID.
    Entra(EntraSource),
}

/// Where AWS keys come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AwsSource {
    /// Here they are.
    Keys(AwsKeys),
    /// From AWS's token service, for a token that the platform leaves in a file.
    WebIdentity {
        /// Where the token is.
        token_file: PathBuf,
        /// The role that it is good for.
        role_arn: String,
        /// Where the token service is.
        sts_url: String,
    },
    /// From the container's platform.
    Container {
        /// Where.
        url: String,
        /// What it wants to see.
        token: Option<Secret>,
        /// Where that is.
        token_file: Option<PathBuf>,
    },
    /// From the machine's metadata service.
    Instance {
        /// Where it is.
        endpoint: String,
    },
}

/// An AWS access key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AwsKeys {
    /// Which key.
    pub access_key_id: Secret,
    /// The key.
    pub secret_access_key: Secret,
    /// Of temporary keys.
    pub session_token: Option<Secret>,
}

/// Where Google's tokens come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GoogleSource {
    /// A service account's key, JSON.
    ServiceAccount(Secret),
    /// The machine's metadata service.
    Metadata {
        /// Its host.
        host: String,
    },
}

/// Where Entra's tokens come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntraSource {
    /// Here it is.
    Token(Secret),
    /// An application's client credentials (OAuth 2.0, RFC 6749 §4.4).
    Client {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// Where the directory is served.
        authority: String,
    },
}

impl Cloud {
    /// What must never be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Aws { source: AwsSource::Keys(keys), .. } => {
                let token = keys.session_token.clone();
                [Some(keys.secret_access_key.clone()), token].into_iter().flatten().collect()
            }
            Self::Aws { source: AwsSource::Container { token, .. }, .. } => token.iter().cloned().collect(),
            Self::Google(GoogleSource::ServiceAccount(secret))
            | Self::Entra(EntraSource::Token(secret))
            | Self::Entra(EntraSource::Client { client_secret: secret, .. }) => vec![secret.clone()],
            Self::Aws { .. } | Self::Google(GoogleSource::Metadata { .. }) => Vec::new(),
        }
    }
}

impl Deployment {
    /// One that nothing is sent to, and why.
    pub fn out_of_service(id: &str, model: &str, why: String) -> Self {
        let shared = file::Timeouts::default();
        Self {
            id: Arc::from(id),
            provider: "",
            model: Arc::from(model),
            base_url: Arc::from(""),
            api_key: None,
            cloud: None,
            api_version: None,
            format: None,
            weight: 1,
            order: 0,
            rpm: None,
            tpm: None,
            facts: ModelFacts::default(),
            configured: ModelFacts::default(),
            image_urls: true,
            stream_usage: true,
            headers: Vec::new(),
            timeouts: timeouts(&shared, &shared),
            reach: Reach::default(),
            unavailable: Some(why),
        }
    }

    /// The upstream's name for the model when the pattern's `*` stands for `wild`.
    pub fn model_for(&self, wild: Option<&str>) -> Arc<str> {
        match wild {
            Some(wild) if self.model.contains('*') => Arc::from(self.model.replacen('*', wild, 1)),
            _ => Arc::clone(&self.model),
        }
    }

    /// The same deployment, for a model of which the catalog knows `facts`.
    #[must_use]
    pub fn with_facts(&self, facts: ModelFacts) -> Self {
        Self { facts: facts.overridden_by(&self.configured), ..self.clone() }
    }
}

/// Retries, fallbacks and cooldown, with defaults filled in.
#[derive(Clone, Debug)]
pub struct Routing {
    /// Further attempts at a model after the first.
    pub retries: u32,
    /// Pause before the first further attempt at the same deployment.
    pub backoff: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// What holds for models without rules of their own.
    pub rules: ModelRules,
    /// By model, or pattern, as it is configured.
    pub models: BTreeMap<String, ModelRules>,
    /// After any failure that another model may not have.
    pub fallbacks: Fallbacks,
    /// When the prompt is too long.
    pub context_window_fallbacks: Fallbacks,
    /// When the content policy refuses.
    pub content_policy_fallbacks: Fallbacks,
    /// For models without fallbacks of their own.
    pub default_fallbacks: Vec<String>,
}

/// How a model's deployments are chosen, and when one rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRules {
    /// How one of several is chosen.
    pub strategy: Strategy,
    /// Failures within a minute after which a deployment rests.
    pub allowed_fails: u32,
    /// How long it rests; zero turns cooldown off.
    pub cooldown: Duration,
    /// Share of failures within a minute, in percent, above which it rests.
    pub error_percent: Option<u8>,
    /// Average time to the first byte above which it rests.
    pub slow: Option<Duration>,
    /// When to ask another deployment as well.
    pub hedge: Option<Duration>,
}

impl Routing {
    /// The rules of the configured model `name`.
    pub fn rules_of(&self, name: &str) -> &ModelRules {
        self.models.get(name).unwrap_or(&self.rules)
    }
}

/// How long to wait for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of the answer.
    pub first_byte: Duration,
    /// For the next piece of a stream.
    pub idle: Duration,
    /// For the whole call, counted from its arrival.
    pub total: Duration,
}

/// How long to wait for a client.
#[derive(Clone, Copy, Debug)]
pub struct GateTimeouts {
    /// For its request.
    pub request: Duration,
    /// For calls in flight when the gate stops.
    pub drain: Duration,
}

/// Sizes and counts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body.
    pub request_body_bytes: usize,
    /// Largest request head.
    pub request_head_bytes: usize,
    /// Most request headers.
    pub request_headers: usize,
    /// Deepest nesting of a request body.
    pub request_depth: usize,
    /// Largest answer that is no stream.
    pub response_body_bytes: usize,
    /// Largest event of a stream.
    pub stream_event_bytes: usize,
    /// Most connections at once.
    pub connections: usize,
    /// Most attempts of one call.
    pub attempts: u32,
}

/// What the gate may fetch by itself.
#[derive(Clone, Debug)]
pub struct Egress {
    /// Hosts that images may be fetched from.
    pub image_hosts: Vec<String>,
    /// Allow addresses on this machine and in private networks.
    pub private_addresses: bool,
    /// Hosts inside that models which were added may be served by.
    pub private_hosts: Vec<Host>,
    /// Largest image.
    pub image_bytes: usize,
}
