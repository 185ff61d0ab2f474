//! From what a file says to a snapshot: defaults, credentials, addresses, prices, and every check that can be
//! made before anything starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::contracts::ContractsWritten;
use super::file::{self, File};
use super::identity::Server;
use super::snapshot::{
    Contracts, Deployment, Egress, GateTimeouts, Limits, Model, ModelRules, Models, Origin, Routing,
    Snapshot, Timeouts,
};
use super::tools::ToolServer;
use super::{ConfigError, Loaded, SecretRef};
use crate::egress::Host;
use crate::policy::Expressions;
use crate::ports::{Catalog, Environment, Providers};
use crate::secret::Secret;

/// Where the gate is served when nothing says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:4000";

/// What a file is resolved against.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The process's environment.
    pub environment: &'a dyn Environment,
    /// The table of providers.
    pub providers: &'a dyn Providers,
    /// The model catalog.
    pub catalog: &'a dyn Catalog,
    /// Whoever understands rules.
    pub expressions: &'a dyn Expressions,
}

/// What the command line says about where to serve; it wins over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--host`.
    pub host: Option<String>,
    /// `--port`.
    pub port: Option<u16>,
}

/// Resolves what was read from `name`.
pub fn resolve(
    name: &str,
    text: &str,
    loaded: &Loaded,
    overrides: &Overrides,
    world: World<'_>,
) -> Result<Snapshot, ConfigError> {
    Resolver { world, lenient: loaded.lenient }
        .snapshot(&loaded.file, overrides)
        .map_err(|e| e.snippet_from(text).in_file(name))
}

pub(super) struct Resolver<'a> {
    pub(super) world: World<'a>,
    pub(super) lenient: bool,
}

