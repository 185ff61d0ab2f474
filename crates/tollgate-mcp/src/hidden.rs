//! Characters that a person does not see and a model reads, and how they are made visible.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A sort of hidden character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hidden {
    /// Has no width: U+200B to U+200D, U+2060 to U+2064, U+FEFF and their like.
    ZeroWidth,
    /// Changes the direction in which text is shown (UAX #9).
    Bidi,
    /// The tags block, U+E0000 to U+E007F: a copy of ASCII that is never shown.
    Tag,
    /// Chooses another picture of the character before it; a run of them can carry any bytes.
    VariationSelector,
    /// A control character other than a line break or tab.
    Control,
    /// Shown as nothing or as a blank: Hangul fillers, the Braille blank, private use.
    Blank,
}

/// What sort of hidden character `c` is, if it is one.
pub const fn kind(c: char) -> Option<Hidden> {
    Some(match c {
        '\n' | '\r' | '\t' => return None,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fff9}'..='\u{fffb}' => Hidden::Control,
        '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{feff}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{180e}' => Hidden::ZeroWidth,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => {
            Hidden::Bidi
        }
        '\u{2028}' | '\u{2029}' => Hidden::Control,
        '\u{e0000}'..='\u{e007f}' => Hidden::Tag,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}' => {
            Hidden::VariationSelector
        }
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{17b4}' | '\u{17b5}' => {
            Hidden::Blank
        }
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => Hidden::Blank,
        _ => return None,
    })
}

/// `text` with hidden characters as escapes such as `\u{202e}`, and line breaks and tabs as `\n`, `\r`, `\t`.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() || kind(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if kind(c).is_some() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// `text` as [`shown`], cut to `most` characters and with `…` where it was longer.
pub fn excerpt(text: &str, most: usize) -> String {
    let shown = shown(text);
    match shown.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_shown_and_what_is_not_stays() {
        assert_eq!(
            shown("a\u{202e}b\u{e0041}\u{200b}\n\u{1b}[2J"),
            "a\\u{202e}b\\u{e0041}\\u{200b}\\n\\u{1b}[2J"
        );
        for plain in ["grüße, 世界", "naïve — “quoted”", "emoji 🔧"] {
            assert!(matches!(shown(plain), Cow::Borrowed(_)), "{plain}");
        }
        assert_eq!(excerpt("abcdef", 3), "abc…");
        assert_eq!(excerpt("abc", 3), "abc");
    }
}
