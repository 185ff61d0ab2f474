//! What becomes of a difference: per class and server, whether it is let through, and what clients see while it is held.

use serde::{Deserialize, Serialize};
use tollgate_core::config::contracts::{Handling, OldText, Policy, Rules};

use super::diff::{Class, Classes, Differences};

const fn of(rules: &Rules, class: Class) -> Option<Handling> {
    match class {
        Class::Cosmetic => rules.cosmetic,
        Class::Description => rules.description,
        Class::Widened => rules.widened,
        Class::Narrowed => rules.narrowed,
        Class::EffectChanged => rules.effect_changed,
    }
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

/// What becomes of `differences` of a tool of `server`.
pub fn decide(policy: &Policy, server: &str, differences: &Differences) -> Decision {
    for_classes(policy, server, differences.classes())
}

fn for_classes(policy: &Policy, server: &str, classes: Classes) -> Decision {
    let handling =
        classes.iter().map(|class| handling(policy, server, class)).max().unwrap_or(Handling::Allow);
    let asked = classes.iter().filter(|class| self::handling(policy, server, *class) == handling);
    let because = asked.fold(Classes::NONE, Classes::and);
    let seen = match handling {
        Handling::Allow | Handling::Alert => Seen::Listed,
        Handling::Hold if classes.iter().all(|class| keeps(policy, server, class)) => Seen::Pinned,
        Handling::Hold => Seen::Nothing,
    };
    Decision { handling, seen, because }
}

fn handling(policy: &Policy, server: &str, class: Class) -> Handling {
    let own = policy.servers.get(server).and_then(|rules| of(rules, class));
    let default = if class == Class::Cosmetic { Handling::Allow } else { Handling::Hold };
    own.or(of(&policy.all, class)).unwrap_or(default)
}

/// Whether the old definition may be shown with a difference of this class. What is allowed anyway is no obstacle, as far
/// as it is only text.
fn keeps(policy: &Policy, server: &str, class: Class) -> bool {
    let own = policy.servers.get(server).and_then(|rules| rules.keep_old_text.as_deref());
    let kept = own.or(policy.all.keep_old_text.as_deref()).unwrap_or_default();
    match class {
        Class::Cosmetic => {
            kept.contains(&OldText::Cosmetic) || handling(policy, server, Class::Cosmetic) != Handling::Hold
        }
        Class::Description => kept.contains(&OldText::Description),
        Class::Widened | Class::Narrowed | Class::EffectChanged => false,
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
            let decision = for_classes(&Policy::default(), "s", Classes::only(class));
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
        let decision = for_classes(&policy, "s", of(&[Class::Cosmetic, Class::Description, Class::Widened]));
        assert_eq!((decision.handling, decision.because), (Handling::Alert, Classes::only(Class::Widened)));
        let decision = for_classes(&policy, "s", of(&[Class::Widened, Class::Narrowed]));
        assert_eq!((decision.handling, decision.because), (Handling::Hold, Classes::only(Class::Narrowed)));
        assert_eq!(for_classes(&policy, "other", Classes::only(Class::Description)).handling, Handling::Hold);
    }

    #[test]
    fn old_text_is_kept_by_name_and_only_for_texts() {
        let policy = policy(
            r#"{"all":{"keep_old_text":["description"],"widened":"allow"},"servers":{"s":{"cosmetic":"hold"}}}"#,
        );
        let seen = |server: &str, classes: &[Class]| for_classes(&policy, server, of(classes)).seen;
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
