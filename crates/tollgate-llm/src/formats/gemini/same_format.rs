//! What the gate reads of a request, and the few edits that it gets on its way to an upstream of the same format.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAME;
use super::base64::standard;
use super::lenient::Whole;
use super::models::Generation;
use super::read_content::{is_public, media_type_of};
use super::write_content::NO_SIGNATURE;
use crate::chat::Sealed;
use crate::formats::{Address, Peek, SameFormat, Target};
use crate::json::{BodyError, Edit, Members, quoted};

/// A count of tokens wraps a request in `generateContentRequest`.
const WANTED: &[&str] =
    &["model", "generationConfig", "generation_config", "generateContentRequest", "generate_content_request"];

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "maxOutputTokens", alias = "max_output_tokens")]
    max_output_tokens: Option<Whole>,
}

/// Model and streaming stand in the address.
pub(super) fn peek(body: &str, address: &Address<'_>) -> Result<Peek, BodyError> {
    let members = Members::find(body, WANTED)?;
    let model = address.model.ok_or_else(|| BodyError::shape("model", "is required"))?;
    let config: Option<Config> = match members.read("generationConfig")? {
        None => members.read("generation_config")?,
        found => found,
    };
    Ok(Peek {
        model: model.to_owned(),
        stream: address.stream,
        array: address.array,
        max_output_tokens: config.and_then(|config| config.max_output_tokens).and_then(Whole::count),
        end_user: None,
        found: members.into_found(),
    })
}

/// Where the body names the model as well, it becomes the upstream's. Thoughts that other models sealed in earlier turns
/// lose their seals.
pub(super) fn edits(body: &str, members: &Members<'_>, target: &Target) -> Result<SameFormat, BodyError> {
    let mut same = SameFormat::default();
    same.edits.extend(members.replace("model", resource(&target.model)));
    for name in ["generateContentRequest", "generate_content_request"] {
        let (Some(inner), Some(span)) = (members.get(name), members.span(name)) else { continue };
        if !inner.starts_with('{') {
            continue;
        }
        if let Some(Edit { span: within, with }) =
            Members::find(inner, &["model"])?.replace("model", resource(&target.model))
        {
            same.edits.push(Edit { span: span.start + within.start..span.start + within.end, with });
        }
    }
    if let Some(ceiling) = target.output_ceiling {
        same.edits.push(shorter(members, ceiling)?);
    }
    if Sealed::may_be_in(body) {
        unseal(body, Generation::of(&target.model), &mut same.edits)?;
    }
    Ok(same)
}

/// The longest answer becomes `ceiling`, wherever the request says it.
fn shorter(members: &Members<'_>, ceiling: u64) -> Result<Edit, BodyError> {
    const WORDS: &[&str] = &["maxOutputTokens", "max_output_tokens"];
    for name in ["generationConfig", "generation_config"] {
        let (Some(config), Some(span)) = (members.get(name), members.span(name)) else { continue };
        if !config.starts_with('{') {
            return Ok(Edit { span, with: format!("{{\"maxOutputTokens\":{ceiling}}}") });
        }
        let inner = Members::find(config, WORDS)?;
        let replaced = WORDS.iter().find_map(|word| inner.replace(word, ceiling.to_string()));
        let Edit { span: within, with } =
            replaced.unwrap_or_else(|| inner.append("maxOutputTokens", &ceiling.to_string()));
        return Ok(Edit { span: span.start + within.start..span.start + within.end, with });
    }
    Ok(members.append("generationConfig", &format!("{{\"maxOutputTokens\":{ceiling}}}")))
}

/// The parts of the conversation in `body`.
fn parts(body: &str) -> Result<Vec<&str>, BodyError> {
    let mut parts = Vec::new();
    for content in list(Members::find(body, &["contents"])?.get("contents"))? {
        parts.extend(list(Members::find(content, &["parts"])?.get("parts"))?);
    }
    Ok(parts)
}

/// The elements of a list, which may be written as its only one.
fn list(text: Option<&str>) -> Result<Vec<&str>, BodyError> {
    match text {
        None | Some("null") => Ok(Vec::new()),
        Some(text) if text.starts_with('[') => {
            Ok(serde_json::from_str::<Vec<&RawValue>>(text)?.into_iter().map(RawValue::get).collect())
        }
        Some(one) => Ok(vec![one]),
    }
}

