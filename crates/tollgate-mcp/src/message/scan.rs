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
    Object(Open<'a>),
}

/// An object that has not ended.
struct Open<'a> {
    /// Where its names begin among those of all that are open, while they are few.
    first: usize,
    /// Its names, once they are many.
    many: Option<HashSet<Cow<'a, str>>>,
    key_next: bool,
}

impl<'a> Open<'a> {
    /// Whether `name` was not there; `few` are the names of all that are open.
    fn add(&mut self, few: &mut Vec<Cow<'a, str>>, name: Cow<'a, str>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(name);
        }
        let own = &few[self.first..];
        if own.contains(&name) {
            return false;
        }
        few.push(name);
        if few.len() - self.first > FEW {
            self.many = Some(few.drain(self.first..).collect());
        }
        true
    }
}

/// Refuses the JSON `text` where readers could disagree on it.
pub(super) fn scan(text: &str, limits: &Limits) -> Result<(), Refusal> {
    let bytes = text.as_bytes();
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut few: Vec<Cow<'_, str>> = Vec::with_capacity(FEW);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' if frames.len() >= limits.depth => return Err(Refusal::TooDeep(limits.depth)),
            b'{' => frames.push(Frame::Object(Open { first: few.len(), many: None, key_next: true })),
            b'[' => frames.push(Frame::List),
            b'}' | b']' => {
                if let Some(Frame::Object(open)) = frames.pop() {
                    few.truncate(open.first);
                }
            }
            b',' => {
                if let Some(Frame::Object(open)) = frames.last_mut() {
                    open.key_next = true;
                }
            }
            b'"' => {
                let end = string_end(bytes, at).unwrap_or(bytes.len());
                if let Some(Frame::Object(open)) = frames.last_mut()
                    && std::mem::take(&mut open.key_next)
                {
                    add(open, &mut few, text.get(at..end).unwrap_or_default())?;
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

fn add<'a>(open: &mut Open<'a>, few: &mut Vec<Cow<'a, str>>, raw: &'a str) -> Result<(), Refusal> {
    let name = string(raw).ok_or(Refusal::BadName)?;
    if open.add(few, name) {
        return Ok(());
    }
    Err(Refusal::Twice(string(raw).as_deref().map(shown).unwrap_or_default()))
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
