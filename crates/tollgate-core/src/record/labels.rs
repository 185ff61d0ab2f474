//! What callers say of a call besides its content: for which of their own users it is made, and under which names it
//! is to be counted. It is their word, so it is bounded.

/// The longest name of an end user, in bytes.
const LONGEST_END_USER: usize = 128;

/// The longest tag, in bytes.
const LONGEST_TAG: usize = 64;

/// The most tags of a call.
const MOST_TAGS: usize = 16;

/// An end user as it may stand in a record: without control characters, and cut at 128 bytes; `None` where nothing is
/// left.
pub fn end_user(said: &str) -> Option<String> {
    bounded(said, LONGEST_END_USER)
}

/// The tags in `lists`, which are written with commas: each once, in the order in which they were said, 16 at most, each
/// as an end user is but cut at 64 bytes.
pub fn tags<'a>(lists: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in lists.flat_map(|list| list.split(',')).filter_map(|said| bounded(said, LONGEST_TAG)) {
        if tags.len() < MOST_TAGS && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn bounded(said: &str, longest: usize) -> Option<String> {
    // What is far too long is not looked at to its end.
    let head = &said[..said.floor_char_boundary(4 * longest)];
    let plain: String = head.chars().filter(|c| !c.is_control()).collect();
    let plain = plain.trim();
    let cut = plain[..plain.floor_char_boundary(longest)].trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_say_is_bounded() {
        assert_eq!(end_user(" ann\u{7}\n "), Some("ann".to_owned()));
        assert_eq!(end_user(&"ü".repeat(200)), Some("ü".repeat(64)), "bytes, and whole characters");
        assert_eq!((end_user(""), end_user(" \u{0}\t")), (None, None));
        let many: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
        assert_eq!(tags([many.join(",").as_str()].into_iter()).len(), 16);
        assert_eq!(tags(["a, b,,a", "c,a"].into_iter()), ["a", "b", "c"]);
        assert_eq!(tags([format!("{},x", "y".repeat(100)).as_str()].into_iter()), [&"y".repeat(64), "x"]);
    }
}
