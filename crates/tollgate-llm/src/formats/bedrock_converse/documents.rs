//! Pictures and documents: their formats have words of their own, and documents have names that are kept to a few
//! characters and told apart by.

use std::collections::{HashMap, HashSet};

/// What a picture of `media_type` is called.
pub(super) fn image_format(media_type: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 5] = [
        ("image/png", "png"),
        ("image/jpeg", "jpeg"),
        ("image/jpg", "jpeg"),
        ("image/gif", "gif"),
        ("image/webp", "webp"),
    ];
    known(&KNOWN, media_type)
}

/// What a document of `media_type` is called.
pub(super) fn document_format(media_type: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 9] = [
        ("application/pdf", "pdf"),
        ("text/csv", "csv"),
        ("application/msword", "doc"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ("application/vnd.ms-excel", "xls"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ("text/html", "html"),
        ("text/plain", "txt"),
        ("text/markdown", "md"),
    ];
    known(&KNOWN, media_type)
}

fn known(table: &[(&str, &'static str)], media_type: &str) -> Option<&'static str> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    table.iter().find(|(known, _)| essence.eq_ignore_ascii_case(known)).map(|(_, format)| *format)
}

/// The longest name.
const LONGEST: usize = 200;

/// Names given to the documents of a request so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: HashSet<String>,
    /// How often each name was wanted.
    wanted: HashMap<String, u32>,
}

impl Names {
    /// A name that the service takes and that no other document has. The same request always gets the same names, so
    /// that its prompt can be cached.
    pub(super) fn name(&mut self, wanted: Option<&str>) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
        let clean: String = wanted.unwrap_or_default().chars().map(allowed).collect();
        let mut clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        // Room is left for the number.
        clean.truncate(LONGEST - 8);
        if clean.is_empty() {
            "Document".clone_into(&mut clean);
        }
        let number = self.wanted.entry(clean.clone()).or_insert(0);
        loop {
            *number += 1;
            let name = if *number == 1 { clean.clone() } else { format!("{clean} ({number})") };
            if self.given.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_told_apart() {
        let mut names = Names::default();
        let got: Vec<String> =
            [Some("Q3 report_v2.pdf"), Some("Q3  report:v2/pdf"), None, Some("…"), Some(&*"x".repeat(300))]
                .map(|wanted| names.name(wanted))
                .into();
        assert_eq!(got[..4], ["Q3 report v2 pdf", "Q3 report v2 pdf (2)", "Document", "Document (2)"]);
        assert_eq!(got[4].len(), LONGEST - 8);
    }

    #[test]
    fn formats_are_told_by_media_types() {
        assert_eq!(image_format("image/JPG"), Some("jpeg"));
        assert_eq!(image_format("image/tiff"), None);
        assert_eq!(document_format("text/plain; charset=utf-8"), Some("txt"));
    }
}
