//! What makes a list of tools hard to use well, for `tollgate tools lint`: tools that a model could confuse, effects that are
//! not said or contradict themselves, schemas that let anything through.

mod schemas;
mod twins;
mod words;

use serde::{Deserialize, Serialize};

use crate::effect::{Declared, Local};
use crate::names::Source;
use crate::place::Place;
use crate::tool::Tool;
pub use twins::{NEAR, Twins, twins};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Two tools that a model could take for one another.
    NearTwins,
    /// Nobody says what it can change.
    NoEffect,
    /// The server says that it only reads and that it destroys.
    ContradictoryEffect,
    /// A tool or an argument without a description.
    NoDescription,
    /// A schema that lets anything through.
    LooseSchema,
    /// A text that names something, or is run, and may be anything.
    FreeText,
}

/// Something to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// Of which tool, or of which two.
    pub tools: Vec<Source>,
    /// Where in the definition.
    pub place: Place,
    /// What makes it so.
    pub why: String,
    /// What to do about it.
    pub advice: String,
}

/// A tool, whose it is, and what the configuration says of it.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// The server, as the configuration names it.
    pub server: &'a str,
    /// The tool.
    pub tool: &'a Tool,
    /// What the configuration says of its effects.
    pub local: &'a Local,
}

impl Offered<'_> {
    fn source(&self) -> Source {
        Source::new(self.server, self.tool.name())
    }
}

/// What is to be changed of `tools`, in their order, pairs last.
pub fn lint(tools: &[Offered<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for offered in tools {
        effect(offered, &mut findings);
        schemas::lint(offered, &mut findings);
    }
    findings.extend(twins(tools, NEAR).into_iter().map(|pair| Finding {
        kind: Kind::NearTwins,
        why: pair.why(),
        advice: "say in both descriptions what the other one is for, or offer only one of them".to_owned(),
        tools: vec![pair.first, pair.second],
        place: Place::whole(),
    }));
    findings
}

fn effect(offered: &Offered<'_>, findings: &mut Vec<Finding>) {
    let place = Place::whole().member("annotations");
    let mut add = |kind, why: &str, advice: &str| {
        findings.push(Finding {
            kind,
            tools: vec![offered.source()],
            place: place.clone(),
            why: why.to_owned(),
            advice: advice.to_owned(),
        });
    };
    match Declared::of(&offered.tool.annotations()) {
        Declared::Contradiction => add(
            Kind::ContradictoryEffect,
            "readOnlyHint and destructiveHint are both true; it is taken as destructive",
            "set the effect in the configuration, and tell the server's author",
        ),
        Declared::Nothing if offered.local.effect.is_none() => add(
            Kind::NoEffect,
            "neither the server nor the configuration says what it can change; it is taken as destructive",
            "set the effect in the configuration",
        ),
        _ => {}
    }
}
