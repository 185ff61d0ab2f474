//! All contracts, in memory.

use std::collections::BTreeMap;

use tollgate_core::contract::{ContractRef, ToolContract};
use tollgate_core::ports::{Change, Stored};

/// A contract, and the change that made it what it is.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) contract: ToolContract,
    pub(crate) change: Change,
}

/// All contracts, in memory.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) all: BTreeMap<ContractRef, Listed>,
    /// The last change that was read; `None` before anything was.
    pub(crate) read: Option<Change>,
}

impl Known {
    /// Takes a contract as it is kept, and says whether that is news. What is known since a later change stays.
    pub(crate) fn take(&mut self, Stored { name, change, document }: Stored<ToolContract>) -> bool {
        if self.all.get(&name).is_some_and(|known| known.change >= change) {
            return false;
        }
        match document {
            Some(contract) => {
                self.all.insert(name, Listed { contract, change });
                true
            }
            None => self.all.remove(&name).is_some(),
        }
    }
}
