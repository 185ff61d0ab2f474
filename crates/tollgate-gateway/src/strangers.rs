//! Who was refused before anyone was identified: counted by reason and block of addresses, and written as one event a
//! minute. However many there are, they fill neither the memory nor the journal.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parking_lot::Mutex;
use serde_json::{Value, json};

/// So many blocks are told apart in a minute.
const MOST: usize = 256;

/// The refusals since the last event.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<HashMap<(&'static str, Option<IpAddr>), u64>>);

/// The block of an address: its first 24 bits (IPv4) or 48 (IPv6), what a provider gives to one customer at least.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

impl Strangers {
    /// Counts one that was refused for `reason`.
    pub(crate) fn refused(&self, reason: &'static str, from: Option<IpAddr>) {
        let mut counts = self.0.lock();
        let key = (reason, from.map(block));
        let full = counts.len() >= MOST && !counts.contains_key(&key);
        *counts.entry(if full { (reason, None) } else { key }).or_default() += 1;
    }

    /// What was counted since the last time; `None` when there was nothing.
    pub(crate) fn take(&self) -> Option<Value> {
        let counts = std::mem::take(&mut *self.0.lock());
        if counts.is_empty() {
            return None;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|((reason, block), count)| (std::cmp::Reverse(*count), *reason, *block));
        let refused = counts.iter().map(|((reason, block), count)| {
            let block = block.map_or("other".to_owned(), |block| match block {
                IpAddr::V4(v4) => format!("{v4}/24"),
                IpAddr::V6(v6) => format!("{v6}/48"),
            });
            json!({ "reason": reason, "block": block, "count": count })
        });
        Some(json!({ "refused": refused.collect::<Vec<_>>() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_rolled_up_by_reason_and_block() {
        let strangers = Strangers::default();
        assert_eq!(strangers.take(), None);
        for last in 0..100_u8 {
            strangers.refused("unauthenticated", Some(IpAddr::from([203, 0, 113, last])));
        }
        strangers.refused("route_not_found", Some("2001:db8:1:2::3".parse().unwrap()));
        let taken = strangers.take().unwrap();
        assert_eq!(
            taken["refused"][0],
            json!({ "reason": "unauthenticated", "block": "203.0.113.0/24", "count": 100 })
        );
        assert_eq!(taken["refused"][1]["block"], "2001:db8:1::/48");
        assert_eq!(strangers.take(), None);
    }

    /// An attack: a botnet with an address in every block.
    #[test]
    fn so_many_blocks_are_told_apart_and_no_more() {
        let strangers = Strangers::default();
        for n in 0..100_000_u32 {
            strangers.refused("unauthenticated", Some(IpAddr::from((n << 8).to_be_bytes())));
        }
        let taken = strangers.take().unwrap();
        let refused = taken["refused"].as_array().unwrap();
        assert!(refused.len() <= MOST + 1);
        assert_eq!(refused.iter().map(|r| r["count"].as_u64().unwrap()).sum::<u64>(), 100_000);
    }
}
