//! A request, into the neutral form and from it.

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Deserialize as Deserializable, Serialize};
use serde_json::value::RawValue;

use crate::chat::{Losses, Text};
use crate::formats::{Target, body, note_unknown};
use crate::json::{BodyError, Members, read_all};
use crate::rerank::Request;

body! {
    /// The members that mean something here.
    Written<'a> {
        "model" => model: String,
        "query" => query: Text<'a>,
        "documents" => documents: Vec<Document<'a>>,
        "top_n" => top_n: u64,
        "return_documents" => return_documents: bool,
        "rank_fields" => rank_fields: Vec<String>,
        "max_chunks_per_doc" => max_chunks_per_doc: u64,
        "max_tokens_per_doc" => max_tokens_per_doc: u64,
    }
}

/// Members that say nothing about the order.
const HARMLESS: &[&str] = &["priority", "user"];

/// A text, or an object that holds one.
struct Document<'a> {
    text: Text<'a>,
    /// Whether the object holds anything else.
    more: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserializable)]
        struct Object<'a> {
            #[serde(borrow)]
            text: Option<Text<'a>>,
        }
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        if let Some(text) = Text::from_raw(raw) {
            return Ok(Self { text, more: false });
        }
        let object: Option<Object<'de>> =
            serde_json::from_str(raw.get()).ok().filter(|_| raw.get().starts_with('{'));
        let text = object.and_then(|object| object.text);
        let text = text.ok_or_else(|| D::Error::custom("expected a text, or an object with a `text`"))?;
        let members = Members::find(raw.get(), &["text"]).map_err(D::Error::custom)?;
        Ok(Self { text, more: members.count() > 1 })
    }
}

pub(super) fn read<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
    let written: Written<'a> = read_all(body)?;
    note_unknown(&written.unknown, "", HARMLESS, losses);
    let required = |member| move || BodyError::shape(member, "is required");
    if written.rank_fields.is_some_and(|fields| fields != ["text"]) {
        losses.lose("rank_fields", "the upstream ranks by the text alone");
    }
    if written.max_chunks_per_doc.is_some() {
        losses.lose("max_chunks_per_doc", "the upstream bounds documents by tokens, not by chunks");
    }
    let documents = written.documents.ok_or_else(required("documents"))?;
    if documents.iter().any(|document| document.more) {
        losses.approximate("documents", "only the text of a document is sent, and given back");
    }
    Ok(Request {
        model: written.model.ok_or_else(required("model"))?,
        query: written.query.ok_or_else(required("query"))?,
        documents: documents.into_iter().map(|document| document.text).collect(),
        top_n: written.top_n,
        max_tokens_per_doc: written.max_tokens_per_doc,
        return_documents: written.return_documents.unwrap_or(false),
    })
}

#[derive(Serialize)]
struct Out<'r> {
    model: &'r str,
    query: &'r Text<'r>,
    documents: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    top_n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens_per_doc: Option<u64>,
}

/// Both versions have these members. Documents are not asked for: the gate has them.
pub(super) fn write(request: &Request<'_>, target: &Target) -> Vec<u8> {
    crate::json::written(&Out {
        model: &target.model,
        query: &request.query,
        documents: &request.documents,
        top_n: request.top_n,
        max_tokens_per_doc: request.max_tokens_per_doc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(body: &str) -> Vec<String> {
        let mut losses = Losses::default();
        read(body, &mut losses).unwrap();
        losses.iter().map(|loss| format!("{:?} {}", loss.kept, loss.member)).collect()
    }

    #[test]
    fn what_a_document_holds_beside_its_text_is_told() {
        let body = |documents: &str| format!(r#"{{"model":"m","query":"q","documents":{documents}}}"#);
        assert_eq!(losses(&body(r#"["a",{"text":"b"}]"#)), [""; 0]);
        assert_eq!(losses(&body(r#"[{"text":"b","title":"t"}]"#)), ["Nearly documents"]);
        for wrong in [r#"[{"title":"t"}]"#, "[5]", r#"[["a"]]"#, "\"a\""] {
            let error = read(&body(wrong), &mut Losses::default()).unwrap_err().to_string();
            assert!(error.contains("documents"), "{wrong}: {error}");
        }
    }

    #[test]
    fn other_fields_to_rank_by_are_refused() {
        let body = |more: &str| format!(r#"{{"model":"m","query":"q","documents":[],{more}}}"#);
        assert_eq!(losses(&body(r#""rank_fields":["title","text"]"#)), ["Not rank_fields"]);
        assert_eq!(losses(&body(r#""rank_fields":["text"],"priority":3"#)), ["LeftOut priority"]);
        assert_eq!(losses(&body(r#""relevant_spans":{"mode":"fast"}"#)), ["Not relevant_spans"]);
    }
}
