//! Reading a few members of a JSON body in place, and replacing them, without building a tree: what the gate
//! does not need to know stays the bytes that it was.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a body is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Not JSON; the parser's reason.
    Syntax(String),
    /// JSON, but a member is missing or of the wrong type.
    Shape {
        /// The member, such as `messages[0].role`.
        param: String,
        /// What is wrong with it.
        message: String,
    },
}

impl BodyError {
    /// A member that is wrong.
    pub fn shape(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Shape { param: param.into(), message: message.into() }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(reason) => write!(f, "the body is not valid JSON: {reason}"),
            Self::Shape { param, message } if param.is_empty() => f.write_str(message),
            Self::Shape { param, message } => write!(f, "`{param}`: {message}"),
        }
    }
}

impl From<serde_json::Error> for BodyError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::shape("", error.to_string()),
            _ => Self::Syntax(error.to_string()),
        }
    }
}

/// Where the members of a JSON object that somebody asked for stand in its text.
#[derive(Debug)]
pub struct Members<'a> {
    text: &'a str,
    found: Found,
}

/// Where members stand, without the text: what one reading of a body found is kept for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    spans: Vec<(&'static str, Range<usize>)>,
    count: usize,
}

impl Found {
    /// The members of `text`, which must be the text that they were found in.
    pub fn on(self, text: &str) -> Members<'_> {
        Members { text, found: self }
    }
}

impl<'a> Members<'a> {
    /// Finds the members named in `wanted` at the top of the object `text`. One that stands there twice is an
    /// error: two readers could disagree on which counts.
    pub fn find(text: &'a str, wanted: &'static [&'static str]) -> Result<Self, BodyError> {
        struct Finder<'a>(&'a str, &'static [&'static str]);

        impl<'a> Visitor<'a> for Finder<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let text = self.0;
                let mut found = Found { spans: Vec::with_capacity(self.1.len()), count: 0 };
                while let Some(Name(name)) = map.next_key()? {
                    found.count += 1;
                    match self.1.iter().find(|wanted| **wanted == name) {
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        Some(wanted) if found.spans.iter().any(|(known, _)| known == wanted) => {
                            return Err(serde::de::Error::custom(format_args!(
                                "the member `{wanted}` stands twice"
                            )));
                        }
                        Some(wanted) => {
                            let raw = map.next_value::<&RawValue>()?.get();
                            // `raw` is a part of `text`, so this is plain arithmetic on addresses.
                            let start = raw.as_ptr() as usize - text.as_ptr() as usize;
                            found.spans.push((*wanted, start..start + raw.len()));
                        }
                    }
                }
                Ok(found.on(text))
            }
        }

        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = (&mut deserializer).deserialize_map(Finder(text, wanted))?;
        deserializer.end()?;
        Ok(members)
    }

    /// Where they stand, to come back to them.
    pub fn into_found(self) -> Found {
        self.found
    }

    /// How many members the object has, those that nobody asked for included.
    pub fn count(&self) -> usize {
        self.found.count
    }

    /// The text of the member `name`, when it is there.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let (_, span) = self.found.spans.iter().find(|(found, _)| *found == name)?;
        self.text.get(span.clone())
    }

    /// The member `name` as a `T`, when it is there and not null.
    pub fn read<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, BodyError> {
        match self.get(name) {
            None | Some("null") => Ok(None),
            Some(raw) => {
                serde_json::from_str(raw).map(Some).map_err(|e| BodyError::shape(name, what_was_wrong(&e)))
            }
        }
    }

    /// The member `name`, where it is a text: what is something else there is the upstream's business.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// Where the member `name` has its value, in bytes from the start of the text.
    pub fn span(&self, name: &str) -> Option<Range<usize>> {
        self.found.spans.iter().find(|(found, _)| *found == name).map(|(_, span)| span.clone())
    }

    /// An edit that adds a member at the end of the object.
    pub fn append(&self, name: &str, value: &str) -> Edit {
        let end = self.text.rfind('}').unwrap_or(self.text.len());
        let comma = if self.found.count == 0 { "" } else { "," };
        Edit { span: end..end, with: format!("{comma}\"{name}\":{value}") }
    }

    /// An edit that gives the member `name` another value.
    pub fn replace(&self, name: &str, value: String) -> Option<Edit> {
        Some(Edit { span: self.span(name)?, with: value })
    }

    /// An edit that takes the member `name` away, with the comma that goes with it.
    pub fn remove(&self, name: &str) -> Option<Edit> {
        let value = self.span(name)?;
        let bytes = self.text.as_bytes();
        // Backwards over `"name" :` to the opening quote, then to the comma or the brace before it.
        let colon = self.text[..value.start].rfind(':')?;
        let close = self.text[..colon].rfind('"')?;
        let open = self.text[..close].rfind('"')?;
        let before = self.text[..open].trim_end().len();
        if bytes.get(before.checked_sub(1)?) == Some(&b',') {
            return Some(Edit { span: before - 1..value.end, with: String::new() });
        }
        let after = value.end + (self.text.len() - value.end - self.text[value.end..].trim_start().len());
        let end = if bytes.get(after) == Some(&b',') { after + 1 } else { value.end };
        Some(Edit { span: open..end, with: String::new() })
    }
}