impl Resolver<'_> {
    fn snapshot(&self, file: &File, overrides: &Overrides) -> Result<Snapshot, ConfigError> {
        let listen = listen(file.listen.as_ref(), overrides)?;
        let master_key = file.master_key.as_ref().map(|s| self.master_key(s)).transpose()?;
        if master_key.is_none() && !listen.ip().is_loopback() {
            return Err(ConfigError::new(format!(
                "{listen} can be reached from other machines, and no master key is configured"
            ))
            .hint("set `master_key`, or listen on 127.0.0.1"));
        }
        let secrets = self.secrets_keys(file)?;
        // With a key for their credentials they can be added at run time.
        if file.models.is_empty() && file.tool_servers.is_empty() && secrets.key.is_none() {
            return Err(ConfigError::new("no models and no tool servers are configured").hint(if self.lenient {
                "`model_list` is empty; models in a database or in `include` are not read"
            } else {
                "add at least one under `models` or `tool_servers`, or set `secrets_key` and add them at run time"
            }));
        }
        let timeouts = timeouts(&file.timeouts, &file::Timeouts::default());
        let models = file
            .models
            .iter()
            .map(|(name, deployments)| self.model(name, deployments, &file.timeouts))
            .collect::<Result<Vec<_>, _>>()?;
        let models = Models::new(models);
        let routing = routing(&file.routing, &models)?;
        let tool_servers = self.tool_servers(&file.tool_servers, &file.timeouts)?;
        let known: Vec<Arc<str>> = tool_servers.keys().cloned().collect();
        super::bundles::names(&file.tools.names, &known)?;
        let journal = self.journal(&file.journal)?;
        let database_url = self.database_url(file.database_url.as_ref())?;
        let (identity, identity_server) =
            self.identity(&file.identity, &known, (master_key.is_some(), &secrets))?;
        check_acting(&tool_servers, identity_server.as_deref())?;
        let capture = super::recording::capture(&file.capture, &models)?;
        Ok(Snapshot {
            listen,
            tls: file.tls.clone(),
            master_key,
            data_dir: file.data_dir.clone(),
            budgets: self.budgets(&file.budgets, file.counters_url.as_ref(), database_url.as_ref())?,
            database_url,
            trusted_proxies: file.trusted_proxies.clone().into(),
            advertise_url: self.advertise_url(file.advertise_url.as_ref(), &secrets)?,
            models,
            tool_bundles: super::bundles::bundles(&file.tool_bundles, &known)?,
            tool_servers,
            contracts: self.contracts(&file.tools.contracts, &known)?,
            holds: file.tools.approvals.resolved(),
            policies: self.policies(&file.policies)?,
            web: self.web(&file.web, identity_server.as_deref(), timeouts)?,
            identity,
            identity_server,
            sessions_not_before: file.tools.sessions.not_before,
            tool_names: file.tools.names.clone(),
            routing,
            timeouts: GateTimeouts {
                request: millis(file.timeouts.request_ms, 60_000),
                drain: millis(file.timeouts.drain_ms, 30_000).min(timeouts.total),
            },
            limits: limits(&file.limits),
            drop_params: file.drop_params,
            egress: egress(&file.egress)?,
            secrets,
            shared_timeouts: file.timeouts.clone(),
            added_unread: false,
            journal,
            capture,
            otlp: self.otlp(&file.telemetry)?,
            alerts: self.alerts(&file.alerts)?,
            key_expiring_days: super::alerts::leads(file.key_expiring_days.as_deref())?,
        })
    }

    fn contracts(&self, written: &ContractsWritten, known: &[Arc<str>]) -> Result<Contracts, ConfigError> {
        for name in written.servers.keys() {
            if !known.iter().any(|server| **server == **name) {
                let message = format!(
                    "`tools.contracts.servers` names the tool server `{name}`, which is not configured"
                );
                return Err(ConfigError::new(message).hint_nearest(name, known.iter().map(|name| &**name)));
            }
        }
        let read = |path: &std::path::PathBuf| {
            let text = self.world.environment.read(path);
            let why = |error| {
                ConfigError::new(format!(
                    "`tools.contracts.lock`: {} cannot be read: {error}",
                    path.display()
                ))
            };
            text.map(Arc::from).map_err(why)
        };
        Ok(Contracts { policy: written.policy(), lock: written.lock.as_ref().map(read).transpose()? })
    }

    fn master_key(&self, written: &Spanned<SecretRef>) -> Result<Secret, ConfigError> {
        let secret = written
            .value
            .read(self.world.environment)
            .map_err(|why| ConfigError::at(written.referenced, format!("the master key: {why}")))?;
        if secret.expose().len() < 4 {
            return Err(ConfigError::at(
                written.referenced,
                "the master key is shorter than four characters",
            ));
        }
        Ok(secret)
    }

    fn database_url(&self, written: Option<&Spanned<SecretRef>>) -> Result<Option<Secret>, ConfigError> {
        let ours = |url: &Secret| url.expose().starts_with("postgres");
        let Some(written) = written else {
            // The environment may have one for somebody else.
            return Ok(self.world.environment.variable("DATABASE_URL").map(Secret::new).filter(ours));
        };
        let wrong = |why: String| ConfigError::at(written.referenced, format!("the database: {why}"));
        let url = written.value.read(self.world.environment).map_err(wrong)?;
        if ours(&url) { Ok(Some(url)) } else { Err(wrong("its address begins with postgres://".to_owned())) }
    }

    fn model(
        &self,
        name: &str,
        written: &[file::Deployment],
        shared: &file::Timeouts,
    ) -> Result<Model, ConfigError> {
        if name.is_empty() || name.matches('*').count() > 1 {
            return Err(ConfigError::new(format!(
                "`{name}` is no model name: it may hold one `*` and must not be empty"
            )));
        }
        if written.is_empty() {
            return Err(ConfigError::new(format!("model `{name}` has no deployments")));
        }
        let deployments = written.iter().map(|one| self.deployment(name, one, shared));
        Ok(assembled(name, Origin::File, deployments.collect::<Result<_, _>>()?))
    }
}

