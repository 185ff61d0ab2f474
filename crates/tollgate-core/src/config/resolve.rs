//! From what a file says to a snapshot: defaults, credentials, addresses, prices, and every check that can be
//! made before anything starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde_saphyr::Spanned;

use super::file::{self, File, PriceWritten};
use super::snapshot::{Deployment, Egress, GateTimeouts, Limits, Model, Models, Routing, Snapshot, Timeouts};
use super::{ConfigError, Loaded, SecretRef};
use crate::ports::{Catalog, Environment, ModelFacts, ProviderFacts, Providers};
use crate::price::{Price, Rates, decimal};
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

struct Resolver<'a> {
    world: World<'a>,
    lenient: bool,
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
        if file.models.is_empty() {
            return Err(ConfigError::new("no models are configured").hint("add at least one under `models`"));
        }
        let timeouts = timeouts(&file.timeouts, &file::Timeouts::default());
        let models = file
            .models
            .iter()
            .map(|(name, deployments)| self.model(name, deployments, &file.timeouts))
            .collect::<Result<Vec<_>, _>>()?;
        let models = Models::new(models);
        let routing = routing(&file.routing, &models)?;
        Ok(Snapshot {
            listen,
            tls: file.tls.clone(),
            master_key,
            data_dir: file.data_dir.clone(),
            models,
            routing,
            timeouts: GateTimeouts {
                request: millis(file.timeouts.request_ms, 60_000),
                drain: millis(file.timeouts.drain_ms, 30_000).min(timeouts.total),
            },
            limits: limits(&file.limits),
            drop_params: file.drop_params,
            egress: Egress {
                image_hosts: file.egress.image_hosts.clone(),
                private_addresses: file.egress.private_addresses,
                image_bytes: file.egress.image_bytes.unwrap_or(5 << 20),
            },
        })
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
        let mut seen = BTreeMap::new();
        let mut deployments = Vec::with_capacity(written.len());
        for one in written {
            let mut deployment = self.deployment(name, one, shared)?;
            // The same upstream may stand twice, with another credential.
            let count = seen.entry(Arc::clone(&deployment.id)).or_insert(0_u32);
            *count += 1;
            if *count > 1 {
                deployment.id = Arc::from(format!("{}#{count}", deployment.id));
            }
            deployments.push(Arc::new(deployment));
        }
        Ok(Model { name: Arc::from(name), deployments })
    }

    fn deployment(
        &self,
        public: &str,
        written: &file::Deployment,
        shared: &file::Timeouts,
    ) -> Result<Deployment, ConfigError> {
        let name = &written.provider.value;
        let model: Arc<str> = Arc::from(written.model.as_deref().unwrap_or(public));
        if model.contains('*') && !public.contains('*') {
            return Err(ConfigError::at(
                written.provider.referenced,
                format!("model `{public}` has no `*`, but its deployment's `{model}` has"),
            ));
        }
        let Some(provider) = self.world.providers.find(name) else {
            return self.unsupported(written, &model);
        };
        let mut unavailable = written.unavailable.clone();
        let mut out_of_service = |why: String, at: &dyn Fn(String) -> ConfigError| {
            if !self.lenient {
                return Err(at(why));
            }
            unavailable.get_or_insert(why);
            Ok(())
        };
        let base_url = match self.base_url(&provider, written.base_url.as_ref())? {
            Some(url) => url,
            None => {
                let why = format!("provider `{name}` needs a `base_url`");
                out_of_service(why, &|why| ConfigError::at(written.provider.referenced, why))?;
                String::new()
            }
        };
        let api_key = match self.api_key(&provider, written.api_key.as_ref()) {
            Ok(key) => key,
            Err(why) => {
                let place = written.api_key.as_ref().map_or(written.provider.referenced, |k| k.referenced);
                out_of_service(why, &|why| ConfigError::at(place, why))?;
                None
            }
        };
        Ok(Deployment {
            id: Arc::from(deployment_id(&provider, &model, &base_url)),
            provider: provider.name,
            base_url: Arc::from(base_url),
            api_key,
            format: format(&provider, written.format.as_ref())?,
            weight: written.weight.unwrap_or(1),
            order: written.order.unwrap_or(0),
            rpm: written.rpm,
            tpm: written.tpm,
            facts: self.facts(&provider, &model, written)?,
            image_urls: written.image_urls.unwrap_or(true),
            stream_usage: written.stream_usage.unwrap_or(true),
            headers: self.headers(&written.headers)?,
            timeouts: timeouts(&written.timeouts, shared),
            unavailable,
            model,
        })
    }

    /// A deployment of a provider that this version cannot speak to: out of service, so that the rest of a
    /// LiteLLM file still runs.
    fn unsupported(&self, written: &file::Deployment, model: &Arc<str>) -> Result<Deployment, ConfigError> {
        let name = &written.provider.value;
        if !(self.lenient && self.world.providers.planned(name)) {
            return Err(ConfigError::at(written.provider.referenced, format!("unknown provider `{name}`"))
                .hint_nearest(name, self.world.providers.names()));
        }
        Ok(Deployment {
            id: Arc::from(format!("{name}/{model}")),
            provider: "",
            model: Arc::clone(model),
            base_url: Arc::from(""),
            api_key: None,
            format: None,
            weight: written.weight.unwrap_or(1),
            order: written.order.unwrap_or(0),
            rpm: None,
            tpm: None,
            facts: ModelFacts::default(),
            image_urls: true,
            stream_usage: true,
            headers: Vec::new(),
            timeouts: timeouts(&file::Timeouts::default(), &file::Timeouts::default()),
            unavailable: Some(format!("provider `{name}` is not supported by this version")),
        })
    }

    fn base_url(
        &self,
        provider: &ProviderFacts,
        written: Option<&Spanned<String>>,
    ) -> Result<Option<String>, ConfigError> {
        let (text, place) = match written {
            Some(spanned) => {
                let text = self
                    .interpolate(&spanned.value)
                    .map_err(|why| ConfigError::at(spanned.referenced, why))?;
                (Some(text), Some(spanned.referenced))
            }
            None => {
                let variable =
                    |name: &&str| self.world.environment.variable(name).filter(|v| !v.trim().is_empty());
                let text = provider.base_url_variables.iter().find_map(variable);
                (text.or_else(|| provider.base_url.map(str::to_owned)), None)
            }
        };
        let Some(text) = text else { return Ok(None) };
        let text = text.trim().trim_end_matches('/').to_owned();
        let wrong = |why: &str| {
            let message = format!("`{text}` is no base URL: {why}");
            place.map_or_else(
                || ConfigError::new(message.clone()),
                |place| ConfigError::at(place, message.clone()),
            )
        };
        let uri: Uri = text.parse().map_err(|_| wrong("it does not parse"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
            _ => return Err(wrong("it must begin with http:// or https:// and name a host")),
        }
        if uri.query().is_some() || uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(wrong("it must hold neither a query nor a user"));
        }
        Ok(Some(text))
    }

    fn api_key(
        &self,
        provider: &ProviderFacts,
        written: Option<&Spanned<SecretRef>>,
    ) -> Result<Option<Secret>, String> {
        if let Some(written) = written {
            return self.usable_key(written.value.read(self.world.environment)?).map(Some);
        }
        let Some(variable) = provider.key_variable else { return Ok(None) };
        match SecretRef::Variable(variable.to_owned()).read(self.world.environment) {
            Ok(key) => self.usable_key(key).map(Some),
            Err(_) if provider.key_optional => Ok(None),
            Err(why) => Err(format!("no `api_key` for provider `{}`, and {why}", provider.name)),
        }
    }

    fn usable_key(&self, key: Secret) -> Result<Secret, String> {
        match HeaderValue::from_str(key.expose()) {
            Ok(_) => Ok(key),
            Err(_) => Err("the credential holds characters that no header can carry".to_owned()),
        }
    }

    fn headers(
        &self,
        written: &BTreeMap<String, SecretRef>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
        let one = |(name, value): (&String, &SecretRef)| {
            let header: HeaderName =
                name.parse().map_err(|_| ConfigError::new(format!("`{name}` is no header name")))?;
            let value = value
                .read(self.world.environment)
                .map_err(|why| ConfigError::new(format!("header `{name}`: {why}")))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
                ConfigError::new(format!("header `{name}`: its value cannot stand in a header"))
            })?;
            value.set_sensitive(true);
            Ok((header, value))
        };
        written.iter().map(one).collect()
    }

    fn facts(
        &self,
        provider: &ProviderFacts,
        model: &str,
        written: &file::Deployment,
    ) -> Result<ModelFacts, ConfigError> {
        let mut facts = self.world.catalog.facts(provider.name, model).unwrap_or_default();
        if let Some(price) = &written.price {
            facts.price = Some(price_of(price).map_err(|e| ConfigError::at(written.provider.referenced, e))?);
        }
        if written.max_output_tokens.is_some() {
            facts.max_output_tokens = written.max_output_tokens;
        }
        Ok(facts)
    }

    /// `text` with each `${NAME}` replaced by the variable.
    fn interpolate(&self, text: &str) -> Result<String, String> {
        if let Some(name) = text.strip_prefix("os.environ/") {
            return self.world.environment.variable(name).ok_or_else(|| format!("{name} is not set"));
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}').ok_or("a `${` without `}`")?;
            out.push_str(before);
            out.push_str(&self.world.environment.variable(name).ok_or_else(|| format!("{name} is not set"))?);
            rest = tail;
        }
        Ok(out + rest)
    }
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

