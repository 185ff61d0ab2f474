//! What the simulator says when nothing is broken.
//!
//! - The prompt names tools that it is offered, or `tool_choice` demands one: it calls them, all of them at once,
//!   with arguments made from their schemas.
//! - The last message holds tool results: it says what they were.
//! - A JSON schema is asked for: an instance of it.
//! - Otherwise: a sentence that repeats the prompt's beginning.

use tollgate_core::usage::{Usage, UsageSource, estimate_tokens};

use super::{prompt, schema};
use crate::chat::{Event, OutputFormat, Part, Request, StopReason, Tool, ToolChoice};

pub(super) fn events(request: &Request<'_>, body_bytes: usize) -> Vec<Event> {
    let input_tokens = estimate_tokens(body_bytes as u64);
    let usage = |output_tokens| Usage {
        input_tokens,
        output_tokens,
        source: UsageSource::Reported,
        ..Usage::default()
    };
    let id = format!("sim-{:016x}", fingerprint(&prompt(request)));
    let mut events = vec![Event::Start { id, model: request.model.clone(), usage: Some(usage(1)) }];
    let called = tools_to_call(request);
    let mut tokens = 0_u64;
    let stop = if called.is_empty() {
        let (pieces, stop) = limited(pieces(&text(request)), request.max_output_tokens);
        tokens += pieces.len() as u64;
        events.extend(pieces.into_iter().map(Event::Text));
        stop
    } else {
        for (index, tool) in called.into_iter().enumerate() {
            let id = format!("call_{:08x}{index:02}", fingerprint(&tool.name) & 0xffff_ffff);
            events.push(Event::ToolStart { index, id, name: tool.name.to_string(), seal: None });
            let schema =
                tool.schema.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
            let arguments = schema::instance(&schema, &prompt(request));
            let arguments = if arguments.is_object() { arguments.to_string() } else { "{}".to_owned() };
            for fragment in pieces(&arguments) {
                tokens += 1;
                events.push(Event::ToolArguments { index, fragment });
            }
        }
        StopReason::ToolCalls
    };
    events.push(Event::Usage(usage(tokens.max(1))));
    events.push(Event::Stop(stop));
    events.push(Event::Done);
    events
}

fn tools_to_call<'r>(request: &'r Request<'_>) -> Vec<&'r Tool<'r>> {
    let prompt = prompt(request);
    match &request.tool_choice {
        Some(ToolChoice::None) => Vec::new(),
        Some(ToolChoice::Named(name)) => request.tools.iter().filter(|tool| tool.name == *name).collect(),
        choice => {
            let mut named: Vec<&Tool<'_>> =
                request.tools.iter().filter(|tool| prompt.contains(&*tool.name)).collect();
            if named.is_empty() && *choice == Some(ToolChoice::Required) {
                named.extend(request.tools.first());
            }
            if request.parallel_tools == Some(false) {
                named.truncate(1);
            }
            if results(request).is_empty() { named } else { Vec::new() }
        }
    }
}

fn results(request: &Request<'_>) -> Vec<String> {
    let last = request.messages.iter().rev().find(|message| !message.role.instructs());
    let texts = |parts: &[Part<'_>]| {
        parts
            .iter()
            .filter_map(|p| if let Part::Text(t) = p { Some(t.decoded()) } else { None })
            .collect::<Vec<_>>()
            .join(" ")
    };
    last.into_iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| if let Part::ToolResult { parts, .. } = part { Some(texts(parts)) } else { None })
        .collect()
}

fn text(request: &Request<'_>) -> String {
    let results = results(request);
    if !results.is_empty() {
        return format!("The tools answered: {}.", results.join("; "));
    }
    match &request.output {
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            let schema = serde_json::from_str(schema.get()).unwrap_or_default();
            return schema::instance(&schema, &prompt(request)).to_string();
        }
        Some(OutputFormat::JsonObject) => {
            return serde_json::json!({ "answer": excerpt(&prompt(request)) }).to_string();
        }
        None => {}
    }
    let images = request
        .messages
        .iter()
        .flat_map(|m| &m.parts)
        .filter(|part| matches!(part, Part::Image { .. }))
        .count();
    let seen = if images == 0 { String::new() } else { format!(" I see {images} image(s).") };
    format!(
        "You said: \"{}\".{seen} I am a simulator, so this is all that I can say about it.",
        excerpt(&prompt(request))
    )
}

fn excerpt(prompt: &str) -> String {
    let line =
        prompt.lines().filter(|line| !line.trim().starts_with("simulate:")).collect::<Vec<_>>().join(" ");
    line.chars().take(80).collect()
}

/// One piece a token: a word with the space before it, or a few characters of what has no spaces.
fn pieces(text: &str) -> Vec<String> {
    const LONGEST: usize = 12;
    let mut pieces: Vec<String> = Vec::new();
    for c in text.chars() {
        match pieces.last_mut() {
            Some(last) if c != ' ' && last.chars().count() < LONGEST => last.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces
}

fn limited(mut pieces: Vec<String>, max: Option<u64>) -> (Vec<String>, StopReason) {
    match max.and_then(|max| usize::try_from(max).ok()).filter(|max| *max < pieces.len()) {
        Some(max) => {
            pieces.truncate(max);
            (pieces, StopReason::MaxTokens)
        }
        None => (pieces, StopReason::End),
    }
}

/// FNV-1a: ids that are the same for the same prompt, on every machine.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
