//! A call as its entries tell it, for a person.

use jiff::Timestamp;
use serde_json::Value;
use tollgate_core::price::Cost;
use tollgate_core::query::CallStory;

/// A call as its entries tell it.
pub(super) struct Story {
    pub(super) id: String,
    pub(super) instance: String,
    opened: Value,
    between: Vec<Value>,
    closed: Value,
    pub(super) began_us: Option<i64>,
    pub(super) duration_us: i64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cost_nano_usd: Option<u64>,
}

/// Nano-dollars as dollars.
pub(super) fn usd(nano: u64) -> String {
    Cost::Known(nano).to_string()
}

impl Story {
    pub(super) fn of(story: &CallStory) -> Self {
        let mut entries: Vec<Value> =
            story.entries.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect();
        let mut take = |kind: &str| {
            let at = entries.iter().position(|entry| entry["entry"] == kind);
            at.map(|at| entries.remove(at)).unwrap_or_default()
        };
        let (opened, closed) = (take("opened"), take("closed"));
        let id = story.call_id.parse::<tollgate_core::call::CallId>().ok();
        let arrived = id.and_then(|id| id.arrived());
        let at = opened["at"].as_str().or(closed["at"].as_str()).and_then(|at| at.parse::<Timestamp>().ok());
        Self {
            id: story.call_id.clone(),
            instance: story.instance.clone(),
            began_us: arrived.or(at).map(Timestamp::as_microsecond),
            duration_us: closed["duration_us"].as_i64().unwrap_or(0),
            input_tokens: closed["usage"]["input_tokens"].as_u64().unwrap_or(0),
            output_tokens: closed["usage"]["output_tokens"].as_u64().unwrap_or(0),
            cost_nano_usd: closed["cost_nano_usd"].as_u64(),
            opened,
            between: entries,
            closed,
        }
    }

    /// A text that stands in the last entry, or in the first.
    pub(super) fn text(&self, member: &str) -> &str {
        self.closed[member].as_str().or(self.opened[member].as_str()).unwrap_or_default()
    }

    /// Whether something was said in the first entry.
    pub(super) fn opened_flag(&self, member: &str) -> bool {
        self.opened[member].as_bool().unwrap_or(false)
    }

    /// The status that the client got.
    pub(super) fn status(&self) -> u64 {
        self.closed["status"].as_u64().unwrap_or(0)
    }

    pub(super) fn ended_us(&self) -> i64 {
        self.began_us.unwrap_or(0) + self.duration_us
    }

    /// How it ended.
    pub(super) fn ending(&self) -> String {
        match self.closed["outcome"].as_str() {
            None => "open".to_owned(),
            Some("ok") => "ok".to_owned(),
            Some(outcome) => outcome.replace('_', " "),
        }
    }

    /// On whose behalf, and from where.
    pub(super) fn who(&self) -> String {
        let principal = self.closed.get("principal").or(self.opened.get("principal"));
        let actor = |actor: &Value| {
            format!("{}/{}", actor["kind"].as_str().unwrap_or("?"), actor["id"].as_str().unwrap_or("?"))
        };
        let mut chain: Vec<String> = principal.iter().map(|p| actor(&p["sub"])).collect();
        let acts = principal.and_then(|p| p["act"].as_array());
        chain.extend(acts.into_iter().flatten().map(actor));
        let mut who = chain.join(", for whom acts ");
        if let Some(peer) = self.closed["peer"].as_str().or(self.opened["peer"].as_str()) {
            who.push_str(&format!(" from {peer}"));
        }
        format!("{who}, speaking {}", self.text("surface"))
    }

    pub(super) fn is_unpriced(&self) -> bool {
        self.closed["cost_nano_usd"] == "unknown"
    }

    /// What it cost, in words.
    pub(super) fn cost(&self) -> String {
        match self.cost_nano_usd {
            Some(nano) => {
                let estimated = self.closed["usage"]["source"] == "estimated";
                format!("{} USD{}", usd(nano), if estimated { " (estimated)" } else { "" })
            }
            None if self.is_unpriced() => "at an unknown cost".to_owned(),
            None => "nothing charged".to_owned(),
        }
    }

