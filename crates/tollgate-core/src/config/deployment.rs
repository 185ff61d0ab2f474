//! From what a file says of one deployment to the deployment.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri};
use serde_saphyr::Spanned;

use super::file::{self, PriceWritten};
use super::resolve::{Resolver, timeouts};
use super::snapshot::Deployment;
use super::{ConfigError, SecretRef, cloud, nearest};
use crate::egress::Reach;
use crate::ports::{CredentialKind, ModelFacts, ProviderFacts};
use crate::price::{Price, Rates, decimal};
use crate::secret::Secret;

impl Resolver<'_> {
    pub(super) fn deployment(
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
        let api_key = self.in_service(self.api_key(&provider, written), &mut unavailable)?;
        let keyed = api_key.is_some() || written.api_key.is_some();
        let found = cloud::find(provider.credential, written, keyed, self.world)
            .map_err(|why| ConfigError::at(written.provider.referenced, format!("provider `{name}`: {why}")));
        let found = self.in_service(found, &mut unavailable)?;
        let base_url = self.base_url(&provider, written, &found);
        let base_url = self.in_service(base_url, &mut unavailable)?;
        let headers = self.in_service(self.headers(written), &mut unavailable)?;
        let configured = configured_facts(written)?;
        let known = self.world.catalog.facts(provider.name, &model).unwrap_or_default();
        Ok(Deployment {
            id: Arc::from(deployment_id(&provider, &model, &base_url)),
            provider: provider.name,
            base_url: Arc::from(base_url),
            api_key,
            cloud: found.cloud,
            api_version: found.api_version,
            format: format(&provider, written.format.as_ref())?,
            weight: written.weight.unwrap_or(1),
            order: written.order.unwrap_or(0),
            rpm: written.rpm,
            tpm: written.tpm,
            facts: known.overridden_by(&configured),
            configured,
            image_urls: written.image_urls.unwrap_or(provider.image_urls),
            stream_usage: written.stream_usage.unwrap_or(true),
            headers,
            timeouts: timeouts(&written.timeouts, shared),
            reach: Reach::Anywhere,
            unavailable,
            model,
        })
    }

    /// A deployment of a provider that this version cannot speak to: out of service, so that the rest of a
    /// LiteLLM file still runs.
    fn unsupported(&self, written: &file::Deployment, model: &Arc<str>) -> Result<Deployment, ConfigError> {
        let name = &written.provider.value;
        let slip =
            nearest(name, self.world.providers.names()).is_some() && !self.world.providers.planned(name);
        if !self.lenient || slip {
            return Err(ConfigError::at(written.provider.referenced, format!("unknown provider `{name}`"))
                .hint_nearest(name, self.world.providers.names()));
        }
        let why = written.unavailable.clone().unwrap_or_else(|| {
            format!(
                "provider `{name}` is not supported by this version (a server that speaks OpenAI's dialect can be named \
                 `openai/…`, with its `api_base`)"
            )
        });
        let out = Deployment::out_of_service(&format!("{name}/{model}"), model, why);
        Ok(Deployment { weight: written.weight.unwrap_or(1), order: written.order.unwrap_or(0), ..out })
    }

    /// `result`, or, where a mistake only takes its deployment out of service, nothing and the reason.
    fn in_service<T: Default>(
        &self,
        result: Result<T, ConfigError>,
        unavailable: &mut Option<String>,
    ) -> Result<T, ConfigError> {
        match result {
            Err(error) if self.lenient => {
                unavailable.get_or_insert_with(|| error.message().to_owned());
                Ok(T::default())
            }
            other => other,
        }
    }

    fn base_url(
        &self,
        provider: &ProviderFacts,
        deployment: &file::Deployment,
        found: &cloud::Found,
    ) -> Result<String, ConfigError> {
        let (text, place) = match &deployment.base_url {
            Some(spanned) => {
                let text = self.interpolate(&spanned.value);
                (Some(text.map_err(|why| ConfigError::at(spanned.referenced, why))?), spanned.referenced)
            }
            None => {
                let variable =
                    |name: &&str| self.world.environment.variable(name).filter(|v| !v.trim().is_empty());
                let text = provider.base_url_variables.iter().find_map(variable);
                (text.or_else(|| provider.base_url.map(str::to_owned)), deployment.provider.referenced)
            }
        };
        let text = text.ok_or_else(|| {
            ConfigError::at(place, format!("provider `{}` needs a `base_url`", provider.name))
        })?;
        let text = found.fill(text.trim().trim_end_matches('/')).map_err(|why| {
            ConfigError::at(place, format!("the base URL of provider `{}`: {why}", provider.name))
        })?;
        let text = text.as_str();
        // Not the URL itself: what was filled in from the environment may be a secret.
        let wrong = |why: &str| {
            ConfigError::at(place, format!("the base URL of provider `{}` is wrong: {why}", provider.name))
        };
        let scheme = "it must begin with http:// or https:// and name a host";
        let uri: Uri = text.parse().map_err(|_| wrong(scheme))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
            _ => return Err(wrong(scheme)),
        }
        // What stands behind a `#` is not sent, and a path that is appended to it would not be either.
        let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if uri.query().is_some() || user || text.contains('#') {
            return Err(wrong("it must hold neither a query nor a user, nor a `#`"));
        }
        Ok(text.to_owned())
    }

    fn api_key(
        &self,
        provider: &ProviderFacts,
        deployment: &file::Deployment,
    ) -> Result<Option<Secret>, ConfigError> {
        let place = deployment.api_key.as_ref().map_or(deployment.provider.referenced, |key| key.referenced);
        let key = match (&deployment.api_key, provider.key_variables) {
            (Some(written), _) => written.value.read(self.world.environment).map(Some),
            (None, []) => Ok(None),
            (None, variables) => {
                let set = variables.iter().find(|name| self.world.environment.variable(name).is_some());
                let variable = set.unwrap_or(&variables[0]);
                match SecretRef::Variable((*variable).to_owned()).read(self.world.environment) {
                    Err(_) if provider.key_optional || provider.credential != CredentialKind::Key => Ok(None),
                    Err(why) => Err(format!("no `api_key` for provider `{}`, and {why}", provider.name)),
                    Ok(key) => Ok(Some(key)),
                }
            }
        };
        let key = key.map_err(|why| ConfigError::at(place, why))?;
        if key.as_ref().is_some_and(|key| HeaderValue::from_str(key.expose()).is_err()) {
            return Err(ConfigError::at(place, "the credential holds characters that no header can carry"));
        }
        Ok(key)
    }

    fn headers(&self, deployment: &file::Deployment) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
        let wrong = |message: String| ConfigError::at(deployment.provider.referenced, message);
        let one = |(name, value): (&String, &SecretRef)| {
            let header: HeaderName =
                name.parse().map_err(|_| wrong(format!("`{name}` is no header name")))?;
            let value =
                value.read(self.world.environment).map_err(|why| wrong(format!("header `{name}`: {why}")))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| wrong(format!("header `{name}`: its value cannot stand in a header")))?;
            value.set_sensitive(true);
            Ok((header, value))
        };
        deployment.headers.iter().map(one).collect()
    }

    /// `text` with each `${NAME}` replaced by the variable.
    pub(super) fn interpolate(&self, text: &str) -> Result<String, String> {
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

fn deployment_id(provider: &ProviderFacts, model: &str, base_url: &str) -> String {
    if provider.base_url == Some(base_url) {
        return format!("{}/{model}", provider.name);
    }
    let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    format!("{}/{model}@{host}", provider.name)
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
    // USD per 10⁶ tokens is 10¹²⁻⁶ pico-dollars per token; one search of a thousand is 10¹²⁻³.
    let read = |text: &Option<String>, places: i32| match text.as_deref() {
        None => Ok(None),
        Some(text) => decimal(text, places).map(Some).map_err(|e| format!("price `{text}`: {e}")),
    };
    let rates = Rates {
        input: read(&written.input_usd_per_mtok, 6)?.unwrap_or(0),
        output: read(&written.output_usd_per_mtok, 6)?.unwrap_or(0),
        cache_read: read(&written.cache_read_usd_per_mtok, 6)?,
        cache_write: read(&written.cache_write_usd_per_mtok, 6)?,
        image: read(&written.usd_per_image, 12)?,
        search: read(&written.usd_per_1k_searches, 9)?,
        ..Rates::default()
    };
    let by_piece = rates.image.is_some() || rates.search.is_some();
    if written.input_usd_per_mtok.is_none() && !by_piece {
        return Err("a price needs `input_usd_per_mtok`, `usd_per_image` or `usd_per_1k_searches`".to_owned());
    }
    Ok(Price { rates, tiers: Vec::new() })
}

/// What the file itself says of the model; it wins over the catalog.
fn configured_facts(written: &file::Deployment) -> Result<ModelFacts, ConfigError> {
    let price = written.price.as_ref().map(price_of).transpose();
    Ok(ModelFacts {
        price: price.map_err(|error| ConfigError::at(written.provider.referenced, error))?,
        max_output_tokens: written.max_output_tokens,
        ..ModelFacts::default()
    })
}
