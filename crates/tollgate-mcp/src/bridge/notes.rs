//! What a bridge could not say as it was said.

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Said in other words, which may differ a little.
    Nearly,
    /// Left out: the listener does not get it where it would look for it.
    LeftOut,
}

/// Something that could not be said as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What, in words of the protocol, such as `content[].audio`.
    pub what: String,
    /// What became of it.
    pub kept: Kept,
    /// Why, and what stands in its place.
    pub why: &'static str,
}

/// So many are kept.
const MOST: usize = 64;

/// Everything that one message lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    all: Vec<Note>,
    more: usize,
}

impl Notes {
    /// Notes that something could not be said as it was. What happened a hundred times is one note.
    pub fn note(&mut self, what: impl Into<String>, kept: Kept, why: &'static str) {
        let note = Note { what: what.into(), kept, why };
        if self.all.contains(&note) {
            return;
        }
        if self.all.len() < MOST {
            self.all.push(note);
        } else {
            self.more += 1;
        }
    }

    /// All, in the order found; of very many the first.
    pub fn iter(&self) -> impl Iterator<Item = &Note> {
        self.all.iter()
    }

    /// How many there were beyond those that are kept.
    pub fn more(&self) -> usize {
        self.more
    }

    /// Whether everything was said as it was.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
