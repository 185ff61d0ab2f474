//! What differs between the generations of Gemini, told by a model's name.

/// The last generation that counts thinking in tokens, gives several answers, takes no schema beside tools, and knows
/// neither signatures nor ids of calls.
const OLD: u32 = 2;

/// What a model is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    major: u32,
    minor: u32,
    flash: bool,
}

impl Generation {
    /// That of `model`. A name that says none, such as `gemini-flash-latest`, is of the newest.
    pub(super) fn of(model: &str) -> Self {
        let name = model.split_once("gemini-").map(|(_, rest)| rest).unwrap_or_default();
        let version = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut numbers =
            version.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default().split('.');
        let major = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX);
        // `gemini-exp-1206` has a date for a number.
        let major = if major > 100 { u32::MAX } else { major };
        let minor = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        Self { major, minor, flash: model.contains("flash") }
    }

    fn is_old(self) -> bool {
        self.major <= OLD
    }

    /// Whether it counts what it thinks in tokens, and not in words such as `low`.
    pub(super) fn counts_thinking(self) -> bool {
        self.is_old()
    }

    /// Whether it thinks at all.
    pub(super) fn thinks(self) -> bool {
        (self.major, self.minor) >= (2, 5)
    }

    /// Fewest and most tokens that it can be told to think.
    pub(super) fn thinking_tokens(self) -> (u64, u64) {
        if self.flash { (0, 24_576) } else { (128, 32_768) }
    }

    /// The word for the least that it can think: not all know `minimal`.
    pub(super) fn least_thinking(self) -> &'static str {
        let knows = self.flash && self.major == 3 && self.minor < 8;
        if knows { "minimal" } else { "low" }
    }

    /// Whether it gives several answers at once.
    pub(super) fn gives_candidates(self) -> bool {
        self.is_old()
    }

    /// Whether it answers to a schema while it may call tools.
    pub(super) fn schema_beside_tools(self) -> bool {
        !self.is_old()
    }

    /// Whether it refuses a conversation in which its calls have lost their signatures.
    pub(super) fn wants_signatures(self) -> bool {
        !self.is_old()
    }

    /// Whether its calls have ids. Older ones refuse a request that has them.
    pub(super) fn knows_call_ids(self) -> bool {
        !self.is_old()
    }

    /// Whether it fetches what stands at an address.
    pub(super) fn fetches(self) -> bool {
        self.thinks()
    }

    /// Whether pictures can stand inside of a tool's result.
    pub(super) fn media_in_results(self) -> bool {
        !self.is_old()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_told_by_the_name() {
        let old =
            ["gemini-2.5-pro", "models/gemini-2.0-flash", "gemini-1.5-pro-latest", "gemini-live-2.5-flash"];
        assert!(old.iter().all(|name| Generation::of(name).counts_thinking()));
        let new = [
            "gemini-3-pro-preview",
            "gemini-3.1-flash",
            "gemini-4-argon",
            "gemini-flash-latest",
            "gemini-exp-1206",
            "tunedModels/mine",
        ];
        assert!(new.iter().all(|name| !Generation::of(name).counts_thinking()));
        assert!(!Generation::of("gemini-2.0-flash").thinks() && Generation::of("gemini-2.5-flash").thinks());
    }

    #[test]
    fn the_least_thinking_is_one_that_the_model_knows() {
        let least = |name| Generation::of(name).least_thinking();
        assert_eq!((least("gemini-3-flash-preview"), least("gemini-3.5-flash-lite")), ("minimal", "minimal"));
        for name in ["gemini-3.1-pro-preview", "gemini-3.8-flash", "gemini-4-argon", "gemini-flash-latest"] {
            assert_eq!(least(name), "low");
        }
    }
}
