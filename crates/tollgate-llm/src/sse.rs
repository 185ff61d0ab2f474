//! Server-sent events (WHATWG HTML, "9.2.6 Interpreting an event stream"): a reader that is fed whatever the
//! network gives and yields whole events, each with the very bytes that it came in.

use bytes::{Bytes, BytesMut};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The bytes that it came in, with comments and the blank line that ends it.
    pub raw: Bytes,
    /// Its `event` field; `None` when absent.
    pub name: Option<Bytes>,
    /// Its `data` fields, joined by line feeds; empty when there were none.
    pub data: Bytes,
}

/// An event is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// The reader.
#[derive(Debug)]
pub struct SseReader {
    buffer: BytesMut,
    /// Where the line that is being read begins.
    line: usize,
    /// Up to where the buffer has been looked at.
    seen: usize,
    limit: usize,
    at_start: bool,
}

impl SseReader {
    /// A reader that refuses events of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), line: 0, seen: 0, limit, at_start: true }
    }

    /// Takes the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole event, if there is one yet.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, TooLarge> {
        if self.inside_byte_order_mark() {
            return Ok(None);
        }
        while let Some(found) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.seen..]) {
            let end = self.seen + found;
            let after = match (self.buffer[end], self.buffer.get(end + 1)) {
                (b'\r', Some(b'\n')) => end + 2,
                // The line feed that belongs to it may come with the next piece.
                (b'\r', None) => break,
                _ => end + 1,
            };
            let blank = end == self.line;
            self.line = after;
            self.seen = after;
            if blank {
                let raw = self.buffer.split_to(after).freeze();
                self.line = 0;
                self.seen = 0;
                if raw.len() > self.limit {
                    return Err(TooLarge);
                }
                return Ok(Some(parse(raw)));
            }
        }
        if self.buffer.len() > self.limit {
            return Err(TooLarge);
        }
        self.seen = self.buffer.len() - usize::from(self.buffer.ends_with(b"\r"));
        Ok(None)
    }

    /// What is left when the stream has ended. The specification drops an event without its blank line, but
    /// several servers leave the last one out, so it counts when it has data; its bytes are completed.
    pub fn finish(&mut self) -> Option<SseEvent> {
        let mut rest = std::mem::take(&mut self.buffer);
        self.line = 0;
        self.seen = 0;
        if rest.is_empty() {
            return None;
        }
        while rest.ends_with(b"\n") || rest.ends_with(b"\r") {
            rest.truncate(rest.len() - 1);
        }
        rest.extend_from_slice(b"\n\n");
        Some(parse(rest.freeze())).filter(|event| !event.data.is_empty())
    }

    /// Takes a byte order mark away; while only a part of one is here, nothing can be read.
    fn inside_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.at_start || self.buffer.is_empty() {
            return false;
        }
        if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
            return true;
        }
        self.at_start = false;
        if self.buffer.starts_with(MARK) {
            let _ = self.buffer.split_to(MARK.len());
        }
        false
    }
}

fn parse(raw: Bytes) -> SseEvent {
    let mut name = None;
    let mut data: Option<Bytes> = None;
    let mut joined: Option<BytesMut> = None;
    let mut rest = 0;
    while rest < raw.len() {
        let end = memchr::memchr2(b'\n', b'\r', &raw[rest..]).map_or(raw.len(), |found| rest + found);
        let (start, line) = (rest, &raw[rest..end]);
        rest = end + 1 + usize::from(raw.get(end) == Some(&b'\r') && raw.get(end + 1) == Some(&b'\n'));
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let mut value = (colon + 1).min(line.len());
        value += usize::from(line.get(value) == Some(&b' '));
        let value = raw.slice(start + value..end);
        match &line[..colon] {
            b"event" => name = Some(value),
            b"data" => match (&mut joined, data.take()) {
                (Some(joined), _) => {
                    joined.extend_from_slice(b"\n");
                    joined.extend_from_slice(&value);
                }
                (None, None) => data = Some(value),
                (None, Some(first)) => {
                    let mut both = BytesMut::from(&first[..]);
                    both.extend_from_slice(b"\n");
                    both.extend_from_slice(&value);
                    joined = Some(both);
                }
            },
            _ => {}
        }
    }
    SseEvent { name, data: joined.map(BytesMut::freeze).or(data).unwrap_or_default(), raw }
}

