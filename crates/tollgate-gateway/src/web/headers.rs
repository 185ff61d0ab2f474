//! What goes on to an application of a request's headers, and back: nothing by which somebody could say who they are, nothing
//! that is between two neighbours only (RFC 9110 §7.6.1), and none of the gate's own cookies.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tollgate_core::config::web::WebApplication;

/// Headers that are between neighbours.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// Beginnings of names by which applications are told who asks, from where, and for what: the gate says that, or nobody does.
const SAID_BY_PROXIES: [&str; 36] = [
    "x-tollgate-",
    "x-forwarded-",
    "forwarded",
    "x-real-ip",
    "x-original-",
    "x-auth-request-",
    "x-authentik-",
    "x-pomerium-",
    "x-goog-iap-",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-ms-token-aad-",
    "x-amzn-oidc-",
    "cf-access-",
    "cf-connecting-ip",
    "x-remote-",
    "remote-",
    "x-webauth-",
    "x-client-cert",
    "ssl-client-",
    "x-authenticated-",
    "client-cert",
    "x-ssl-",
    "x-arr-clientcert",
    "oidc-",
    "sm-user",
    "iv-user",
    "iv-groups",
    "shib-",
    "x-vouch-",
    "x-consumer-",
    "impersonate-",
    "es-security-runas-user",
    "x-envoy-original-path",
    "tailscale-user-",
    "x-http-method",
];

/// The same, as they are.
const SAID_BY_NOBODY: [&str; 17] = [
    "x-user",
    "x-username",
    "x-user-name",
    "x-user-email",
    "x-user-groups",
    "x-user-roles",
    "x-auth-user",
    "x-auth-email",
    "x-email",
    "x-userinfo",
    "x-host",
    "x-override-url",
    "x-rewrite-url",
    "x-method-override",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
];

/// How cookies of the gate begin.
const OWN_COOKIES: [&str; 2] = ["tollgate-", "__Host-tollgate-"];

/// `name` as servers read it that know no difference between `-` and `_`, or any other sign.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// Takes out of `headers` what an application must not be told by a stranger.
pub(super) fn strip(headers: &mut HeaderMap, application: &WebApplication) {
    let own: Vec<String> = application.headers.iter().map(|(name, _)| folded(name.as_str())).collect();
    let says_who = |name: &HeaderName| {
        let name = folded(name.as_str());
        own.contains(&name)
            || SAID_BY_NOBODY.contains(&name.as_str())
            || SAID_BY_PROXIES.iter().any(|beginning| name.starts_with(beginning))
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| says_who(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    remove_hop_by_hop(headers);
    // These sign in a connection, which is not one person's here.
    if headers.get(header::AUTHORIZATION).is_some_and(is_of_connection) {
        headers.remove(header::AUTHORIZATION);
    }
    keep_cookies_of_others(headers);
}

/// Whether credentials are of a connection, and not of a request (RFC 4559 §6).
fn is_of_connection(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().split(|b| *b == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
}

/// Takes out what is between neighbours, and what they have agreed on.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn keep_cookies_of_others(headers: &mut HeaderMap) {
    let lines: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    if lines.is_empty() {
        return;
    }
    let is_own = |pair: &&[u8]| {
        let pair = pair.trim_ascii();
        OWN_COOKIES.iter().any(|own| pair.starts_with(own.as_bytes()))
    };
    headers.remove(header::COOKIE);
    for line in lines {
        let kept: Vec<&[u8]> = line.as_bytes().split(|b| *b == b';').filter(|pair| !is_own(pair)).collect();
        let kept = kept.join(&b';');
        if !kept.trim_ascii().is_empty()
            && let Ok(line) = HeaderValue::from_bytes(kept.trim_ascii())
        {
            headers.append(header::COOKIE, line);
        }
    }
}

/// Says where a request has come from.
pub(super) fn say_from_where(headers: &mut HeaderMap, application: &WebApplication, peer: Option<IpAddr>) {
    let mut say = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(peer) = peer {
        say("x-forwarded-for", &peer.to_canonical().to_string());
    }
    say("x-forwarded-host", application.host());
    say("x-forwarded-proto", if application.is_secure() { "https" } else { "http" });
    say("host", application.host());
}

/// Takes out of an application's answer what is between neighbours, and cookies that it would set for the gate.
pub(super) fn strip_answer(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    let lines: Vec<HeaderValue> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    headers.remove(header::SET_COOKIE);
    for line in lines {
        // Browsers send a cookie without a name as if its value were one.
        let bare = line.as_bytes().trim_ascii_start();
        let bare = bare.strip_prefix(b"=").unwrap_or(bare).trim_ascii_start();
        let is_own = OWN_COOKIES.iter().any(|own| bare.starts_with(own.as_bytes()));
        if !is_own {
            headers.append(header::SET_COOKIE, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollgate_core::config::identity::{ClaimSource, SigningAlgorithm};

    use super::*;

    fn wiki() -> WebApplication {
        WebApplication {
            name: Arc::from("wiki"),
            url: "https://wiki.example.com".to_owned(),
            upstream: None,
            groups: None,
            public: Vec::new(),
            headers: vec![(HeaderName::from_static("x-wiki-name"), ClaimSource::User)],
            audience: String::new(),
            algorithm: SigningAlgorithm::RS256,
            timeouts: tollgate_core::config::snapshot::Timeouts {
                connect: std::time::Duration::ZERO,
                first_byte: std::time::Duration::ZERO,
                idle: std::time::Duration::ZERO,
                total: std::time::Duration::ZERO,
            },
        }
    }

    /// An attack: somebody says who they are, in every way that a server may read.
    #[test]
    fn nobody_says_who_they_are() {
        for name in [
            "X-Tollgate-Identity",
            "X_Tollgate_Identity",
            "x-tollgate_IDENTITY",
            "X.Tollgate.Identity",
            "x-wiki-name",
            "X_WIKI_NAME",
            "Remote-User",
            "REMOTE_USER",
            "X-Forwarded-User",
            "X-Forwarded-For",
            "X-Remote-Group",
            "Cf-Access-Jwt-Assertion",
        ] {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("root"));
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("again"));
            headers.append("accept", HeaderValue::from_static("*/*"));
            strip(&mut headers, &wiki());
            assert_eq!(headers.len(), 1, "{name}: {headers:?}");
        }
    }

    #[test]
    fn what_is_between_neighbours_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret , upgrade"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("authorization", "Basic eDp5"),
            ("cookie", "a=1; __Host-tollgate-visit=x; b=2"),
            ("cookie", "tollgate-visit=x"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip(&mut headers, &wiki());
        let left: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(left, [("authorization", "Basic eDp5"), ("cookie", "a=1; b=2")]);
    }

    #[test]
    fn an_application_sets_no_cookie_of_the_gate() {
        let mut headers = HeaderMap::new();
        for line in [
            "a=1; Path=/",
            "__Host-tollgate-visit=x; Path=/; Secure",
            "tollgate-visit=y",
            " = tollgate-visit=z",
        ] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(line));
        }
        strip_answer(&mut headers);
        assert_eq!(headers.get_all(header::SET_COOKIE).iter().collect::<Vec<_>>(), ["a=1; Path=/"]);
    }
}
