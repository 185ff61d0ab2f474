//! A request, into the neutral form. Member names come in camel case and in snake case, both in one body.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::lenient::Many;
use super::read_config::{GenerationConfig, configure};
use super::read_content::{Content, Reader};
use super::schema::to_json_schema;
use crate::chat::{Losses, Message, Request, Role, Text, Tool, ToolChoice};
use crate::formats::{body, note_unknown};
use crate::json::{BodyError, read_all};

body! {
    /// The members that mean something here. Model and streaming stand in the address.
    Written<'a> {
        "model" => model: String,
        "contents" => contents: Many<Content<'a>>,
        "systemInstruction" | "system_instruction" => system: Content<'a>,
        "tools" => tools: Many<WrittenTool<'a>>,
        "toolConfig" | "tool_config" => tool_config: ToolConfig<'a>,
        "generationConfig" | "generation_config" => config: GenerationConfig<'a>,
        "labels" => labels: &'a RawValue,
        "serviceTier" | "service_tier" => service_tier: String,
    }
}

body! {
    /// A set of functions, or a tool of the provider's.
    WrittenTool<'a> {
        "functionDeclarations" | "function_declarations" => functions: Many<Function<'a>>,
    }
}

body! {
    /// A function that the model may call.
    Function<'a> {
        "name" => name: String,
        "description" => description: Text<'a>,
        "parameters" => parameters: &'a RawValue,
        "parametersJsonSchema" | "parameters_json_schema" => json_schema: &'a RawValue,
    }
}

body! {
    /// How tools are used.
    ToolConfig<'a> {
        "functionCallingConfig" | "function_calling_config" => calling: Calling<'a>,
    }
}

body! {
    /// Whether functions must be called.
    Calling<'a> {
        "mode" => mode: String,
        "allowedFunctionNames" | "allowed_function_names" => allowed: Vec<String>,
    }
}

/// Members without which the answer is the same, or which other providers have their own settings for.
const HARMLESS: &[&str] = &["safetySettings", "safety_settings", "store"];

/// What a function's result looks like, the model learns from the result.
const HARMLESS_IN_FUNCTIONS: &[&str] = &["response", "responseJsonSchema", "response_json_schema"];

pub(super) fn read<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
    let written: Written<'a> = read_all(body)?;
    note_unknown(&written.unknown, "", HARMLESS, losses);
    let model = written.model.unwrap_or_default();
    let mut request = Request {
        model: model.strip_prefix("models/").unwrap_or(&model).to_owned(),
        stream_usage: true,
        metadata: written.labels.map(Cow::Borrowed),
        service_tier: written.service_tier.map(|tier| tier.to_ascii_lowercase()).and_then(tier),
        ..Request::default()
    };
    if let Some(config) = written.config {
        configure(&mut request, config, losses)?;
    }
    let mut reader = Reader { losses, pairing: super::ids::Pairing::default() };
    if let Some(system) = written.system {
        let parts = reader.instructions(system, "systemInstruction")?;
        request.messages.push(Message { role: Role::System, parts });
    }
    let contents = written.contents.ok_or_else(|| BodyError::shape("contents", "is required"))?;
    for (index, content) in contents.0.into_iter().enumerate() {
        reader.push(&mut request.messages, content, &format!("contents[{index}]"))?;
    }
    for (index, tool) in written.tools.map(|tools| tools.0).unwrap_or_default().into_iter().enumerate() {
        read_tool(&mut request, tool, index, losses)?;
    }
    if let Some(config) = written.tool_config {
        note_unknown(&config.unknown, "toolConfig.", &[], losses);
        choose(&mut request, config.calling.unwrap_or_default(), losses)?;
    }
    Ok(request)
}

/// The name that others have for a tier.
fn tier(name: String) -> Option<String> {
    match name.as_str() {
        "unspecified" => None,
        "standard" => Some("default".to_owned()),
        _ => Some(name),
    }
}

fn read_tool<'a>(
    request: &mut Request<'a>,
    tool: WrittenTool<'a>,
    index: usize,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    for name in &tool.unknown {
        losses.lose(format!("tools[{index}].{name}"), "the provider's own tools have no counterpart");
    }
    let functions = tool.functions.map(|functions| functions.0).unwrap_or_default();
    for (number, function) in functions.into_iter().enumerate() {
        let at = format!("tools[{index}].functionDeclarations[{number}].");
        note_unknown(&function.unknown, &at, HARMLESS_IN_FUNCTIONS, losses);
        let name = function.name.ok_or_else(|| BodyError::shape(format!("{at}name"), "is required"))?;
        let schema = function.json_schema.map(Cow::Borrowed);
        request.tools.push(Tool {
            name: name.into(),
            description: function.description,
            schema: schema.or_else(|| function.parameters.map(to_json_schema)),
            strict: None,
            cache: None,
        });
    }
    Ok(())
}

