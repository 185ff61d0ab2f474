//! A secret as a file refers to it: `${NAME}`, `os.environ/NAME`, `{ file: PATH }`, or the value itself.

use std::fmt;
use std::path::PathBuf;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::ports::Environment;
use crate::secret::Secret;

/// Where a secret is to be found.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In the environment variable of this name.
    Variable(String),
    /// In this file; white space around it does not count.
    File(PathBuf),
    /// Written out.
    Literal(Secret),
}

impl SecretRef {
    /// Reads `text` as a reference where it has the form of one.
    pub fn parse(text: &str) -> Self {
        let name = text.strip_prefix("os.environ/").or_else(|| text.strip_prefix("${")?.strip_suffix('}'));
        match name {
            Some(name) => Self::Variable(name.trim().to_owned()),
            None => Self::Literal(Secret::new(text)),
        }
    }

    /// The secret, or why it is not to be had. The reason never shows the secret.
    pub fn read(&self, environment: &dyn Environment) -> Result<Secret, String> {
        let value = match self {
            Self::Literal(secret) if secret.expose().starts_with('$') => {
                return Err("a value that begins with `$` would be sent as written; a variable is `${NAME}`"
                    .to_owned());
            }
            Self::Literal(secret) => return Ok(secret.clone()),
            Self::Variable(name) => environment.variable(name).ok_or_else(|| format!("{name} is not set"))?,
            Self::File(path) => {
                environment.read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?
            }
        };
        let value = value.trim();
        if value.is_empty() {
            return Err(format!("{self} is empty"));
        }
        Ok(Secret::new(value))
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${{{name}}}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Literal(_) => f.write_str("(written out)"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const QUOTES: &str = "a number or a truth value where a secret is expected: put it in quotes";
        struct Reference;
        impl<'de> Visitor<'de> for Reference {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, `${NAME}` or `{ file: PATH }`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretRef, E> {
                Ok(SecretRef::parse(text))
            }

            // YAML would change how it is written, and the default message would show the value.
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
                Err(de::Error::custom(QUOTES))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
                Err(de::Error::custom(QUOTES))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
                Err(de::Error::custom(QUOTES))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
                Err(de::Error::custom(QUOTES))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
                let mut path = None;
                while let Some(name) = map.next_key::<String>()? {
                    if name != "file" {
                        return Err(de::Error::unknown_field(&name, &["file"]));
                    }
                    path = Some(map.next_value::<PathBuf>()?);
                }
                path.map(SecretRef::File).ok_or_else(|| de::Error::missing_field("file"))
            }
        }
        deserializer.deserialize_any(Reference)
    }
}
