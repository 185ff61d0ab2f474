//! Forms (`multipart/form-data`, RFC 7578), as SDKs send pictures to be changed. Only what the gate must know is
//! read; the rest, pictures among it, passes as it came.
//!
//! Whatever another reader could read differently is refused: otherwise a client could show the gate one model and the
//! upstream another.

use std::ops::Range;

use serde_json::{Map, Value};
use tollgate_core::fault::{Fault, FaultClass};

/// What was read of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The `content-type`, boundary and all.
    pub content_type: String,
    /// Where the value of `model` stands.
    pub model: Range<usize>,
}

/// Longer values are no options but content.
const LONGEST_OPTION: usize = 1024;

/// The boundary that `content_type` names, when it is a form's: one parameter, without the characters that readers of
/// parameters stumble over (RFC 2046 §5.1.1: at most 70).
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameter) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("boundary") {
        return None;
    }
    let value = value.trim();
    let value = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"'()+_-./:?".contains(&b);
    ((1..=70).contains(&value.len()) && value.bytes().all(plain)).then_some(value)
}

/// Reads the short fields of `body`: the form, and the fields as a JSON object.
pub(super) fn read(content_type: &str, boundary: &str, body: &[u8]) -> Result<(Form, String), Fault> {
    let wrong = |why: &str| Fault::new(FaultClass::Invalid, format!("the form cannot be read: {why}"));
    let (mut model, mut fields) = (None, Map::new());
    for part in parts(boundary, body).map_err(&wrong)? {
        let (head, value) = split(body, part).map_err(&wrong)?;
        let Disposition { name, is_file } = disposition(head).map_err(&wrong)?;
        if name == "model" && (is_file || value.len() > LONGEST_OPTION) {
            return Err(wrong("`model` is no short text"));
        }
        let text = std::str::from_utf8(&body[value.clone()]).ok().filter(|text| text.len() <= LONGEST_OPTION);
        let Some(text) = text.filter(|_| !is_file) else { continue };
        if fields.contains_key(name) && !name.ends_with("[]") {
            return Err(wrong(&format!("the field `{name}` stands twice")));
        }
        if name == "model" {
            model = Some(value);
        }
        fields.insert(name.to_owned(), option(text));
    }
    let model =
        model.ok_or_else(|| Fault::new(FaultClass::Invalid, "`model`: is required").param("model"))?;
    Ok((Form { content_type: content_type.to_owned(), model }, Value::Object(fields).to_string()))
}

/// `true` and `false` are what they are in JSON; all else is text.
fn option(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        other => Value::from(other),
    }
}

/// Where the parts stand, without their delimiters.
fn parts(boundary: &str, body: &[u8]) -> Result<Vec<Range<usize>>, &'static str> {
    let delimiter = format!("--{boundary}");
    if !body.starts_with(delimiter.as_bytes()) {
        return Err("it does not begin with its boundary");
    }
    let (mut parts, mut begun) = (Vec::new(), None);
    for at in memchr::memmem::find_iter(body, delimiter.as_bytes()) {
        let line_start = match body[..at] {
            [] => true,
            [.., b'\r', b'\n'] => true,
            [.., b'\n'] => return Err("a line before a boundary does not end in CR LF"),
            _ => false,
        };
        if !line_start {
            continue;
        }
        if let Some(start) = begun.take() {
            parts.push(start..at - 2);
        }
        match &body[at + delimiter.len()..] {
            [b'-', b'-', rest @ ..] if rest.trim_ascii().is_empty() => return Ok(parts),
            [b'\r', b'\n', ..] => begun = Some(at + delimiter.len() + 2),
            _ => return Err("something stands behind a boundary"),
        }
    }
    Err("its last boundary is missing")
}

/// A part's head, and where its value stands.
fn split(body: &[u8], part: Range<usize>) -> Result<(&str, Range<usize>), &'static str> {
    let bytes = body.get(part.clone()).ok_or("a part is empty")?;
    let head_end = memchr::memmem::find(bytes, b"\r\n\r\n").ok_or("a part has no head")?;
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| "a part's head is not UTF-8")?;
    Ok((head, part.start + head_end + 4..part.end))
}

