//! How a streamed answer is cut into events: as server-sent events or as an AWS event stream. What reads the events
//! sees no difference.

use crate::event_stream::{Broken, EventStreamReader};
use crate::sse::{SseEvent, SseReader, TooLarge};

/// How a format frames its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// Amazon's frames.
    AwsEventStream,
}

impl Framing {
    /// The content type of a stream that is framed so.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::AwsEventStream => "application/vnd.amazon.eventstream",
        }
    }
}

/// A reader of either.
#[derive(Debug)]
pub enum EventReader {
    /// Of server-sent events.
    Sse(SseReader),
    /// Of Amazon's frames.
    AwsEventStream(EventStreamReader),
}

impl EventReader {
    /// A reader that refuses events of more than `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(SseReader::new(limit)),
            Framing::AwsEventStream => Self::AwsEventStream(EventStreamReader::new(limit)),
        }
    }

    /// Takes the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        match self {
            Self::Sse(reader) => reader.push(piece),
            Self::AwsEventStream(reader) => reader.push(piece),
        }
    }

    /// The next whole event, if there is one yet; `Err` where the stream cannot be read on.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, Broken> {
        match self {
            Self::Sse(reader) => reader.next_event().map_err(|TooLarge| Broken::TooLarge),
            Self::AwsEventStream(reader) => reader.next_event(),
        }
    }

    /// The event that the end of the stream completes, if any: a frame says its length and is never completed so.
    pub fn finish(&mut self) -> Option<SseEvent> {
        match self {
            Self::Sse(reader) => reader.finish(),
            Self::AwsEventStream(_) => None,
        }
    }
}
