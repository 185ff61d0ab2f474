//! Paths of Google's Gemini API, where the model and what is asked of it stand in the address:
//! `/v1beta/models/{model}:generateContent`.

use tollgate_llm::formats::Surface;
use tollgate_llm::formats::gemini::Gemini;
use tollgate_llm::providers::Operation;

use super::routes::decoded;
use crate::llm::InAddress;

/// The call that `bare`, a path without its version, stands for.
pub(super) fn call_at(
    bare: &str,
    query: Option<&str>,
) -> Option<(&'static dyn Surface, Operation, InAddress)> {
    let (model, verb) = bare.strip_prefix('/')?.rsplit_once(':')?;
    let model = model.strip_prefix("models/").unwrap_or(model);
    let (operation, stream) = match verb {
        "generateContent" => (Operation::Chat, false),
        "streamGenerateContent" => (Operation::Chat, true),
        "countTokens" => (Operation::CountTokens, false),
        _ => return None,
    };
    let sse = query.into_iter().flat_map(|query| query.split('&')).any(|pair| pair == "alt=sse");
    let address = InAddress { model: Some(decoded(model)), stream, array: stream && !sse };
    Some((&Gemini, operation, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_what_the_body_does_not() {
        let read = |path, query| {
            let (_, operation, address) = call_at(path, query)?;
            Some((operation, address.model.unwrap(), address.stream, address.array))
        };
        let name = || "gemini-2.5-flash".to_owned();
        assert_eq!(
            read("/models/gemini-2.5-flash:generateContent", Some("key=x")),
            Some((Operation::Chat, name(), false, false))
        );
        assert_eq!(
            read("/models/gemini-2.5-flash:streamGenerateContent", Some("key=x&alt=sse")),
            Some((Operation::Chat, name(), true, false))
        );
        assert_eq!(
            read("/models/gemini-2.5-flash:streamGenerateContent", None),
            Some((Operation::Chat, name(), true, true))
        );
        assert_eq!(
            read("/models/ft:gpt%2Fx:countTokens", None),
            Some((Operation::CountTokens, "ft:gpt/x".to_owned(), false, false))
        );
        assert_eq!(read("/models/x:embedContent", None), None);
        assert_eq!(read("/chat/completions", None), None);
    }
}
