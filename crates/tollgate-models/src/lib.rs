//! Models and credentials that admins add while the gate runs: checked, encrypted, kept, followed, and put together with
//! what the configuration file says.
//!
//! A document that does not resolve takes its model out of service, with the reason, and nothing else. Secrets are
//! encrypted before they are kept, and never said again.

mod additions;
mod credentials;
mod error;
mod known;
mod models;
mod seal;
mod shown;

pub use additions::Additions;
pub use error::AdditionError;
pub use shown::{Page, Shown};
