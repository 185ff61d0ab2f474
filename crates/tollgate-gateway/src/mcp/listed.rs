//! A tool server's lists, as the gate holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_core::config::tools::ToolServer;
use tollgate_mcp::arguments::Compiled;
use tollgate_mcp::effect::{Facts, Local};
use tollgate_mcp::headers::Mirrors;
use tollgate_mcp::json::Object;
use tollgate_mcp::revision::Revision;
use tollgate_mcp::tool::Tool;

/// A tool that is offered.
#[derive(Debug)]
pub(crate) struct ListedTool {
    /// Its definition, as clients see it apart from its name.
    pub(crate) tool: Tool,
    /// What it can do.
    pub(crate) facts: Facts,
    /// What the configuration says of it.
    pub(crate) local: Local,
    /// The digest of the contract by which it is offered.
    pub(crate) contract: String,
    /// Its schemas.
    pub(crate) schemas: Arc<Compiled>,
    /// The arguments that headers repeat.
    pub(crate) mirrors: Mirrors,
}

/// Prompts, resources or templates: JSON objects as the server sent them, in its revision.
pub(crate) type Entries = Vec<String>;

/// What a server offers.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The server.
    pub(crate) server: Arc<ToolServer>,
    /// What it speaks.
    pub(crate) revision: Revision,
    /// What it can do: a JSON object.
    pub(crate) capabilities: String,
    /// Its name and version: a JSON object.
    pub(crate) info: Option<String>,
    /// What it wants models to know.
    pub(crate) instructions: Option<String>,
    /// The tools that are offered, by the server's names for them.
    pub(crate) tools: BTreeMap<String, Arc<ListedTool>>,
    /// The tools that are not, and why.
    pub(crate) hidden: BTreeMap<String, String>,
    /// Its prompts.
    pub(crate) prompts: Entries,
    /// Its resources.
    pub(crate) resources: Entries,
    /// Its templates of resources' addresses.
    pub(crate) templates: Entries,
}

impl Listed {
    /// Whether `other` offers the same tools, by the same contracts.
    pub(crate) fn same_tools(&self, other: &Self) -> bool {
        let of = |listed: &Self| -> Vec<(String, String)> {
            listed.tools.iter().map(|(name, tool)| (name.clone(), tool.contract.clone())).collect()
        };
        of(self) == of(other)
    }

    /// Whether it has a resource at `uri`, or a template that such an address could come from.
    pub(crate) fn may_have(&self, uri: &str) -> bool {
        let is = |entry: &String, member: &str, fits: &dyn Fn(&str) -> bool| {
            Object::read(entry).and_then(|entry| entry.string(member)).is_some_and(|said| fits(&said))
        };
        self.resources.iter().any(|entry| is(entry, "uri", &|known| known == uri))
            || self
                .templates
                .iter()
                .any(|entry| is(entry, "uriTemplate", &|template| could_be(template, uri)))
    }
}

/// Whether `uri` could come from `template` (RFC 6570): what stands outside of expressions stands there in its order. Who
/// has the resource finds out in the end.
fn could_be(template: &str, uri: &str) -> bool {
    let mut rest = uri;
    let mut first = true;
    let mut after = template;
    loop {
        let (literal, expression) = match after.split_once('{') {
            Some((literal, tail)) => (literal, tail.split_once('}')),
            None => (after, None),
        };
        let found = if first { rest.starts_with(literal).then_some(0) } else { rest.find(literal) };
        let Some(at) = found else { return false };
        rest = &rest[at + literal.len()..];
        first = false;
        match expression {
            Some((_, tail)) => after = tail,
            // What stands at the end ends the address.
            None => return rest.is_empty() || after.is_empty() || uri.ends_with(literal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::could_be;

    #[test]
    fn a_template_fits_what_it_could_have_become() {
        for (template, uri, fits) in [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/123/dat", false),
            ("test://template/{id}", "test://template/123", true),
            ("test://template/{id}", "test://other/123", false),
            ("file:///{+path}", "file:///a/b/c", true),
            ("test://a", "test://a", true),
            ("test://a", "test://ab", false),
            ("{x}", "anything", true),
        ] {
            assert_eq!(could_be(template, uri), fits, "{template} {uri}");
        }
    }
}
