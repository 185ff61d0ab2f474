//! JSON text that is read where it stands and changed by splicing. What nobody asks for stays the bytes that it was:
//! unknown members survive, numbers keep their digits, and a text in which nothing changes is returned as it came.
//!
//! The functions take text that [`message::read`](crate::message::read) has let through. Of other text they may read
//! something that no parser would, but they never panic.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// A member of an object.
#[derive(Clone, Debug)]
struct Member<'a> {
    name: Cow<'a, str>,
    /// Where its name begins, with the quote.
    start: usize,
    value: Range<usize>,
}

/// The members of a JSON object, in their order, as parts of its text.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
}

impl<'a> Object<'a> {
    /// The object that `text` is; `None` where it is something else.
    pub fn read(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut at = after_space(bytes, 0);
        if bytes.get(at) != Some(&b'{') {
            return None;
        }
        let mut members = Vec::new();
        at = after_space(bytes, at + 1);
        while bytes.get(at) != Some(&b'}') {
            if !members.is_empty() {
                at = after_space(bytes, expect(bytes, at, b',')?);
            }
            let start = at;
            at = string_end(bytes, at)?;
            let name = string(text.get(start..at)?)?;
            at = after_space(bytes, expect(bytes, after_space(bytes, at), b':')?);
            let end = value_end(bytes, at)?;
            members.push(Member { name, start, value: at..end });
            at = after_space(bytes, end);
        }
        (after_space(bytes, at + 1) == bytes.len()).then_some(Self { text, members })
    }

    /// The text of the member `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let member = self.members.iter().find(|member| member.name == name)?;
        self.text.get(member.value.clone())
    }

    /// The member `name`, where it is a string.
    pub fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        string(self.get(name)?)
    }

    /// The member `name`, where it is an object.
    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        Object::read(self.get(name)?)
    }

    /// Whether there is a member `name`.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.name == name)
    }

    /// The names and texts of all members, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|m| (m.name.as_ref(), self.text.get(m.value.clone()).unwrap_or_default()))
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The text that it was read from.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// This object, to be changed.
    pub fn draft(self) -> Draft<'a> {
        Draft {
            changes: self.members.iter().map(|_| Change::Keep).collect(),
            object: self,
            added: Vec::new(),
        }
    }
}

/// What becomes of a member or an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays the bytes that it is.
    Keep,
    /// Another text takes its place.
    With(String),
    /// Several take its place; none takes it away. Of a member only the first counts.
    Several(Vec<String>),
}

impl Change {
    /// No change where `text` is borrowed: functions that change a text return a borrowed one where they did not.
    pub fn of(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(_) => Self::Keep,
            Cow::Owned(text) => Self::With(text),
        }
    }

    /// Takes it away.
    pub fn remove() -> Self {
        Self::Several(Vec::new())
    }
}

/// An object with changes that are not yet made.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    object: Object<'a>,
    changes: Vec<Change>,
    added: Vec<(String, String)>,
}

impl<'a> Draft<'a> {
    /// The object as it was.
    pub fn was(&self) -> &Object<'a> {
        &self.object
    }

    /// The text that the member `name` has by now.
    pub fn now(&self, name: &str) -> Option<String> {
        match self.index(name).map(|index| &self.changes[index]) {
            Some(Change::Keep) => self.object.get(name).map(str::to_owned),
            Some(Change::With(value)) => Some(value.clone()),
            Some(Change::Several(_)) => None,
            None => self.added.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        }
    }

    /// Gives the member `name` the JSON text `value`, in its place or at the end.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if let Some(index) = self.index(name) {
            self.changes[index] = Change::With(value);
        } else if let Some((_, known)) = self.added.iter_mut().find(|(known, _)| known == name) {
            *known = value;
        } else {
            self.added.push((name.to_owned(), value));
        }
    }

    /// Takes the member `name` away.
    pub fn remove(&mut self, name: &str) {
        self.added.retain(|(known, _)| known != name);
        if let Some(index) = self.index(name) {
            self.changes[index] = Change::remove();
        }
    }

    /// Gives the member `name` the text `value`, where that is a new one: functions that change a text return a
    /// borrowed one where they did not.
    pub fn put(&mut self, name: &str, value: Cow<'_, str>) {
        if let Cow::Owned(value) = value {
            self.set(name, value);
        }
    }

    /// Does to every member what `change` says of its name and text. One pass, however many there are.
    pub fn each(&mut self, mut change: impl FnMut(&str, &'a str) -> Change) {
        for (member, done) in self.object.members.iter().zip(&mut self.changes) {
            *done = change(&member.name, self.object.text.get(member.value.clone()).unwrap_or_default());
        }
    }

    /// Gives the member `name` the text that `change` makes of it.
    pub fn map(&mut self, name: &str, change: impl FnOnce(&'a str) -> Cow<'a, str>) {
        if let Some(value) = self.object.get(name) {
            self.put(name, change(value));
        }
    }

    /// The text with the changes made; the text that it was where there are none.
    pub fn finish(self) -> Cow<'a, str> {
        let text = self.object.text;
        if self.added.is_empty() && self.changes.iter().all(|change| *change == Change::Keep) {
            return Cow::Borrowed(text);
        }
        let mut out = Splice::new(text, self.object.first());
        for (member, change) in self.object.members.iter().zip(self.changes) {
            match change {
                Change::Keep => out.keep(member.start..member.value.end),
                Change::With(value) => {
                    out.replace(member.start..member.value.start, member.value.end, &value)
                }
                Change::Several(_) => out.drop(member.value.end),
            }
        }
        for (name, value) in self.added {
            out.add(&format!("{}:{value}", quoted(&name)));
        }
        Cow::Owned(out.finish())
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.object.members.iter().position(|member| member.name == name)
    }
}

