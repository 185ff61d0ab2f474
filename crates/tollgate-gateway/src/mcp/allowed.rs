//! What a caller may use of tool servers, as the key, its user and its team say. Whoever runs the gate may use everything.

use tollgate_core::access::{Caller, HolderRef, ToolPattern};

/// Whoever does not allow the tool `tool` of `server`, if anybody.
pub(crate) fn who_forbids(caller: Option<&Caller>, server: &str, tool: &str) -> Option<HolderRef> {
    caller?.who_forbids_tool(|pattern: &ToolPattern| pattern.fits(server, tool))
}

/// Whoever does not allow what `server` has beside its tools, if anybody.
pub(crate) fn who_forbids_the_rest(caller: Option<&Caller>, server: &str) -> Option<HolderRef> {
    caller?.who_forbids_tool(|pattern: &ToolPattern| pattern.fits_all_of(server))
}

/// Whether anything of `server` is allowed.
pub(crate) fn may_reach(caller: Option<&Caller>, server: &str) -> bool {
    caller.is_none_or(|caller| caller.who_forbids_tool(|pattern| pattern.touches(server)).is_none())
}
