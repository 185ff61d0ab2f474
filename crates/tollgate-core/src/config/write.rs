//! Our own file, written out: what another gateway's file becomes. Secrets that stand written out in that file are
//! not repeated: a variable takes the place of each, and its name is told.

use serde_json::{Map, Value, json};

use super::file::{
    Aws, Azure, Deployment, Egress, Fallbacks, File, Google, Limits, ModelRouting, PriceWritten, Routing,
    Timeouts,
};
use super::{ConfigError, SecretRef};

/// A file as text.
#[derive(Debug)]
pub struct Written {
    /// YAML.
    pub yaml: String,
    /// Variables that must be set to what stood written out, each with where that was.
    pub variables: Vec<(String, String)>,
    /// Deployments that were left out, because no provider could be told from what the file says of them.
    pub left_out: Vec<String>,
}

/// Writes `file`.
pub fn write(file: &File) -> Result<Written, ConfigError> {
    let mut writer = Writer::default();
    let mut out = Map::new();
    put(&mut out, "listen", file.listen.as_ref().map(|listen| json!(listen.value)));
    put(
        &mut out,
        "tls",
        file.tls.as_ref().map(|tls| json!({ "certificate": tls.certificate, "key": tls.key })),
    );
    for (member, secret, variable) in [
        ("master_key", &file.master_key, "TOLLGATE_MASTER_KEY"),
        ("database_url", &file.database_url, "DATABASE_URL"),
    ] {
        let secret = secret.as_ref().map(|secret| writer.secret(&secret.value, variable, member));
        put(&mut out, member, secret);
    }
    put(&mut out, "data_dir", file.data_dir.as_ref().map(|folder| json!(folder)));
    let mut models = Map::new();
    for (name, deployments) in &file.models {
        let written: Vec<Value> =
            deployments.iter().filter_map(|deployment| writer.deployment(name, deployment)).collect();
        if !written.is_empty() {
            models.insert(name.clone(), written.into());
        }
    }
    out.insert("models".to_owned(), models.into());
    put_object(&mut out, "routing", routing(&file.routing));
    put_object(&mut out, "timeouts", timeouts(&file.timeouts));
    put_object(&mut out, "limits", limits(&file.limits));
    if file.drop_params {
        out.insert("drop_params".to_owned(), true.into());
    }
    put_object(&mut out, "egress", egress(&file.egress));
    let yaml = serde_saphyr::to_string(&Value::Object(out))
        .map_err(|e| ConfigError::new(format!("the file cannot be written: {e}")))?;
    Ok(Written { yaml, variables: writer.variables, left_out: writer.left_out })
}

#[derive(Default)]
struct Writer {
    variables: Vec<(String, String)>,
    left_out: Vec<String>,
}

impl Writer {
    /// A reference to a secret. One that stands written out becomes a variable called `name`.
    fn secret(&mut self, secret: &SecretRef, name: &str, place: &str) -> Value {
        match secret {
            SecretRef::Variable(variable) => json!(format!("${{{variable}}}")),
            SecretRef::File(path) => json!({ "file": path }),
            SecretRef::Literal(_) => {
                let taken = self.variables.iter().filter(|(known, _)| known.starts_with(name)).count();
                let name = if taken == 0 { name.to_owned() } else { format!("{name}_{}", taken + 1) };
                self.variables.push((name.clone(), place.to_owned()));
                json!(format!("${{{name}}}"))
            }
        }
    }