/// An event with `data` and, where given, a name, as bytes.
pub fn event(name: Option<&str>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 32);
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
    out
}

/// Appends an event whose data is `value` as JSON. What formats write has only texts for keys: nothing can fail.
pub fn write_json<T: serde::Serialize>(name: Option<&str>, value: &T, out: &mut Vec<u8>) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    let _ = serde_json::to_writer(&mut *out, value);
    out.extend_from_slice(b"\n\n");
}

/// How many random cases a property is tried with: few in `make test`, many in `make fuzz`.
#[cfg(test)]
pub(crate) fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let mut reader = SseReader::new(1 << 20);
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Some(event) = reader.next_event().unwrap() {
                events.push(event);
            }
        }
        events.extend(reader.finish());
        events
    }

    fn data(events: &[SseEvent]) -> Vec<&str> {
        events.iter().map(|e| std::str::from_utf8(&e.data).unwrap()).collect()
    }

    #[test]
    fn every_line_ending_of_the_specification_ends_a_line() {
        for text in [
            "data: a\n\ndata: b\n\n",
            "data: a\r\n\r\ndata: b\r\n\r\n",
            "data: a\r\rdata: b\r\r",
            "\u{feff}data: a\n\ndata:b",
        ] {
            assert_eq!(data(&read_all(&[text.as_bytes()])), ["a", "b"], "{text:?}");
        }
    }

    #[test]
    fn fields_comments_and_many_lines_of_data() {
        let events = read_all(&[b": hi\nevent: x\nid: 1\ndata: one\ndata:two\ndata\ndata: \n\n"]);
        assert_eq!(events[0].name.as_deref(), Some(&b"x"[..]));
        assert_eq!(data(&events), ["one\ntwo\n\n"]);
    }

    #[test]
    fn a_line_without_end_is_refused_and_takes_no_more_room() {
        let mut reader = SseReader::new(1000);
        let mut refused = false;
        for _ in 0..100 {
            reader.push(&[b'x'; 100]);
            refused |= reader.next_event().is_err();
            if refused {
                break;
            }
        }
        assert!(refused && reader.buffer.len() <= 1100);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

        /// However the network cuts the stream, the events are the same, and no byte is lost or made up.
        #[test]
        fn the_cuts_do_not_matter(text in "\u{feff}?(data: [a-z]{0,5}|event: e|:c|\r|\n|\r\n|\n\n|ü|data){0,40}", cuts in proptest::collection::vec(0..200_usize, 0..10)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in cuts {
                pieces.push(&bytes[at..cut]);
                at = cut;
            }
            pieces.push(&bytes[at..]);
            let whole = read_all(&[bytes]);
            let cut = read_all(&pieces);
            prop_assert_eq!(&whole, &cut);
            let raw: Vec<u8> = whole.iter().flat_map(|e| e.raw.to_vec()).collect();
            let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
            prop_assert!(bytes.starts_with(raw.trim_ascii_end()) || raw.trim_ascii_end().starts_with(bytes.trim_ascii_end()));
        }

        /// Any bytes at all: an answer, never a panic, and never more memory than the limit and one piece.
        #[test]
        fn any_bytes_are_read_or_refused(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..32)) {
            let mut reader = SseReader::new(256);
            for piece in &pieces {
                reader.push(piece);
                while let Ok(Some(_)) = reader.next_event() {}
                if reader.next_event().is_err() { break; }
                prop_assert!(reader.buffer.len() <= 256);
            }
            reader.finish();
        }
    }
}
