//! The neutral form in which two reranking formats meet: documents, and how well each fits a query.

use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use crate::chat::Text;

/// A request to order documents.
#[derive(Debug)]
pub struct Request<'a> {
    /// The model, as the client calls it.
    pub model: String,
    /// What is looked for.
    pub query: Text<'a>,
    /// Where it is looked for.
    pub documents: Vec<Text<'a>>,
    /// How many of the best are wanted.
    pub top_n: Option<u64>,
    /// Tokens of a document that count at most.
    pub max_tokens_per_doc: Option<u64>,
    /// Whether the documents are repeated in the answer.
    pub return_documents: bool,
}

/// The order.
#[derive(Debug, Default)]
pub struct Response {
    /// The upstream's id for it.
    pub id: String,
    /// The best first.
    pub results: Vec<Ranked>,
    /// What it used.
    pub usage: Option<Usage>,
}

/// How well a document fits.
#[derive(Debug)]
pub struct Ranked {
    /// Which of the request's documents.
    pub index: u64,
    /// How well, higher is better: a number with the digits that the upstream wrote.
    pub relevance_score: Box<RawValue>,
}
