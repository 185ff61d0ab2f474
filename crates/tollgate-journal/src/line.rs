//! One line of a segment: an entry with its number and the hash of the line before it in front.
//!
//! `{"seq":12,"prev":"…64 digits…","entry":"opened",…}`. What is hashed is the line as it stands, without its end.

use std::io::Write;

use serde::Serialize;
use tollgate_core::ports::Position;

use crate::hash::Hash;

/// Room for the longest beginning: `{"seq":18446744073709551615,"prev":"…","` and some.
const ROOM: usize = 112;

/// Room for an entry of ordinary size, so that composing one allocates once.
const TYPICAL: usize = 1_536;

/// An entry that has been written out, with room for what comes before it.
#[derive(Clone, Debug)]
pub(crate) struct Composed(Vec<u8>);

impl Composed {
    /// Writes `entry`, an object, out. Outside of the journal's lock: it is the larger part of the work.
    pub(crate) fn new<T: Serialize>(entry: &T) -> serde_json::Result<Self> {
        let mut bytes = Vec::with_capacity(ROOM + TYPICAL);
        bytes.resize(ROOM, 0);
        serde_json::to_writer(&mut bytes, entry)?;
        bytes.push(b'\n');
        Ok(Self(bytes))
    }

    /// Its size.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// One that was written out before, as `json`.
    pub(crate) fn of(json: &[u8]) -> Self {
        Self([&[0; ROOM], json, b"\n"].concat())
    }

    /// The entry itself, as JSON, unless it was numbered last.
    pub(crate) fn body(&self) -> &[u8] {
        &self.0[ROOM..self.0.len() - 1]
    }

    /// Takes its number away.
    pub(crate) fn unnumbered(mut self) -> Self {
        self.0[ROOM] = b'{';
        self
    }

    /// The line, as number `seq` after the line whose hash is `prev`. Its last byte is the line's end.
    pub(crate) fn numbered(&mut self, seq: Position, prev: Hash) -> &[u8] {
        let mut head = [0_u8; ROOM];
        let mut rest = &mut head[..];
        // Always fits: the longest number has 20 digits.
        let written = write!(rest, "{{\"seq\":{seq},\"prev\":\"")
            .and_then(|()| rest.write_all(&prev.hex()))
            .and_then(|()| rest.write_all(b"\","))
            .map(|()| ROOM - rest.len())
            .unwrap_or(0);
        // The entry's own brace gives way to the line's.
        let start = ROOM + 1 - written;
        self.0[start..=ROOM].copy_from_slice(&head[..written]);
        &self.0[start..]
    }
}

/// What stands in front of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) seq: Position,
    pub(crate) prev: Hash,
}

impl Front {
    /// Reads the front of `line`, which must be spelt as this version spells it.
    pub(crate) fn of(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"seq\":")?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(digits);
        let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
        if number.first() == Some(&b'0') {
            return None;
        }
        let rest = rest.strip_prefix(b",\"prev\":\"")?;
        let prev = Hash::read(rest.get(..64)?)?;
        rest[64..].starts_with(b"\",\"entry\":\"").then_some(Self { seq, prev })
    }
}

/// Whether `line`, whose front is spelt as this version spells it, is an entry of `kind`. Reads no more than it must.
pub fn is_of(line: &[u8], kind: &str) -> bool {
    const NUMBER: usize = r#"{"seq":"#.len();
    const REST: usize = r#","prev":"","entry":""#.len() + 64;
    let digits = line.iter().skip(NUMBER).take_while(|byte| byte.is_ascii_digit()).count();
    let entry = line.get(NUMBER + digits + REST..).unwrap_or_default();
    entry.strip_prefix(kind.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_numbered_is_read_again() {
        for seq in [1, 10, u64::MAX] {
            let mut composed = Composed::new(&serde_json::json!({ "entry": "event", "n": 1 })).unwrap();
            let prev = Hash::genesis("x");
            let line = composed.numbered(seq, prev);
            assert_eq!(Front::of(line), Some(Front { seq, prev }));
            let value: serde_json::Value = serde_json::from_slice(line).unwrap();
            assert_eq!((value["seq"].as_u64(), &value["n"]), (Some(seq), &1.into()));
            assert_eq!(line.last(), Some(&b'\n'));
            assert_eq!(composed.unnumbered().body(), br#"{"entry":"event","n":1}"#);
        }
    }

    #[test]
    fn a_line_is_told_apart_by_what_stands_in_front() {
        for seq in [1, 1_234_567, u64::MAX] {
            let mut composed =
                Composed::new(&serde_json::json!({ "entry": "event", "entries": "opened" })).unwrap();
            let line = composed.numbered(seq, Hash::genesis("x"));
            assert!(is_of(line, "event"));
            assert!(!is_of(line, "even") && !is_of(line, "events") && !is_of(line, "opened"));
        }
        assert!(!is_of(b"{\"seq\":1", "event") && !is_of(b"", "event"));
    }

    #[test]
    fn another_spelling_is_none() {
        let good = format!(r#"{{"seq":1,"prev":"{}","entry":"event"}}"#, Hash::genesis("x"));
        assert!(Front::of(good.as_bytes()).is_some());
        for (from, to) in [
            (":1", ":01"),
            (":1", ": 1"),
            ("seq", "Seq"),
            ("entry", "prev"),
            (":1", ":"),
            ("\",\"entry", "0\",\"entry"),
        ] {
            assert_eq!(Front::of(good.replacen(from, to, 1).as_bytes()), None, "{from} -> {to}");
        }
    }
}
