//! Budgets and limits: how much may be spent and used, by whom, over which time; and the arithmetic that holds it.
//!
//! What a call may need is held before it is sent ([`Book::hold`]) and replaced by what it used when it ends
//! ([`Book::settle`]). A call counts in the windows in which it began.

mod book;
mod meter;
mod part;
mod refusal;
mod rule;
mod sheet;
mod usd;
mod window;

pub use self::book::{Book, Held, Hold, Standing, Warned};
pub use self::meter::{Meter, Need, Rule};
pub use self::part::{Due, SheetKey, Taken, Urgency};
pub use self::refusal::{Elsewhere, Refusal};
pub use self::rule::{About, Budget, Increase, Limit, Measure, RuleError};
pub use self::sheet::{Lease, Presence, ReleaseError, Roster, Share, Sheet, Wish};
pub use self::usd::Usd;
pub use self::window::{Bounds, Window};
