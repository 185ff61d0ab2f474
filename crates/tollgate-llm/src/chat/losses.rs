//! What a translation could not keep, in the client's own words.

use super::Feature;

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Said in another way, which may differ a little.
    Nearly,
    /// Left out; the answer is the same.
    LeftOut,
    /// Left out, and the answer would differ: refused, unless the configuration says `drop_params`.
    Not,
}

/// A request member that the other side cannot express as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The member, as the client wrote it.
    pub member: String,
    /// Why it cannot be kept as it is.
    pub why: &'static str,
    /// What became of it.
    pub kept: Kept,
}

/// How a format spells the features that it can express. Others have the name that they have in
/// [`Feature::name`].
pub type Spelling = &'static [(Feature, &'static str)];

/// A member: as the client wrote it, or a feature that the client's format has its own word for.
#[derive(Clone, Debug)]
pub enum Member {
    /// As written.
    Written(String),
    /// A feature.
    Feature(Feature),
}

impl From<Feature> for Member {
    fn from(feature: Feature) -> Self {
        Self::Feature(feature)
    }
}

impl From<String> for Member {
    fn from(written: String) -> Self {
        Self::Written(written)
    }
}

impl From<&str> for Member {
    fn from(written: &str) -> Self {
        Self::Written(written.to_owned())
    }
}

/// So many are kept.
const MOST: usize = 100;

/// What a translation could not keep.
#[derive(Debug, Default)]
pub struct Losses {
    spelling: Spelling,
    all: Vec<Loss>,
    more: usize,
}

impl Losses {
    /// None yet, for a client that spells features so.
    pub fn new(spelling: Spelling) -> Self {
        Self { spelling, all: Vec::new(), more: 0 }
    }

    /// Notes a member without which the answer would differ.
    pub fn lose(&mut self, member: impl Into<Member>, why: &'static str) {
        self.note(member.into(), why, Kept::Not);
    }

    /// Notes a member that can be left out without a difference to the answer.
    pub fn leave_out(&mut self, member: impl Into<Member>, why: &'static str) {
        self.note(member.into(), why, Kept::LeftOut);
    }

    /// Notes a member that is said in another way.
    pub fn approximate(&mut self, member: impl Into<Member>, why: &'static str) {
        self.note(member.into(), why, Kept::Nearly);
    }

    fn note(&mut self, member: Member, why: &'static str, kept: Kept) {
        let member = match member {
            Member::Written(written) => written,
            Member::Feature(feature) => {
                let own = self.spelling.iter().find(|(known, _)| *known == feature);
                own.map_or(feature.name(), |(_, name)| *name).to_owned()
            }
        };
        let loss = Loss { member, why, kept };
        // A feature that is used a hundred times is one loss, and so many are more than anybody reads. What must not be
        // dropped silently is never left out of the list for that.
        let full = self.all.len() >= MOST && (kept != Kept::Not || self.first_harmful().is_some());
        if full {
            self.more += 1;
        } else if !self.all.contains(&loss) {
            self.all.push(loss);
        }
    }

    /// The first that must not be dropped silently.
    pub fn first_harmful(&self) -> Option<&Loss> {
        self.all.iter().find(|loss| loss.kept == Kept::Not)
    }

    /// How many there were beyond those that are kept.
    pub fn more(&self) -> usize {
        self.more
    }

    /// All, in the order found; of very many the first.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.all.iter()
    }
}
