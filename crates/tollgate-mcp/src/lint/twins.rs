//! Pairs of tools that a model could take for one another.
//!
//! Two tools are near where a request that names neither fits both: they do the same sort of deed (look, add, change, remove,
//! run, send), to a thing that is called alike, described in the same words, and can be called with the same arguments.
//! Likeness of words is the cosine of their weights: words that are rare in the list weigh more (inverse document frequency),
//! words for a facet of a thing (`config`, `status`) weigh little, abbreviations are written out where a text in the list
//! explains them or the field knows them.
//!
//! What it cannot see: two words for one thing that no text puts side by side; that two descriptions in the same words mean
//! opposites; texts that are not English, beyond their words being the same. It reports what is alike, not what a model would
//! do: that is measured with the model.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Offered;
use super::words::{self, Abbreviations};
use crate::names::Source;

/// From this likeness on, of 0 to 1, [`super::lint`] reports a pair.
pub const NEAR: f64 = 0.35;

/// The most pairs that are reported, and the most tools that are compared.
const MOST_PAIRS: usize = 100;
const MOST_TOOLS: usize = 1_000;

/// Words of a description that are looked at.
const MOST_WORDS: usize = 80;

/// How much a facet weighs.
const FACET: f64 = 0.3;

/// How much is left of a likeness where the verbs are of one sort and not the same.
const OTHER_VERB: f64 = 0.85;

/// How much it counts that one name's words are all in the other's.
const CONTAINED: f64 = 0.7;

/// Tools that nobody lists, so that in a short list a word that two of them have is not taken for a common one.
const BACKGROUND: f64 = 30.0;

/// Two tools that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Twins {
    /// The one, first in the list.
    pub first: Source,
    /// The other.
    pub second: Source,
    /// How much alike they are, 0 to 1.
    pub likeness: f64,
    /// Words that both have, in stems, those that weigh most first.
    pub common: Vec<String>,
    /// Whether the same arguments fit both.
    pub same_arguments: bool,
}

impl Twins {
    /// What makes them alike.
    pub fn why(&self) -> String {
        let words = self.common.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let arguments = if self.same_arguments { ", and the same arguments fit both" } else { "" };
        format!("both do the same sort of thing with {words}{arguments}")
    }
}

/// A word and how much it weighs.
type Weights = BTreeMap<String, f64>;

/// What a tool is about.
struct Words {
    /// The verb of its name, as written.
    verb: Option<String>,
    deed: Option<&'static str>,
    name: BTreeSet<String>,
    text: BTreeSet<String>,
    /// Its arguments, with their types, and those of them that are required.
    arguments: BTreeSet<String>,
    required: BTreeSet<String>,
}

/// The pairs of `tools` that are at least so much alike, the most alike first; at most 100, of the first 1,000 tools.
pub fn twins(tools: &[Offered<'_>], least: f64) -> Vec<Twins> {
    let tools = &tools[..tools.len().min(MOST_TOOLS)];
    let abbreviations =
        Abbreviations::in_texts(tools.iter().filter_map(|offered| offered.tool.description()));
    let read: Vec<Words> = tools.iter().map(|offered| Words::of(offered, &abbreviations)).collect();
    let rarity = rarity(&read);
    let weighed: Vec<(Weights, Weights)> =
        read.iter().map(|words| (weigh(&words.name, &rarity), weigh(&words.text, &rarity))).collect();
    let mut found = Vec::new();
    for (index, first) in tools.iter().enumerate() {
        for (other, second) in tools.iter().enumerate().skip(index + 1) {
            let deed = read[index].deed(&read[other]);
            if deed <= 0.0 {
                continue;
            }
            let names = cosine(&weighed[index].0, &weighed[other].0)
                .max(CONTAINED * contained(&weighed[index].0, &weighed[other].0));
            let texts = cosine(&weighed[index].1, &weighed[other].1);
            let arguments = fit(&read[index], &read[other]);
            let likeness = deed * 0.55f64.mul_add(names, 0.45 * texts) * 0.6f64.mul_add(arguments, 0.4);
            if likeness >= least {
                found.push(Twins {
                    first: first.source(),
                    second: second.source(),
                    likeness,
                    common: common(&weighed[index], &weighed[other]),
                    same_arguments: arguments >= 1.0,
                });
            }
        }
    }
    found.sort_by(|a, b| b.likeness.total_cmp(&a.likeness));
    found.truncate(MOST_PAIRS);
    found
}

impl Words {
    fn of(offered: &Offered<'_>, abbreviations: &Abbreviations) -> Self {
        let name = words::split(offered.tool.name());
        let text = words::split(offered.tool.description().unwrap_or_default());
        let verb = name.iter().chain(text.first()).find(|word| words::deed(word).is_some()).cloned();
        let stems = |all: &[String], skip: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
            let full = all.iter().filter(|word| !words::is_empty(word) && !skip(word));
            full.flat_map(|word| abbreviations.stems(word)).collect()
        };
        let schema = offered.tool.input_schema();
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let required: BTreeSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        let shape = |name: &str, schema: &Value| {
            let words: Vec<_> = words::split(name).iter().map(|word| words::stem(word)).collect();
            format!("{}: {}", words.join("_"), schema.get("type").unwrap_or(&Value::Null))
        };
        let shapes = |only: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
            let all = properties.into_iter().flatten().filter(|(name, _)| only(name));
            all.map(|(name, schema)| shape(name, schema)).collect()
        };
        Self {
            deed: verb.as_deref().and_then(words::deed),
            name: stems(&name, &|word| verb.as_deref() == Some(word)),
            text: stems(about(&text), &|_| false),
            arguments: shapes(&|_| true),
            required: shapes(&|name| required.contains(name)),
            verb,
        }
    }

    /// How much alike the deeds are; 0 where they cannot be taken for one another.
    fn deed(&self, other: &Self) -> f64 {
        match (self.deed, other.deed) {
            (Some(a), Some(b)) if a != b => 0.0,
            _ if self.verb == other.verb => 1.0,
            _ => OTHER_VERB,
        }
    }
}

