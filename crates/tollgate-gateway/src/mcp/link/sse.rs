//! HTTP with server-sent events, as in 2024-11-05: one stream of events brings everything that the server says, and tells
//! where messages are posted.

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tollgate_core::config::tools::{ToolServer, Url};
use tollgate_core::identity::Acting;
use tollgate_llm::sse::{SseEvent, SseReader};

use super::http::{Http, is_events, too_large};
use super::pipe::{MOST_OUTGOING, Pipe};
use super::pool::Means;
use super::{Heard, LinkError};
use crate::upstream::UpstreamBody;

/// Opens the stream, and waits until the server has said where to post.
pub(super) async fn open(
    means: &Arc<Means>,
    server: &Arc<ToolServer>,
    (url, acting): (&Url, Option<&Acting>),
    events: broadcast::Sender<Heard>,
    deadline: Instant,
) -> Result<Arc<Pipe>, LinkError> {
    let http = Http::new(means, server, url, acting);
    let response = http.get(None, deadline).await?;
    if !response.status.is_success() || !is_events(&response.headers) {
        return Err(http.refused(response).await);
    }
    let limit = server.limits.message_bytes;
    let mut stream = Stream { body: response.body, reader: SseReader::new(limit), limit };
    let endpoint = loop {
        let event = stream.event().await.map_err(|error| LinkError::NotSent(error.to_string()))?;
        if event.name.as_deref() == Some(b"endpoint") {
            break endpoint(&url.uri, &event.data)?;
        }
    };
    let (out, outgoing) = mpsc::channel(MOST_OUTGOING);
    let pipe = Pipe::new(server, out, events);
    tokio::spawn(post(Arc::clone(&pipe), http, endpoint, outgoing));
    tokio::spawn(read(Arc::clone(&pipe), stream));
    Ok(pipe)
}

/// Where messages are posted: at the same server. Its credential goes nowhere else.
fn endpoint(base: &Uri, said: &[u8]) -> Result<Uri, LinkError> {
    let garbage = |why: &str| LinkError::Garbage(format!("where it wants messages is {why}"));
    let said = std::str::from_utf8(said).map_err(|_| garbage("no address"))?.trim();
    let parsed: Uri = if said.starts_with("//") {
        // Another host, by the same scheme (RFC 3986 §4.2).
        format!("{}:{said}", base.scheme_str().unwrap_or("https"))
            .parse()
            .map_err(|_| garbage("no address"))?
    } else if said.starts_with('/') {
        let mut parts = base.clone().into_parts();
        parts.path_and_query = Some(said.parse().map_err(|_| garbage("no address"))?);
        Uri::from_parts(parts).map_err(|_| garbage("no address"))?
    } else if said.contains("://") {
        said.parse().map_err(|_| garbage("no address"))?
    } else {
        // Relative to the folder of the stream's own address (RFC 3986 §5.2.3).
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        return endpoint(base, format!("{folder}/{said}").as_bytes());
    };
    let same = parsed.scheme() == base.scheme()
        && parsed.host() == base.host()
        && parsed.port_u16() == base.port_u16();
    if same { Ok(parsed) } else { Err(garbage("at another host")) }
}

/// The stream of everything that the server says.
struct Stream {
    body: UpstreamBody,
    reader: SseReader,
    limit: usize,
}

impl Stream {
    async fn event(&mut self) -> Result<SseEvent, LinkError> {
        loop {
            let next = self.reader.next_event().map_err(|_| too_large(self.limit))?;
            if let Some(event) = next {
                return Ok(event);
            }
            match self.body.piece().await {
                Some(Ok(piece)) => self.reader.push(&piece),
                Some(Err(why)) => {
                    return Err(LinkError::Broken(format!("the server's stream broke off: {why}")));
                }
                None => return Err(LinkError::Broken("the server's stream ended".to_owned())),
            }
        }
    }
}

async fn read(pipe: Arc<Pipe>, mut stream: Stream) {
    loop {
        let event = tokio::select! {
            event = stream.event() => event,
            () = pipe.until_over() => return,
        };
        match event {
            Ok(event)
                if event.data.is_empty() || event.name.as_deref().is_some_and(|name| name != b"message") => {}
            Ok(event) => {
                if let Err(error) = pipe.heard(event.data) {
                    return pipe.fail(error);
                }
            }
            Err(error) => return pipe.fail(error),
        }
    }
}

async fn post(pipe: Arc<Pipe>, http: Arc<Http>, endpoint: Uri, mut outgoing: mpsc::Receiver<Bytes>) {
    loop {
        let message = tokio::select! {
            message = outgoing.recv() => message,
            () = pipe.until_over() => None,
        };
        let Some(message) = message else { return };
        let posted = http.post_to(&endpoint, message).await;
        if let Err(error) = posted {
            return pipe.close(&error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_posted_to_the_same_server_only() {
        let base: Uri = "https://a.example:8443/x/sse?k=1".parse().unwrap();
        let to = |said: &str| endpoint(&base, said.as_bytes()).map(|uri| uri.to_string());
        assert_eq!(to("/messages?id=7").unwrap(), "https://a.example:8443/messages?id=7");
        assert_eq!(to("messages").unwrap(), "https://a.example:8443/x/messages");
        assert_eq!(to("https://a.example:8443/m").unwrap(), "https://a.example:8443/m");
        for elsewhere in [
            "https://b.example:8443/m",
            "http://a.example:8443/m",
            "https://a.example/m",
            "//b.example/m",
            "\u{0}",
        ] {
            assert!(to(elsewhere).is_err(), "{elsewhere}");
        }
    }
}
