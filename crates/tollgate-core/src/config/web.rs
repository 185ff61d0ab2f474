//! Ordinary web applications that people reach through the gate once they have signed in: the setting `web`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderName, Uri};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::bundles::is_name;
use super::identity::{ClaimSource, Server, SigningAlgorithm};
use super::resolve::Resolver;
use super::snapshot::Timeouts;

/// The most applications.
const MOST: usize = 200;

/// The header with the token that says who asks.
pub const IDENTITY_HEADER: &str = "x-tollgate-identity";

/// Below this path of an application's host everything is the gate's.
pub const OWN_PATHS: &str = "/.tollgate/";

/// An application as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebWritten {
    /// Its address, as browsers have it: `https://wiki.example.com`.
    pub url: Spanned<String>,
    /// Where the gate finds it: `http://10.0.0.5:8080`; without it a proxy of your own carries the requests, and asks the gate.
    #[serde(default)]
    pub upstream: Option<Spanned<String>>,
    /// The groups whose members may use it, default everybody's.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// Paths that are for anybody, default none; one that ends with `/*` stands for all below it.
    #[serde(default)]
    pub public: Vec<Spanned<String>>,
    /// Headers in plain text besides the signed one, and what of the person they say: `{ X-Forwarded-User: user }`.
    #[serde(default)]
    pub headers: BTreeMap<String, ClaimSource>,
    /// Whom the signed header is for (`aud`), default `url`.
    #[serde(default)]
    pub audience: Option<String>,
    /// What it is signed with, default the server's first.
    #[serde(default)]
    pub algorithm: Option<Spanned<SigningAlgorithm>>,
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebApplication {
    /// What it is called here.
    pub name: Arc<str>,
    /// Its address, as browsers have it, without a slash at its end.
    pub url: String,
    /// Where the gate finds it; `None` where a proxy carries its requests and asks the gate.
    pub upstream: Option<Uri>,
    /// The groups whose members may use it; `None` for everybody.
    pub groups: Option<Vec<String>>,
    /// Paths that are for anybody.
    pub public: Vec<String>,
    /// Headers in plain text, and what of the person they say.
    pub headers: Vec<(HeaderName, ClaimSource)>,
    /// Whom the signed header is for.
    pub audience: String,
    /// What it is signed with.
    pub algorithm: SigningAlgorithm,
    /// How long to wait for it: for a connection, and for the beginning of an answer.
    pub timeouts: Timeouts,
}

impl WebApplication {
    /// Whether browsers reach it by TLS.
    pub fn is_secure(&self) -> bool {
        self.url.starts_with("https://")
    }

    /// Its host, with a port where that is not the scheme's own.
    pub fn host(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, host)| host)
    }

    /// Whether what is at `path`, in canonical form, is for anybody.
    pub fn is_public(&self, path: &str) -> bool {
        self.public.iter().any(|known| match known.strip_suffix('*') {
            Some(above) => path.starts_with(above),
            None => path == known,
        })
    }
}

/// The applications, by their hosts.
#[derive(Clone, Debug, Default)]
pub struct WebApplications(BTreeMap<String, Arc<WebApplication>>);

impl WebApplications {
    /// The application at `authority`, as a request names it.
    pub fn at(&self, authority: &str) -> Option<&Arc<WebApplication>> {
        if self.0.is_empty() {
            return None;
        }
        let host = authority.to_ascii_lowercase();
        let usual = |port: &str, scheme: &str| {
            let bare = host.strip_suffix(port)?;
            self.0.get(bare).filter(|found| found.url.starts_with(scheme))
        };
        self.0.get(&host).or_else(|| usual(":443", "https:")).or_else(|| usual(":80", "http:"))
    }

