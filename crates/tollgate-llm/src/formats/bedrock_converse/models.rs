//! What the makers' models take beside what all of them take, told by a model's id: `anthropic.claude-…`, with a
//! region before it or within an ARN. What an application's own profile stands for is not known.

/// Who made a model, as far as that changes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// Anthropic's Claude.
    Claude,
    /// Amazon's Nova.
    Nova,
    /// Amazon's Nova 2, which thinks.
    Nova2,
    /// OpenAI's open models.
    GptOss,
    /// Mistral.
    Mistral,
    /// Cohere's Command.
    Command,
    /// Any other, or not known.
    Other,
}

impl Maker {
    pub(super) fn of(model: &str) -> Self {
        const KNOWN: [(&str, Maker); 6] = [
            ("anthropic.", Maker::Claude),
            ("amazon.nova-2", Maker::Nova2),
            ("amazon.nova", Maker::Nova),
            ("openai.gpt-oss", Maker::GptOss),
            ("mistral.", Maker::Mistral),
            ("cohere.command", Maker::Command),
        ];
        KNOWN.iter().find(|(part, _)| model.contains(part)).map_or(Self::Other, |(_, maker)| *maker)
    }

    /// Whether prompts are cached up to marks.
    pub(super) fn caches(self) -> bool {
        matches!(self, Self::Claude | Self::Nova | Self::Nova2)
    }

    /// Whether a mark may stand behind tools, too.
    pub(super) fn caches_tools(self) -> bool {
        self == Self::Claude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_told_by_the_id() {
        for (id, maker) in [
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", Maker::Claude),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Maker::Claude),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-opus-4-6-v1", Maker::Claude),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", Maker::Other),
            ("eu.amazon.nova-2-lite-v1:0", Maker::Nova2),
            ("amazon.nova-pro-v1:0", Maker::Nova),
            ("openai.gpt-oss-120b-1:0", Maker::GptOss),
            ("meta.llama3-1-8b-instruct-v1:0", Maker::Other),
        ] {
            assert_eq!(Maker::of(id), maker, "{id}");
        }
    }
}
