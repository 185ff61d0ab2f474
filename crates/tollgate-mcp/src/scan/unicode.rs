//! Characters that a person does not see. Those that ordinary writing needs (joiners in emoji and in scripts that join,
//! the flag of Wales) are let be.

use super::texts::Text;
use super::{Found, Kind, Severity, around};
use crate::hidden::{self, Hidden};

pub(super) fn scan(text: &Text<'_>, found: &mut Found<'_>) {
    let chars: Vec<(usize, char)> = text.text.char_indices().collect();
    let is_right_to_left =
        chars.iter().any(|(_, c)| matches!(*c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fefc}'));
    for (index, (at, c)) in chars.iter().enumerate() {
        let Some(kind) = hidden::kind(*c) else { continue };
        let before = index.checked_sub(1).and_then(|index| chars.get(index)).map(|(_, c)| *c);
        let after = chars.get(index + 1).map(|(_, c)| *c);
        let severity = match kind {
            Hidden::ZeroWidth if joins(*c, before, after) => continue,
            // A place where a long word may be broken.
            Hidden::ZeroWidth if *c == '\u{ad}' => Severity::Notice,
            Hidden::ZeroWidth | Hidden::Control => Severity::Warning,
            Hidden::Bidi if matches!(*c, '\u{61c}' | '\u{200e}' | '\u{200f}') && is_right_to_left => {
                Severity::Notice
            }
            Hidden::Bidi => Severity::Danger,
            Hidden::Tag if in_flag(&chars[..index]) => continue,
            Hidden::Tag => Severity::Danger,
            Hidden::VariationSelector if chooses_picture(before) => continue,
            Hidden::VariationSelector => Severity::Danger,
            // Private use: symbols of some font.
            Hidden::Blank if matches!(*c, '\u{e000}'..='\u{f8ff}') => Severity::Notice,
            Hidden::Blank => Severity::Warning,
        };
        found(Kind::HiddenText, severity, around(text.text, *at, at + c.len_utf8()));
    }
}

/// Whether a joiner stands where writing needs it.
fn joins(c: char, before: Option<char>, after: Option<char>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    matches!(c, '\u{200c}' | '\u{200d}')
        && ((is_joining_script(before) && is_joining_script(after))
            || (is_pictorial(before) && is_pictorial(after)))
}

/// Arabic and its relatives, and the scripts of South and South-East Asia.
const fn is_joining_script(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

const fn is_pictorial(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// Whether `before` is a character that has a picture to choose.
fn chooses_picture(before: Option<char>) -> bool {
    before.is_some_and(|c| {
        (is_pictorial(c) && c != '\u{fe0f}')
            || matches!(c, '#' | '*' | '0'..='9' | '©' | '®' | '™' | '‼' | '⁉' | '〰' | '〽' | '㊗' | '㊙' | 'ℹ')
            // Ideographs have variants of their form.
            || matches!(c, '\u{3400}'..='\u{9fff}')
    })
}

/// Whether a tag after `before` spells the name of a flag (UTS #51, emoji tag sequences): a black flag and at most seven.
fn in_flag(before: &[(usize, char)]) -> bool {
    let tags = before.iter().rev().take(7).take_while(|(_, c)| hidden::kind(*c) == Some(Hidden::Tag)).count();
    tags <= 6 && before.iter().rev().nth(tags).is_some_and(|(_, c)| *c == '\u{1f3f4}')
}