/// A member's name, borrowed unless it is written with escapes.
pub(crate) struct Name<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Reads all of `text`. Where that fails, the error names the member.
pub fn read_all<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BodyError> {
    serde_json::from_str(text).map_err(|error| {
        // Only a text that has failed is read again to find out where.
        let mut again = serde_json::Deserializer::from_str(text);
        let param = match serde_path_to_error::deserialize::<_, T>(&mut again) {
            Err(found) if found.path().iter().next().is_some() => found.path().to_string(),
            _ => String::new(),
        };
        if !error.is_data() {
            return BodyError::from(error);
        }
        let why = what_was_wrong(&error);
        // A list that was read on its own names its element first, as in `[0].text: …`.
        match why.split_once(": ").filter(|(inner, _)| inner.starts_with('[')) {
            Some((inner, why)) => BodyError::shape(format!("{param}{inner}"), why),
            None => BodyError::shape(param, why),
        }
    })
}

/// The reason of a serde error, without the position, which would count from the member and not from the body, and
/// without the names of Rust's types.
pub fn what_was_wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let words = [
        ("expected f64", "expected a number"),
        ("expected u64", "expected a whole number"),
        ("expected usize", "expected a whole number"),
        ("expected a sequence", "expected a list"),
        ("expected a boolean", "expected true or false"),
    ];
    words.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A part of a text and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Which bytes.
    pub span: Range<usize>,
    /// Their replacement.
    pub with: String,
}

/// `text` with `edits` made. Of two that overlap the one that begins first is made.
pub fn splice(text: &str, mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|e| e.span.start);
    let grown: usize = edits.iter().map(|e| e.with.len()).sum();
    let mut out = Vec::with_capacity(text.len() + grown);
    let mut at = 0;
    for edit in edits {
        if edit.span.start < at {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[at..edit.span.start]);
        out.extend_from_slice(edit.with.as_bytes());
        at = edit.span.end;
    }
    out.extend_from_slice(&text.as_bytes()[at..]);
    out
}

/// Edits that take the elements that `unwanted` says out of the list that `list` is, a part of `body`.
pub(crate) fn without_elements(
    body: &str,
    list: &str,
    unwanted: impl Fn(&str) -> bool,
) -> Result<Vec<Edit>, BodyError> {
    let elements: Vec<&RawValue> = serde_json::from_str(list)?;
    let start_of = |raw: &RawValue| raw.get().as_ptr() as usize - body.as_ptr() as usize;
    let spans: Vec<Range<usize>> =
        elements.iter().map(|raw| start_of(raw)..start_of(raw) + raw.get().len()).collect();
    let (mut edits, mut any_kept) = (Vec::new(), false);
    for (index, element) in elements.iter().enumerate() {
        if !unwanted(element.get()) {
            any_kept = true;
            continue;
        }
        // With the comma before it; with the one after it where nothing was kept so far.
        let span = match spans.get(index + 1) {
            _ if any_kept => spans[index - 1].end..spans[index].end,
            Some(next) => spans[index].start..next.start,
            None => spans[index].clone(),
        };
        edits.push(Edit { span, with: String::new() });
    }
    Ok(edits)
}