/// The model called `name` that `deployments` serve.
pub(super) fn assembled(name: &str, origin: Origin, mut deployments: Vec<Deployment>) -> Model {
    let mut seen = BTreeMap::new();
    for deployment in &mut deployments {
        // The same upstream may stand twice, with another credential.
        let count = seen.entry(Arc::clone(&deployment.id)).or_insert(0_u32);
        *count += 1;
        if *count > 1 {
            deployment.id = Arc::from(format!("{}#{count}", deployment.id));
        }
    }
    Model { name: Arc::from(name), origin, deployments: deployments.into_iter().map(Arc::new).collect() }
}

fn listen(written: Option<&Spanned<String>>, overrides: &Overrides) -> Result<SocketAddr, ConfigError> {
    let text = written.map_or(DEFAULT_LISTEN, |s| &s.value);
    let wrong = |what: &str| {
        let error = format!("`{what}` is no address to listen on");
        match written {
            Some(s) if overrides.host.is_none() => ConfigError::at(s.referenced, error),
            _ => ConfigError::new(error),
        }
        .hint("write it as `127.0.0.1:4000` or `[::1]:4000`")
    };
    let mut address: SocketAddr = text.replace("localhost", "127.0.0.1").parse().map_err(|_| wrong(text))?;
    if let Some(host) = &overrides.host {
        let bare = host.trim_start_matches('[').trim_end_matches(']').replace("localhost", "127.0.0.1");
        address.set_ip(bare.parse().map_err(|_| wrong(host))?);
    }
    if let Some(port) = overrides.port {
        address.set_port(port);
    }
    Ok(address)
}

/// Whether tool servers that act for people have somebody to do so for.
fn check_acting(
    servers: &BTreeMap<Arc<str>, Arc<ToolServer>>,
    own: Option<&Server>,
) -> Result<(), ConfigError> {
    let wrong = |server: &ToolServer, why: &str| {
        Err(ConfigError::new(format!("tool server `{}`: {why}", server.name)))
    };
    for server in servers.values() {
        if own.is_none() && (server.acts_for_people() || server.account().is_some()) {
            return wrong(
                server,
                "people connect their accounts at the gate's own server: `identity.server` is missing",
            );
        }
        if let (Some(exchange), Some(own)) = (server.exchange(), own) {
            let audience = exchange.at.as_ref().map_or(&exchange.resource, |(at, ..)| at);
            let is_client = own.clients.iter().any(|client| {
                client.id == *audience || client.audience.as_ref().is_some_and(|own| own == audience)
            });
            if is_client || super::identity::is_within(audience, &own.gate) {
                let why = format!(
                    "a token for `{audience}` would open the gate itself, or a client of it, to the tool server"
                );
                return wrong(server, &why);
            }
        }
        if server.shared && server.acts_for_people() {
            return wrong(server, "it is asked in people's names, so they do not share a session: `shared`");
        }
    }
    Ok(())
}

fn check_percent(percent: Option<u8>) -> Result<(), ConfigError> {
    match percent {
        Some(percent) if !(1..=100).contains(&percent) => {
            Err(ConfigError::new(format!("`error_percent: {percent}` is no percentage from 1 to 100")))
        }
        _ => Ok(()),
    }
}

/// What `own` says, and `shared` for the rest.
fn rules_of(own: &file::ModelRouting, shared: ModelRules) -> ModelRules {
    ModelRules {
        strategy: own.strategy.unwrap_or(shared.strategy),
        allowed_fails: own.allowed_fails.unwrap_or(shared.allowed_fails),
        cooldown: own.cooldown_ms.map_or(shared.cooldown, Duration::from_millis),
        error_percent: own.error_percent.or(shared.error_percent),
        slow: own.slow_ms.map(Duration::from_millis).or(shared.slow),
        hedge: match own.hedge_ms {
            Some(ms) => (ms > 0).then(|| Duration::from_millis(ms)),
            None => shared.hedge,
        },
    }
}

