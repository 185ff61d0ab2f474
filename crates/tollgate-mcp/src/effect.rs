//! What a tool can change, and whose word that is.
//!
//! Three have a say, the later over the earlier: the server's annotations, the contract that somebody approved, the local
//! configuration. A server's own word only ever raises: unless somebody here vouches for it, a tool is destructive and
//! not retryable, whatever it says of itself.

use serde::{Deserialize, Serialize};
use tollgate_core::effect::Effect;

use crate::tool::Annotations;

/// What annotations say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Nothing about effects.
    Nothing,
    /// This.
    Effect(Effect),
    /// That it only reads, and that it destroys.
    Contradiction,
}

impl Declared {
    /// What `annotations` say (MCP, `ToolAnnotations`: what changes something is destructive unless it says that it only
    /// adds).
    pub const fn of(annotations: &Annotations) -> Self {
        match (annotations.read_only, annotations.destructive) {
            (Some(true), Some(true)) => Self::Contradiction,
            (Some(true), _) => Self::Effect(Effect::Read),
            (_, Some(false)) => Self::Effect(Effect::Write),
            (_, Some(true)) | (Some(false), None) => Self::Effect(Effect::Destructive),
            (None, None) => Self::Nothing,
        }
    }

    /// The effect: what says nothing or contradicts itself is destructive.
    pub const fn effect(self) -> Effect {
        match self {
            Self::Effect(effect) => effect,
            Self::Nothing | Self::Contradiction => Effect::Destructive,
        }
    }
}

/// What the local configuration says of a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// Its effect, over everything else.
    pub effect: Option<Effect>,
    /// Whether calling it twice is as calling it once.
    pub idempotent: Option<bool>,
    /// Whether the server's annotations are believed. Default: not.
    pub trust_annotations: bool,
}

/// What was approved, as far as effects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// The effect that was approved.
    pub effect: Effect,
    /// What the server said at that time.
    pub annotations: Annotations,
}

/// Whose word an effect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Nobody's: it is destructive.
    Nobody,
    /// The server's, which the configuration believes, or which raised it.
    Annotations,
    /// An approved contract's.
    Contract,
    /// The local configuration's.
    Configuration,
}

/// What a call of a tool can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it can change.
    pub effect: Effect,
    /// Whether the same call may be sent again though the first may have arrived.
    pub retryable: bool,
    /// Whether it may deal with things outside; true unless the server says otherwise.
    pub open_world: bool,
    /// Whose word the effect is.
    pub basis: Basis,
    /// Whether the server says at once that it only reads and that it destroys: to be reported.
    pub contradiction: bool,
}

/// What a call of a tool with these `annotations` can do.
pub fn judge(annotations: &Annotations, local: &Local, approved: Option<&Approved>) -> Facts {
    let declared = Declared::of(annotations);
    let (effect, basis) = match (local.effect, approved) {
        (Some(effect), _) => (effect, Basis::Configuration),
        (None, Some(approved)) => since(approved, declared),
        (None, None) if local.trust_annotations && declared != Declared::Nothing => {
            (declared.effect(), Basis::Annotations)
        }
        (None, None) => (Effect::Destructive, Basis::Nobody),
    };
    let contradiction = declared == Declared::Contradiction;
    Facts {
        effect,
        retryable: effect == Effect::Read
            || local.idempotent.unwrap_or_else(|| vouched(annotations, local, approved)),
        open_world: annotations.open_world.unwrap_or(true),
        basis,
        contradiction,
    }
}

/// The approved effect; or what the server says now, where that is more than what it said then.
fn since(approved: &Approved, declared: Declared) -> (Effect, Basis) {
    let then = Declared::of(&approved.annotations);
    if declared.effect() > then.effect() && declared.effect() > approved.effect {
        (declared.effect(), Basis::Annotations)
    } else {
        (approved.effect, Basis::Contract)
    }
}

