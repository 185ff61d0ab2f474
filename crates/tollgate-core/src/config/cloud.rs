//! Credentials that are more than a key: AWS, Google Cloud, Microsoft Entra ID. Each is found where the provider's
//! own tools look for it, in their order, and only its place is decided here: tokens are fetched when they are
//! needed.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::file;
use super::resolve::World;
use super::snapshot::{AwsKeys, AwsSource, Cloud, EntraSource, GoogleSource};
use crate::ports::CredentialKind;
use crate::secret::Secret;

/// What was found, and what a base URL may have to be filled in with.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) cloud: Option<Cloud>,
    pub(super) region: Option<String>,
    pub(super) project: Option<String>,
    pub(super) location: Option<String>,
    pub(super) api_version: Option<Arc<str>>,
}

impl Found {
    /// `url` with `{region}`, `{project}` and `{location}` filled in.
    pub(super) fn fill(&self, url: &str) -> Result<String, String> {
        let known = [
            ("{region}", &self.region, "a region (`aws.region`, AWS_REGION)"),
            ("{project}", &self.project, "a project (`google.project`, GOOGLE_CLOUD_PROJECT)"),
            ("{location}", &self.location, "a location (`google.location`)"),
        ];
        // The one location that has no name of its own in the address.
        let mut url = url.to_owned();
        if self.location.as_deref() == Some("global") {
            url = url.replace("{location}-aiplatform", "aiplatform");
        }
        for (mark, value, what) in known {
            if url.contains(mark) {
                let value = value.as_deref().ok_or_else(|| format!("it needs {what}"))?;
                if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)) {
                    return Err(format!("`{value}` cannot stand in an address"));
                }
                url = url.replace(mark, value);
            }
        }
        Ok(url)
    }
}

/// Finds the credential of a deployment whose provider takes `kind`. `keyed` says that it has a plain key, which wins.
pub(super) fn find(
    kind: CredentialKind,
    written: &file::Deployment,
    keyed: bool,
    world: World<'_>,
) -> Result<Found, String> {
    match kind {
        CredentialKind::Key => Ok(Found::default()),
        CredentialKind::Aws => aws(written.aws.as_ref(), keyed, world),
        CredentialKind::Google => google(written.google.as_ref(), keyed, world),
        CredentialKind::Azure => azure(written.azure.as_ref(), keyed, world),
    }
}

fn variable(world: World<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| world.environment.variable(name)).filter(|value| !value.trim().is_empty())
}

/// `text` with the variable that it names.
pub(super) fn filled(text: Option<&String>, world: World<'_>) -> Result<Option<String>, String> {
    let Some(text) = text else { return Ok(None) };
    match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => variable(world, &[name]).map(Some).ok_or_else(|| format!("{name} is not set")),
        None => Ok(Some(text.clone())),
    }
}

fn secret(
    written: Option<&super::SecretRef>,
    names: &[&str],
    world: World<'_>,
) -> Result<Option<Secret>, String> {
    match written {
        Some(reference) => reference.read(world.environment).map(Some),
        None => Ok(variable(world, names).map(|value| Secret::new(value.trim()))),
    }
}

/// The keys that requests to a service of AWS, or to one that signs like it, are signed with.
pub(super) fn aws_keys(written: &file::Aws, world: World<'_>) -> Result<Cloud, String> {
    aws(Some(written), false, world)?.cloud.ok_or_else(|| "there are no keys".to_owned())
}

fn aws(written: Option<&file::Aws>, keyed: bool, world: World<'_>) -> Result<Found, String> {
    let none = file::Aws::default();
    let written = written.unwrap_or(&none);
    let region = filled(written.region.as_ref(), world)?;
    let region = region.or_else(|| variable(world, &["AWS_REGION", "AWS_DEFAULT_REGION"]));
    let found = Found { region: region.clone(), ..Found::default() };
    if keyed {
        return Ok(found);
    }
    let region: Arc<str> = Arc::from(region.ok_or("it needs a region (`aws.region`, AWS_REGION)")?);
    let id = secret(written.access_key_id.as_ref(), &["AWS_ACCESS_KEY_ID"], world)?;
    let key = secret(written.secret_access_key.as_ref(), &["AWS_SECRET_ACCESS_KEY"], world)?;
    let session_token = secret(written.session_token.as_ref(), &["AWS_SESSION_TOKEN"], world)?;
    let source = match (id, key) {
        (Some(access_key_id), Some(secret_access_key)) => {
            // A token of the environment belongs to the keys of the environment.
            let session_token =
                session_token.filter(|_| written.access_key_id.is_none() || written.session_token.is_some());
            AwsSource::Keys(AwsKeys { access_key_id, secret_access_key, session_token })
        }
        (None, None) => machine(&region, world),
        _ => return Err("an access key has two parts: `access_key_id` and `secret_access_key`".to_owned()),
    };
    Ok(Found { cloud: Some(Cloud::Aws { region, source }), ..found })
}