fn routing(written: &file::Routing, models: &Models) -> Result<Routing, ConfigError> {
    let tables = [&written.fallbacks, &written.context_window_fallbacks, &written.content_policy_fallbacks];
    let named = tables.iter().flat_map(|t| t.iter().flat_map(|(from, to)| std::iter::once(from).chain(to)));
    for name in named.chain(&written.default_fallbacks) {
        if models.find(name).is_none() && name != "*" {
            return Err(ConfigError::new(format!(
                "a fallback names the model `{name}`, which is not configured"
            ))
            .hint_nearest(name, models.names()));
        }
    }
    for (name, own) in &written.models {
        if !models.names().any(|known| known == name) {
            return Err(ConfigError::new(format!(
                "`routing.models` names the model `{name}`, which is not configured"
            ))
            .hint_nearest(name, models.names()));
        }
        check_percent(own.error_percent)?;
    }
    check_percent(written.error_percent)?;
    let rules = ModelRules {
        strategy: written.strategy.unwrap_or_default(),
        allowed_fails: written.allowed_fails.unwrap_or(3),
        cooldown: millis(written.cooldown_ms, 30_000),
        error_percent: written.error_percent,
        slow: written.slow_ms.map(Duration::from_millis),
        hedge: written.hedge_ms.filter(|ms| *ms > 0).map(Duration::from_millis),
    };
    Ok(Routing {
        retries: written.retries.unwrap_or(2),
        backoff: millis(written.backoff_ms, 250),
        backoff_max: millis(written.backoff_max_ms, 10_000),
        rules,
        models: written.models.iter().map(|(name, own)| (name.clone(), rules_of(own, rules))).collect(),
        fallbacks: written.fallbacks.clone(),
        context_window_fallbacks: written.context_window_fallbacks.clone(),
        content_policy_fallbacks: written.content_policy_fallbacks.clone(),
        default_fallbacks: written.default_fallbacks.clone(),
    })
}

pub(super) fn timeouts(own: &file::Timeouts, shared: &file::Timeouts) -> Timeouts {
    Timeouts {
        connect: millis(own.connect_ms.or(shared.connect_ms), 10_000),
        first_byte: millis(own.first_byte_ms.or(shared.first_byte_ms), 600_000),
        idle: millis(own.idle_ms.or(shared.idle_ms), 600_000),
        total: millis(own.total_ms.or(shared.total_ms), 3_600_000),
    }
}

fn egress(written: &file::Egress) -> Result<Egress, ConfigError> {
    let host = |written: &Spanned<String>| {
        Host::try_from(written.value.clone()).map_err(|why| ConfigError::at(written.referenced, why))
    };
    Ok(Egress {
        image_hosts: written.image_hosts.clone(),
        private_addresses: written.private_addresses,
        private_hosts: written.private_hosts.iter().map(host).collect::<Result<_, _>>()?,
        image_bytes: written.image_bytes.unwrap_or(5 << 20),
    })
}

fn limits(written: &file::Limits) -> Limits {
    Limits {
        request_body_bytes: written.request_body_bytes.unwrap_or(32 << 20),
        request_head_bytes: written.request_head_bytes.unwrap_or(64 << 10).max(8_192),
        request_headers: written.request_headers.unwrap_or(100),
        request_depth: written.request_depth.unwrap_or(128),
        response_body_bytes: written.response_body_bytes.unwrap_or(64 << 20),
        stream_event_bytes: written.stream_event_bytes.unwrap_or(8 << 20),
        connections: written.connections.unwrap_or(10_000),
        attempts: written.attempts.unwrap_or(8).max(1),
    }
}

pub(super) fn millis(written: Option<u64>, default: u64) -> Duration {
    Duration::from_millis(written.unwrap_or(default))
}