    fn deployment(&mut self, model: &str, deployment: &Deployment) -> Option<Value> {
        let provider = &deployment.provider.value;
        if let Some(why) = &deployment.unavailable {
            self.left_out.push(format!("{model}: {why}"));
            return None;
        }
        let mut out = Map::from_iter([("provider".to_owned(), json!(provider))]);
        let upstream = deployment.model.as_ref().filter(|upstream| *upstream != model);
        put(&mut out, "model", upstream.map(|upstream| json!(upstream)));
        let variable = format!("{}_API_KEY", upper(provider));
        let key = deployment.api_key.as_ref();
        put(
            &mut out,
            "api_key",
            key.map(|key| self.secret(&key.value, &variable, &format!("{model}.api_key"))),
        );
        put(&mut out, "base_url", deployment.base_url.as_ref().map(|url| json!(url.value)));
        put_object(
            &mut out,
            "aws",
            deployment.aws.as_ref().map(|aws| self.aws(model, aws)).unwrap_or_default(),
        );
        let google = deployment.google.as_ref().map(|google| self.google(model, google));
        put_object(&mut out, "google", google.unwrap_or_default());
        let azure = deployment.azure.as_ref().map(|azure| self.azure(model, azure));
        put_object(&mut out, "azure", azure.unwrap_or_default());
        put(&mut out, "weight", deployment.weight.map(Value::from));
        put(&mut out, "order", deployment.order.map(Value::from));
        put(&mut out, "rpm", deployment.rpm.map(Value::from));
        put(&mut out, "tpm", deployment.tpm.map(Value::from));
        put_object(&mut out, "price", deployment.price.as_ref().map(price).unwrap_or_default());
        put(&mut out, "max_output_tokens", deployment.max_output_tokens.map(Value::from));
        put(&mut out, "image_urls", deployment.image_urls.map(Value::from));
        put(&mut out, "stream_usage", deployment.stream_usage.map(Value::from));
        put(&mut out, "format", deployment.format.as_ref().map(|format| json!(format.value)));
        let headers: Map<String, Value> = deployment
            .headers
            .iter()
            .map(|(name, value)| {
                let variable = format!("{}_HEADER_{}", upper(provider), upper(name));
                (name.clone(), self.secret(value, &variable, &format!("{model}.headers.{name}")))
            })
            .collect();
        put_object(&mut out, "headers", headers);
        put_object(&mut out, "timeouts", timeouts(&deployment.timeouts));
        Some(Value::Object(out))
    }

    /// A secret that may be absent.
    fn optional(&mut self, secret: Option<&SecretRef>, name: &str, model: &str) -> Option<Value> {
        secret.map(|secret| self.secret(secret, name, &format!("{model}, {}", name.to_lowercase())))
    }

    fn aws(&mut self, model: &str, aws: &Aws) -> Map<String, Value> {
        let mut out = Map::new();
        put(&mut out, "region", aws.region.as_ref().map(|region| json!(region)));
        let id = self.optional(aws.access_key_id.as_ref(), "AWS_ACCESS_KEY_ID", model);
        put(&mut out, "access_key_id", id);
        let key = self.optional(aws.secret_access_key.as_ref(), "AWS_SECRET_ACCESS_KEY", model);
        put(&mut out, "secret_access_key", key);
        let token = self.optional(aws.session_token.as_ref(), "AWS_SESSION_TOKEN", model);
        put(&mut out, "session_token", token);
        out
    }

    fn google(&mut self, model: &str, google: &Google) -> Map<String, Value> {
        let mut out = Map::new();
        put(&mut out, "project", google.project.as_ref().map(|project| json!(project)));
        put(&mut out, "location", google.location.as_ref().map(|location| json!(location)));
        let key = self.optional(google.credentials.as_ref(), "GOOGLE_CREDENTIALS", model);
        put(&mut out, "credentials", key);
        out
    }

    fn azure(&mut self, model: &str, azure: &Azure) -> Map<String, Value> {
        let mut out = Map::new();
        put(&mut out, "api_version", azure.api_version.as_ref().map(|version| json!(version)));
        put(&mut out, "token", self.optional(azure.token.as_ref(), "AZURE_AD_TOKEN", model));
        put(&mut out, "tenant_id", azure.tenant_id.as_ref().map(|id| json!(id)));
        put(&mut out, "client_id", azure.client_id.as_ref().map(|id| json!(id)));
        let secret = self.optional(azure.client_secret.as_ref(), "AZURE_CLIENT_SECRET", model);
        put(&mut out, "client_secret", secret);
        out
    }
}

/// `name` as variables are written.
fn upper(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn put(out: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        out.insert(name.to_owned(), value);
    }
}

fn put_object(out: &mut Map<String, Value>, name: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        out.insert(name.to_owned(), value.into());
    }
}

