//! The part of the demo that is about money: a key with a small budget calls until it is spent.

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Demo, text};
use crate::cli::say;

/// What the key may spend a day, in US dollars: enough for two of the calls below.
const BUDGET: &str = "0.0005";

/// Makes a key, spends what it may, and shows what happens then. Returns the calls' ids. `unique` is told apart from
/// every other run in the same folder.
pub(super) async fn calls(demo: &Demo, unique: &str) -> Result<Vec<String>> {
    say(&format!("5. A key that may spend {BUDGET} USD a day, until it has:"))?;
    let name = format!("demo-{unique}");
    let key = json!({ "id": name, "budgets": [{ "amount_usd": BUDGET, "window": "day" }] });
    let made = demo.ask("POST", "/api/v1/keys", &key).await?;
    let secret = made["key"].as_str().with_context(|| format!("no key was made: {made}"))?;
    let hello = json!({
        "model": "demo", "max_tokens": 20, "messages": [{ "role": "user", "content": "Hello again!" }],
    });
    let mut calls = Vec::new();
    for number in 1..=3 {
        let response = demo.send("/v1/chat/completions", Some(secret), &hello).await?;
        let (head, body) = response.whole().await?;
        calls.push(head.id);
        let refused = head.status == StatusCode::TOO_MANY_REQUESTS;
        ensure!(refused == (number == 3), "call {number} was not what the budget allows: {body}");
        if refused {
            let error = &body["error"];
            let message = text(&error["message"]).split(" [call").next().unwrap_or_default();
            say(&format!("   call {number}: {}, {}: {message}", head.status.as_u16(), text(&error["code"])))?;
        } else {
            say(&format!("   call {number}: {}", text(&body["choices"][0]["message"]["content"])))?;
        }
    }
    let shown = demo.ask("GET", &format!("/api/v1/keys/{name}"), &Value::Null).await?;
    let standing = &shown["standing"][0];
    say(&format!("   spent: {} of {} USD\n", text(&standing["spent"]), text(&standing["of"])))?;
    Ok(calls)
}
