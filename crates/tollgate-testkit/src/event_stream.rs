//! AWS event streams, as Amazon writes them.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};

/// A frame with the event `name` and this payload; `exception:KIND` makes it an exception of that kind.
///
/// # Panics
/// When it is larger than a frame can be.
#[expect(clippy::expect_used, reason = "a test with such a frame has failed")]
pub fn frame(name: &str, payload: &[u8]) -> Vec<u8> {
    let (kind, header, name) = match name.strip_prefix("exception:") {
        Some(exception) => ("exception", ":exception-type", exception),
        None => ("event", ":event-type", name),
    };
    let text =
        |name: &str, value: &str| Header::new(name.to_owned(), HeaderValue::String(value.to_owned().into()));
    let message = Message::new(payload.to_vec())
        .add_header(text(header, name))
        .add_header(text(":content-type", "application/json"))
        .add_header(text(":message-type", kind));
    let mut out = Vec::new();
    write_message_to(&message, &mut out).expect("a frame has room for it");
    out
}