/// Takes away the signatures that are no signatures of Gemini's.
fn unseal(body: &str, generation: Generation, edits: &mut Vec<Edit>) -> Result<(), BodyError> {
    const WANTED: &[&str] = &["thoughtSignature", "thought_signature", "functionCall", "function_call"];
    for part in parts(body)? {
        let members = Members::find(part, WANTED)?;
        let Some(name) =
            ["thoughtSignature", "thought_signature"].into_iter().find(|n| members.get(n).is_some())
        else {
            continue;
        };
        let signature: String = members.read(name)?.unwrap_or_default();
        if Sealed::read(&standard(signature.into()), NAME).origin == NAME {
            continue;
        }
        let calls = members.get("functionCall").or(members.get("function_call")).is_some();
        let edit = if calls && generation.wants_signatures() {
            members.replace(name, quoted(NO_SIGNATURE))
        } else {
            members.remove(name)
        };
        let offset = start_in(body, part);
        let within = |Edit { span, with }| Edit { span: offset + span.start..offset + span.end, with };
        edits.extend(edit.map(within));
    }
    Ok(())
}

/// Where `part` begins in `body`, which it is a part of.
fn start_in(body: &str, part: &str) -> usize {
    part.as_ptr() as usize - body.as_ptr() as usize
}

/// The model's name in a body.
fn resource(model: &str) -> String {
    if model.contains('/') { quoted(model) } else { quoted(&format!("models/{model}")) }
}

/// Each `fileData` that is a picture at a public address, its name included: another member takes its place.
pub(super) fn image_urls(body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, rename = "fileData", alias = "file_data")]
        file: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct File {
        #[serde(rename = "mimeType", alias = "mime_type")]
        media_type: Option<String>,
        #[serde(rename = "fileUri", alias = "file_uri")]
        uri: String,
    }
    let mut found = Vec::new();
    for part in parts(body)? {
        let Some(raw) = serde_json::from_str::<Part<'_>>(part)?.file else { continue };
        let file: File = serde_json::from_str(raw.get())?;
        let media_type = file.media_type.as_deref().unwrap_or_else(|| media_type_of(&file.uri));
        if media_type.starts_with("image/") && is_public(&file.uri) {
            found.extend(member(body, raw).map(|span| (span, file.uri)));
        }
    }
    Ok(found)
}

/// Where the member with the value `raw` stands, from its name on. `raw` is a part of `body`.
fn member(body: &str, raw: &RawValue) -> Option<Range<usize>> {
    let start = start_in(body, raw.get());
    let colon = body[..start].rfind(':')?;
    let close = body[..colon].rfind('"')?;
    let open = body[..close].rfind('"')?;
    Some(open..start + raw.get().len())
}

