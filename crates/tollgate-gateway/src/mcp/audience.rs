//! Who shares a link to a tool server. What a server remembers of a client (files that it opened, a page that it looks at)
//! must not be there for another one.

use tollgate_core::config::tools::{Reached, ToolServer};
use tollgate_core::digest::DigestKey;

use super::client::Client;

/// Everybody's link.
pub(super) const SHARED: &str = "shared";

/// Whose link it is that `client`, who speaks for `whose`, uses to reach `server`: everybody's where the configuration
/// shares it by name; otherwise, of a child process, the principal's, and over HTTP that of the client's session. A client
/// that can do other things gets another: servers offer what the client can do.
pub(super) fn audience(server: &ToolServer, client: &Client, whose: &str, key: &DigestKey) -> String {
    if server.shared {
        return SHARED.to_owned();
    }
    match (&server.reached, &client.session) {
        (Reached::Url(_), Some(session)) => format!("session/{}", session.name),
        _ => {
            let can = key.digest(client.capabilities.as_bytes()).to_string();
            format!("{whose}#{}", &can[..16])
        }
    }
}
