//! An answer, into the neutral form and from it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollgate_core::usage::{Usage, UsageSource};

use crate::embeddings::{Response, Vector};
use crate::json::Members;

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    model: String,
    data: Vec<WrittenVector>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WrittenVector {
    #[serde(default)]
    index: usize,
    embedding: Box<RawValue>,
}

#[derive(Deserialize, Serialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    total_tokens: u64,
}

impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        Self { input_tokens: wire.prompt_tokens, source: UsageSource::Reported, ..Self::default() }
    }
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let mut written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    written.data.sort_by_key(|vector| vector.index);
    let vector = |vector: WrittenVector| match serde_json::from_str::<String>(vector.embedding.get()) {
        Ok(base64) => Vector::from_base64(&base64).ok_or_else(|| "a vector is no base64".to_owned()),
        Err(_) => Ok(Vector(vector.embedding)),
    };
    Ok(Response {
        model: written.model,
        vectors: written.data.into_iter().map(vector).collect::<Result<_, _>>()?,
        usage: written.usage.as_ref().map(Usage::from),
    })
}

/// Only what the meter needs.
pub(super) fn usage(body: &str) -> Result<Option<Usage>, String> {
    let members = Members::find(body, &["data", "usage"]).map_err(|e| e.to_string())?;
    if members.get("data").is_none() {
        return Err("it has no `data`".to_owned());
    }
    let usage: Option<WireUsage> = members.read("usage").map_err(|e| e.to_string())?;
    Ok(usage.as_ref().map(Usage::from))
}

#[derive(Serialize)]
struct Out<'r> {
    object: &'static str,
    data: Vec<OutVector<'r>>,
    model: &'r str,
    usage: WireUsage,
}

#[derive(Serialize)]
struct OutVector<'r> {
    object: &'static str,
    index: usize,
    embedding: OutNumbers<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutNumbers<'r> {
    List(&'r RawValue),
    Base64(String),
}

impl<'r> OutNumbers<'r> {
    fn of(vector: &'r Vector, base64: bool) -> Self {
        let text = if base64 { vector.to_base64() } else { None };
        text.map_or(Self::List(&vector.0), Self::Base64)
    }
}

pub(super) fn write(response: &Response, base64: bool) -> Vec<u8> {
    let data = response.vectors.iter().enumerate();
    let tokens = response.usage.map_or(0, |usage| usage.input_tokens);
    crate::json::written(&Out {
        object: "list",
        data: data
            .map(|(index, vector)| OutVector {
                object: "embedding",
                index,
                embedding: OutNumbers::of(vector, base64),
            })
            .collect(),
        model: &response.model,
        usage: WireUsage { prompt_tokens: tokens, total_tokens: tokens },
    })
}