    /// The application of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<WebApplication>> {
        self.iter().find(|one| *one.name == *name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<WebApplication>> {
        self.0.values()
    }
}

impl Resolver<'_> {
    pub(super) fn web(
        &self,
        written: &BTreeMap<String, WebWritten>,
        server: Option<&Server>,
        timeouts: Timeouts,
    ) -> Result<WebApplications, ConfigError> {
        let mut all: BTreeMap<String, Arc<WebApplication>> = BTreeMap::new();
        let Some(first) = written.values().next() else { return Ok(WebApplications::default()) };
        let Some(server) = server else {
            let why = "people sign in to applications at the gate's own server: `identity.server` is missing";
            return Err(ConfigError::at(first.url.referenced, why));
        };
        if written.len() > MOST {
            return Err(ConfigError::new(format!("there are more than {MOST} applications under `web`")));
        }
        for (name, written) in written {
            let application = application(name, written, server, timeouts)?;
            let bare = |one: &WebApplication| {
                one.url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned))
            };
            for other in all.values() {
                let why = match (bare(other) == bare(&application), other.audience == application.audience) {
                    (true, _) => "are at the same host",
                    // What says who somebody is to one would say it to the other.
                    (false, true) => "have the same `audience`",
                    (false, false) => continue,
                };
                let why = format!("`{}` and `{name}` {why}", other.name);
                return Err(ConfigError::at(written.url.referenced, why));
            }
            all.insert(application.host().to_owned(), Arc::new(application));
        }
        Ok(WebApplications(all))
    }
}

fn application(
    name: &str,
    written: &WebWritten,
    server: &Server,
    timeouts: Timeouts,
) -> Result<WebApplication, ConfigError> {
    let place = written.url.referenced;
    let wrong = |why: String| Err(ConfigError::at(place, format!("the application `{name}`: {why}")));
    if !is_name(name) {
        return wrong("a name is 1 to 32 letters, digits, `-` and `_`".to_owned());
    }
    let url = written.url.value.trim_end_matches('/').to_ascii_lowercase();
    let Some(authority) = own_origin(&url) else {
        return wrong(format!("`{}` is no address like `https://wiki.example.com`", written.url.value));
    };
    if url.starts_with("http:") && !is_this_machine(authority.host()) {
        return wrong(format!("`{url}` is not encrypted; `http://` is for this machine only"));
    }
    if url.starts_with("http:") && server.is_secure() {
        return wrong(format!("`{url}` is not encrypted, and `{}` is", server.gate));
    }
    // Cookies know no ports (RFC 6265 §8.5).
    let gate: Option<Uri> = server.gate.parse().ok();
    if gate.as_ref().and_then(Uri::host).is_some_and(|host| host.eq_ignore_ascii_case(authority.host())) {
        return wrong("it has a host of its own: that of `identity.url` is the gate's".to_owned());
    }
    let algorithm = match &written.algorithm {
        None => server.algorithms.first().copied().unwrap_or_default(),
        Some(one) if server.algorithms.contains(&one.value) => one.value,
        Some(one) => {
            let why = format!("the application `{name}`: {} is not among `algorithms`", one.value.name());
            return Err(ConfigError::at(one.referenced, why));
        }
    };
    let audience = written.audience.clone().unwrap_or_else(|| url.clone());
    // The gate takes tokens for itself.
    let is_a_client = server.clients.iter().any(|client| client.id == audience);
    if audience.is_empty() || is_a_client || super::identity::is_within(&audience, &server.gate) {
        return wrong("its `audience` is neither empty, nor the gate, nor a client of it".to_owned());
    }
    let headers = written.headers.iter().map(|(header, source)| {
        let known = HeaderName::try_from(header.as_str()).ok().filter(is_free);
        let why =
            || format!("the application `{name}`: `{header}` is no header that may say who somebody is");
        Ok((known.ok_or_else(|| ConfigError::at(place, why()))?, *source))
    });
    Ok(WebApplication {
        name: Arc::from(name),
        upstream: written.upstream.as_ref().map(|upstream| self::upstream(name, upstream)).transpose()?,
        groups: written.groups.clone(),
        public: written.public.iter().map(|path| public(name, path)).collect::<Result<_, _>>()?,
        headers: headers.collect::<Result<_, ConfigError>>()?,
        audience,
        algorithm,
        timeouts,
        url,
    })
}

