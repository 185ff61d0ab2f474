//! What others are told: signed heads of the journal, every entry for a sink, traces and metrics for a collector, alerts
//! for people and their programs.
//!
//! All of it is read from the journal, behind the calls: none waits for it. Each remembers how far it is, so that a
//! restart or a receiver that was away loses nothing that the journal still has.

pub mod alerts;
mod heads;
pub mod otlp;
mod reading;
mod sink;
mod trying;

pub use heads::publish;
pub use reading::Reading;
pub use sink::feed;
