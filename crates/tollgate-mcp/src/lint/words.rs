//! Words of names and texts: split, reduced to stems, abbreviations written out.

use std::collections::BTreeMap;

/// The words of `name`, in lower case: parted by `_`, `-`, `.`, white space, and where a capital follows a small letter.
pub(super) fn split(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let next_is_small = chars.peek().is_some_and(|next| next.is_lowercase());
        let hump = c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && next_is_small));
        if (hump || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The stem of an English word: plural and the commonest endings of verbs off, in the spirit of Porter's first step.
pub(super) fn stem(word: &str) -> String {
    let long = |stem: &str, least: usize| stem.chars().count() >= least;
    let cut = |ending: &str, least: usize| word.strip_suffix(ending).filter(|stem| long(stem, least));
    if let Some(stem) = cut("ies", 2) {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if let Some(stem) = cut(ending, 1) {
            return format!("{stem}{}", &ending[..ending.len() - 2]);
        }
    }
    if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return word.to_owned();
    }
    if let Some(stem) = cut("s", 3) {
        return self::stem(stem);
    }
    for ending in ["ing", "ed"] {
        if let Some(stem) = cut(ending, 4) {
            return stem.to_owned();
        }
    }
    cut("e", 4).unwrap_or(word).to_owned()
}

/// Words that say nothing of what a tool is about.
const EMPTY: &[&str] = &[
    "a",
    "about",
    "all",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "by",
    "can",
    "each",
    "for",
    "from",
    "given",
    "has",
    "have",
    "how",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "more",
    "no",
    "not",
    "of",
    "on",
    "one",
    "only",
    "or",
    "other",
    "s",
    "should",
    "such",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "this",
    "to",
    "tool",
    "tools",
    "use",
    "used",
    "useful",
    "using",
    "via",
    "when",
    "where",
    "which",
    "will",
    "with",
    "within",
    "you",
    "your",
    "new",
    "specific",
    "specified",
    "multiple",
    "single",
    "return",
    "returns",
    "user",
    "e",
    "g",
    "i",
    "mcp",
    "server's",
];

/// Words for which facet of a thing is meant, not which thing. They tell two tools apart, but a question seldom has them.
const FACETS: &[&str] = &[
    "config",
    "configuration",
    "detail",
    "info",
    "information",
    "stat",
    "state",
    "status",
    "setting",
    "summary",
    "data",
    "metadata",
    "result",
    "value",
    "list",
    "name",
    "current",
];

pub(super) fn is_empty(word: &str) -> bool {
    EMPTY.contains(&word) || word.chars().all(|c| c.is_ascii_digit())
}

pub(super) fn is_facet(stem: &str) -> bool {
    FACETS.iter().any(|facet| self::stem(facet) == stem)
}

/// What verbs do, by their first word.
const DEEDS: &[(&str, &[&str])] = &[
    (
        "look",
        &[
            "check", "describe", "fetch", "find", "get", "inspect", "list", "load", "lookup", "open",
            "query", "read", "retrieve", "search", "show", "view", "browse", "count", "browser",
        ],
    ),
    (
        "add",
        &[
            "add", "create", "insert", "make", "register", "append", "post", "upload", "new", "generate",
            "start", "open",
        ],
    ),
    (
        "change",
        &[
            "change", "edit", "modify", "patch", "put", "rename", "replace", "set", "update", "write",
            "move", "merge",
        ],
    ),
    (
        "remove",
        &["clear", "close", "delete", "destroy", "drop", "purge", "remove", "stop", "cancel", "revoke"],
    ),
    ("run", &["call", "execute", "invoke", "run", "trigger", "eval", "evaluate"]),
    ("send", &["send", "notify", "publish", "reply", "email", "share"]),
];

/// What sort of deed the verb `word` is, in whatever form.
pub(super) fn deed(word: &str) -> Option<&'static str> {
    let stem = stem(word);
    let is = |verb: &&str| *verb == word || self::stem(verb) == stem;
    DEEDS.iter().find(|(_, verbs)| verbs.iter().any(is)).map(|(deed, _)| *deed)
}

