//! From what admins say of a model at run time to the model. The words are those of a deployment in the configuration
//! file and become one, so that there is one translation; but nothing of the gate's environment and files is read for
//! them, and what they may reach is checked.

use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, Uri};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::resolve::{Resolver, World, assembled};
use super::snapshot::{Deployment, Model, Origin, Snapshot};
use super::{ConfigError, SecretRef, file};
use crate::access::SpecError;
use crate::addition::{ModelSpec, check_name};
use crate::egress::{Host, Reach};
use crate::policy::NoExpressions;
use crate::ports::{Catalog, CredentialKind, Environment, Providers};
use crate::secret::Secret;

/// What a model that is added is resolved against.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What the configuration file says.
    pub file: &'a Snapshot,
    /// The table of providers.
    pub providers: &'a dyn Providers,
    /// The model catalog.
    pub catalog: &'a dyn Catalog,
}

/// A credential that is ready for use.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What is sent.
    pub secret: Secret,
    /// Where to, and nowhere else.
    pub hosts: Vec<Host>,
}

/// What finds a credential by its name, or says why it cannot be used.
pub type Open<'a> = &'a dyn Fn(&str) -> Result<Opened, String>;

/// The members of a deployment in the file that hold neither a secret nor a place to find one.
const MEMBERS: [&str; 17] = [
    "provider",
    "model",
    "base_url",
    "aws",
    "google",
    "azure",
    "weight",
    "order",
    "rpm",
    "tpm",
    "price",
    "max_output_tokens",
    "image_urls",
    "stream_usage",
    "format",
    "headers",
    "timeouts",
];

/// The same inside of a member.
const INNER: [(&str, &[&str]); 3] =
    [("aws", &["region"]), ("google", &["project", "location"]), ("azure", &["api_version"])];

/// Headers that belong to the connection or to the gate (RFC 9110 §7.6.1), or say who calls.
const HEADERS: [&str; 18] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "expect",
    "via",
    "forwarded",
    "http2-settings",
    "traceparent",
    "x-tollgate-via",
];

/// The environment of what is added at run time: nothing.
struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
}

/// The model called `name`, or what is wrong with it.
pub fn model(ground: Ground<'_>, name: &str, spec: &ModelSpec, open: Open<'_>) -> Result<Model, SpecError> {
    check_name(name)?;
    spec.check()?;
    let at = |index: usize, error: SpecError| {
        let member = format!("deployments[{index}].{}", error.member);
        SpecError { member: member.trim_end_matches('.').to_owned(), ..error }
    };
    let deployments = spec.deployments.iter().enumerate();
    let deployments = deployments
        .map(|(index, said)| deployment(ground, name, said, open).map_err(|error| at(index, error)));
    Ok(assembled(name, Origin::Added, deployments.collect::<Result<_, _>>()?))
}

fn deployment(
    ground: Ground<'_>,
    name: &str,
    said: &Map<String, Value>,
    open: Open<'_>,
) -> Result<Deployment, SpecError> {
    let (written, opened) = read(ground, said, open)?;
    let world = World {
        environment: &Nothing,
        providers: ground.providers,
        catalog: ground.catalog,
        expressions: &NoExpressions,
    };
    let resolver = Resolver { world, lenient: false };
    let resolved = resolver.deployment(name, &written, &ground.file.shared_timeouts);
    let mut deployment = resolved.map_err(|error| wrong("", error.in_words()))?;
    deployment.reach = reach(ground, &deployment, opened.as_ref())?;
    Ok(deployment)
}

/// A model that cannot be served, and why.
pub fn out_of_service(name: &str, spec: &ModelSpec, why: &str) -> Model {
    let text = |member: &str| spec.deployments.first().and_then(|said| said.get(member)?.as_str());
    let (provider, upstream) = (text("provider").unwrap_or("unknown"), text("model").unwrap_or(name));
    let deployment = Deployment::out_of_service(&format!("{provider}/{upstream}"), upstream, why.to_owned());
    Model { name: Arc::from(name), origin: Origin::Added, deployments: vec![Arc::new(deployment)] }
}

fn wrong(member: &str, why: impl Into<String>) -> SpecError {
    SpecError { member: member.to_owned(), why: why.into() }
}

