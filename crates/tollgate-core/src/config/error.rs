//! What is wrong with a configuration, where, and what was probably meant.

use std::fmt;

use serde_saphyr::Location;

use super::nearest::nearest;

/// A configuration that does not resolve.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    /// Line and column, both from 1.
    place: Option<(usize, usize)>,
    message: String,
    hint: Option<String>,
    snippet: Option<String>,
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// An error that has no place in the file.
    pub fn new(message: impl Into<String>) -> Self {
        Self { file: String::new(), place: None, message: message.into(), hint: None, snippet: None }
    }

    /// An error at `location`.
    pub fn at(location: Location, message: impl Into<String>) -> Self {
        let place =
            (usize::try_from(location.line()).unwrap_or(0), usize::try_from(location.column()).unwrap_or(0));
        Self { place: (place.0 > 0).then_some(place), ..Self::new(message) }
    }

    /// What is wrong, without its place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What is wrong, with advice and without its place, in one line.
    pub(super) fn in_words(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.message),
            None => self.message.clone(),
        }
    }

    /// The same, with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with the nearest of `candidates` to `name` as advice.
    #[must_use]
    pub fn hint_nearest<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, candidates) {
            Some(candidate) => self.hint(format!("did you mean `{candidate}`?")),
            None => self,
        }
    }

    pub(super) fn in_file(mut self, name: &str) -> Self {
        name.clone_into(&mut self.file);
        self
    }

    /// The same, with the line of `text` that it points to. Whatever could be a secret is blanked out.
    pub(super) fn snippet_from(mut self, text: &str) -> Self {
        if let Some((line, _)) = self.place {
            self.snippet = text.lines().nth(line - 1).map(mask);
        }
        self
    }

    pub(super) fn from_yaml(error: &serde_saphyr::Error, text: &str) -> Self {
        let inner = error.without_snippet();
        let location = error.location().unwrap_or(Location::UNKNOWN);
        let built = match inner {
            serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
                let unknown = Self::at(location, format!("unknown member `{field}`"));
                match nearest(field, expected.iter().copied()) {
                    Some(near) => unknown.hint(format!("did you mean `{near}`?")),
                    None => unknown.hint(format!("known here: {}", expected.join(", "))),
                }
            }
            serde_saphyr::Error::DuplicateMappingKey { .. } => Self::at(location, "the same member twice"),
            other => {
                let message = other.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                Self::at(location, plain_words(message))
            }
        };
        built.snippet_from(text)
    }
}

/// `line` with its values blanked out, but for those that cannot be a secret: numbers, references, and members
/// whose values are names.
fn mask(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let Some(first) = rest.find(':') else {
        // No member on it: it may be the inside of a longer text.
        let dash = rest.len() - rest.trim_start_matches([' ', '-']).len();
        return if rest[dash..].is_empty() { rest.to_owned() } else { format!("{}…", &rest[..dash]) };
    };
    let mut colon = first;
    loop {
        let (head, tail) = rest.split_at(colon + 1);
        out.push_str(head);
        let name =
            head[..colon].rsplit(['{', ',', ' ', '[']).find(|part| !part.is_empty()).unwrap_or_default();
        let value = tail.trim_start();
        out.push_str(&tail[..tail.len() - value.len()]);
        let end = value[..end_of_value(value)].trim_end().len();
        let shown = value[..end].trim();
        if is_secret(name) && shown.starts_with('[') {
            out.push('…');
            return out;
        }
        if shown.is_empty() || shown.starts_with(['{', '[', '#']) || is_harmless(name, shown) {
            rest = value;
        } else {
            out.push('…');
            rest = &value[end..];
        }
        // The next colon that ends a name: the one of a URL is inside a value.
        let begin = if shown.starts_with(['{', '[']) || rest.len() < value.len() { 0 } else { end };
        match rest[begin..].find(':') {
            Some(found) => colon = begin + found,
            None => break,
        }
    }
    out.push_str(rest);
    out
}