/// Abbreviations that no list of tools explains, because everybody in the field knows them.
const KNOWN: &[(&str, &[&str])] = &[
    ("vip", &["virtual", "ip"]),
    ("vs", &["virtual", "server"]),
    ("lb", &["load", "balancer"]),
    ("db", &["database"]),
    ("repo", &["repository"]),
    ("dir", &["directory"]),
    ("folder", &["directory"]),
    ("pr", &["pull", "request"]),
    ("mr", &["merge", "request"]),
    ("k8s", &["kubernetes"]),
    ("ns", &["namespace"]),
    ("vm", &["virtual", "machine"]),
    ("org", &["organization"]),
    ("msg", &["message"]),
    ("doc", &["document"]),
    ("env", &["environment"]),
    ("config", &["configuration"]),
    ("info", &["information"]),
];

/// So many bytes before and after a parenthesis are looked at.
const NEARBY: usize = 80;

/// Abbreviations and what they are written out as.
#[derive(Debug, Default)]
pub(super) struct Abbreviations(BTreeMap<String, Vec<String>>);

impl Abbreviations {
    /// Those that `texts` explain, as in "virtual IP (VIP)" or "VIP (virtual IP)" (Schwartz and Hearst, 2003), and the known
    /// ones that they do not.
    pub(super) fn in_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut found: BTreeMap<_, _> = KNOWN
            .iter()
            .map(|(short, long)| ((*short).to_owned(), long.iter().map(|word| (*word).to_owned()).collect()))
            .collect();
        for text in texts {
            for (at, _) in text.match_indices('(') {
                let after = &text[at + 1..text.floor_char_boundary(at + 1 + NEARBY)];
                let Some(length) = after.find(')') else { continue };
                let inside = split(&after[..length]);
                let before = split(&text[text.floor_char_boundary(at.saturating_sub(NEARBY))..at]);
                let short_first = before.last().cloned().map(|short| (short, inside.clone()));
                let long_first = (inside.len() == 1).then(|| (inside[0].clone(), last(&before, 6)));
                for (short, long) in short_first.into_iter().chain(long_first) {
                    if let Some(words) = spelled(&short, &long) {
                        found.insert(short, words);
                    }
                }
            }
        }
        Self(found)
    }

    /// `word`, or what it is written out as, in stems.
    pub(super) fn stems(&self, word: &str) -> Vec<String> {
        match self.0.get(word).or_else(|| self.0.get(&stem(word))) {
            Some(words) => words.iter().map(|word| stem(word)).collect(),
            None => vec![stem(word)],
        }
    }
}

fn last(words: &[String], most: usize) -> Vec<String> {
    words[words.len().saturating_sub(most)..].to_vec()
}

/// The words at the end of `long` whose beginnings, one after the other, spell `short`. At least two.
fn spelled(short: &str, long: &[String]) -> Option<Vec<String>> {
    if !(2..=6).contains(&short.len()) || !short.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let ends = (0..long.len().saturating_sub(1)).rev().map(|first| &long[first..]);
    ends.take(6).find(|words| spells(short, words)).map(<[String]>::to_vec)
}

/// Whether beginnings of all `words` in their order spell `short`.
fn spells(short: &str, words: &[String]) -> bool {
    let Some((word, others)) = words.split_first() else { return short.is_empty() };
    let common = short.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
    (1..=common).rev().any(|taken| spells(&short[taken..], others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_and_words_reduced() {
        assert_eq!(
            split("get_virtualServer-HTTPConfig.v2"),
            ["get", "virtual", "server", "http", "config", "v2"]
        );
        let same = [
            ("queries", "query"),
            ("servers", "server"),
            ("files", "file"),
            ("branches", "branch"),
            ("listing", "list"),
            ("status", "status"),
            ("addresses", "address"),
        ];
        for (word, other) in same {
            assert_eq!(stem(word), stem(other), "{word}");
        }
        assert_ne!(stem("node"), stem("not"));
    }

    #[test]
    fn abbreviations_are_found_where_a_text_explains_them() {
        let texts = [
            "Status of the VIP (virtual IP).",
            "Purges the content delivery network (CDN).",
            "Runs (or not).",
        ];
        let found = Abbreviations::in_texts(texts.into_iter());
        assert_eq!(found.stems("vip"), ["virtual", "ip"]);
        assert_eq!(found.stems("cdn"), ["content", "delivery", "network"].map(stem));
        assert_eq!(found.stems("runs"), ["run"]);
        assert_eq!(Abbreviations::default().stems("cdn"), ["cdn"]);
    }
}
