//! The neutral form in which two embedding formats meet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use crate::chat::Text;
use crate::json::BodyError;

/// A request for embeddings.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// The model, as the client calls it.
    pub model: String,
    /// What is embedded.
    pub inputs: Vec<Input<'a>>,
    /// How many numbers each vector has, where the model leaves a choice.
    pub dimensions: Option<u64>,
    /// What the vectors are for, such as `search_document` and `search_query`.
    pub purpose: Option<String>,
    /// The end user.
    pub user: Option<String>,
    /// Whether the client wants vectors as base64 of little-endian 32-bit floats.
    pub base64: bool,
}

/// A piece that is embedded.
#[derive(Debug)]
pub enum Input<'a> {
    /// Text.
    Text(Text<'a>),
    /// Tokens of the model's own vocabulary.
    Tokens(Vec<u64>),
}

impl<'a> Request<'a> {
    /// Its texts, for formats that take nothing else: tokens of one model's vocabulary mean nothing to another.
    pub fn texts(&self) -> Result<Vec<&Text<'a>>, BodyError> {
        let texts = self.inputs.iter().map(|input| match input {
            Input::Text(text) => Ok(text),
            Input::Tokens(_) => Err(BodyError::shape("input", "holds tokens; the upstream takes only texts")),
        });
        texts.collect()
    }
}

/// What vectors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be found.
    Document,
    /// To find documents.
    Query,
    /// To sort texts into known classes.
    Classification,
    /// To find out which texts belong together.
    Clustering,
    /// To tell how much texts mean the same.
    Similarity,
    /// To find documents that answer a question.
    QuestionAnswering,
    /// To find documents that prove or refute a claim.
    FactVerification,
    /// To find code.
    CodeQuery,
}

impl Purpose {
    /// The purpose called `name`: in Cohere's words, in Google's, or in those of servers with just two.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "search_document" | "retrieval_document" | "document" | "passage" => Self::Document,
            "search_query" | "retrieval_query" | "query" => Self::Query,
            "classification" => Self::Classification,
            "clustering" => Self::Clustering,
            "semantic_similarity" => Self::Similarity,
            "question_answering" => Self::QuestionAnswering,
            "fact_verification" => Self::FactVerification,
            "code_retrieval_query" => Self::CodeQuery,
            _ => return None,
        })
    }
}

/// The vectors.
#[derive(Debug, Default)]
pub struct Response {
    /// The model, as the upstream calls it.
    pub model: String,
    /// One for each input, in order.
    pub vectors: Vec<Vector>,
    /// What it used.
    pub usage: Option<Usage>,
}

/// A vector: a JSON list of numbers, with the digits that the upstream wrote.
#[derive(Debug)]
pub struct Vector(pub Box<RawValue>);

impl Vector {
    /// Base64 of its numbers as little-endian 32-bit floats, as OpenAI's SDKs ask for.
    pub fn to_base64(&self) -> Option<String> {
        let numbers: Vec<f32> = serde_json::from_str(self.0.get()).ok()?;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Some(STANDARD.encode(bytes))
    }

    /// The vector that `text` is the base64 of.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let raw = serde_json::value::to_raw_value(&numbers).ok()?;
        rest.is_empty().then_some(Self(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_the_sdks_expect() {
        let vector = Vector(RawValue::from_string("[1.0, -0.5,0.0]".to_owned()).unwrap());
        let text = vector.to_base64().unwrap();
        assert_eq!(text, "AACAPwAAAL8AAAAA");
        assert_eq!(Vector::from_base64(&text).unwrap().0.get(), "[1.0,-0.5,0.0]");
        assert!(Vector::from_base64("AAA=").is_none());
    }
}
