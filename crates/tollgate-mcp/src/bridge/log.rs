//! Log messages. A stateful client sets a level once; a stateless one asks for messages in each request, and gets none
//! of a request that did not ask.

use crate::json::Object;

/// How grave a message is (RFC 5424), from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `debug`.
    Debug,
    /// `info`.
    Info,
    /// `notice`.
    Notice,
    /// `warning`.
    Warning,
    /// `error`.
    Error,
    /// `critical`.
    Critical,
    /// `alert`.
    Alert,
    /// `emergency`.
    Emergency,
}

impl Level {
    /// All, from the least.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The level that is written `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The level that the params of `logging/setLevel` set.
    pub fn of_params(params: &str) -> Option<Self> {
        Self::parse(&Object::read(params)?.string("level")?)
    }
}

/// Whether somebody who asked for messages from `asked` on wants the one with these `params` of
/// `notifications/message`. Who did not ask wants none; a level that nobody knows is taken for the gravest.
pub fn wanted(params: &str, asked: Option<Level>) -> bool {
    let level = Level::of_params(params).unwrap_or(Level::Emergency);
    asked.is_some_and(|asked| level >= asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_not_ask_hears_nothing() {
        assert!(!wanted(r#"{"level":"emergency","data":1}"#, None));
        assert!(wanted(r#"{"level":"warning"}"#, Some(Level::Warning)));
        assert!(!wanted(r#"{"level":"notice"}"#, Some(Level::Warning)));
        assert!(wanted(r#"{"level":"new"}"#, Some(Level::Alert)));
        assert!(Level::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(Level::ALL.into_iter().all(|level| Level::parse(level.name()) == Some(level)));
    }
}
