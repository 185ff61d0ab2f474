//! Blanking out what should not be kept: keys, e-mail addresses, card and telephone numbers, and what the configuration
//! names besides. It errs on the side of blanking out too much.

use std::borrow::Cow;

use regex::{Captures, Regex};
use serde_json::Value;

/// What each kind looks like. The first that fits counts.
const KINDS: &[(&str, &str)] = &[
    ("private_key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"),
    ("key", r"\b(?:sk|pk|rk|xox[abprs]|gh[pousr]|glpat|hf|npm|AIza|ya29)[-_.][A-Za-z0-9_\-.]{8,}"),
    ("key", r"\b(?:AIza[A-Za-z0-9_\-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16})"),
    ("key", r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"),
    ("key", r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9+/_\-.=]{16,}"),
    ("key", r#"(?i)\b(?:password|passwd|secret|token|api[_\-]?key)["']?\s*[:=]\s*["']?[^\s"',;]{6,}"#),
    ("email", r"\b[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}\b"),
    ("card", r"\b(?:\d[ \-]?){12,18}\d\b"),
    ("phone", r"(?:\+\d{1,3}[\s.\-]?|\b0)(?:\(\d{1,4}\)[\s.\-]?)?\d{2,5}(?:[\s.\-/]?\d{2,5}){1,4}\b"),
    ("phone", r"(?:\(\d{3}\)\s?|\b\d{3}[\s.\-])\d{3}[\s.\-]\d{4}\b"),
];

/// JSON nests to so many levels, those of JSON in strings included. What is deeper is not kept.
const DEEPEST: usize = 100;

/// What stands for what cannot be looked into.
const UNREADABLE: &str = "[not readable]";

/// Whether a member called `name` holds a secret.
fn is_secret(name: &str) -> bool {
    let bare: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "token",
        "privatekey",
        "accesskey",
        "authorization",
    ]
    .iter()
    .any(|known| bare.ends_with(known))
}

/// What blanks out.
#[derive(Clone, Debug)]
pub struct Redactor(Vec<(&'static str, Regex)>);

impl Redactor {
    /// What blanks out the known kinds and `own` patterns.
    ///
    /// # Errors
    /// One of them is no regular expression; which, and why.
    pub fn new(own: &[String]) -> Result<Self, String> {
        let own = own.iter().map(|pattern| ("own", pattern.as_str()));
        let compiled = KINDS.iter().copied().chain(own).map(|(kind, pattern)| {
            // Bounded, so that a pattern of the configuration cannot take all memory.
            let built = regex::RegexBuilder::new(pattern).size_limit(4 << 20).build();
            built.map(|regex| (kind, regex)).map_err(|e| format!("`{pattern}`: {e}"))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// `text` without what should not be kept. Where it is JSON, the strings in it are looked at as what they say and not
    /// as what they are written as: an escape hides nothing.
    pub fn redact(&self, text: &str) -> String {
        self.within(text, DEEPEST)
    }

    /// The same, to a depth: JSON in strings in JSON could go on for ever.
    fn within(&self, text: &str, depth: usize) -> String {
        let looks_like_json = text.trim_start().starts_with(['{', '[']);
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) if looks_like_json => {
                self.value(&mut value, depth);
                value.to_string()
            }
            // What an escape says cannot be seen here, and may be what has to go.
            Err(_) if text.contains("\\u") => UNREADABLE.to_owned(),
            _ => self.text(text).into_owned(),
        }
    }

    fn value(&self, value: &mut Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            *value = Value::from(UNREADABLE);
            return;
        };
        match value {
            Value::String(text) => {
                // Arguments of tools are JSON in a string.
                let redacted = self.within(text, depth);
                *text = redacted;
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, depth)),
            Value::Object(members) => {
                let taken = std::mem::take(members);
                for (name, mut value) in taken {
                    match &value {
                        Value::String(_) | Value::Number(_) if is_secret(&name) => {
                            value = Value::from("[key]")
                        }
                        _ => self.value(&mut value, depth),
                    }
                    members.insert(self.text(&name).into_owned(), value);
                }
            }
            // A card's number fits into a number too.
            Value::Number(number) => {
                let text = number.to_string();
                if let Cow::Owned(redacted) = self.text(&text) {
                    *value = Value::String(redacted);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (kind, regex) in &self.0 {
            let replace = |found: &Captures<'_>| match *kind {
                "card" if !is_card(&found[0]) => found[0].to_owned(),
                kind => format!("[{kind}]"),
            };
            if let Cow::Owned(replaced) = regex.replace_all(&text, replace) {
                text = Cow::Owned(replaced);
            }
        }
        text
    }
}

/// Whether the digits of `text` end with the right check digit (ISO/IEC 7812-1, Luhn).
fn is_card(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|b| u32::from(b - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_blanked_out() {
        let redactor = Redactor::new(&["project-[a-z]+".to_owned()]).unwrap();
        for (text, expected) in [
            ("my key is sk-abcdefghij123 ok", "my key is [key] ok"),
            ("AKIAIOSFODNN7EXAMPLE", "[key]"),
            ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: [key]"),
            ("write to ann.lee+x@mail.example.org!", "write to [email]!"),
            ("4111 1111 1111 1111", "[card]"),
            ("call +49 170 1234567 now", "call [phone] now"),
            ("or (555) 123-4567", "or [phone]"),
            ("codename project-zephyr", "codename [own]"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc", "[private_key]"),
            ("in 2024 there were 12345 of 17", "in 2024 there were 12345 of 17"),
            ("version 1.22.333 of order 4111-1111", "version 1.22.333 of order 4111-1111"),
        ] {
            assert_eq!(redactor.redact(text), expected);
        }
        assert!(Redactor::new(&["(".to_owned()]).unwrap_err().contains('('));
    }

    /// An attack: JSON in a string in JSON, and so on, until the stack is full.
    #[test]
    fn nesting_ends_somewhere() {
        let redactor = Redactor::new(&[]).unwrap();
        let mut text = "[1]".to_owned();
        for _ in 0..200 {
            let quoted: String = text
                .chars()
                .map(|c| match c {
                    '"' => "\\u0022".to_owned(),
                    '\\' => "\\u005c".to_owned(),
                    c => c.to_string(),
                })
                .collect();
            text = format!("{}\"{quoted}\"{}", "[".repeat(90), "]".repeat(90));
            if text.len() > 300_000 {
                break;
            }
        }
        assert!(redactor.redact(&text).contains("[not readable]"));
        assert_eq!(redactor.redact("{\"a\":\"x@y.example"), "{\"a\":\"[email]");
        assert_eq!(redactor.redact("{\"a\":\"x\\u0040y.example"), "[not readable]");
    }

    #[test]
    fn members_that_hold_secrets_are_blanked_out() {
        let redactor = Redactor::new(&[]).unwrap();
        let body = r#"{"db":{"password":"hunter22"},"api_key":12345,"max_tokens":5,"arguments":"{\"X-Api-Key\":\"abc\"}"}"#;
        assert_eq!(
            redactor.redact(body),
            r#"{"db":{"password":"[key]"},"api_key":"[key]","max_tokens":5,"arguments":"{\"X-Api-Key\":\"[key]\"}"}"#
        );
    }

    /// An attack: what an escape or a nested JSON hides from a search of the bytes.
    #[test]
    fn escapes_hide_nothing() {
        let redactor = Redactor::new(&[]).unwrap();
        let body = r#"{"a":"ann\u0040mail.example.org","b":{"c":["{\"to\":\"bob\\u0040mail.example.org\"}"]},"n":4111111111111111,"ann@x.org":1}"#;
        let redacted = redactor.redact(body);
        assert_eq!(
            redacted,
            r#"{"a":"[email]","b":{"c":["{\"to\":\"[email]\"}"]},"n":"[card]","[email]":1}"#
        );
    }
}