struct Disposition<'a> {
    name: &'a str,
    is_file: bool,
}

/// `form-data; name="…"`, for a file with `filename="…"`, and nothing else.
fn disposition(head: &str) -> Result<Disposition<'_>, &'static str> {
    let mut found = None;
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) || line.contains(['\n', '\r']) {
            return Err("a header is folded");
        }
        let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
        if name.eq_ignore_ascii_case("content-disposition") && found.replace(value).is_some() {
            return Err("a part has two dispositions");
        }
    }
    let mut rest = found.ok_or("a part has no disposition")?.trim();
    rest = rest.strip_prefix("form-data").ok_or("a part is no form data")?;
    let (mut name, mut is_file) = (None, false);
    while !rest.is_empty() {
        let (parameter, after) = rest
            .strip_prefix(';')
            .and_then(|rest| rest.trim_start().split_once("=\""))
            .ok_or("a disposition's parameter is not in quotes")?;
        let (value, tail) = after.split_once('"').ok_or("a quote is missing")?;
        if value.contains('\\') {
            return Err("a disposition holds a backslash");
        }
        match parameter {
            "name" if name.is_none() => name = Some(value),
            "filename" if !is_file => is_file = true,
            _ => return Err("a disposition has a parameter that is not known"),
        }
        rest = tail.trim();
    }
    Ok(Disposition { name: name.ok_or("a part has no name")?, is_file })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--b1\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na \u{fc} --b1 cat\r\n--b1\r\n\
        content-disposition: form-data; name=\"model\"\r\n\r\ngpt-image-1\r\n--b1\r\n\
        Content-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b1--\r\n";

    #[test]
    fn the_model_is_found_where_it_stands() {
        let (form, fields) = read("multipart/form-data; boundary=b1", "b1", BODY.as_bytes()).unwrap();
        assert_eq!(&BODY[form.model], "gpt-image-1");
        assert_eq!(fields, "{\"prompt\":\"a \u{fc} --b1 cat\",\"model\":\"gpt-image-1\"}");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for body in ["", "--b1", "--b1\r\n\r\n--b1--", "--b1\r\nx: y\r\n\r\nv\r\n--b1--\r\n", "--b1--"] {
            assert!(read("", "b1", body.as_bytes()).is_err(), "{body:?}");
        }
        assert_eq!(boundary("multipart/form-data; boundary=\"b-1\""), Some("b-1"));
        for content_type in [
            "application/json; boundary=x",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"a;b\"",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; charset=utf-8; boundary=a",
        ] {
            assert_eq!(boundary(content_type), None, "{content_type}");
        }
    }

    /// The upstream must not read another model than the gate did.
    #[test]
    fn what_another_reader_could_read_differently_is_refused() {
        for (from, to) in [
            ("name=\"prompt\"", "name=\"model\""),
            ("name=\"prompt\"", "name=model"),
            ("name=\"prompt\"", "name=\"prompt\"; name=\"model\""),
            ("name=\"prompt\"", "name*=utf-8''model"),
            ("name=\"prompt\"", "name=\"mo\\del\""),
            ("name=\"prompt\"\r\n", "name=\"prompt\"\r\nContent-Disposition: form-data; name=\"model\"\r\n"),
            ("name=\"prompt\"\r\n", "name=\"prompt\";\r\n name=\"model\"\r\n"),
            ("name=\"model\"", "name=\"model\"; filename=\"m\""),
            ("\r\n--b1\r\ncontent", "\r\n--b1 \r\ncontent"),
            ("\r\n--b1\r\ncontent", "\n--b1\r\ncontent"),
            (
                "--b1--\r\n",
                "--b1--\r\n--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx\r\n--b1--",
            ),
        ] {
            assert!(BODY.contains(from));
            let body = BODY.replacen(from, to, 1);
            assert!(read("", "b1", body.as_bytes()).is_err(), "{to:?}");
        }
    }
}
