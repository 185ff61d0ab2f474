//! Converts the published price facts into the catalog's own format, exactly: dollars per token become whole
//! pico-dollars, and a fact that is finer than that is left out and named.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use tollgate_core::price::decimal;

const OUT: &str = "crates/tollgate-llm/src/catalog/models.txt";

const HEADER: &str = "\
# Model prices (pico-dollars per token) and limits (tokens). Made by `cargo xtask catalog`; do not edit.
# Converted from LiteLLM's model_prices_and_context_window.json, Copyright (c) 2023 Berri AI, MIT License:
# see THIRD_PARTY.md.
";

/// Reads `facts` and writes the catalog.
pub(crate) fn run(facts: &str) -> Result<()> {
    let text = std::fs::read_to_string(facts).with_context(|| format!("reading {facts}"))?;
    let all: Map<String, Value> = serde_json::from_str(&text)?;
    let mut lines = BTreeMap::new();
    let mut left_out = Vec::new();
    for (name, fact) in &all {
        let Some(provider) =
            fact.get("litellm_provider").and_then(Value::as_str).filter(|p| !p.contains(' '))
        else {
            continue;
        };
        if !matches!(
            fact.get("mode").and_then(Value::as_str),
            Some("chat" | "completion" | "responses" | "embedding" | "rerank" | "image_generation")
        ) {
            continue;
        }
        let model = name.strip_prefix(&format!("{provider}/")).unwrap_or(name);
        match line(fact) {
            Ok(line) if line != json!({}) => {
                lines.insert(format!("{provider}/{model}"), line.to_string());
            }
            Ok(_) => {}
            Err(why) => left_out.push(format!("{name}: {why}")),
        }
    }
    let mut out = HEADER.to_owned();
    for (name, line) in &lines {
        writeln!(out, "{name}\t{line}")?;
    }
    std::fs::write(OUT, out)?;
    report(&format!("{OUT}: {} models; left out: {}", lines.len(), left_out.len()));
    left_out.iter().for_each(|line| report(&format!("  {line}")));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command-line tool reports")]
fn report(line: &str) {
    println!("{line}");
}

fn line(fact: &Value) -> Result<Value> {
    let mut out = Map::new();
    let number = |name: &str| fact.get(name).and_then(Value::as_u64);
    if let Some(max) = number("max_input_tokens") {
        out.insert("in".into(), max.into());
    }
    if let Some(max) = number("max_output_tokens") {
        out.insert("out".into(), max.into());
    }
    let flag = |name: &str| fact.get(name).and_then(Value::as_bool);
    if flag("supports_native_structured_output") == Some(true) {
        out.insert("schema".into(), true.into());
    }
    if flag("supports_adaptive_thinking") == Some(true) {
        out.insert("adaptive".into(), true.into());
    }
    if flag("supports_sampling_params") == Some(false) {
        out.insert("nosampling".into(), true.into());
    }
    if let Some(price) = price(fact)? {
        out.insert("price".into(), price);
    }
    Ok(Value::Object(out))
}

/// The price, where the model is billed by the token.
fn price(fact: &Value) -> Result<Option<Value>> {
    let Some(rates) = rates(fact, "")? else { return Ok(None) };
    let mut price = json!({ "rates": rates });
    let mut tiers = Vec::new();
    for thousand in [128, 200, 256, 272, 512] {
        if let Some(rates) = rates_above(fact, thousand)? {
            tiers.push(json!({ "above_input_tokens": thousand * 1000, "rates": rates }));
        }
    }
    if !tiers.is_empty() {
        price["tiers"] = tiers.into();
    }
    Ok(Some(price))
}

fn rates_above(fact: &Value, thousand: u64) -> Result<Option<Value>> {
    rates(fact, &format!("_above_{thousand}k_tokens"))
}

const KINDS: [(&str, &str); 11] = [
    ("output", "output_cost_per_token"),
    ("cache_read", "cache_read_input_token_cost"),
    ("cache_write", "cache_creation_input_token_cost"),
    ("cache_write_1h", "cache_creation_input_token_cost_above_1hr"),
    ("reasoning", "output_cost_per_reasoning_token"),
    ("input_audio", "input_cost_per_audio_token"),
    ("output_audio", "output_cost_per_audio_token"),
    ("input_image", "input_cost_per_image_token"),
    ("output_image", "output_cost_per_image_token"),
    ("image", "output_cost_per_image"),
    ("search", "input_cost_per_query"),
];

fn rates(fact: &Value, suffix: &str) -> Result<Option<Value>> {
    let pico = |name: &str| -> Result<Option<u64>> {
        let Some(Value::Number(number)) = fact.get(format!("{name}{suffix}")) else { return Ok(None) };
        // The facts went through binary floats: digits beyond the fifteenth are noise of that.
        let clean = number.as_f64().map(|n| format!("{n:.14e}")).unwrap_or_default();
        decimal(&clean, 12).map(Some).with_context(|| format!("{name}{suffix} = {number}"))
    };
    let by_piece = pico("output_cost_per_image")?.map(|_| 0);
    let Some(input) = pico("input_cost_per_token")?.or(by_piece) else { return Ok(None) };
    let mut rates = Map::from_iter([("input".to_owned(), json!(input))]);
    for (kind, name) in KINDS {
        if let Some(value) = pico(name)? {
            rates.insert(kind.to_owned(), value.into());
        }
    }
    rates.entry("output").or_insert_with(|| 0.into());
    Ok(Some(Value::Object(rates)))
}
