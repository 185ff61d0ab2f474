//! A gate that has given out no keys.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Caller, NotLetIn};
use crate::identity::Subject;
use crate::ledger::{About, Hold, Meter, Need, Refusal, Standing};
use crate::ports::{Access, Asking};
use crate::price::NanoUsd;

/// Knows nobody, and so holds nothing for anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Access for Nobody {
    fn identify(&self, _: &str, _: Option<IpAddr>, _: Timestamp) -> Result<Caller, NotLetIn> {
        Err(NotLetIn::Unknown)
    }

    fn of(&self, subject: &Arc<Subject>, _: Timestamp) -> Result<Caller, NotLetIn> {
        Ok(Caller::of(Arc::clone(subject), None, None))
    }

    fn again(&self, _: &Caller, _: Option<IpAddr>, _: Timestamp) -> Result<Caller, NotLetIn> {
        Err(NotLetIn::Unknown)
    }

    fn open(&self, _: &Caller, _: About<'_>, _: Timestamp) -> Hold {
        Hold::default()
    }

    fn hold(&self, _: &mut Hold, _: &Need, _: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    fn fits(&self, _: &Hold, _: NanoUsd, _: Timestamp) -> Option<NanoUsd> {
        None
    }

    fn tell_standings(&self, _: &Hold, _: Timestamp, _: &mut dyn FnMut(&Meter, Standing)) {}

    fn ask<'a>(&'a self, _: &'a Refusal, _: u32) -> Option<Asking<'a>> {
        None
    }

    fn settle(&self, _: &mut Hold, _: Option<&Need>, _: Timestamp) {}
}
