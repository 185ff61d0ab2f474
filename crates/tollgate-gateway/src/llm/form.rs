//! Forms (`multipart/form-data`, RFC 7578), as SDKs send pictures to be changed. Only what the gate must know is
//! read; the rest, pictures among it, passes as it came.

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

/// The boundary that `content_type` names, when it is a form's.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    // RFC 2046 §5.1.1: at most 70 characters.
    (1..=70).contains(&value.len()).then_some(value)
}

/// Reads the short fields of `body`: the form, and the fields as a JSON object.
pub(super) fn read(content_type: &str, boundary: &str, body: &[u8]) -> Result<(Form, String), Fault> {
    let wrong = |why: &str| Fault::new(FaultClass::Invalid, format!("the form cannot be read: {why}"));
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memchr::memmem::find_iter(body, delimiter.as_bytes())
        .filter(|at| *at == 0 || body[..*at].ends_with(b"\r\n"))
        .collect();
    if starts.len() < 2 {
        return Err(wrong("its boundary does not come up twice"));
    }
    let (mut model, mut fields) = (None, Map::new());
    for pair in starts.windows(2) {
        let part = pair[0] + delimiter.len()..pair[1];
        let Some((name, value)) = field(body, part) else { continue };
        let Ok(text) = std::str::from_utf8(&body[value.clone()]) else { continue };
        if value.len() > LONGEST_OPTION {
            continue;
        }
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

/// The name of a field and where its value stands; `None` for files and for what is no field.
fn field(body: &[u8], part: Range<usize>) -> Option<(&str, Range<usize>)> {
    let bytes = body.get(part.clone())?.strip_prefix(b"\r\n")?;
    let head_end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    if disposition.contains("filename") {
        return None;
    }
    let name = disposition.split_once("name=\"")?.1.split_once('"')?.0;
    let start = part.start + 2 + head_end + 4;
    let end = part.end.checked_sub(2)?;
    (start <= end).then_some((name, start..end))
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
        for body in ["", "--b1", "--b1\r\n\r\n--b1--", "--b1\r\nx: y\r\n\r\nv\r\n--b1--\r\n"] {
            assert!(read("", "b1", body.as_bytes()).is_err(), "{body:?}");
        }
        let twice = BODY.replace("name=\"prompt\"", "name=\"model\"");
        assert!(read("", "b1", twice.as_bytes()).unwrap_err().message.contains("stands twice"));
        assert_eq!(boundary("multipart/form-data; boundary=\"x y\""), Some("x y"));
        assert_eq!(boundary("application/json; boundary=x"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }
}
