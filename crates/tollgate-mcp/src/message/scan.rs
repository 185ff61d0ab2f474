//! What JSON allows and two parsers may still read differently: a member twice in one object, a number that does not
//! fit, and nesting that a recursive reader does not survive. One pass over text that is known to be JSON.

use std::borrow::Cow;
use std::collections::HashSet;

use super::read::{Limits, Refusal};
use crate::json::{string, string_end};

/// So many names are compared one by one; more are hashed, so that a huge object takes no quadratic time.
const FEW: usize = 16;

enum Frame<'a> {
    List,
    Object { names: Names<'a>, key_next: bool },
}

enum Names<'a> {
    Few(Vec<Cow<'a, str>>),
    Many(HashSet<Cow<'a, str>>),
}

impl<'a> Names<'a> {
    /// Whether `name` was not there.
    fn add(&mut self, name: Cow<'a, str>) -> bool {
        match self {
            Self::Few(names) if names.contains(&name) => false,
            Self::Few(names) if names.len() < FEW => {
                names.push(name);
                true
            }
            Self::Few(names) => {
                let mut many: HashSet<_> = names.drain(..).collect();
                let new = many.insert(name);
                *self = Self::Many(many);
                new
            }
            Self::Many(names) => names.insert(name),
        }
    }
}

/// Refuses the JSON `text` where readers could disagree on it.
pub(super) fn scan(text: &str, limits: &Limits) -> Result<(), Refusal> {
    let bytes = text.as_bytes();
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' if frames.len() >= limits.depth => return Err(Refusal::TooDeep(limits.depth)),
            b'{' => frames.push(Frame::Object { names: Names::Few(Vec::new()), key_next: true }),
            b'[' => frames.push(Frame::List),
            b'}' | b']' => {
                frames.pop();
            }
            b',' => {
                if let Some(Frame::Object { key_next, .. }) = frames.last_mut() {
                    *key_next = true;
                }
            }
            b'"' => {
                let end = string_end(bytes, at).unwrap_or(bytes.len());
                if let Some(Frame::Object { names, key_next }) = frames.last_mut()
                    && std::mem::take(key_next)
                {
                    add(names, text.get(at..end).unwrap_or_default())?;
                }
                at = end;
                continue;
            }
            b'-' | b'0'..=b'9' => {
                at += number(&bytes[at..], limits)?;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

fn add<'a>(names: &mut Names<'a>, raw: &'a str) -> Result<(), Refusal> {
    let name = string(raw).ok_or(Refusal::BadName)?;
    let shown = shown(&name);
    if names.add(name) { Ok(()) } else { Err(Refusal::Twice(shown)) }
}

/// A member's name as a refusal tells it: the start of it.
fn shown(name: &str) -> String {
    name.get(..name.floor_char_boundary(64)).unwrap_or_default().to_owned()
}

/// How long the number at the start of `bytes` is.
fn number(bytes: &[u8], limits: &Limits) -> Result<usize, Refusal> {
    let part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = bytes.iter().take_while(|b| part(b)).count();
    let digits = &bytes[..length];
    if length > limits.number_bytes {
        return Err(Refusal::Number);
    }
    // Only an exponent makes a short number one that no double holds: to some readers infinity, to others an error.
    let exponent = digits.iter().any(|b| matches!(b, b'e' | b'E'));
    let value = || std::str::from_utf8(digits).ok()?.parse::<f64>().ok();
    if exponent && !value().is_some_and(f64::is_finite) {
        return Err(Refusal::Number);
    }
    Ok(length)
}
