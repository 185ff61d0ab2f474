//! `tollgate web`: web applications behind the gate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use clap::{Args, Subcommand};
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue, LOCATION};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tollgate_core::config::resolve::Overrides;
use tollgate_core::config::web::{IDENTITY_HEADER, OWN_PATHS, WebApplication};

use super::say;
use crate::configuration::Source;

/// Whom a request says that it is from that nobody vouches for.
const FORGED: HeaderValue = HeaderValue::from_static("tollgate-web-check");

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Find out whether applications can be reached around the gate, from where this runs
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// Where an application itself is, such as http://10.0.0.5:8080; default those of the configuration file
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<Uri>,
    /// The configuration file whose applications are checked
    #[arg(long, value_name = "FILE", conflicts_with = "addresses", required_unless_present = "addresses")]
    config: Option<PathBuf>,
    /// Seconds to wait for each
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    wait: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Something that is asked as a stranger would.
struct Target {
    address: Uri,
    /// What it is called in the configuration.
    name: Option<Arc<str>>,
    /// Headers by which it is told who asks.
    headers: Vec<HeaderName>,
    /// Whether this is where people go, and the gate should answer.
    through_gate: bool,
}

/// What was found.
enum Found {
    /// Nothing answers here.
    Closed(String),
    /// It refuses whoever the gate does not vouch for.
    Refuses(StatusCode),
    /// The gate, or a proxy that asks it, lets nobody in who has not signed in.
    AsksToSignIn,
    /// It answers anybody.
    Open(String),
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        match self.what {
            What::Check(check) => check.run().await,
        }
    }
}

impl Check {
    async fn run(self) -> Result<()> {
        let client = client()?;
        let (mut open, mut all) = (0, Vec::new());
        for target in self.targets()? {
            let found = target.ask(&client, Duration::from_secs(self.wait)).await;
            open += usize::from(!found.is_good());
            if self.json {
                all.push(target.as_json(&found));
                continue;
            }
            let name = target.name.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
            say(&format!("{name}{}\n  {}", target.address, found.words()))?;
        }
        if self.json {
            say(&Value::from(all).to_string())?;
        }
        match open {
            0 => Ok(()),
            1 => bail!("one address answers people whom the gate has not let in"),
            _ => bail!("{open} addresses answer people whom the gate has not let in"),
        }
    }

    fn targets(&self) -> Result<Vec<Target>> {
        let Some(file) = &self.config else {
            let known =
                |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
            if let Some(wrong) = self.addresses.iter().find(|uri| !known(uri)) {
                bail!("`{wrong}` is no address like http://10.0.0.5:8080");
            }
            let target = |address: &Uri| Target {
                address: address.clone(),
                name: None,
                headers: usual_headers(),
                through_gate: false,
            };
            return Ok(self.addresses.iter().map(target).collect());
        };
        let read = Source::File(file.clone()).read(&Overrides::default())?;
        let targets: Vec<Target> = read.snapshot.web.iter().flat_map(|one| of(one)).collect();
        ensure!(!targets.is_empty(), "{}: there are no applications under `web`", file.display());
        Ok(targets)
    }
}

/// Headers that applications often take for the name of whoever asks.
fn usual_headers() -> Vec<HeaderName> {
    [IDENTITY_HEADER, "x-forwarded-user", "remote-user", "x-remote-user"].map(HeaderName::from_static).into()
}

/// Where an application itself is, and where people go to it.
fn of(application: &WebApplication) -> Vec<Target> {
    let headers = application.headers.iter().map(|(name, _)| name.clone()).chain(usual_headers()).collect();
    let target = |address: Option<Uri>, headers, through_gate| {
        let name = Some(Arc::clone(&application.name));
        address.map(|address| Target { address, name, headers, through_gate })
    };
    let itself = target(application.upstream.clone(), headers, false);
    let gate = target(application.url.parse().ok(), Vec::new(), true);
    itself.into_iter().chain(gate).collect()
}

type Stranger = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn client() -> Result<Stranger> {
    let tls = ClientConfig::builder().try_with_platform_verifier()?.with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    Ok(Client::builder(TokioExecutor::new()).build(https.wrap_connector(http)))
}

impl Target {
    /// Asks once as nobody, and once as somebody who says in every way who they are.
    async fn ask(&self, client: &Stranger, wait: Duration) -> Found {
        if let Err(why) = self.connect(wait).await {
            return Found::Closed(why);
        }
        let first = self.ask_with(client, wait, &[]).await;
        if self.headers.is_empty() || !matches!(first, Found::Refuses(_)) {
            return first;
        }
        match self.ask_with(client, wait, &self.headers).await {
            Found::Open(_) => Found::Open(format!(
                "believes whoever sends one of {}",
                self.headers.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ")
            )),
            Found::Closed(_) | Found::Refuses(_) | Found::AsksToSignIn => first,
        }
    }

    /// Whether anything takes connections there: a firewall that lets them through is none.
    async fn connect(&self, wait: Duration) -> Result<(), String> {
        let host = self.address.host().unwrap_or_default().trim_matches(['[', ']']);
        let usual = if self.address.scheme_str() == Some("https") { 443 } else { 80 };
        let connecting = TcpStream::connect((host, self.address.port_u16().unwrap_or(usual)));
        match tokio::time::timeout(wait, connecting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no connection within {} s", wait.as_secs())),
        }
    }

    async fn ask_with(&self, client: &Stranger, wait: Duration, headers: &[HeaderName]) -> Found {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.address.clone();
        request.headers_mut().insert("accept", HeaderValue::from_static("text/html"));
        request.headers_mut().extend(headers.iter().map(|name| (name.clone(), FORGED)));
        let answer = match tokio::time::timeout(wait, client.request(request)).await {
            Err(_) | Ok(Err(_)) => return Found::Open("takes connections, and does not answer".to_owned()),
            Ok(Ok(answer)) => answer,
        };
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        match answer.status() {
            status if status.is_redirection() && to.contains(OWN_PATHS) => Found::AsksToSignIn,
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) if !self.through_gate => {
                Found::Refuses(status)
            }
            status => Found::Open(format!("answers anybody ({status})")),
        }
    }

    fn as_json(&self, found: &Found) -> Value {
        json!({
            "application": self.name.as_deref(),
            "address": self.address.to_string(),
            "good": found.is_good(),
            "found": found.words(),
        })
    }
}

impl Found {
    fn is_good(&self) -> bool {
        !matches!(self, Self::Open(_))
    }

    fn words(&self) -> String {
        match self {
            Self::Closed(why) => format!("cannot be reached from here ({why})"),
            Self::Refuses(status) => {
                format!("can be reached, and refuses those whom the gate does not vouch for ({status})")
            }
            Self::AsksToSignIn => "asks strangers to sign in".to_owned(),
            Self::Open(how) => format!("OPEN: {how}"),
        }
    }
}
