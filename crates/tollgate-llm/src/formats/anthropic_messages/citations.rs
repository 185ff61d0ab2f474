//! Citations of a text block. Those of an address have counterparts elsewhere; those of a document do not.

use serde::{Deserialize, Serialize};

use crate::chat::Citation;

/// A citation of any kind.
#[derive(Deserialize)]
pub(super) struct Written {
    url: Option<String>,
    title: Option<String>,
    cited_text: Option<String>,
}

/// The citation, where it is one of an address.
pub(super) fn read(written: Written) -> Option<Citation> {
    Some(Citation { url: written.url?, title: written.title, cited: written.cited_text, span: None })
}

/// A citation as a client gets it.
#[derive(Serialize)]
pub(super) struct Out<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    url: &'r str,
    title: Option<&'r str>,
    cited_text: &'r str,
    /// By which the provider knows the passage again; another provider has no such thing.
    encrypted_index: &'static str,
}

pub(super) fn write(citation: &Citation) -> Out<'_> {
    Out {
        kind: "web_search_result_location",
        url: &citation.url,
        title: citation.title.as_deref(),
        cited_text: citation.cited.as_deref().unwrap_or_default(),
        encrypted_index: "",
    }
}
