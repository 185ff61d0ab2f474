//! Forms of words. Each is written so that ordinary descriptions do not have it: "call X first" is how tools are used,
//! "read the file … before you use this tool" is not.

use regex::{Regex, RegexBuilder};

use super::texts::{Part, Text};
use super::{Found, Kind, Severity, around};
use crate::hidden;

/// A description of more characters is very long, and any other text of more than half as many.
const LONG: usize = 8_000;

/// Kind, severity and pattern. All without regard to case, over the text without hidden characters and on one line.
const PATTERNS: &[(Kind, Severity, &str)] = &[
    (
        Kind::Instruction,
        Severity::Danger,
        r"\b(?:ignor|disregard|forget|overrid|bypass)\w*\b[^.]{0,40}\b(?:previous|prior|earlier|above|preceding|all|any|other|system|safety)\b[^.]{0,30}\b(?:instruction|prompt|message|rule|guideline|direction|polic)\w*",
    ),
    (
        Kind::Instruction,
        Severity::Danger,
        r"\b(?:before|prior to|when|whenever|while|after|in order to)\s+(?:you\s+)?(?:us|call|invok|run|execut)\w+\s+(?:this|the|any|other|another)(?:\s+other)?\s+(?:tool|function)s?\b[^.]{0,120}\b(?:read|send|pass|upload|forward|fetch|access|open|cat|include|provide|collect|copy|put)\b[^.]{0,80}(?:\b(?:file|content|conversation|history|config\w*|credential|secret|key|token|password|environment)s?\b|~/)",
    ),
    (
        Kind::Instruction,
        Severity::Danger,
        r"\b(?:read|send|pass|upload|forward|include|provide|copy|put)\b[^.]{0,80}(?:\b(?:conversation|chat history|credential|secret|private key|password|environment variable)s?\b|~/)[^.]{0,80}\b(?:before|when|whenever|while|after)\s+(?:you\s+)?(?:us|call|invok|run)\w+\s+(?:this|any|other)\s+(?:other\s+)?tool",
    ),
    (
        Kind::Instruction,
        Severity::Danger,
        r"\b(?:reveal|send|include|repeat|print|leak|copy|pass|output|append|insert|provide)\w*\b[^.]{0,40}\b(?:your|the|full|entire)\s+(?:system|developer|initial)\s+(?:prompt|message|instruction)s?",
    ),
    (
        Kind::Instruction,
        Severity::Warning,
        r"\b(?:include|send|pass|put|copy|append|insert|write|place|provide)\b[^.]{0,40}\b(?:the|entire|full|whole|complete|all)\s+(?:\w+\s+)?(?:conversation|chat)(?:\s+(?:history|so far|context|log)|\b)",
    ),
    (
        Kind::Instruction,
        Severity::Warning,
        r"\byou\s+(?:are\s+now|must\s+now|will\s+now\s+act|are\s+no\s+longer)\b",
    ),
    (Kind::Instruction, Severity::Notice, r"\b(?:system|developer)\s+prompt\b"),
    (
        Kind::Secrecy,
        Severity::Danger,
        r"\b(?:do\s+not|don't|don’t|never|without|must\s+not|should\s+not|avoid)\s+(?:\w+\s+){0,2}?(?:tell|mention|inform|reveal|disclos|explain|admit)\w*\b[^.]{0,50}\b(?:user|human|anyone|anybody|operator|them|owner)\b",
    ),
    (
        Kind::Secrecy,
        Severity::Danger,
        r"\b(?:hide|conceal|keep)\b[^.]{0,40}\bfrom\s+the\s+(?:user|human|operator)\b",
    ),
    (
        Kind::PseudoTag,
        Severity::Danger,
        r"</?\s*(?:important|system|instructions?|hidden|override|critical|assistant|sys|admin[ _-]?note)\s*/?>|<\|(?:im_start|im_end|system|assistant|endoftext)\|>|\[/?INST\]|<</?SYS>>",
    ),
    (
        Kind::Credentials,
        Severity::Danger,
        r"(?:~|\$HOME|\$\{HOME\}|/home/[\w<>{}$.-]+|/root|%USERPROFILE%)[/\\]\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|pypirc|git-credentials|cursor|claude|config/gcloud)\b|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|/etc/(?:shadow|sudoers|passwd)\b",
    ),
    (
        Kind::Credentials,
        Severity::Danger,
        r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}",
    ),
    (
        Kind::Credentials,
        Severity::Warning,
        r#"(?:^|[\s"'`(/])\.env(?:\.\w+)?(?:$|[\s"'`),.;:])|\bclaude_desktop_config\.json\b|(?:^|[\s"'`(/])\.?mcp\.json\b|\.ssh/"#,
    ),
    (Kind::HtmlComment, Severity::Danger, "<!--"),
    (
        Kind::RemoteImage,
        Severity::Warning,
        r#"!\[[^\]]{0,200}\]\(\s*<?(?:https?:)?//|<img\b[^>]{0,200}\bsrc\s*=\s*["']?(?:https?:)?//"#,
    ),
    (Kind::Encoded, Severity::Warning, r"[A-Za-z0-9+/]{100,}={0,2}|(?:\\x[0-9a-f]{2}){16,}"),
];

