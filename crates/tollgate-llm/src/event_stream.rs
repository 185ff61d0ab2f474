//! AWS event streams (`application/vnd.amazon.eventstream`): a reader that is fed whatever the network gives and
//! yields whole events, in the form that server-sent events have.
//!
//! A frame is its length, its headers' length, a checksum of both, headers, a payload and a checksum of it all
//! (Smithy, "Amazon Event Stream Specification").

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};

use crate::sse::SseEvent;

/// What the name of an event begins with that says what went wrong; the kind of the exception follows.
pub const EXCEPTION: &str = "exception:";

/// Two lengths, their checksum and the checksum of the whole: no frame is shorter.
const SHORTEST: usize = 16;

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An event is larger than the limit.
    TooLarge,
    /// The bytes are no frame; why.
    Corrupt(String),
}

/// The reader.
#[derive(Debug)]
pub struct EventStreamReader {
    buffer: BytesMut,
    limit: usize,
}

impl EventStreamReader {
    /// A reader that refuses frames of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    /// Takes the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole event, if there is one yet. Once it has failed, the stream cannot be read on: where the next
    /// frame begins is not known.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, Broken> {
        let Some(length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(Broken::TooLarge);
        }
        if length < SHORTEST {
            return Err(Broken::Corrupt("a frame is too short".to_owned()));
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let raw = self.buffer.split_to(length).freeze();
        let message = read_message_from(raw.clone()).map_err(|e| Broken::Corrupt(e.to_string()))?;
        Ok(Some(event(&message, raw)))
    }
}

/// An exception is named by what it is; so is an error that the service had no type for.
fn event(message: &Message, raw: Bytes) -> SseEvent {
    let header = |name: &str| {
        let found = message.headers().iter().find(|header| header.name().as_str() == name);
        found.and_then(|header| header.value().as_string().ok()).map(|text| text.as_bytes().clone())
    };
    let failed = |kind: Option<Bytes>| {
        let kind = kind.unwrap_or_default();
        Some(Bytes::from([EXCEPTION.as_bytes(), &kind].concat()))
    };
    let (name, data) = match header(":message-type").as_deref() {
        Some(b"exception") => (failed(header(":exception-type")), message.payload().clone()),
        Some(b"error") => {
            let said = header(":error-message").unwrap_or_default();
            let said = serde_json::json!({ "message": String::from_utf8_lossy(&said) });
            (failed(header(":error-code")), Bytes::from(said.to_string()))
        }
        _ => (header(":event-type"), message.payload().clone()),
    };
    SseEvent { raw, name, data }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_testkit::frame;

    use super::*;
    use crate::sse::cases;

    fn read_all(pieces: &[&[u8]]) -> (Vec<SseEvent>, Option<Broken>) {
        let mut reader = EventStreamReader::new(1 << 16);
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece);
            loop {
                match reader.next_event() {
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => break,
                    Err(broken) => return (events, Some(broken)),
                }
            }
        }
        (events, None)
    }

    #[test]
    fn events_and_exceptions_have_names() {
        let bytes =
            [frame("messageStart", b"{}"), frame("exception:throttlingException", b"{\"message\":\"slow\"}")];
        let (events, broken) = read_all(&[&bytes.concat()]);
        assert_eq!(broken, None);
        let names: Vec<_> = events.iter().map(|e| e.name.as_deref().unwrap()).collect();
        assert_eq!(names, [&b"messageStart"[..], b"exception:throttlingException"]);
        assert_eq!(
            (&events[1].data[..], &events[0].raw),
            (&b"{\"message\":\"slow\"}"[..], &Bytes::from(bytes[0].clone()))
        );
    }

    #[test]
    fn what_is_too_large_or_damaged_is_refused() {
        let mut reader = EventStreamReader::new(100);
        reader.push(&[0, 0, 0, 101]);
        assert_eq!(reader.next_event(), Err(Broken::TooLarge), "before the rest has come");
        let mut reader = EventStreamReader::new(100);
        reader.push(&[0, 0, 0, 15]);
        assert!(matches!(reader.next_event(), Err(Broken::Corrupt(_))));
        let whole = frame("e", b"{\"a\":1}");
        for at in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let (events, broken) = read_all(&[&damaged]);
            assert!(events.is_empty() && matches!(broken, Some(Broken::Corrupt(_))), "byte {at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

        /// However the network cuts the stream, the events are the same.
        #[test]
        fn the_cuts_do_not_matter(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8),
            cuts in proptest::collection::vec(0..2000_usize, 0..10),
        ) {
            let bytes = payloads.iter().flat_map(|payload| frame("contentBlockDelta", payload)).collect::<Vec<_>>();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in cuts {
                pieces.push(&bytes[at..cut]);
                at = cut;
            }
            pieces.push(&bytes[at..]);
            let (cut, broken) = read_all(&pieces);
            prop_assert_eq!(broken, None);
            let data: Vec<&[u8]> = cut.iter().map(|event| &event.data[..]).collect();
            prop_assert_eq!(data, payloads.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(cut.iter().flat_map(|e| e.raw.to_vec()).collect::<Vec<_>>(), bytes);
        }

        /// Any bytes at all, and any change of good ones: events or a refusal, never a panic.
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            payload in proptest::collection::vec(any::<u8>(), 0..40),
            changes in proptest::collection::vec((0..100_usize, any::<u8>()), 0..4),
        ) {
            read_all(&[&bytes]);
            let mut damaged = frame("e", &payload);
            for (at, byte) in changes {
                let at = at % damaged.len();
                damaged[at] = byte;
            }
            read_all(&[&damaged, &bytes]);
        }
    }
}
