//! Words that mix Latin letters with letters that look like them.

use super::texts::Text;
use super::{Found, Kind, Severity, around};

pub(super) fn scan(text: &Text<'_>, found: &mut Found<'_>) {
    let mut start = 0;
    for part in text.text.split_inclusive(|c: char| !c.is_alphabetic()) {
        let word = part.trim_end_matches(|c: char| !c.is_alphabetic());
        let latin = word.chars().any(|c| c.is_ascii_alphabetic());
        // Two of a kind, and a word of styled letters is one whether or not Latin stands beside.
        if (latin && word.chars().any(is_look_alike)) || word.chars().any(is_styled) {
            found(Kind::MixedScripts, Severity::Warning, around(text.text, start, start + word.len()));
        }
        start += part.len();
    }
}

/// Letters of other scripts that are taken for Latin ones. Of Greek only those: `μs` and `Δx` are ordinary.
const fn is_look_alike(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52f}' | '\u{531}'..='\u{587}' | '\u{13a0}'..='\u{13fd}' | '\u{a4d0}'..='\u{a4f7}')
        || matches!(
            c,
            'Α' | 'Β'
                | 'Ε'
                | 'Ζ'
                | 'Η'
                | 'Ι'
                | 'Κ'
                | 'Μ'
                | 'Ν'
                | 'Ο'
                | 'Ρ'
                | 'Τ'
                | 'Υ'
                | 'Χ'
                | 'α'
                | 'ι'
                | 'κ'
                | 'ν'
                | 'ο'
                | 'ρ'
                | 'υ'
        )
        || matches!(c, 'ı' | 'ɑ' | 'ɡ' | 'ǀ' | 'ꞌ')
}

/// Latin letters in another guise: full-width, mathematical.
const fn is_styled(c: char) -> bool {
    matches!(c, '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d6a5}')
}
