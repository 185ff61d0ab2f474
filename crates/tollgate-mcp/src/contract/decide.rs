//! What becomes of a difference: per class and server, whether it is let through, and what clients see while it is held.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::diff::{Class, Classes, Differences};

/// What is done with a difference, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// The new definition is served and pinned.
    Allow,
    /// The same, and somebody is told.
    Alert,
    /// The new definition is not served until somebody approves it.
    Hold,
}

/// A class whose old text may be shown while the new one is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldText {
    /// [`Class::Cosmetic`].
    Cosmetic,
    /// [`Class::Description`].
    Description,
}

/// The rules of one server, or of all, as written. What is left out is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Default `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cosmetic: Option<Handling>,
    /// Default `hold`, as the following.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Handling>,
    /// More is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widened: Option<Handling>,
    /// Less is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<Handling>,
    /// The server says otherwise of its effects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect_changed: Option<Handling>,
    /// Of which classes clients see the old definition while the new one is held. Default none: the tool is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_old_text: Option<Vec<OldText>>,
}

impl Rules {
    const fn of(&self, class: Class) -> Option<Handling> {
        match class {
            Class::Cosmetic => self.cosmetic,
            Class::Description => self.description,
            Class::Widened => self.widened,
            Class::Narrowed => self.narrowed,
            Class::EffectChanged => self.effect_changed,
        }
    }
}

/// The rules of all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// For every server.
    pub all: Rules,
    /// For servers by name, over those for all.
    pub servers: BTreeMap<String, Rules>,
}

/// What clients see of a tool that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The definition as listed now.
    Listed,
    /// The definition as pinned.
    Pinned,
    /// Nothing: it is not listed, and a call of it is refused.
    Nothing,
}

/// What becomes of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The strictest that a class of it asks for.
    pub handling: Handling,
    /// What clients see until something else is decided.
    pub seen: Seen,
    /// The classes that asked for it.
    pub because: Classes,
}

impl Policy {
    /// What becomes of `differences` of a tool of `server`.
    pub fn decide(&self, server: &str, differences: &Differences) -> Decision {
        self.for_classes(server, differences.classes())
    }

    fn for_classes(&self, server: &str, classes: Classes) -> Decision {
        let handling =
            classes.iter().map(|class| self.handling(server, class)).max().unwrap_or(Handling::Allow);
        let asked = classes.iter().filter(|class| self.handling(server, *class) == handling);
        let because = asked.fold(Classes::NONE, Classes::and);
        let seen = match handling {
            Handling::Allow | Handling::Alert => Seen::Listed,
            Handling::Hold if classes.iter().all(|class| self.keeps(server, class)) => Seen::Pinned,
            Handling::Hold => Seen::Nothing,
        };
        Decision { handling, seen, because }
    }

    fn handling(&self, server: &str, class: Class) -> Handling {
        let own = self.servers.get(server).and_then(|rules| rules.of(class));
        let default = if class == Class::Cosmetic { Handling::Allow } else { Handling::Hold };
        own.or(self.all.of(class)).unwrap_or(default)
    }

    /// Whether the old definition may be shown with a difference of this class. What is allowed anyway is no obstacle, as
    /// far as it is only text.
    fn keeps(&self, server: &str, class: Class) -> bool {
        let own = self.servers.get(server).and_then(|rules| rules.keep_old_text.as_deref());
        let kept = own.or(self.all.keep_old_text.as_deref()).unwrap_or_default();
        match class {
            Class::Cosmetic => {
                kept.contains(&OldText::Cosmetic) || self.handling(server, Class::Cosmetic) != Handling::Hold
            }
            Class::Description => kept.contains(&OldText::Description),
            Class::Widened | Class::Narrowed | Class::EffectChanged => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> Policy {
        serde_json::from_str(json).unwrap()
    }

    fn of(classes: &[Class]) -> Classes {
        classes.iter().fold(Classes::NONE, |all, class| all.and(*class))
    }

    #[test]
    fn by_default_only_cosmetics_pass() {
        for class in Class::ALL {
            let decision = Policy::default().for_classes("s", Classes::only(class));
            let expected = match class {
                Class::Cosmetic => (Handling::Allow, Seen::Listed),
                _ => (Handling::Hold, Seen::Nothing),
            };
            assert_eq!((decision.handling, decision.seen), expected, "{class:?}");
        }
    }

    #[test]
    fn the_strictest_class_decides_and_is_named() {
        let policy = policy(r#"{"all":{"widened":"alert"},"servers":{"s":{"description":"allow"}}}"#);
        let decision = policy.for_classes("s", of(&[Class::Cosmetic, Class::Description, Class::Widened]));
        assert_eq!((decision.handling, decision.because), (Handling::Alert, Classes::only(Class::Widened)));
        let decision = policy.for_classes("s", of(&[Class::Widened, Class::Narrowed]));
        assert_eq!((decision.handling, decision.because), (Handling::Hold, Classes::only(Class::Narrowed)));
        assert_eq!(policy.for_classes("other", Classes::only(Class::Description)).handling, Handling::Hold);
    }

    #[test]
    fn old_text_is_kept_by_name_and_only_for_texts() {
        let policy = policy(
            r#"{"all":{"keep_old_text":["description"],"widened":"allow"},"servers":{"s":{"cosmetic":"hold"}}}"#,
        );
        let seen = |server: &str, classes: &[Class]| policy.for_classes(server, of(classes)).seen;
        assert_eq!(seen("t", &[Class::Description]), Seen::Pinned);
        assert_eq!(seen("t", &[Class::Cosmetic, Class::Description]), Seen::Pinned);
        assert_eq!(seen("s", &[Class::Cosmetic, Class::Description]), Seen::Nothing);
        assert_eq!(seen("t", &[Class::Description, Class::Widened]), Seen::Nothing);
        assert_eq!(seen("t", &[Class::EffectChanged]), Seen::Nothing);
        for wrong in [r#"{"all":{"keep_old_text":["narrowed"]}}"#, r#"{"all":{"narowed":"hold"}}"#] {
            assert!(serde_json::from_str::<Policy>(wrong).is_err(), "{wrong}");
        }
    }
}