fn price(price: &PriceWritten) -> Map<String, Value> {
    let mut out = Map::new();
    let members = [
        ("input_usd_per_mtok", &price.input_usd_per_mtok),
        ("output_usd_per_mtok", &price.output_usd_per_mtok),
        ("cache_read_usd_per_mtok", &price.cache_read_usd_per_mtok),
        ("cache_write_usd_per_mtok", &price.cache_write_usd_per_mtok),
        ("usd_per_image", &price.usd_per_image),
        ("usd_per_1k_searches", &price.usd_per_1k_searches),
    ];
    for (name, value) in members {
        put(&mut out, name, value.as_ref().map(|value| json!(value)));
    }
    out
}

fn routing(routing: &Routing) -> Map<String, Value> {
    let mut out = Map::new();
    put(&mut out, "retries", routing.retries.map(Value::from));
    put(&mut out, "backoff_ms", routing.backoff_ms.map(Value::from));
    put(&mut out, "backoff_max_ms", routing.backoff_max_ms.map(Value::from));
    let shared = ModelRouting {
        strategy: routing.strategy,
        allowed_fails: routing.allowed_fails,
        cooldown_ms: routing.cooldown_ms,
        error_percent: routing.error_percent,
        slow_ms: routing.slow_ms,
        hedge_ms: routing.hedge_ms,
    };
    out.extend(rules(&shared));
    let models: Map<String, Value> =
        routing.models.iter().map(|(name, own)| (name.clone(), rules(own).into())).collect();
    put_object(&mut out, "models", models);
    let tables: [(&str, &Fallbacks); 3] = [
        ("fallbacks", &routing.fallbacks),
        ("context_window_fallbacks", &routing.context_window_fallbacks),
        ("content_policy_fallbacks", &routing.content_policy_fallbacks),
    ];
    for (name, table) in tables {
        let table: Map<String, Value> = table.iter().map(|(from, to)| (from.clone(), json!(to))).collect();
        put_object(&mut out, name, table);
    }
    if !routing.default_fallbacks.is_empty() {
        out.insert("default_fallbacks".to_owned(), json!(routing.default_fallbacks));
    }
    out
}

fn rules(rules: &ModelRouting) -> Map<String, Value> {
    let mut out = Map::new();
    put(&mut out, "strategy", rules.strategy.map(|strategy| json!(strategy)));
    put(&mut out, "allowed_fails", rules.allowed_fails.map(Value::from));
    put(&mut out, "cooldown_ms", rules.cooldown_ms.map(Value::from));
    put(&mut out, "error_percent", rules.error_percent.map(Value::from));
    put(&mut out, "slow_ms", rules.slow_ms.map(Value::from));
    put(&mut out, "hedge_ms", rules.hedge_ms.map(Value::from));
    out
}

fn timeouts(timeouts: &Timeouts) -> Map<String, Value> {
    let members = [
        ("connect_ms", timeouts.connect_ms),
        ("first_byte_ms", timeouts.first_byte_ms),
        ("idle_ms", timeouts.idle_ms),
        ("total_ms", timeouts.total_ms),
        ("request_ms", timeouts.request_ms),
        ("drain_ms", timeouts.drain_ms),
    ];
    members.into_iter().filter_map(|(name, ms)| Some((name.to_owned(), ms?.into()))).collect()
}

fn limits(limits: &Limits) -> Map<String, Value> {
    let members = [
        ("request_body_bytes", limits.request_body_bytes),
        ("request_head_bytes", limits.request_head_bytes),
        ("request_headers", limits.request_headers),
        ("request_depth", limits.request_depth),
        ("response_body_bytes", limits.response_body_bytes),
        ("stream_event_bytes", limits.stream_event_bytes),
        ("connections", limits.connections),
    ];
    let mut out: Map<String, Value> =
        members.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?.into()))).collect();
    put(&mut out, "attempts", limits.attempts.map(Value::from));
    out
}

fn egress(egress: &Egress) -> Map<String, Value> {
    let mut out = Map::new();
    if !egress.image_hosts.is_empty() {
        out.insert("image_hosts".to_owned(), json!(egress.image_hosts));
    }
    if egress.private_addresses {
        out.insert("private_addresses".to_owned(), true.into());
    }
    if !egress.private_hosts.is_empty() {
        let hosts: Vec<&String> = egress.private_hosts.iter().map(|host| &host.value).collect();
        out.insert("private_hosts".to_owned(), json!(hosts));
    }
    put(&mut out, "image_bytes", egress.image_bytes.map(Value::from));
    out
}
