//! The members of a request, read in one pass, with the names of those that nobody reads: what a translation does
//! not know it must not drop in silence.

use crate::chat::Losses;

/// A struct whose members are all optional, and `unknown`: the names of further members that are not null. A member
/// may be spelt in several ways; one that stands twice is refused.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident<$a:lifetime> { $($($written:literal)|+ => $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name<$a> {
            $($field: Option<$type>,)+
            unknown: Vec<String>,
            body: std::marker::PhantomData<&$a ()>,
        }

        impl<'de: $a, $a> serde::Deserialize<'de> for $name<$a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members<$a>(std::marker::PhantomData<&$a ()>);
                impl<'de: $a, $a> serde::de::Visitor<'de> for Members<$a> {
                    type Value = $name<$a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a JSON object")
                    }

                    fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                        let mut read = $name::default();
                        while let Some($crate::json::Name(name)) = map.next_key()? {
                            match &*name {
                                $($($written)|+ => {
                                    if read.$field.is_some() {
                                        return Err(serde::de::Error::custom(format_args!("the member `{name}` stands twice")));
                                    }
                                    read.$field = map.next_value()?;
                                })+
                                _ => {
                                    if map.next_value::<Option<serde::de::IgnoredAny>>()?.is_some() {
                                        read.unknown.push(name.into_owned());
                                    }
                                }
                            }
                        }
                        Ok(read)
                    }
                }
                deserializer.deserialize_map(Members(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use body;

/// Notes members that a format's reader has no use for: those in `harmless` do not change the answer. `at` is what
/// they are members of, with a dot behind it.
pub(crate) fn note_unknown(unknown: &[String], at: &str, harmless: &[&str], losses: &mut Losses) {
    for name in unknown {
        if harmless.contains(&name.as_str()) {
            losses.leave_out(format!("{at}{name}"), "has no counterpart and does not change the answer");
        } else {
            losses.lose(format!("{at}{name}"), "has no counterpart");
        }
    }
}
