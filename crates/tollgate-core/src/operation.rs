//! How several calls ended that are one piece of work: those of a trace, or those that a client groups.

/// How many calls ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that were done.
    pub done: usize,
    /// Calls that were not.
    pub not_done: usize,
    /// Calls of which nobody knows.
    pub unknown: usize,
}

impl Tally {
    /// How all of it ended: `unknown` where nobody knows of one, `complete` where all were done, `nothing` where none was,
    /// and otherwise `partial`.
    pub const fn state(self) -> &'static str {
        match (self.done, self.not_done, self.unknown) {
            (_, _, 1..) => "unknown",
            (_, 0, 0) => "complete",
            (0, _, 0) => "nothing",
            _ => "partial",
        }
    }
}
