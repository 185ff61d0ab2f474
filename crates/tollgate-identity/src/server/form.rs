//! Parameters of a request: of its query, or of its body as a form. None is believed to be there twice.

use std::fmt;

/// Parameters that may be there several times (RFC 8707 §2, RFC 8693 §2.1).
const SEVERAL: &[&str] = &["resource", "audience"];

/// The most parameters of a request.
const MOST: usize = 100;

/// The parameters of a request.
#[derive(Default)]
pub(crate) struct Form(Vec<(String, String)>);

/// There are passwords among them.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form")
    }
}

impl Form {
    /// Reads `text` (`application/x-www-form-urlencoded`); otherwise why it cannot be read (RFC 6749 §3.1, §3.2).
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            // What has no value is not there.
            if value.is_empty() {
                continue;
            }
            if pairs.len() == MOST {
                return Err(format!("there are more than {MOST} parameters"));
            }
            if !SEVERAL.contains(&&*name) && pairs.iter().any(|(known, _)| *known == name) {
                let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(format!("`{name}` is there more than once"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// The parameter `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All parameters `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parts of `name`, which are separated by spaces.
    pub(crate) fn words<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.get(name).unwrap_or_default().split(' ').filter(|word| !word.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_twice_cannot_be_read_in_two_ways() {
        let form = Form::read(b"a=1&b=&resource=x&resource=y&scope=openid++email").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), None, None));
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(form.words("scope").collect::<Vec<_>>(), ["openid", "email"]);
        assert!(Form::read(b"client_id=a&client_id=b").unwrap_err().contains("`client_id`"));
        assert!(Form::read("a=1&".repeat(101).as_bytes()).is_err());
        assert_eq!(format!("{form:?}"), "Form");
    }
}
