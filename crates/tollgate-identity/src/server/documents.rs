//! Clients whose id is the address of a document that says what they are (OAuth Client ID Metadata Document), where `mcp`
//! allows it. The document is fetched by the gate's guarded client: over TLS, from a public address, without following
//! redirects.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use moka::sync::Cache;
use serde::Deserialize;
use tollgate_core::config::identity::Client;

use super::clients::stranger;
use super::register::{Said, check, shown};
use super::reply::Error;
use super::{Call, IdentityServer};

/// For so long a document is not fetched again.
const KNOWN: Duration = Duration::from_mins(10);

/// For so long one is not that could not be fetched, or says what cannot be.
const REFUSED: Duration = Duration::from_mins(1);

/// The largest document, in bytes.
const LARGEST: usize = 10 << 10;

/// The longest address.
const LONGEST: usize = 512;

/// Documents that were fetched of late.
pub(crate) struct Documents {
    known: Cache<String, Arc<Client>>,
    refused: Cache<String, String>,
}

impl Default for Documents {
    fn default() -> Self {
        let cache = |lasts| Cache::builder().max_capacity(1_000).time_to_live(lasts);
        Self {
            known: cache(KNOWN).build(),
            refused: Cache::builder().max_capacity(1_000).time_to_live(REFUSED).build(),
        }
    }
}

/// A document.
#[derive(Deserialize)]
struct Document {
    client_id: String,
    #[serde(flatten)]
    said: Said,
}

impl IdentityServer {
    /// The client whose document is at `id`.
    pub(crate) async fn documented(&self, call: &Call<'_>, id: &str) -> Result<Arc<Client>, Error> {
        let wrong = |why: &str| Error::new("invalid_client", format!("the client's document: {why}"));
        let uri = address(id).ok_or_else(|| wrong("its address is none that a client may have"))?;
        if let Some(client) = self.documents.known.get(id) {
            return Ok(client);
        }
        if let Some(why) = self.documents.refused.get(id) {
            return Err(wrong(&why));
        }
        self.rate.take_from("document", call.peer, 30)?;
        // From wherever strangers come: each is a request of the gate, and an entry in its journal.
        self.rate.take("document", "", 300)?;
        let fetch = self.fetch()?;
        // Why not stands in the journal: strangers learn nothing of what there is inside.
        let fetched = fetch.fetch_for_stranger(uri).await.map_err(|_| "it cannot be fetched".to_owned());
        let client = fetched.and_then(|text| read(call, id, &text));
        match client {
            Ok(client) => {
                let client = Arc::new(client);
                self.documents.known.insert(id.to_owned(), Arc::clone(&client));
                Ok(client)
            }
            Err(why) => {
                self.documents.refused.insert(id.to_owned(), why.clone());
                Err(wrong(&why))
            }
        }
    }
}

/// The address that `id` is: of HTTPS, with a path, and nothing that makes two addresses of one document.
fn address(id: &str) -> Option<Uri> {
    let uri: Uri = id.parse().ok()?;
    let plain =
        id.len() <= LONGEST && id.bytes().all(|b| b.is_ascii_graphic()) && !id.contains(['#', '\\', '@']);
    let usual = uri.port_u16().is_none_or(|port| port == 443);
    let dots = uri.path().split('/').any(|part| matches!(part, "." | ".."));
    (plain
        && usual
        && uri.scheme_str() == Some("https")
        && uri.path().len() > 1
        && uri.query().is_none()
        && !dots)
        .then_some(uri)
}

fn read(call: &Call<'_>, id: &str, text: &[u8]) -> Result<Client, String> {
    if text.len() > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let document: Document = serde_json::from_slice(text).map_err(|_| "it cannot be read".to_owned())?;
    if document.client_id != id {
        return Err("it is of another client (`client_id`)".to_owned());
    }
    check(&document.said).map_err(|error| error.why)?;
    let host = id.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let mut client = stranger(call.server, id);
    // The host is what is known of it for certain.
    client.name = match document.said.client_name.as_deref() {
        Some(name) => format!("{host} (which calls itself {})", shown(Some(name), "nothing")),
        None => host,
    };
    client.redirect_uris = document.said.redirect_uris.unwrap_or_default();
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_called_by_one_address() {
        assert!(address("https://app.example.com/client.json").is_some());
        for wrong in [
            "https://app.example.com",
            "https://app.example.com:8443/client.json",
            "https://app.example.com/",
            "http://app.example.com/client.json",
            "https://app.example.com/a/../client.json",
            "https://app.example.com/./client.json",
            "https://app.example.com/client.json?x=1",
            "https://app.example.com/client.json#x",
            "https://user@app.example.com/client.json",
            "https://app.example.com/client json",
        ] {
            assert!(address(wrong).is_none(), "{wrong}");
        }
    }
}
