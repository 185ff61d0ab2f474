//! How a streamed answer is framed: as server-sent events, or, for a client that does not ask for these (`alt=sse`), as
//! one JSON array whose elements come one by one.

use serde::Serialize;

/// Frames the elements of one stream.
#[derive(Debug)]
pub(super) struct Framing {
    array: bool,
    begun: bool,
}

impl Framing {
    pub(super) fn new(array: bool) -> Self {
        Self { array, begun: false }
    }

    pub(super) fn is_array(&self) -> bool {
        self.array
    }

    /// Writes the next element.
    pub(super) fn element<T: Serialize>(&mut self, element: &T, out: &mut Vec<u8>) {
        if self.array {
            self.raw(&crate::json::written(element), out);
        } else {
            crate::sse::write_json(None, element, out);
        }
    }

    /// Writes the next element of an array, which is JSON already.
    pub(super) fn raw(&mut self, json: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(if self.begun { b",\n" } else { b"[" });
        self.begun = true;
        out.extend_from_slice(json);
    }

    /// What comes after the last element.
    pub(super) fn end(&self) -> &'static [u8] {
        match (self.array, self.begun) {
            (false, _) => b"",
            (true, true) => b"]\n",
            (true, false) => b"[]\n",
        }
    }
}

/// An error as the last element of a stream that has begun.
pub(super) fn error(error: &[u8], array: bool) -> Vec<u8> {
    if array { [b",\n", error, b"]\n"].concat() } else { crate::sse::event(None, error) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_array_is_whole_however_many_elements_came() {
        for count in 0..3 {
            let (mut framing, mut out) = (Framing::new(true), Vec::new());
            for number in 0..count {
                framing.element(&number, &mut out);
            }
            out.extend_from_slice(framing.end());
            let expected: Vec<i32> = (0..count).collect();
            assert_eq!(serde_json::from_slice::<Vec<i32>>(&out).unwrap(), expected);
        }
        let (mut framing, mut out) = (Framing::new(true), Vec::new());
        framing.element(&1, &mut out);
        out.extend(error(b"{\"error\":{}}", true));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), json!([1, { "error": {} }]));
    }

    #[test]
    fn events_need_no_end() {
        let (mut framing, mut out) = (Framing::new(false), Vec::new());
        framing.element(&1, &mut out);
        assert_eq!((out.as_slice(), framing.end()), (&b"data: 1\n\n"[..], &b""[..]));
    }
}