    pub(super) fn trace(&self) -> &Value {
        self.closed.get("trace").or(self.opened.get("trace")).unwrap_or(&Value::Null)
    }

    /// Why it was made, where that is known.
    pub(super) fn cause(&self, all: &[Self]) -> Option<String> {
        let last_result = self.opened["results"].as_array().and_then(|results| results.last()?.as_str());
        let cause = &self.trace()["cause"];
        let replayed = (cause["by"] == "replay").then(|| cause["call_id"].as_str()).flatten();
        if let Some(original) = replayed {
            return Some(format!("an operator sent {original} again"));
        }
        if let Some(undone) = self.undoes() {
            return Some(format!("it takes back {undone}"));
        }
        if cause["by"] == "retry" {
            return Some(format!(
                "it answers what was asked in {}",
                cause["call_id"].as_str().unwrap_or("?")
            ));
        }
        let executes = cause["by"] == "choice";
        let result = cause["tool_call_id"].as_str().or(last_result)?;
        let chooser = all.iter().enumerate().find_map(|(number, call)| {
            let chosen = call.closed["chosen"].as_array()?.iter().find(|chosen| chosen["id"] == result)?;
            Some((number + 1, chosen["name"].as_str()?))
        });
        Some(match chooser {
            Some((number, name)) if executes => format!("it executes {name}, chosen in {number} ({result})"),
            None if executes => format!("it executes a choice of a model ({result})"),
            Some((number, name)) => format!("it carries the result of {name}, chosen in {number} ({result})"),
            None => format!("it carries the result of {result}"),
        })
    }

    /// What is asked of which tool; null where none is.
    pub(super) fn tool(&self) -> &Value {
        self.closed.get("tool").or(self.opened.get("tool")).unwrap_or(&Value::Null)
    }

    /// The call that this one takes back.
    pub(super) fn undoes(&self) -> Option<&str> {
        let cause = &self.trace()["cause"];
        (cause["by"] == "undo").then(|| cause["call_id"].as_str()).flatten()
    }

    /// Whether it had an effect though it went wrong: `none`, `possible` or `certain`.
    pub(super) fn side_effect(&self) -> Option<&str> {
        self.closed["fault"]["side_effect"].as_str()
    }

    /// The class of what went wrong.
    pub(super) fn fault_class(&self) -> Option<&str> {
        self.closed["fault"]["class"].as_str()
    }

    /// On whose behalf: kind and name.
    pub(super) fn whose(&self) -> String {
        let sub =
            &self.closed.get("principal").or(self.opened.get("principal")).unwrap_or(&Value::Null)["sub"];
        let text = |member: &str| sub[member].as_str().unwrap_or("?");
        if text("kind") == text("id") {
            text("id").to_owned()
        } else {
            format!("{}/{}", text("kind"), text("id"))
        }
    }

    /// What is asked of which tool, in words.
    pub(super) fn used(&self) -> Option<String> {
        let tool = self.tool();
        let text = |member: &str| tool[member].as_str();
        let name = text("name").map_or(String::new(), |name| format!(" {name}"));
        let mut words = format!("{}{name}", text("method")?);
        if text("method") == Some("tools/call") {
            let digest: String = text("arguments_digest").unwrap_or("?").chars().take(12).collect();
            let effect = text("effect").unwrap_or("?");
            words.push_str(&format!(" ({effect}, arguments {digest})"));
            match text("asked") {
                Some("no") => words.push_str(", which no recorded answer asked for"),
                Some("again") => words.push_str(", once more for one choice"),
                _ => {}
            }
            if let Some(operation) = text("operation") {
                words.push_str(&format!(", in the operation {operation}"));
            }
            if tool["dry_run"] == true {
                words.push_str(", a dry run");
            }
        }
        Some(words)
    }