/// Whether `text` nests deeper than `limit`. A parser downstream may recurse; this does not.
pub fn deeper_than(text: &str, limit: usize) -> bool {
    let bytes = text.as_bytes();
    // A text with few brackets cannot be deep, and counting them is several times cheaper than the scan below.
    if memchr::memchr2_iter(b'{', b'[', bytes).take(limit + 1).count() <= limit {
        return false;
    }
    let mut seen = Completeness::default();
    // Pieces end after each bracket, so that the deepest point is never stepped over.
    text.split_inclusive(['{', '[']).any(|piece| {
        seen.push(piece);
        seen.depth > limit
    })
}

/// Follows a JSON object that arrives in pieces, and knows when it is whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Completeness {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Completeness {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether a whole object has arrived.
    pub fn is_complete(&self) -> bool {
        self.begun && self.depth == 0
    }
}

/// How long `text` is without its long runs of base64, and how many of those there are.
pub fn without_base64(text: &str) -> (usize, usize) {
    /// Shorter ones are ids and signatures.
    const LONG: usize = 1_000;
    if text.len() < LONG {
        return (text.len(), 0);
    }
    let (mut rest, mut count) = (text.len(), 0);
    let (bytes, mut start) = (text.as_bytes(), 0);
    // Base64 holds no quote, so only long stretches between quotes are looked at; of a data URL the last part counts.
    for quote in memchr::memchr_iter(b'"', bytes).chain([bytes.len()]) {
        let stretch = &bytes[start..quote];
        start = quote + 1;
        if stretch.len() < LONG {
            continue;
        }
        let run = &stretch[memchr::memrchr(b',', stretch).map_or(0, |comma| comma + 1)..];
        let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_');
        if run.len() >= LONG && run.iter().all(base64) {
            rest -= run.len();
            count += 1;
        }
    }
    (rest, count)
}

