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
                Self::at(location, message)
            }
        };
        built.snippet_from(text)
    }
}

/// `line` with the values of members that name a credential replaced, unless they only refer to one.
fn mask(line: &str) -> String {
    const NAMES: [&str; 6] = ["key", "secret", "token", "password", "authorization", "credential"];
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(colon) = rest.find(": ") {
        let (head, tail) = rest.split_at(colon + 2);
        out.push_str(head);
        let name =
            head[..colon].rsplit(|c: char| c == '{' || c == ',' || c.is_whitespace()).next().unwrap_or("");
        let end = end_of_value(tail);
        let value = tail[..end].trim();
        let refers = value.trim_matches(['"', '\'']).starts_with("${") || value.starts_with("os.environ/");
        let secret = NAMES.iter().any(|n| name.to_lowercase().contains(n));
        if secret && !refers && !value.is_empty() && !value.starts_with('{') {
            out.push('…');
            rest = &tail[end..];
        } else {
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

/// Where the flow-style or block-style scalar at the start of `text` ends.
fn end_of_value(text: &str) -> usize {
    let quoted = |quote: char| text.strip_prefix(quote)?.find(quote).map(|end| end + 2);
    quoted('"')
        .or_else(|| quoted('\''))
        .or_else(|| text.starts_with("${").then(|| text.find('}').map(|end| end + 1))?)
        .or_else(|| text.find([',', '}']))
        .unwrap_or(text.len())
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
    fn a_snippet_never_shows_a_secret() {
        let flow = r#"  - { provider: openai, api_key: "sk-123, 4", wieght: 3 }"#;
        assert_eq!(mask(flow), "  - { provider: openai, api_key: …, wieght: 3 }");
        assert_eq!(mask("  master_key: sk-1234 # x"), "  master_key: …");
        assert_eq!(mask("  api_key: os.environ/OPENAI_API_KEY"), "  api_key: os.environ/OPENAI_API_KEY");
        assert_eq!(mask("  api_key: ${OPENAI_API_KEY}"), "  api_key: ${OPENAI_API_KEY}");
        assert_eq!(mask("  weight: abc"), "  weight: abc");
    }
}
