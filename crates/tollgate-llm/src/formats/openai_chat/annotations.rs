//! Citations: `annotations` of a message.

use serde::{Deserialize, Serialize};

use crate::chat::Citation;

/// One annotation. Kinds that are no citation of an address are passed over.
#[derive(Deserialize, Serialize)]
pub(super) struct Annotation {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    url_citation: Option<UrlCitation>,
}

#[derive(Deserialize, Serialize)]
struct UrlCitation {
    #[serde(default)]
    start_index: u64,
    #[serde(default)]
    end_index: u64,
    url: String,
    #[serde(default)]
    title: String,
}

impl Annotation {
    pub(super) fn of(citation: &Citation) -> Self {
        let (start_index, end_index) = citation.span.unwrap_or_default();
        Self {
            kind: "url_citation".to_owned(),
            url_citation: Some(UrlCitation {
                start_index,
                end_index,
                url: citation.url.clone(),
                title: citation.title.clone().unwrap_or_default(),
            }),
        }
    }
}

/// The citations among `annotations`.
pub(super) fn citations(annotations: Option<Vec<Annotation>>) -> Vec<Citation> {
    let one = |annotation: Annotation| {
        let cited = annotation.url_citation?;
        Some(Citation {
            url: cited.url,
            title: Some(cited.title).filter(|title| !title.is_empty()),
            cited: None,
            span: (cited.end_index > 0).then_some((cited.start_index, cited.end_index)),
        })
    };
    annotations.unwrap_or_default().into_iter().filter_map(one).collect()
}