/// Whether the server says that it is idempotent, and somebody here believes it.
fn vouched(annotations: &Annotations, local: &Local, approved: Option<&Approved>) -> bool {
    let believed = match approved {
        Some(approved) => approved.annotations.idempotent == Some(true),
        None => local.trust_annotations,
    };
    believed && annotations.idempotent == Some(true) && Declared::of(annotations) != Declared::Contradiction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(read_only: Option<bool>, destructive: Option<bool>, idempotent: Option<bool>) -> Annotations {
        Annotations { read_only, destructive, idempotent, ..Annotations::default() }
    }

    const TRUST: Local = Local { effect: None, idempotent: None, trust_annotations: true };

    #[test]
    fn annotations_mean_what_the_specification_says() {
        let cases = [
            (hints(None, None, Some(true)), Declared::Nothing),
            (hints(Some(true), None, None), Declared::Effect(Effect::Read)),
            (hints(Some(true), Some(false), None), Declared::Effect(Effect::Read)),
            (hints(Some(false), None, None), Declared::Effect(Effect::Destructive)),
            (hints(Some(false), Some(false), None), Declared::Effect(Effect::Write)),
            (hints(None, Some(false), None), Declared::Effect(Effect::Write)),
            (hints(None, Some(true), None), Declared::Effect(Effect::Destructive)),
            (hints(Some(true), Some(true), None), Declared::Contradiction),
        ];
        for (annotations, declared) in cases {
            assert_eq!(Declared::of(&annotations), declared, "{annotations:?}");
        }
    }

    #[test]
    fn a_server_cannot_talk_itself_down() {
        let sweet = hints(Some(true), Some(false), Some(true));
        let facts = judge(&sweet, &Local::default(), None);
        assert_eq!((facts.effect, facts.basis), (Effect::Destructive, Basis::Nobody));
        assert!(!facts.retryable && facts.open_world);
        let facts = judge(&sweet, &TRUST, None);
        assert_eq!((facts.effect, facts.basis, facts.retryable), (Effect::Read, Basis::Annotations, true));
        let facts = judge(&hints(None, None, None), &TRUST, None);
        assert_eq!((facts.effect, facts.basis), (Effect::Destructive, Basis::Nobody));
    }

    #[test]
    fn after_approval_it_can_only_raise() {
        let approved = Approved { effect: Effect::Write, annotations: hints(None, Some(false), Some(true)) };
        let now = |annotations| judge(&annotations, &Local::default(), Some(&approved));
        let same = now(hints(None, Some(false), Some(true)));
        assert_eq!((same.effect, same.basis, same.retryable), (Effect::Write, Basis::Contract, true));
        let lower = now(hints(Some(true), None, None));
        assert_eq!((lower.effect, lower.basis, lower.retryable), (Effect::Write, Basis::Contract, false));
        let higher = now(hints(None, Some(true), Some(true)));
        assert_eq!((higher.effect, higher.basis), (Effect::Destructive, Basis::Annotations));
        // Whoever approved it as reading knew that the server calls it destructive.
        let lowered = Approved { effect: Effect::Read, annotations: hints(None, Some(true), None) };
        assert_eq!(
            judge(&hints(None, Some(true), None), &Local::default(), Some(&lowered)).effect,
            Effect::Read
        );
        assert_eq!(judge(&hints(None, None, None), &Local::default(), Some(&lowered)).effect, Effect::Read);
    }

    #[test]
    fn the_configuration_has_the_last_word_and_a_contradiction_is_reported() {
        let local = Local { effect: Some(Effect::Write), idempotent: Some(true), trust_annotations: false };
        let facts = judge(&hints(Some(true), Some(true), None), &local, None);
        assert_eq!((facts.effect, facts.basis, facts.retryable), (Effect::Write, Basis::Configuration, true));
        assert!(facts.contradiction);
        let facts = judge(&hints(Some(true), Some(true), Some(true)), &TRUST, None);
        assert_eq!((facts.effect, facts.retryable, facts.contradiction), (Effect::Destructive, false, true));
    }
}
