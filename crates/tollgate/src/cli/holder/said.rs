//! What is said of a holder on a command line, as the management API takes it.

use clap::Args;
use serde_json::{Map, Value, json};

use super::rules;

/// Arguments that say something in a request.
pub(in crate::cli) trait Says: Args + std::fmt::Debug {
    /// Adds it to what is said.
    fn say(self, said: &mut Map<String, Value>);
}

/// What can be said of holders of one kind only.
pub(in crate::cli) trait Own: Says {
    /// What only holders of this kind can be listed by.
    type Filter: Says;
}

/// Nothing.
#[derive(Debug, Args)]
pub(in crate::cli) struct Nothing {}

impl Says for Nothing {
    fn say(self, _: &mut Map<String, Value>) {}
}

/// What can be said of a holder. What is not given is not said.
#[derive(Debug, Args)]
pub(in crate::cli) struct Said<O: Own> {
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    alias: Option<String>,
    /// The models that it may call, with commas; `*` stands for anything
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// The tools that it may call, with commas: files/read_*, memory/*
    #[arg(long, value_name = "TOOLS", value_delimiter = ',')]
    tools: Option<Vec<String>>,
    /// What may be spent: 10/month, 5/30d:strict, trial=1/total:soft; may be given again
    // Further: :warn=PERCENT and :zone=AREA/CITY, or a budget as JSON; docs/budgets.md has them.
    #[arg(long, value_name = "BUDGET", value_parser = rules::budget)]
    budget: Option<Vec<Value>>,
    /// What may be used: requests=60/minute, requests:destructive=5/hour, tokens=100000/day, concurrent_calls=5; may be given again
    #[arg(long, value_name = "LIMIT", value_parser = rules::limit)]
    limit: Option<Vec<Value>>,
    /// Whatever else is to be kept with it
    #[arg(long, value_name = "JSON", value_parser = rules::object)]
    metadata: Option<Value>,
    #[command(flatten)]
    own: O,
}

impl<O: Own> Said<O> {
    /// The same for the management API.
    pub(super) fn into_json(self) -> Map<String, Value> {
        let mut said = Map::new();
        put(&mut said, "alias", self.alias);
        put(&mut said, "models", self.models);
        put(&mut said, "tools", self.tools);
        put(&mut said, "budgets", self.budget);
        put(&mut said, "limits", self.limit);
        put(&mut said, "metadata", self.metadata);
        self.own.say(&mut said);
        said
    }
}

/// Says `value` of `member`, where there is one.
pub(in crate::cli) fn put(said: &mut Map<String, Value>, member: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        said.insert(member.to_owned(), json!(value));
    }
}