/// The compiled patterns.
#[derive(Debug)]
pub(super) struct Phrases {
    patterns: Vec<(Kind, Severity, Regex)>,
    blanks: Regex,
}

impl Phrases {
    pub(super) fn new() -> Result<Self, String> {
        let compile = |pattern: &str| {
            let built = RegexBuilder::new(pattern).case_insensitive(true).size_limit(8 << 20).build();
            built.map_err(|e| format!("`{pattern}`: {e}"))
        };
        let patterns =
            PATTERNS.iter().map(|(kind, severity, pattern)| Ok((*kind, *severity, compile(pattern)?)));
        Ok(Self {
            patterns: patterns.collect::<Result<_, String>>()?,
            blanks: compile(r"[ \t\u{a0}]{100,}|(?:\r?\n[ \t]*){20,}")?,
        })
    }

    pub(super) fn scan(&self, text: &Text<'_>, found: &mut Found<'_>) {
        let plain = plain(text.text);
        for (kind, severity, pattern) in &self.patterns {
            let hit = match kind {
                Kind::Encoded => pattern.find_iter(&plain).find(|hit| is_mixed(hit.as_str())),
                _ => pattern.find(&plain),
            };
            if let Some(hit) = hit {
                found(
                    *kind,
                    *severity,
                    around(&plain, hit.start(), hit.end().min(hit.start() + cut(&plain[hit.start()..]))),
                );
            }
        }
        if let Some(hit) = self.blanks.find(text.text) {
            let after: String = text.text[hit.end()..].chars().take(100).collect();
            found(Kind::Blanks, Severity::Warning, format!("…{}", hidden::shown(&after)));
        }
        let most = if text.part == Part::Description { LONG } else { LONG / 2 };
        let length = text.text.chars().count();
        if length > most {
            let severity = if length > 4 * most { Severity::Warning } else { Severity::Notice };
            found(Kind::Long, severity, format!("{length} characters"));
        }
    }
}

/// So many bytes of a hit are shown.
fn cut(hit: &str) -> usize {
    hit.floor_char_boundary(160)
}

/// Whether a run of letters and digits is more likely base64 than a word, a number or a list of either.
fn is_mixed(run: &str) -> bool {
    let has = |of: fn(&char) -> bool| run.chars().any(|c| of(&c));
    has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase) && has(char::is_ascii_digit)
}

/// `text` as a model reads it and patterns can: no hidden characters, no full-width letters, one blank between words.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            // Tags are a copy of ASCII: what they say is read, too.
            '\u{e0020}'..='\u{e007e}' => char::from_u32(u32::from(c) - 0xe0000).unwrap_or(c),
            c if hidden::kind(c).is_some() => continue,
            c => c,
        };
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}