fn choose(request: &mut Request<'_>, calling: Calling<'_>, losses: &mut Losses) -> Result<(), BodyError> {
    const AT: &str = "toolConfig.functionCallingConfig.";
    note_unknown(&calling.unknown, AT, &[], losses);
    let mut allowed = calling.allowed.unwrap_or_default();
    let mode = calling.mode.unwrap_or_default().to_ascii_uppercase();
    request.tool_choice = Some(match mode.as_str() {
        "" | "MODE_UNSPECIFIED" | "AUTO" => ToolChoice::Auto,
        "NONE" => ToolChoice::None,
        "ANY" if allowed.len() == 1 => ToolChoice::Named(allowed.remove(0)),
        "ANY" => ToolChoice::Required,
        "VALIDATED" => {
            losses
                .approximate(format!("{AT}mode"), "elsewhere arguments are not checked against their schema");
            ToolChoice::Auto
        }
        other => return Err(BodyError::shape(format!("{AT}mode"), format!("`{other}` is not known"))),
    });
    if !allowed.is_empty() {
        // Nobody else can be told some tools of many: the others are not offered.
        losses.approximate(format!("{AT}allowedFunctionNames"), "the other functions are not offered");
        request.tools.retain(|tool| allowed.iter().any(|name| *name == tool.name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Part;

    fn refused(body: &str) -> (String, String) {
        match read(body, &mut Losses::default()) {
            Err(BodyError::Shape { param, message }) => (param, message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert_eq!(refused("{}").0, "contents");
        assert_eq!(refused(r#"{"contents":[{"parts":[{"text":5}]}]}"#).0, "contents[0].parts[0].text");
        assert_eq!(refused(r#"{"contents":[{"role":"system","parts":[]}]}"#).0, "contents[0].role");
        let unasked = r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","response":{}}}]}]}"#;
        assert!(refused(unasked).1.contains("answers no call of `f`"));
        let mode = r#"{"contents":[],"toolConfig":{"functionCallingConfig":{"mode":"SOMETIMES"}}}"#;
        assert_eq!(refused(mode).0, "toolConfig.functionCallingConfig.mode");
        assert_eq!(
            refused(r#"{"contents":[],"generationConfig":{"topP":1,"top_p":1}}"#).0,
            "generationConfig"
        );
    }

    #[test]
    fn of_many_tools_only_the_allowed_are_offered() {
        let tools = r#""tools":{"functionDeclarations":[{"name":"a"},{"name":"b"},{"name":"c"}]}"#;
        let config = |calling: &str| {
            let body =
                format!(r#"{{"contents":[],{tools},"toolConfig":{{"functionCallingConfig":{calling}}}}}"#);
            let request = read(&body, &mut Losses::default()).unwrap();
            let names: Vec<String> = request.tools.iter().map(|tool| tool.name.to_string()).collect();
            (request.tool_choice, names.join(" "))
        };
        let two = config(r#"{"mode":"any","allowedFunctionNames":["c","a"]}"#);
        assert_eq!(two, (Some(ToolChoice::Required), "a c".to_owned()));
        let one = config(r#"{"mode":"ANY","allowed_function_names":["b"]}"#);
        assert_eq!(one, (Some(ToolChoice::Named("b".to_owned())), "a b c".to_owned()));
        assert_eq!(config(r#"{"mode":"NONE"}"#).0, Some(ToolChoice::None));
    }

    #[test]
    fn texts_are_not_decoded_and_thoughts_in_pieces_are_one() {
        let body = r#"{"contents":[{"parts":[{"text":"a\u00e4\n"}]},
            {"role":"model","parts":[{"text":"x","thought":true}]},
            {"role":"model","parts":[{"text":"y","thought":true,"thoughtSignature":"-_8="},{"text":"z"}]}]}"#;
        let request = read(body, &mut Losses::default()).unwrap();
        assert_eq!(request.messages.len(), 2);
        let [Part::Text(text)] = &request.messages[0].parts[..] else { panic!() };
        assert_eq!(serde_json::to_string(text).unwrap(), r#""a\u00e4\n""#);
        let [Part::Thinking { text, seal: Some(seal) }, Part::Text(_)] = &request.messages[1].parts[..]
        else {
            panic!("{:?}", request.messages[1]);
        };
        assert_eq!((&*text.decoded(), seal.data.as_str()), ("xy", "+/8="));
    }
}
