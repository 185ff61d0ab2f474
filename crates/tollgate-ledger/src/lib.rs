//! The ledger: who may call, what they may spend and use, and what they have spent and used.
//!
//! Calls ask it in memory and never wait for a database. It is filled from two places: holders come from the registry
//! ([`Ledger::follow`]), and what they had spent before the gate started comes from the journal ([`Ledger::restore`]).
//! Whoever changes a holder does it through the [`Registrar`].

mod carried;
mod directory;
mod draft;
mod expiring;
mod instances;
mod ledger;
mod registrar;
mod sharing;

pub use directory::{Listed, Page};
pub use expiring::Told;
pub use instances::Instance;
pub use ledger::Ledger;
pub use registrar::{Made, Presented, Registrar, RegistrarError, Shown};
pub use sharing::Sharing;
