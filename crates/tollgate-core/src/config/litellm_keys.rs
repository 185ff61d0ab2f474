//! The settings of LiteLLM that are understood but not acted on, so that a file that has them still runs and
//! its reader is told. Source: LiteLLM's configuration reference, as of version 1.83.

use serde::de::{Deserialize, Deserializer, IgnoredAny};

/// A setting whose value is not looked at.
#[derive(Debug)]
pub(super) struct NotActedOn;

impl<'de> Deserialize<'de> for NotActedOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// A section of a LiteLLM file: members that are acted on, with their types, and names that are not.
macro_rules! section {
    ($(#[doc = $doc:literal])* $name:ident { $($member:ident: $type:ty,)* } not acted on { $($ignored:ident)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            $(pub(super) $member: Option<$type>,)*
            $($ignored: Option<NotActedOn>,)*
        }

        impl $name {
            /// The members that are present but not acted on.
            pub(super) fn not_acted_on(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$ignored.is_some() { names.push(stringify!($ignored)); })*
                names
            }
        }
    };
}
pub(super) use section;