fn deployment_id(provider: &ProviderFacts, model: &str, base_url: &str) -> String {
    match provider.base_url {
        Some(usual) if usual != base_url => {
            let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
            format!("{}/{model}@{host}", provider.name)
        }
        Some(_) => format!("{}/{model}", provider.name),
        None => {
            let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
            format!("{}/{model}@{host}", provider.name)
        }
    }
}

fn format(
    provider: &ProviderFacts,
    written: Option<&Spanned<String>>,
) -> Result<Option<Arc<str>>, ConfigError> {
    let Some(written) = written else { return Ok(None) };
    if provider.formats.contains(&written.value.as_str()) {
        return Ok(Some(Arc::from(written.value.as_str())));
    }
    let message = format!("provider `{}` does not speak `{}`", provider.name, written.value);
    Err(ConfigError::at(written.referenced, message)
        .hint(format!("it speaks: {}", provider.formats.join(", "))))
}

fn price_of(written: &PriceWritten) -> Result<Price, String> {
    // USD per 10⁶ tokens is 10¹²⁻⁶ pico-dollars per token.
    let read = |text: &str| decimal(text, 6).map_err(|e| format!("price `{text}`: {e}"));
    let optional = |text: &Option<String>| text.as_deref().map(read).transpose();
    Ok(Price {
        rates: Rates {
            input: read(&written.input_usd_per_mtok)?,
            output: read(&written.output_usd_per_mtok)?,
            cache_read: optional(&written.cache_read_usd_per_mtok)?,
            cache_write: optional(&written.cache_write_usd_per_mtok)?,
            ..Rates::default()
        },
        tiers: Vec::new(),
    })
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
    Ok(Routing {
        retries: written.retries.unwrap_or(2),
        backoff: millis(written.backoff_ms, 250),
        backoff_max: millis(written.backoff_max_ms, 10_000),
        allowed_fails: written.allowed_fails.unwrap_or(3),
        cooldown: millis(written.cooldown_ms, 30_000),
        fallbacks: written.fallbacks.clone(),
        context_window_fallbacks: written.context_window_fallbacks.clone(),
        content_policy_fallbacks: written.content_policy_fallbacks.clone(),
        default_fallbacks: written.default_fallbacks.clone(),
    })
}

fn timeouts(own: &file::Timeouts, shared: &file::Timeouts) -> Timeouts {
    Timeouts {
        connect: millis(own.connect_ms.or(shared.connect_ms), 10_000),
        first_byte: millis(own.first_byte_ms.or(shared.first_byte_ms), 300_000),
        idle: millis(own.idle_ms.or(shared.idle_ms), 120_000),
        total: millis(own.total_ms.or(shared.total_ms), 3_600_000),
    }
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

fn millis(written: Option<u64>, default: u64) -> Duration {
    Duration::from_millis(written.unwrap_or(default))
}
