//! What of an application is asked for, so that a rule about a path holds for every way to write it.

/// `path` in its plain form; `None` where servers would not agree on what that is: it goes up, has empty parts, is encoded
/// twice, or hides what separates parts.
pub(super) fn plain(path: &str) -> Option<String> {
    let decoded = decoded(path)?;
    // Some servers take what follows a semicolon for a parameter, and `\` for a slash.
    let unclear = |c: char| c.is_control() || matches!(c, '%' | '\\' | ';' | '#' | '?' | '\u{fffd}');
    let straight = |part: &str| part != "." && part != "..";
    let fits = decoded.starts_with('/')
        && !decoded.contains("//")
        && !decoded.contains(unclear)
        && decoded.split('/').all(straight);
    fits.then_some(decoded)
}

/// `path` with its percent-encoded bytes decoded; `None` where one is a slash, or it is no text.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let (digits, after) = tail.split_at_checked(2)?;
        let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if byte == b'/' || digits.contains(&b'+') {
            return None;
        }
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_plain_form_or_none() {
        for (path, expected) in [
            ("/", Some("/")),
            ("/a/b.c", Some("/a/b.c")),
            ("/%61dmin", Some("/admin")),
            ("/caf%C3%A9", Some("/café")),
            ("/a..b/...", Some("/a..b/...")),
        ] {
            assert_eq!(plain(path).as_deref(), expected, "{path}");
        }
        for path in [
            "//admin",
            "/x/../admin",
            "/x/%2e%2e/admin",
            "/./admin",
            "/%2fadmin",
            "/x%2Fadmin",
            "/x\\admin",
            "/%5cadmin",
            "/admin;x",
            "/..;/admin",
            "/%2561dmin",
            "/%",
            "/%zz",
            "/%+1",
            "/%00",
            "/%ff",
            "/a#/../b",
            "/%23",
            "/%3f",
            "admin",
            "",
        ] {
            assert_eq!(plain(path), None, "{path}");
        }
    }
}