impl Object<'_> {
    /// Where its first member begins, or would.
    fn first(&self) -> usize {
        self.members.first().map_or_else(|| self.text.find('{').map_or(0, |at| at + 1), |member| member.start)
    }
}

/// The elements of the list that `text` is; `None` where it is something else.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let spans = element_spans(text)?;
    spans.into_iter().map(|span| text.get(span)).collect()
}

fn element_spans(text: &str) -> Option<Vec<Range<usize>>> {
    let bytes = text.as_bytes();
    let mut at = after_space(bytes, 0);
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    let mut spans = Vec::new();
    at = after_space(bytes, at + 1);
    while bytes.get(at) != Some(&b']') {
        if !spans.is_empty() {
            at = after_space(bytes, expect(bytes, at, b',')?);
        }
        let end = value_end(bytes, at)?;
        spans.push(at..end);
        at = after_space(bytes, end);
    }
    (after_space(bytes, at + 1) == bytes.len()).then_some(spans)
}

/// The list `text` with what `change` says done to each element; `text` itself where nothing changes or it is no list.
pub fn map_list<'a>(text: &'a str, mut change: impl FnMut(&'a str) -> Change) -> Cow<'a, str> {
    let Some(spans) = element_spans(text) else { return Cow::Borrowed(text) };
    let changes: Vec<Change> =
        spans.iter().map(|span| change(text.get(span.clone()).unwrap_or_default())).collect();
    if changes.iter().all(|change| *change == Change::Keep) {
        return Cow::Borrowed(text);
    }
    let first = spans.first().map_or(1, |span| span.start);
    let mut out = Splice::new(text, first);
    for (span, change) in spans.into_iter().zip(changes) {
        match change {
            Change::Keep => out.keep(span),
            Change::With(with) => out.replace(span.start..span.start, span.end, &with),
            Change::Several(with) => {
                out.drop(span.end);
                with.iter().for_each(|with| out.add(with));
            }
        }
    }
    Cow::Owned(out.finish())
}

/// A text in the making: parts of another, with the separators that stood before them.
struct Splice<'a> {
    text: &'a str,
    out: String,
    /// How far `text` has been read.
    at: usize,
    any: bool,
}

impl<'a> Splice<'a> {
    fn new(text: &'a str, first: usize) -> Self {
        let mut out = String::with_capacity(text.len() + 64);
        out.push_str(text.get(..first).unwrap_or_default());
        Self { text, out, at: first, any: false }
    }

    fn keep(&mut self, span: Range<usize>) {
        self.replace(span.clone(), span.end, "");
    }

    /// Writes `kept` and then `with`; reading goes on at `end`.
    fn replace(&mut self, kept: Range<usize>, end: usize, with: &str) {
        if self.any {
            // The comma and the white space that stood before it, or a comma where it was the first.
            let gap = self.text.get(self.at..kept.start).unwrap_or_default();
            self.out.push_str(if gap.contains(',') { gap } else { "," });
        }
        self.out.push_str(self.text.get(kept).unwrap_or_default());
        self.out.push_str(with);
        self.any = true;
        self.at = end;
    }

    fn drop(&mut self, end: usize) {
        self.at = end;
    }

    fn add(&mut self, with: &str) {
        if self.any {
            self.out.push(',');
        }
        self.out.push_str(with);
        self.any = true;
    }

    fn finish(mut self) -> String {
        self.out.push_str(self.text.get(self.at..).unwrap_or_default());
        self.out
    }
}

/// The string that `text` is, without its quotes and escapes; `None` where it is something else, or half a surrogate
/// pair, which no string can hold.
pub fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// `text` as a JSON string, with its quotes.
pub fn quoted(text: &str) -> String {
    // Writing a string to memory has no way to fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// An object of members whose texts are JSON already.
pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let mut out = String::from("{");
    for (name, value) in members {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&quoted(name));
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
    out
}

