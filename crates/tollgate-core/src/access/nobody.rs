//! A gate that has given out no keys.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Caller, NotLetIn};
use crate::ledger::{Hold, Need, Refusal};
use crate::ports::Access;

/// Knows nobody, and so holds nothing for anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Access for Nobody {
    fn identify(&self, _: &str, _: Option<IpAddr>, _: Timestamp) -> Result<Caller, NotLetIn> {
        Err(NotLetIn::Unknown)
    }

    fn hold(&self, _: &Caller, _: &str, _: &Need, _: Timestamp) -> Result<Hold, Refusal> {
        Ok(Hold::default())
    }

    fn hold_more(&self, _: &mut Hold, _: &Need, _: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    fn settle(&self, _: &mut Hold, _: Option<&Need>, _: Timestamp) {}
}
