//! A body that is gathered from its pieces, up to a limit. Most come in one piece, which is not copied.

use bytes::{Bytes, BytesMut};

/// A body that is being gathered.
#[derive(Debug)]
pub(crate) struct Gathered {
    limit: usize,
    first: Bytes,
    rest: Option<BytesMut>,
}

/// The body is larger than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverLimit;

impl Gathered {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, first: Bytes::new(), rest: None }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<(), OverLimit> {
        let length = self.rest.as_ref().map_or(self.first.len(), BytesMut::len);
        if length + piece.len() > self.limit {
            return Err(OverLimit);
        }
        match &mut self.rest {
            Some(rest) => rest.extend_from_slice(&piece),
            None if self.first.is_empty() => self.first = piece,
            None => {
                let mut both = BytesMut::with_capacity(2 * (length + piece.len()));
                both.extend_from_slice(&self.first);
                both.extend_from_slice(&piece);
                self.rest = Some(both);
            }
        }
        Ok(())
    }

    /// All of it.
    pub(crate) fn finish(self) -> Bytes {
        self.rest.map_or(self.first, BytesMut::freeze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_up_to_the_limit() {
        let mut gathered = Gathered::new(5);
        for piece in ["ab", "", "c", "de"] {
            gathered.push(piece.into()).unwrap();
        }
        assert_eq!(gathered.push("f".into()), Err(OverLimit));
        assert_eq!(gathered.finish(), "abcde");
        assert_eq!(Gathered::new(1).push("ab".into()), Err(OverLimit));
    }
}