/// A list of strings.
pub fn strings<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(","))
}

pub(crate) fn after_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count()
}

fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

/// Where the string that begins at `at` ends, quotes included.
pub(crate) fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = expect(bytes, at, b'"')?;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Where the value that begins at `at` ends.
fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string_end(bytes, at),
        b'{' | b'[' => {
            let (mut depth, mut at) = (0_usize, at);
            loop {
                match bytes.get(at)? {
                    b'"' => at = string_end(bytes, at)?,
                    b'{' | b'[' => (depth, at) = (depth + 1, at + 1),
                    b'}' | b']' if depth == 1 => return Some(at + 1),
                    b'}' | b']' => (depth, at) = (depth - 1, at + 1),
                    _ => at += 1,
                }
            }
        }
        _ => {
            let end = |b: &u8| matches!(b, b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
            let length = bytes[at..].iter().position(end).unwrap_or(bytes.len() - at);
            (length > 0).then_some(at + length)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_nobody_changes_stays_where_it_is() {
        let text = r#"{ "b" : 1.50 ,"a\u0062":[ 1,2 ], "c":{"d":"}"} }"#;
        let object = Object::read(text).unwrap();
        assert_eq!(object.get("ab"), Some("[ 1,2 ]"));
        assert_eq!(object.clone().draft().finish(), text);
        let mut draft = object.draft();
        draft.set("c", "null");
        draft.set("e", "\"é\"");
        draft.remove("b");
        assert_eq!(draft.finish(), r#"{ "a\u0062":[ 1,2 ], "c":null,"e":"é" }"#);
    }

    #[test]
    fn lists_grow_shrink_and_stay() {
        let text = "[ 1, 2 ,3 ]";
        assert!(matches!(map_list(text, |_| Change::Keep), Cow::Borrowed(_)));
        let change = |element: &str| match element {
            "1" => Change::remove(),
            "2" => Change::Several(vec!["\"a\"".into(), "\"b\"".into()]),
            _ => Change::Keep,
        };
        assert_eq!(map_list(text, change), "[ \"a\",\"b\" ,3 ]");
        assert_eq!(map_list("[]", |_| Change::remove()), "[]");
        assert_eq!(map_list("7", |_| Change::remove()), "7");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Reading agrees with a real parser, and so does what changes make of it.
        #[test]
        fn objects_are_read_and_changed_as_a_parser_would(
            members in proptest::collection::btree_map(".{0,3}", any_json(), 0..5),
            which in 0_usize..5, spaced: bool,
        ) {
            let value = Value::Object(members.clone().into_iter().collect());
            let text = if spaced { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let object = Object::read(&text).unwrap();
            let read: Vec<(String, Value)> = object.iter().map(|(n, v)| (n.to_owned(), parsed(v))).collect();
            prop_assert_eq!(&read, &members.clone().into_iter().collect::<Vec<_>>());
            let mut expected = value.as_object().unwrap().clone();
            let mut draft = object.draft();
            if let Some(name) = members.keys().nth(which) {
                draft.remove(name);
                expected.shift_remove(name);
            }
            if let Some(name) = members.keys().next().filter(|_| which != 0) {
                draft.set(name, "7");
                expected.insert(name.clone(), json!(7));
            }
            draft.set("\"added", "true");
            expected.insert("\"added".into(), json!(true));
            prop_assert_eq!(parsed(&draft.finish()), Value::Object(expected));
        }

        #[test]
        fn lists_are_read_as_a_parser_would(list in proptest::collection::vec(any_json(), 0..5), keep: u8) {
            let text = serde_json::to_string_pretty(&list).unwrap();
            let read: Vec<Value> = elements(&text).unwrap().into_iter().map(parsed).collect();
            prop_assert_eq!(&read, &list);
            let mut index = 0;
            let kept = map_list(&text, |_| { index += 1; if keep >> index & 1 == 1 { Change::Keep } else { Change::remove() } });
            let expected: Vec<&Value> = list.iter().enumerate().filter(|(i, _)| keep >> (i + 1) & 1 == 1).map(|(_, v)| v).collect();
            prop_assert_eq!(parsed(&kept), json!(expected));
        }

        /// Any text at all: an answer, never a panic.
        #[test]
        fn any_text_is_read_or_refused(text in "[{}\\[\\]\",:a\\\\0é ]{0,48}") {
            let _ = elements(&text);
            if let Some(object) = Object::read(&text) {
                let mut draft = object.draft();
                draft.remove("a");
                draft.set("b", "1");
                draft.finish();
            }
            map_list(&text, |_| Change::remove());
        }
    }
}
