//! What is suspicious in a definition at first sight: texts that give orders to a model, that a person does not see, or that
//! speak of what is none of the tool's business.
//!
//! It looks at every text and every name in a definition but its icons. It knows forms of words, not meanings: a finding is
//! a reason to look, and none is no promise.

mod phrases;
mod scripts;
mod texts;
mod unicode;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hidden;
use crate::place::Place;
use crate::tool::Tool;
use phrases::Phrases;
use texts::Text;

/// The most findings of one tool.
const MOST: usize = 100;

/// Characters of an excerpt on either side of what was found.
const AROUND: usize = 60;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Orders to the model beyond the tool's use: to ignore what it was told, to read or send something on the way.
    Instruction,
    /// An order to keep something from the user.
    Secrecy,
    /// A tag that pretends to be more than text, such as `<IMPORTANT>`.
    PseudoTag,
    /// Keys, credentials, or files that hold them.
    Credentials,
    /// Characters that a person does not see.
    HiddenText,
    /// Letters of different scripts in one word, which look alike.
    MixedScripts,
    /// The name of another server's tool.
    OtherTool,
    /// An HTML comment: invisible where the text is rendered.
    HtmlComment,
    /// A picture from elsewhere: whoever shows the text tells that server so.
    RemoteImage,
    /// A long run of what looks like base64.
    Encoded,
    /// Much blank space, which pushes what follows out of sight.
    Blanks,
    /// A very long text.
    Long,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Ordinary servers have it, too.
    Notice,
    /// A reason to look before anybody uses the tool.
    Warning,
    /// Hardly ever there for a good reason.
    Danger,
}

/// Something suspicious.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// Where, in the definition.
    pub place: Place,
    /// The text around it, hidden characters as escapes.
    pub excerpt: String,
}

/// What else is known to clients.
#[derive(Clone, Debug, Default)]
pub struct Surroundings<'a> {
    /// The tools of the same server: it may speak of them.
    pub own: BTreeSet<&'a str>,
    /// The tools of other servers, and whose they are.
    pub others: BTreeMap<&'a str, &'a str>,
}

/// What looks at definitions. Made once.
#[derive(Debug)]
pub struct Scanner(Phrases);

impl Scanner {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// One of them is none; which, and why.
    pub fn new() -> Result<Self, String> {
        Phrases::new().map(Self)
    }

    /// What is suspicious in `tool`: the first of each kind at each place, at most 100.
    pub fn scan(&self, tool: &Tool, surroundings: &Surroundings<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for text in texts::of(tool) {
            let mut seen: BTreeMap<Kind, Finding> = BTreeMap::new();
            let mut found = |kind, severity, excerpt| {
                let finding = Finding { kind, severity, place: text.place.clone(), excerpt };
                let known = seen.entry(kind).or_insert_with(|| finding.clone());
                if known.severity < severity {
                    *known = finding;
                }
            };
            unicode::scan(&text, &mut found);
            scripts::scan(&text, &mut found);
            self.0.scan(&text, &mut found);
            others(&text, surroundings, &mut found);
            findings.extend(seen.into_values());
            if findings.len() >= MOST {
                findings.truncate(MOST);
                break;
            }
        }
        findings
    }
}

/// Whether a tool with these findings is held at first sight.
pub fn is_suspicious(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity >= Severity::Warning)
}

/// Takes what was found in a text.
type Found<'a> = dyn FnMut(Kind, Severity, String) + 'a;

/// The text around bytes `start..end`.
fn around(text: &str, start: usize, end: usize) -> String {
    let before = text[..start].char_indices().rev().nth(AROUND - 1).map_or(0, |(at, _)| at);
    let after = text[end..].char_indices().nth(AROUND).map_or(text.len(), |(at, _)| end + at);
    hidden::excerpt(&text[before..after], 4 * AROUND)
}

/// Names of other servers' tools. Names that could be ordinary words count only in quotes.
fn others(text: &Text<'_>, surroundings: &Surroundings<'_>, found: &mut Found<'_>) {
    let mut start = 0;
    for part in text.text.split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))) {
        let word = part.trim_end_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
        let end = start + word.len();
        let quoted =
            text.text[..start].ends_with(['`', '"', '\'']) && text.text[end..].starts_with(['`', '"', '\'']);
        if (quoted || is_distinctive(word))
            && !surroundings.own.contains(word)
            && surroundings.others.contains_key(word)
        {
            found(Kind::OtherTool, Severity::Warning, around(text.text, start, end));
        }
        start += part.len();
    }
}

/// Whether nobody would write `word` but as a name: it is put together of several.
fn is_distinctive(word: &str) -> bool {
    let joined = word.trim_matches(['_', '-']).contains('_');
    let hump = word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    // `read-only` and its like are words.
    word.len() >= 6 && (joined || hump || word.matches('-').count() >= 2)
}