/// What the file would say of a deployment, with the credential that it names.
fn read(
    ground: Ground<'_>,
    said: &Map<String, Value>,
    open: Open<'_>,
) -> Result<(file::Deployment, Option<Opened>), SpecError> {
    let mut said = said.clone();
    let credential = match said.remove("credential") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(open(&id).map_err(|why| wrong("credential", why))?),
        Some(_) => return Err(wrong("credential", "the name of a credential is expected")),
    };
    check_members(&said)?;
    said.iter().try_for_each(|(member, value)| check_texts(member, value))?;
    check_headers(said.get("headers"))?;
    // JSON is YAML: a mistake is told in the words that it is told in for the file.
    let text = Value::Object(said).to_string();
    let mut written: file::Deployment = serde_saphyr::from_str(&text)
        .map_err(|error| wrong("", ConfigError::from_yaml(&error, &text).in_words()))?;
    let provider = &written.provider.value;
    if let Some(facts) = ground.providers.find(provider) {
        let needed = !facts.key_optional || facts.credential != CredentialKind::Key;
        if credential.is_none() && needed {
            return Err(wrong("credential", format!("provider `{provider}` needs one")));
        }
    }
    let unknown = Location::UNKNOWN;
    written.api_key = credential
        .as_ref()
        .map(|opened| Spanned::new(SecretRef::Literal(opened.secret.clone()), unknown, unknown));
    Ok((written, credential))
}

fn check_members(said: &Map<String, Value>) -> Result<(), SpecError> {
    for (member, value) in said {
        if !MEMBERS.contains(&member.as_str()) {
            let known = || format!("there is no such member here: {}, credential", MEMBERS.join(", "));
            return Err(wrong(member, if member == "api_key" { SECRETS.to_owned() } else { known() }));
        }
        let Some((_, inner)) = INNER.iter().find(|(outer, _)| outer == member) else { continue };
        let unknown =
            value.as_object().into_iter().flatten().find(|(name, _)| !inner.contains(&name.as_str()));
        if let Some((name, _)) = unknown {
            let why = format!("at run time only: {}; {SECRETS}", inner.join(", "));
            return Err(wrong(&format!("{member}.{name}"), why));
        }
    }
    Ok(())
}

/// Where secrets stand.
const SECRETS: &str = "a secret stands in a credential, which a deployment names by `credential`";

/// Nothing refers to the gate's environment.
fn check_texts(member: &str, value: &Value) -> Result<(), SpecError> {
    match value {
        Value::String(text) if text.contains("${") || text.starts_with("os.environ/") => {
            Err(wrong(member, "what is added at run time reads no variables of the gate"))
        }
        Value::Array(values) => values.iter().try_for_each(|value| check_texts(member, value)),
        Value::Object(values) => {
            values.iter().try_for_each(|(name, value)| check_texts(&format!("{member}.{name}"), value))
        }
        _ => Ok(()),
    }
}

/// Their values are seen by whoever sees the model, and they go out besides what the gate itself says.
fn check_headers(headers: Option<&Value>) -> Result<(), SpecError> {
    for (name, value) in headers.and_then(Value::as_object).into_iter().flatten() {
        let member = format!("headers.{name}");
        if !value.is_string() {
            return Err(wrong(&member, "a text is expected"));
        }
        let header: HeaderName = name.parse().map_err(|_| wrong(&member, "this is no header name"))?;
        let header = header.as_str();
        if HEADERS.contains(&header) || header.starts_with("proxy-") {
            return Err(wrong(&member, "this header is not for a model to set"));
        }
        if super::error::is_secret(header) || header.contains("cookie") {
            return Err(wrong(&member, SECRETS));
        }
    }
    Ok(())
}

/// Where the deployment's connections may lead. Its credential goes to its own hosts only.
fn reach(
    ground: Ground<'_>,
    deployment: &Deployment,
    credential: Option<&Opened>,
) -> Result<Reach, SpecError> {
    if deployment.cloud.is_some() {
        return Err(wrong(
            "credential",
            "the machine's own identity is not used for what is added at run time",
        ));
    }
    let uri: Uri = deployment.base_url.parse().map_err(|_| wrong("base_url", "this is no address"))?;
    let host = uri.host().unwrap_or_default();
    if let Some(opened) = credential
        && !opened.hosts.iter().any(|bound| bound.is_of(&uri))
    {
        let hosts: Vec<String> = opened.hosts.iter().map(ToString::to_string).collect();
        let at = uri.authority().map_or(host, |authority| authority.as_str());
        return Err(wrong("credential", format!("it is not for {at}, but for {}", hosts.join(", "))));
    }
    if ground.providers.built_in(deployment.provider) {
        return Ok(Reach::Public);
    }
    let egress = &ground.file.egress;
    let inside = egress.private_addresses || egress.private_hosts.iter().any(|named| named.is_of(&uri));
    let reach = match uri.scheme_str() {
        Some("https") if inside => Reach::Anywhere,
        Some("https") => Reach::Public,
        _ if inside => Reach::Private,
        _ => {
            let why = format!(
                "https:// is expected; without it only hosts inside are reached, where the configuration file allows \
                 that (egress.private_hosts: [\"{}\"])",
                uri.authority().map_or(host, |authority| authority.as_str())
            );
            return Err(wrong("base_url", why));
        }
    };
    reach.check_literal(host).map_err(|why| wrong("base_url", why))?;
    Ok(reach)
}
