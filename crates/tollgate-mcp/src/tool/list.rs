//! The tools of one server, from the pages of `tools/list` (MCP, `ListToolsResult`). One bad definition spoils itself and
//! not the list.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Tool, ToolLimits, ToolRefusal};

/// A definition that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedTool {
    /// Where it stood in the list, from 0, over all pages.
    pub index: usize,
    /// Its name, where it could be read.
    pub name: Option<String>,
    /// Why.
    pub why: ToolRefusal,
}

/// Why a page is refused, and with it the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageRefusal {
    /// It is no result of `tools/list`.
    #[error("no list of tools: {0}")]
    NoList(String),
    /// More tools than the limit.
    #[error("more than {most} tools")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

/// Tools, gathered from page to page.
#[derive(Clone, Debug)]
pub struct Listing {
    limits: ToolLimits,
    seen: usize,
    tools: Vec<(usize, Tool)>,
    refused: Vec<RefusedTool>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "nextCursor")]
    next_cursor: Option<Cow<'a, str>>,
}

impl Listing {
    /// An empty one.
    pub const fn new(limits: ToolLimits) -> Self {
        Self { limits, seen: 0, tools: Vec::new(), refused: Vec::new() }
    }

    /// Takes the `result` of one `tools/list` and gives the cursor of the next page, if there is one.
    ///
    /// # Errors
    /// `result` is no list, or there are more tools than the limit. The caller bounds its bytes, and the pages.
    pub fn page(&mut self, result: &str) -> Result<Option<String>, PageRefusal> {
        let page: Page<'_> = serde_json::from_str(result).map_err(|e| PageRefusal::NoList(e.to_string()))?;
        if page.tools.len() > self.limits.tools - self.seen.min(self.limits.tools) {
            return Err(PageRefusal::TooMany { most: self.limits.tools });
        }
        for text in page.tools {
            match Tool::read(text.get(), self.limits.definition) {
                Ok(tool) => self.tools.push((self.seen, tool)),
                Err(why) => self.refused.push(RefusedTool { index: self.seen, name: name(text.get()), why }),
            }
            self.seen += 1;
        }
        Ok(page.next_cursor.map(Cow::into_owned))
    }

    /// The tools in the order of the list, and what was refused. Of tools of one name, all are refused.
    pub fn finish(self) -> (Vec<Tool>, Vec<RefusedTool>) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (_, tool) in &self.tools {
            *counts.entry(tool.name().to_owned()).or_default() += 1;
        }
        let mut refused = self.refused;
        let mut kept = Vec::new();
        for (index, tool) in self.tools {
            if counts.get(tool.name()).is_some_and(|count| *count > 1) {
                let name = tool.name().to_owned();
                refused.push(RefusedTool { index, name: Some(name.clone()), why: ToolRefusal::Twice(name) });
            } else {
                kept.push(tool);
            }
        }
        refused.sort_by_key(|refused| refused.index);
        (kept, refused)
    }
}

/// The name in a definition that was refused, for the report.
fn name(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let named: Named = serde_json::from_str(text).ok()?;
    Some(named.name.chars().take(128).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up_and_bad_tools_are_named() {
        let mut listing = Listing::new(ToolLimits::default());
        let first = r#"{"tools":[{"name":"a","inputSchema":{}},{"name":"b"},{"name":"c","inputSchema":{}}],"nextCursor":"2"}"#;
        assert_eq!(listing.page(first).unwrap().as_deref(), Some("2"));
        assert_eq!(listing.page(r#"{"tools":[{"name":"c","inputSchema":{}}],"ttlMs":5}"#).unwrap(), None);
        let (tools, refused) = listing.finish();
        assert_eq!(tools.iter().map(Tool::name).collect::<Vec<_>>(), ["a"]);
        let refused: Vec<_> =
            refused.iter().map(|r| (r.index, r.name.as_deref().unwrap(), r.why.to_string())).collect();
        assert_eq!(
            refused,
            [
                (1, "b", "`inputSchema` is missing".to_owned()),
                (2, "c", "the name `c` is listed twice".to_owned()),
                (3, "c", "the name `c` is listed twice".to_owned()),
            ]
        );
    }

    #[test]
    fn the_limit_counts_over_pages() {
        let mut listing = Listing::new(ToolLimits { tools: 2, ..ToolLimits::default() });
        let page = r#"{"tools":[{"name":"a","inputSchema":{}},{"name":"b","inputSchema":{}}]}"#;
        listing.page(page).unwrap();
        assert_eq!(listing.page(page).unwrap_err().to_string(), "more than 2 tools");
        assert!(
            listing
                .page("{}")
                .unwrap_err()
                .to_string()
                .starts_with("no list of tools: missing field `tools`")
        );
    }
}