/// The authority of `url`, where that is an origin and nothing more.
fn own_origin(url: &str) -> Option<Authority> {
    let uri: Uri = url.parse().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
    let known = matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/" && !url.contains('#');
    let usual = if url.starts_with("https:") { 443 } else { 80 };
    let authority = uri.authority().filter(|_| known && uri.query().is_none())?;
    let fits = authority.as_str().bytes().all(plain) && authority.port_u16() != Some(usual);
    fits.then(|| authority.clone())
}

/// Whether `host` leads to this machine wherever it is looked up (RFC 6761 §6.3).
fn is_this_machine(host: &str) -> bool {
    host.ends_with(".localhost") || matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether a header may say who somebody is: none that means something to whatever is on the way.
fn is_free(name: &HeaderName) -> bool {
    const TAKEN: [&str; 14] = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "origin",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        IDENTITY_HEADER,
    ];
    const BEGINNINGS: [&str; 4] = ["sec-", "proxy-", "content-", "x-tollgate-"];
    let name = name.as_str();
    let forwarded = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip"];
    // As `X_User` it would be another one to whoever strips it.
    let plain = !name.contains('_');
    plain
        && !TAKEN.contains(&name)
        && !forwarded.contains(&name)
        && !BEGINNINGS.iter().any(|taken| name.starts_with(taken))
}

fn upstream(name: &str, written: &Spanned<String>) -> Result<Uri, ConfigError> {
    let text = written.value.trim_end_matches('/');
    let uri: Option<Uri> = text.parse().ok().filter(|uri: &Uri| {
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        known && authority && uri.path() == "/" && uri.query().is_none()
    });
    uri.ok_or_else(|| {
        let why = format!(
            "the application `{name}`: its `upstream` is like `http://10.0.0.5:8080`, without a path"
        );
        ConfigError::at(written.referenced, why)
    })
}

fn public(name: &str, written: &Spanned<String>) -> Result<String, ConfigError> {
    let path = &written.value;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@/".contains(&b);
    let bare =
        path.strip_suffix("/*").map_or(path.as_str(), |above| if above.is_empty() { "/" } else { above });
    let straight = !bare.contains("//") && !bare.split('/').any(|part| part == "." || part == "..");
    if bare.starts_with('/') && bare.bytes().all(plain) && straight {
        return Ok(path.clone());
    }
    let why = format!("the application `{name}`: `{path}` is no path like `/health` or `/assets/*`");
    Err(ConfigError::at(written.referenced, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_at_its_host_however_that_is_written() {
        let made = |name: &str, url: &str| {
            let application = WebApplication {
                name: Arc::from(name),
                url: url.to_owned(),
                upstream: None,
                groups: None,
                public: vec!["/health".to_owned(), "/assets/*".to_owned()],
                headers: Vec::new(),
                audience: url.to_owned(),
                algorithm: SigningAlgorithm::RS256,
                timeouts: crate::config::resolve::timeouts(&Default::default(), &Default::default()),
            };
            (application.host().to_owned(), Arc::new(application))
        };
        let all = WebApplications(
            [made("wiki", "https://wiki.example.com"), made("dev", "http://dev.localhost:4000")].into(),
        );
        let at = |host: &str| all.at(host).map(|found| found.name.to_string());
        for host in ["wiki.example.com", "WIKI.example.com", "wiki.example.com:443"] {
            assert_eq!(at(host).as_deref(), Some("wiki"), "{host}");
        }
        assert_eq!(at("dev.localhost:4000").as_deref(), Some("dev"));
        for host in ["wiki.example.com:80", "wiki.example.com.", "dev.localhost", "x.wiki.example.com", ""] {
            assert_eq!(at(host), None, "{host}");
        }
        let wiki = all.named("wiki").unwrap();
        assert!(wiki.is_public("/health") && wiki.is_public("/assets/a/b.css"));
        assert!(!wiki.is_public("/healthy") && !wiki.is_public("/assets") && !wiki.is_public("/"));
    }

    #[test]
    fn headers_that_mean_something_else_say_nobody() {
        for name in ["x-forwarded-user", "remote-user", "x-email"] {
            assert!(is_free(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["host", "cookie", "x_user", "sec-fetch-site", "x-forwarded-for", "x-tollgate-user"] {
            assert!(!is_free(&HeaderName::from_static(name)), "{name}");
        }
    }
}
