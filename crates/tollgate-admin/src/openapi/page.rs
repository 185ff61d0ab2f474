//! The description as a page. It is written here and not by a script in the browser: nothing has to be loaded.

use std::fmt::Write;

use serde_json::Value;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}\
h2{margin-top:2.5rem}code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f4f4f4;padding:.75rem;overflow:auto}\
details{border:1px solid #d0d0d0;border-radius:4px;margin:.5rem 0;padding:.5rem .75rem}summary{cursor:pointer}\
b{display:inline-block;min-width:4.5rem}table{border-collapse:collapse}td{padding:.15rem 1rem .15rem 0;vertical-align:top}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}pre{background:#222}details{border-color:#444}a{color:#8ab4ff}}";

/// The page of a description.
pub(super) fn html(document: &Value) -> String {
    let mut page = String::new();
    let title = escaped(text(&document["info"]["title"]));
    // Writing into a text does not fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>Version {}. {} <a href=\"{}\">OpenAPI {}</a></p>",
        escaped(text(&document["info"]["version"])),
        escaped(text(&document["info"]["description"])),
        super::DOCUMENT,
        escaped(text(&document["openapi"])),
    );
    page.push_str("<h2>Routes</h2>");
    for (path, methods) in members(&document["paths"]) {
        for (method, operation) in members(methods) {
            page.push_str(&route(path, method, operation));
        }
    }
    page.push_str("<h2>Schemas</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let _ = write!(
            page,
            "<details id=\"{0}\"><summary><code>{0}</code></summary>{1}</details>",
            escaped(name),
            pretty(schema)
        );
    }
    page
}

fn route(path: &str, method: &str, operation: &Value) -> String {
    let mut shown = format!(
        "<details><summary><b>{}</b><code>{}</code> {}</summary><p>{}</p>",
        escaped(&method.to_uppercase()),
        escaped(path),
        escaped(text(&operation["summary"])),
        escaped(text(&operation["description"])),
    );
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        shown.push_str("<table>");
        for parameter in parameters {
            let _ = write!(
                shown,
                "<tr><td><code>{}</code><td>{}<td>{}",
                escaped(text(&parameter["name"])),
                escaped(text(&parameter["in"])),
                escaped(text(&parameter["description"])),
            );
        }
        shown.push_str("</table>");
    }
    if let Some((_, content)) = members(&operation["requestBody"]["content"]).next() {
        let _ = write!(shown, "<p>Body: {}</p>", link(&content["schema"]));
    }
    for (status, response) in members(&operation["responses"]) {
        let content = members(&response["content"]).next().map(|(_, content)| link(&content["schema"]));
        let (status, content) = (escaped(status), content.unwrap_or_default());
        let _ = write!(shown, "<p>{status}: {} {content}</p>", escaped(text(&response["description"])));
    }
    shown.push_str("</details>");
    shown
}

/// A schema that is named, as a link to it.
fn link(schema: &Value) -> String {
    let name = text(&schema["$ref"]).rsplit('/').next().unwrap_or_default();
    format!("<a href=\"#{0}\"><code>{0}</code></a>", escaped(name))
}

fn pretty(schema: &Value) -> String {
    format!("<pre>{}</pre>", escaped(&serde_json::to_string_pretty(schema).unwrap_or_default()))
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
