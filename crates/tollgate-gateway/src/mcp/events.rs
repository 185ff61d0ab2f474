//! A stream of server-sent events to a client, each one message (WHATWG HTML §9.2).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use crate::answer::{AnswerBody, Events};

/// How often a quiet stream says that it is alive.
pub(super) const QUIET: Duration = Duration::from_secs(15);

/// An answer that is a stream of `events`.
pub(super) fn response(events: Events) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Events(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The event that is `message`, which is one line of JSON or several.
pub(super) fn event(message: &str) -> Bytes {
    let mut out = String::with_capacity(message.len() + 32);
    out.push_str("event: message\n");
    for line in message.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out.into()
}

/// A comment, which says that the connection is alive.
pub(super) const ALIVE: &[u8] = b": alive\n\n";

#[cfg(test)]
mod tests {
    #[test]
    fn a_message_of_several_lines_is_one_event() {
        assert_eq!(&super::event("{\n\"a\":1}")[..], b"event: message\ndata: {\ndata: \"a\":1}\n\n");
    }
}