/// What takes the place of such a member.
pub(super) fn inline_image(span: Range<usize>, media_type: &str, base64: &str) -> Edit {
    let with = format!(r#""inlineData":{{"mimeType":{},"data":{}}}"#, quoted(media_type), quoted(base64));
    Edit { span, with }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::json::splice;

    #[test]
    fn a_picture_at_an_address_becomes_one_that_is_here() {
        let one = r#"{"contents":{"parts":{"fileData":{"fileUri":"http://a.example/b.gif"}}}}"#;
        assert_eq!(image_urls(one).unwrap()[0].1, "http://a.example/b.gif");
        assert!(image_urls(r#"{"contents":null}"#).unwrap().is_empty());
        let body = r#"{"contents":{"parts":[{"text":"x"},{ "file_data" : {"file_uri":"https://a.example/b.png?c"},"mediaResolution":{}},
            {"fileData":{"fileUri":"https://a.example/b.pdf","mimeType":"application/pdf"}},
            {"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x","mimeType":"image/png"}}]}}"#;
        let found = image_urls(body).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "https://a.example/b.png?c");
        let edited = splice(body, vec![inline_image(found[0].0.clone(), "image/png", "AAAA")]);
        let edited: Value = serde_json::from_slice(&edited).unwrap();
        assert_eq!(
            edited["contents"]["parts"][1],
            json!({ "inlineData": { "mimeType": "image/png", "data": "AAAA" }, "mediaResolution": {} })
        );
    }

    #[test]
    fn a_model_in_the_body_becomes_the_upstreams() {
        let body = r#"{"generateContentRequest":{"model":"models/alias","contents":[]}}"#;
        let address = Address { model: Some("alias"), ..Address::default() };
        let peek = peek(body, &address).unwrap();
        let target = Target { model: "gemini-2.5-flash".into(), ..Target::default() };
        let same = edits(body, &peek.found.on(body), &target).unwrap();
        assert_eq!(
            String::from_utf8(splice(body, same.edits)).unwrap(),
            r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[]}}"#
        );
    }

    #[test]
    fn seals_of_others_stay_here() {
        let anthropics = Sealed::by("anthropic_messages", "s?>").for_client(NAME);
        let url_safe = anthropics.replace('+', "-").replace('/', "_");
        let body = format!(
            r#"{{"contents":[{{"parts":[{{"text":"t","thought":true,"thoughtSignature":"{anthropics}"}},
                {{"thought_signature":"{url_safe}","functionCall":{{"name":"f"}}}},
                {{"text":"x","thoughtSignature":"AQL__vs="}}]}}]}}"#
        );
        let edited = |model: &str| -> Value {
            let target = Target { model: model.into(), ..Target::default() };
            let found = peek(&body, &Address { model: Some("m"), ..Address::default() }).unwrap().found;
            let same = edits(&body, &found.on(&body), &target).unwrap();
            let body: Value = serde_json::from_slice(&splice(&body, same.edits)).unwrap();
            body["contents"][0]["parts"].clone()
        };
        let signed = json!({ "text": "x", "thoughtSignature": "AQL__vs=" });
        assert_eq!(
            edited("gemini-2.5-pro"),
            json!([{ "text": "t", "thought": true }, { "functionCall": { "name": "f" } }, signed])
        );
        assert_eq!(edited("gemini-3-pro")[1]["thought_signature"], NO_SIGNATURE);
    }

    #[test]
    fn the_address_tells_model_and_framing_the_body_the_rest() {
        let address = Address { model: Some("m"), stream: true, array: true };
        let read = peek(r#"{"contents":[],"generation_config":{"maxOutputTokens":"7"}}"#, &address).unwrap();
        assert_eq!((read.model.as_str(), read.stream, read.array), ("m", true, true));
        assert_eq!(read.max_output_tokens, Some(7));
        assert!(peek("{}", &Address::default()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: crate::sse::cases(), ..ProptestConfig::default() })]

        /// However a body is written: the edits leave JSON, and no seal of others.
        #[test]
        fn the_edits_leave_json(parts in proptest::collection::vec(part(), 0..5), one in any::<bool>(), gap in "[ \n]{0,2}", new in any::<bool>()) {
            let parts = if one && parts.len() == 1 { parts[0].clone() } else { format!("[{}]", parts.join(",")) };
            let body = format!(r#"{{"model":"m",{gap}"contents"{gap}:[{{"parts":{gap}{parts}}}]{gap}}}"#);
            let found = peek(&body, &Address { model: Some("m"), ..Address::default() }).unwrap().found;
            let model = if new { "gemini-3-pro" } else { "gemini-2.5-pro" };
            let target = Target { model: model.into(), ..Target::default() };
            let same = edits(&body, &found.on(&body), &target).unwrap();
            let edited = splice(&body, same.edits);
            prop_assert!(serde_json::from_slice::<Value>(&edited).is_ok());
            prop_assert!(!Sealed::may_be_in(std::str::from_utf8(&edited).unwrap()));
            let images = image_urls(&body).unwrap();
            let inlined = images.into_iter().map(|(span, _)| inline_image(span, "image/png", "AAAA")).collect();
            let inlined: Value = serde_json::from_slice(&splice(&body, inlined)).unwrap();
            prop_assert!(!inlined.to_string().contains("https://a.example"));
        }
    }

    fn part() -> impl Strategy<Value = String> {
        let members = vec![
            r#""thoughtSignature" : "dG9sbGdhdGU6eDp5""#,
            r#""text":"a}\"{""#,
            r#""thought":true"#,
            r#""functionCall":{"name":"f","args":{"thoughtSignature":"s"}}"#,
            r#""fileData" :{"fileUri":"https://a.example/b.png"}"#,
        ];
        proptest::sample::subsequence(members, 0..5)
            .prop_shuffle()
            .prop_map(|members| format!("{{{}}}", members.join(" ,")))
    }
}