/// What the machine itself offers, in the order of AWS's own tools.
fn machine(region: &str, world: World<'_>) -> AwsSource {
    let role = variable(world, &["AWS_ROLE_ARN"]);
    if let (Some(token_file), Some(role_arn)) = (variable(world, &["AWS_WEB_IDENTITY_TOKEN_FILE"]), role) {
        let sts_url = variable(world, &["AWS_ENDPOINT_URL_STS"])
            .unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com"));
        return AwsSource::WebIdentity { token_file: PathBuf::from(token_file), role_arn, sts_url };
    }
    let relative = variable(world, &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]);
    let full = relative
        .map(|path| format!("http://169.254.170.2{path}"))
        .or_else(|| variable(world, &["AWS_CONTAINER_CREDENTIALS_FULL_URI"]));
    match full {
        Some(url) => AwsSource::Container {
            url,
            token: variable(world, &["AWS_CONTAINER_AUTHORIZATION_TOKEN"]).map(Secret::new),
            token_file: variable(world, &["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).map(PathBuf::from),
        },
        None => AwsSource::Instance {
            endpoint: variable(world, &["AWS_EC2_METADATA_SERVICE_ENDPOINT"])
                .unwrap_or_else(|| "http://169.254.169.254".to_owned()),
        },
    }
}

/// The members of a service account's key that are needed here.
#[derive(Deserialize)]
struct ServiceAccount {
    project_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

fn google(written: Option<&file::Google>, keyed: bool, world: World<'_>) -> Result<Found, String> {
    let none = file::Google::default();
    let written = written.unwrap_or(&none);
    let named = match &written.credentials {
        Some(reference) => Some(reference.read(world.environment)?),
        None => variable(world, &["GOOGLE_APPLICATION_CREDENTIALS"]).map(Secret::new),
    };
    // The key itself, or the path of its file.
    let key = match named {
        Some(path) if !path.expose().trim_start().starts_with('{') => {
            let path = PathBuf::from(path.expose());
            let text = world.environment.read(&path);
            Some(Secret::new(text.map_err(|e| format!("{} cannot be read: {e}", path.display()))?))
        }
        named => named,
    };
    let account = match &key {
        None => None,
        Some(key) => {
            let account: ServiceAccount = serde_json::from_str(key.expose())
                .map_err(|_| "the Google credentials are no JSON key file".to_owned())?;
            if account.kind.as_deref() != Some("service_account") {
                return Err("the Google credentials are no service account's key".to_owned());
            }
            Some(account)
        }
    };
    let project = filled(written.project.as_ref(), world)?
        .or_else(|| variable(world, &["VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"]))
        .or_else(|| account.and_then(|account| account.project_id));
    let location = filled(written.location.as_ref(), world)?
        .or_else(|| variable(world, &["VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION"]))
        .unwrap_or_else(|| "us-central1".to_owned());
    let metadata = || GoogleSource::Metadata {
        host: variable(world, &["GCE_METADATA_HOST"])
            .unwrap_or_else(|| "metadata.google.internal".to_owned()),
    };
    let source = key.map_or_else(metadata, GoogleSource::ServiceAccount);
    Ok(Found {
        cloud: (!keyed).then_some(Cloud::Google(source)),
        project,
        location: Some(location),
        ..Found::default()
    })
}

/// The version that requests are written for, unless somebody names one.
const AZURE_VERSION: &str = "2024-10-21";

fn azure(written: Option<&file::Azure>, keyed: bool, world: World<'_>) -> Result<Found, String> {
    let none = file::Azure::default();
    let written = written.unwrap_or(&none);
    let version =
        filled(written.api_version.as_ref(), world)?.or_else(|| variable(world, &["AZURE_API_VERSION"]));
    let found = Found {
        api_version: Some(Arc::from(version.as_deref().unwrap_or(AZURE_VERSION))),
        ..Found::default()
    };
    if keyed {
        return Ok(found);
    }
    if let Some(token) = secret(written.token.as_ref(), &["AZURE_AD_TOKEN"], world)? {
        return Ok(Found { cloud: Some(Cloud::Entra(EntraSource::Token(token))), ..found });
    }
    let text = |written: &Option<String>, name: &str| {
        filled(written.as_ref(), world).map(|text| text.or_else(|| variable(world, &[name])))
    };
    let client_secret = secret(written.client_secret.as_ref(), &["AZURE_CLIENT_SECRET"], world)?;
    let parts = (
        text(&written.tenant_id, "AZURE_TENANT_ID")?,
        text(&written.client_id, "AZURE_CLIENT_ID")?,
        client_secret,
    );
    let cloud = match parts {
        (Some(tenant_id), Some(client_id), Some(client_secret)) => {
            let authority = variable(world, &["AZURE_AUTHORITY_HOST"])
                .unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
            Some(Cloud::Entra(EntraSource::Client { tenant_id, client_id, client_secret, authority }))
        }
        _ => return Err(
            "there is neither an `api_key` (AZURE_API_KEY) nor `azure.tenant_id`, `client_id` and `client_secret`"
                .to_owned(),
        ),
    };
    Ok(Found { cloud, ..found })
}