/// `value` as JSON text. What formats write has only texts for keys, so nothing in it can fail; an empty body would
/// be refused by whoever gets it.
pub(crate) fn written<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// `value` with the members of every object in order and without white space, as RFC 8785 has them: two spellings of
/// the same value have one canonical form. Numbers stay as they are written.
pub fn canonical(value: &serde_json::Value) -> String {
    use serde_json::Value;
    fn ordered(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                members.into_iter().map(|(name, value)| (name.clone(), ordered(value))).collect()
            }
            Value::Array(items) => items.iter().map(ordered).collect(),
            other => other.clone(),
        }
    }
    ordered(value).to_string()
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const WANTED: &[&str] = &["model", "stream"];

    fn find(text: &str) -> Result<Members<'_>, BodyError> {
        Members::find(text, WANTED)
    }

    #[test]
    fn a_member_is_replaced_and_the_rest_stays_as_it_was() {
        let text = r#"{ "x" : [1, 2.50],  "model":"a" , "ü":"\u00fc", "stream" : true }"#;
        let members = find(text).unwrap();
        assert_eq!(members.get("model"), Some("\"a\""));
        let edits = vec![members.replace("model", "\"b\"".into()).unwrap(), members.append("more", "1")];
        assert_eq!(
            String::from_utf8(splice(text, edits)).unwrap(),
            r#"{ "x" : [1, 2.50],  "model":"b" , "ü":"\u00fc", "stream" : true ,"more":1}"#
        );
    }

    #[test]
    fn a_member_is_removed_wherever_it_stands() {
        for text in [
            r#"{"model":"a","x":1}"#,
            r#"{"x":1,"model":"a"}"#,
            r#"{ "x":1 , "model" : "a" , "y":2 }"#,
            r#"{"model":"a"}"#,
        ] {
            let members = find(text).unwrap();
            let out = splice(text, vec![members.remove("model").unwrap()]);
            let value: Value = serde_json::from_slice(&out).unwrap();
            let mut expected: Value = serde_json::from_str(text).unwrap();
            expected.as_object_mut().unwrap().remove("model");
            assert_eq!(value, expected, "{text}");
        }
    }

    #[test]
    fn two_readers_cannot_be_told_different_models() {
        for text in [r#"{"model":"a","model":"b"}"#, r#"{"model":"a","mod\u0065l":"b"}"#] {
            let error = find(text).unwrap_err();
            assert!(error.to_string().contains("`model` stands twice"), "{error}");
        }
    }

    #[test]
    fn elements_are_removed_with_their_commas() {
        for (body, expected) in [
            ("[1, 0, 2]", "[1, 2]"),
            ("[0 , 0,1]", "[1]"),
            ("[1 ,0 , 0]", "[1]"),
            ("[0,0]", "[]"),
            ("[0,1,0,2,0]", "[1,2]"),
            ("[]", "[]"),
        ] {
            let edits = without_elements(body, body, |element| element == "0").unwrap();
            assert_eq!(String::from_utf8(splice(body, edits)).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "[]",
            "null",
            "{",
            r#"{"model":"a"} x"#,
            r#"{"model":}"#,
            "\u{feff}{}",
            "{\"model\":\"\u{1}\"}",
        ] {
            assert!(find(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn base64_is_told_from_text() {
        let picture = "iVBORw0KGgo".repeat(200);
        let prose = "All work and no play. ".repeat(100);
        let body = json!({ "a": format!("data:image/png;base64,{picture}"), "b": prose, "c": picture, "d": "short" }).to_string();
        assert_eq!(without_base64(&body), (body.len() - 2 * picture.len(), 2));
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(!deeper_than(&deep(10), 10));
        assert!(deeper_than(&deep(11), 10));
        assert!(!deeper_than(&json!({ "a": "[".repeat(50), "b": "\\\"{" .repeat(50) }).to_string(), 10));
        assert!(!deeper_than(&"[]".repeat(500), 10));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: crate::sse::cases(), ..ProptestConfig::default() })]

        /// Promise 7: whatever else a body holds, replacing and removing members leaves all of it.
        #[test]
        fn edits_touch_nothing_else(members in proptest::collection::btree_map("[a-z\"\\\\ü]{0,6}", any_json(), 0..8), model in ".*") {
            let mut object: serde_json::Map<String, Value> = members.into_iter().collect();
            object.insert("model".into(), json!("before"));
            let text = Value::Object(object.clone()).to_string();
            let found = find(&text).unwrap();
            let replaced = splice(&text, vec![found.replace("model", quoted(&model)).unwrap()]);
            let mut expected = object.clone();
            expected.insert("model".into(), json!(model));
            prop_assert_eq!(serde_json::from_slice::<Value>(&replaced).unwrap(), Value::Object(expected));
            let removed = splice(&text, vec![found.remove("model").unwrap(), found.append("added", "1")]);
            // Removing the only member and appending one would leave a comma; nobody does both to an empty object.
            if object.len() > 1 {
                let mut expected = object;
                expected.remove("model");
                expected.insert("added".into(), json!(1));
                prop_assert_eq!(serde_json::from_slice::<Value>(&removed).unwrap(), Value::Object(expected));
            }
        }

        /// Any bytes at all: an answer, never a panic.
        #[test]
        fn any_text_is_read_or_refused(text in "[{}\\[\\]\",:a-z\\\\0-9 ]{0,64}") {
            if let Ok(members) = find(&text) {
                for name in WANTED {
                    if let Some(edit) = members.remove(name) {
                        prop_assert!(serde_json::from_slice::<Value>(&splice(&text, vec![edit])).is_ok());
                    }
                }
            }
            deeper_than(&text, 3);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from)]
        })
    }
}