fn is_harmless(name: &str, value: &str) -> bool {
    const NAMES: [&str; 12] = [
        "provider",
        "model",
        "model_name",
        "listen",
        "format",
        "mode",
        "routing_strategy",
        "certificate",
        "data_dir",
        "fallbacks",
        "custom_llm_provider",
        "file",
    ];
    let bare = value.trim_matches(['"', '\'']);
    let number =
        bare.len() <= 12 && bare.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '_' | 'e' | '-'));
    let refers = (bare.starts_with("${") && bare.ends_with('}')) || bare.starts_with("os.environ/");
    let name = name.trim_matches(['"', '\'']);
    refers
        || (!is_secret(name)
            && (number || matches!(bare, "true" | "false" | "null") || NAMES.contains(&name)))
}

/// What the parser says, for somebody who does not know its words.
fn plain_words(message: &str) -> String {
    match message {
        "expected sequence start" => {
            "a list is expected here, such as `[{ provider: simulator }]`".to_owned()
        }
        "expected mapping start" => "members are expected here, such as `{ name: value }`".to_owned(),
        "invalid u64" | "invalid u32" | "invalid usize" | "invalid i32" => {
            "a whole number is expected here".to_owned()
        }
        "invalid bool" => "`true` or `false` is expected here".to_owned(),
        many if many.contains("multiple YAML documents") || many.contains("from_str_multiple") => {
            "one file holds one document: remove what follows `---`".to_owned()
        }
        other => other.to_owned(),
    }
}

/// Whether a member of this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    ["key", "secret", "token", "password", "auth"].iter().any(|part| name.to_lowercase().contains(part))
}

/// Where the scalar at the start of `text` ends.
fn end_of_value(text: &str) -> usize {
    let quoted = |quote: char| text.strip_prefix(quote)?.find(quote).map(|end| end + 2);
    let reference = || text.starts_with("${").then(|| text.find('}').map(|end| end + 1))?;
    let plain = || {
        text.find([',', '}']).filter(|end| !text[*end..].starts_with(",") || text[*end..].starts_with(", "))
    };
    quoted('"').or_else(|| quoted('\'')).or_else(reference).or_else(plain).unwrap_or(text.len())
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}", self.file)?;
            if let Some((line, column)) = self.place {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        if let (Some((line, _)), Some(snippet)) = (self.place, &self.snippet) {
            write!(f, "\n  {line} | {snippet}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_shows_names_and_no_secret() {
        let cases = [
            (
                r#"  - { provider: openai, api_key: "sk-123, 4", wieght: 3 }"#,
                "  - { provider: openai, api_key: …, wieght: 3 }",
            ),
            ("  master_key: sk-1234 # x", "  master_key: …"),
            ("  api_key: os.environ/OPENAI_API_KEY", "  api_key: os.environ/OPENAI_API_KEY"),
            ("  api_key: ${OPENAI_API_KEY}", "  api_key: ${OPENAI_API_KEY}"),
            ("  weight: abc", "  weight: …"),
            ("modles: {}", "modles: {}"),
            (
                r#"{"m":[{"provider":"openai","api_key":"sk-live","wieght":1}]}"#,
                r#"{"m":[{"provider":"openai","api_key":…,"wieght":1}]}"#,
            ),
            (r#"  headers: { x-auth: "s3cret" }"#, "  headers: { x-auth: … }"),
            ("master_key: sk-ab,cd", "master_key: …"),
            ("  sk-in-a-block", "  …"),
            (
                "    - { provider: openai, base_url: https://u:pw@host, wieght: 3 }",
                "    - { provider: openai, base_url: …, wieght: 3 }",
            ),
            (
                "    litellm_params: { model: openai/x, api_key: 12345 }",
                "    litellm_params: { model: openai/x, api_key: … }",
            ),
        ];
        for (line, shown) in cases {
            assert_eq!(mask(line), shown, "{line}");
        }
    }
}