/// The words of a text that say what it is about: without the verb at its beginning.
fn about(text: &[String]) -> &[String] {
    let skipped = usize::from(text.first().is_some_and(|word| words::deed(word).is_some()));
    &text[skipped..text.len().min(MOST_WORDS)]
}

/// How rare each word is among the tools, and those of the background: smoothed inverse document frequency.
fn rarity(all: &[Words]) -> Weights {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for words in all {
        words.name.union(&words.text).for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let tools = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
    let weight = |count: u32| ((tools + BACKGROUND) / (f64::from(count) + 1.0)).ln();
    counts.into_iter().map(|(word, count)| (word.to_owned(), weight(count))).collect()
}

fn weigh(words: &BTreeSet<String>, rarity: &Weights) -> Weights {
    let weight = |word: &String| {
        let rare = rarity.get(word).copied().unwrap_or(1.0);
        if words::is_facet(word) { rare * FACET } else { rare }
    };
    words.iter().map(|word| (word.clone(), weight(word))).collect()
}

fn cosine(a: &Weights, b: &Weights) -> f64 {
    let dot: f64 = a.iter().filter_map(|(word, weight)| Some(weight * b.get(word)?)).sum();
    let norm = |all: &Weights| all.values().map(|weight| weight * weight).sum::<f64>().sqrt();
    let norms = norm(a) * norm(b);
    if norms > 0.0 { dot / norms } else { 0.0 }
}

/// How well the arguments of one fit the other: 1 where what both require is the same.
fn fit(a: &Words, b: &Words) -> f64 {
    let share = |of: usize, all: usize| {
        let count = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        if all == 0 { 1.0 } else { count(of) / count(all) }
    };
    let like =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| share(a.intersection(b).count(), a.union(b).count());
    if a.required == b.required && !a.required.is_empty() {
        return 1.0;
    }
    like(&a.arguments, &b.arguments).min(like(&a.required, &b.required))
}

/// How much of the smaller one's weight is in the other, 0 to 1.
fn contained(a: &Weights, b: &Weights) -> f64 {
    let all = |words: &Weights| words.values().sum::<f64>();
    let shared: f64 = a.iter().filter(|(word, _)| b.contains_key(*word)).map(|(_, weight)| weight).sum();
    let least = all(a).min(all(b));
    if least > 0.0 { shared / least } else { 0.0 }
}

fn common(a: &(Weights, Weights), b: &(Weights, Weights)) -> Vec<String> {
    let mut words: Weights = BTreeMap::new();
    let both = |a: &Weights, b: &Weights, words: &mut Weights| {
        let shared = a.iter().filter(|(word, _)| b.contains_key(*word));
        words.extend(shared.map(|(word, weight)| (word.clone(), *weight)));
    };
    both(&a.0, &b.0, &mut words);
    both(&a.1, &b.1, &mut words);
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    words.into_iter().take(5).map(|(word, _)| word).collect()
}
