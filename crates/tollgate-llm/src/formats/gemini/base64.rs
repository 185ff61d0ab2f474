//! Base64, which clients may write in either alphabet here.

use std::borrow::Cow;

/// `data` in the alphabet that all formats understand (RFC 4648 §4). Long pictures are copied only where they must
/// be.
pub(super) fn standard(data: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr2(b'-', b'_', data.as_bytes()).is_none() {
        return data;
    }
    let letter = |letter| match letter {
        '-' => '+',
        '_' => '/',
        other => other,
    };
    Cow::Owned(data.chars().map(letter).collect())
}
