//! Where an answer has something from: `citationMetadata` and `groundingMetadata`, which count bytes.

use serde::{Deserialize, Serialize};

use crate::chat::Citation;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CitationMetadata {
    /// Google's documents and servers do not agree on the name.
    #[serde(alias = "citations", default)]
    citation_sources: Vec<CitationSource>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct CitationSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroundingMetadata {
    #[serde(default)]
    grounding_chunks: Vec<Chunk>,
    #[serde(default)]
    grounding_supports: Vec<Support>,
}

#[derive(Deserialize)]
struct Chunk {
    web: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    uri: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Support {
    segment: Option<Segment>,
    #[serde(default)]
    grounding_chunk_indices: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    #[serde(default)]
    start_index: usize,
    end_index: Option<usize>,
}

impl CitationMetadata {
    /// For a client. `text` is what `citations` count the characters of.
    pub(super) fn of<'c>(citations: impl Iterator<Item = &'c Citation>, text: &str) -> Option<Self> {
        let source = |citation: &Citation| CitationSource {
            start_index: citation.span.map(|(start, _)| bytes(text, start)),
            end_index: citation.span.map(|(_, end)| bytes(text, end)),
            uri: Some(citation.url.clone()),
            title: citation.title.clone(),
        };
        let citation_sources: Vec<CitationSource> = citations.map(source).collect();
        (!citation_sources.is_empty()).then_some(Self { citation_sources })
    }

    /// In neutral form, for an answer of `text`.
    pub(super) fn citations(self, text: &str) -> Vec<Citation> {
        let one = |source: CitationSource| {
            let span = source.end_index.map(|end| (source.start_index.unwrap_or(0), end));
            let span = span
                .and_then(|(start, end)| Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?)));
            Some(Citation {
                url: source.uri?,
                title: source.title,
                cited: None,
                span: span.and_then(|(start, end)| characters(text, start, end)),
            })
        };
        self.citation_sources.into_iter().filter_map(one).collect()
    }
}

impl GroundingMetadata {
    /// In neutral form, for an answer of `text`. Where nothing says what a source is for, it is for all.
    pub(super) fn citations(self, text: &str) -> Vec<Citation> {
        let cite = |chunk: &Chunk, span| {
            let web = chunk.web.as_ref()?;
            Some(Citation { url: web.uri.clone()?, title: web.title.clone(), cited: None, span })
        };
        if self.grounding_supports.is_empty() {
            return self.grounding_chunks.iter().filter_map(|chunk| cite(chunk, None)).collect();
        }
        let supported = |support: &Support| {
            let segment = support.segment.as_ref();
            let span = segment.and_then(|s| characters(text, s.start_index, s.end_index?));
            let chunks =
                support.grounding_chunk_indices.iter().filter_map(|at| self.grounding_chunks.get(*at));
            chunks.filter_map(|chunk| cite(chunk, span)).collect::<Vec<_>>()
        };
        self.grounding_supports.iter().flat_map(supported).collect()
    }
}

/// The characters that the bytes from `start` to `end` of `text` are.
fn characters(text: &str, start: usize, end: usize) -> Option<(u64, u64)> {
    let before = text.get(..start)?.chars().count() as u64;
    let inside = text.get(start..end)?.chars().count() as u64;
    Some((before, before + inside))
}

/// Where the character `number` of `text` begins, in bytes.
fn bytes(text: &str, number: u64) -> u64 {
    let at = usize::try_from(number).ok().and_then(|number| text.char_indices().nth(number));
    at.map_or(text.len(), |(at, _)| at) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_characters_and_bytes_again() {
        let text = "Zürich liegt";
        let read: GroundingMetadata = serde_json::from_str(
            r#"{"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}},{"retrievedContext":{}}],
                "groundingSupports":[{"segment":{"endIndex":7},"groundingChunkIndices":[0,1,9]}]}"#,
        )
        .unwrap();
        let citations = read.citations(text);
        assert_eq!(citations.len(), 1);
        assert_eq!((citations[0].url.as_str(), citations[0].span), ("https://a.example", Some((0, 6))));
        let written = serde_json::to_value(CitationMetadata::of(citations.iter(), text)).unwrap();
        assert_eq!(written["citationSources"][0]["endIndex"], 7);
        // In the middle of a character there is no place.
        assert_eq!(characters(text, 0, 2), None);
    }
}