    /// The approval that let it pass.
    pub(super) fn approval(&self) -> Option<&str> {
        self.tool()["approval"].as_str()
    }

    /// Tools that a model could take for the one that is called.
    pub(super) fn twins(&self) -> Option<String> {
        let twins: Vec<&str> = self.tool()["twins"].as_array()?.iter().filter_map(Value::as_str).collect();
        Some(format!("{} was offered beside it", twins.join(", ")))
    }

    /// What it is about: a model, or a tool.
    pub(super) fn about(&self) -> String {
        let tool = self.tool();
        let named = tool["name"].as_str().or(tool["method"].as_str());
        let model = Some(self.text("model")).filter(|model| !model.is_empty());
        model.or(named).unwrap_or("-").to_owned()
    }

    /// The tools that the model was offered.
    pub(super) fn offered(&self) -> Option<String> {
        let tools = self.opened.get("tools")?;
        let names: Vec<&str> = tools["names"].as_array()?.iter().filter_map(Value::as_str).collect();
        let digest: String = tools["digest"].as_str()?.chars().take(12).collect();
        let more = tools["count"].as_u64().unwrap_or(0).saturating_sub(names.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("{}{more} (definitions {digest})", names.join(", ")))
    }

    /// The tools that the model chose.
    pub(super) fn chosen(&self) -> Vec<String> {
        let chosen = self.closed["chosen"].as_array().into_iter().flatten();
        let words = chosen.map(|chosen| {
            let text = |member: &str| chosen[member].as_str().unwrap_or("?").to_owned();
            let digest: String = text("arguments_digest").chars().take(12).collect();
            format!("{} ({}, arguments {digest})", text("name"), text("id"))
        });
        words.collect()
    }

    /// The attempts that failed.
    pub(super) fn failed_attempts(&self) -> Vec<String> {
        let attempts = self.closed["attempts"].as_array().into_iter().flatten();
        let failed = attempts.filter(|attempt| attempt["fault"].is_string());
        let words = failed.map(|attempt| {
            let text = |member: &str| attempt[member].as_str().unwrap_or("?").to_owned();
            let status =
                attempt["status"].as_u64().map_or(String::new(), |status| format!(", status {status}"));
            let waited = attempt["waited_us"].as_u64().unwrap_or(0) / 1_000;
            format!("{}: {}{status}, after {waited} ms", text("deployment"), text("fault"))
        });
        words.collect()
    }

    /// What went wrong.
    pub(super) fn fault(&self) -> Option<String> {
        let fault = self.closed.get("fault")?;
        let text = |member: &str| fault[member].as_str().unwrap_or("?").to_owned();
        Some(format!(
            "{}, to blame: {}, side effect: {}: {}",
            text("class"),
            text("blame"),
            text("side_effect"),
            text("message")
        ))
    }

    /// What the gate changed.
    pub(super) fn edits(&self) -> Vec<String> {
        let edits = self.closed["edits"].as_array().into_iter().flatten();
        let words = edits.map(|edit| {
            let text = |member: &str| edit[member].as_str().unwrap_or("?").to_owned();
            format!("by {}: {}", text("by"), text("what"))
        });
        words.collect()
    }

    /// The deployment of an attempt, counted from 1.
    pub(super) fn deployment_of(&self, attempt: u32) -> String {
        let index = (attempt as usize).saturating_sub(1);
        let closed = self.closed["attempts"][index]["deployment"].as_str();
        let begun = match index {
            0 => self.opened["deployment"].as_str(),
            _ => self
                .between
                .iter()
                .find(|entry| entry["number"] == attempt)
                .and_then(|e| e["deployment"].as_str()),
        };
        closed.or(begun).unwrap_or("upstream").to_owned()
    }

    /// What was kept of its content.
    pub(super) fn captures(&self) -> Vec<&Value> {
        [&self.opened, &self.closed].into_iter().filter_map(|entry| entry.get("capture")).collect()
    }
}
