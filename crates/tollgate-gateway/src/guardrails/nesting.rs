//! A body that nests too deeply: parsers further on may recurse until their stack ends.

use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::json::deeper_than;

pub(super) fn check(body: &str, snapshot: &Snapshot) -> Result<(), Fault> {
    let limit = snapshot.limits.request_depth;
    if deeper_than(body, limit) {
        return Err(Fault::new(
            FaultClass::Invalid,
            format!("the body nests deeper than {limit} levels (limits.request_depth)"),
        ));
    }
    Ok(())
}
