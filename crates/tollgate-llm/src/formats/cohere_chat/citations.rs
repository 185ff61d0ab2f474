//! Citations. What has an address has a counterpart in other formats; what was given in the request has none.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::chat::Citation;

/// A passage of the answer and what it was taken from.
#[derive(Deserialize)]
pub(super) struct Written {
    start: Option<u64>,
    end: Option<u64>,
    sources: Option<Vec<Source>>,
    /// Which part of the content it is about.
    content_index: Option<usize>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    document: Option<Map<String, Value>>,
    tool_output: Option<Map<String, Value>>,
}

impl Written {
    /// Whether it is about the part `index` of the content.
    pub(super) fn is_about(&self, index: usize) -> bool {
        self.content_index.is_none_or(|about| about == index)
    }

    /// Those of its sources that have an address. Plans and thoughts have no citations elsewhere.
    pub(super) fn addressed(&self) -> impl Iterator<Item = Citation> {
        let of_text = self.kind.as_deref().is_none_or(|kind| kind == "TEXT_CONTENT");
        let sources = self.sources.iter().flatten().filter(move |_| of_text);
        sources.filter_map(|source| {
            let facts = source.document.as_ref().or(source.tool_output.as_ref())?;
            let text = |name: &str| facts.get(name).and_then(Value::as_str).map(str::to_owned);
            let url = text("url")?;
            Some(Citation {
                url,
                title: text("title"),
                cited: text("snippet"),
                span: self.start.zip(self.end),
            })
        })
    }
}
