//! The neutral form in which two embedding formats meet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use crate::chat::Text;

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
