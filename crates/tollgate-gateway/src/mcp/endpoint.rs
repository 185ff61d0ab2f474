//! An address of the gate at which clients find tools: those of all servers, of one, or of a bundle.

use std::sync::Arc;

use tollgate_core::access::{Caller, ToolPattern};
use tollgate_core::config::bundles::OnFailure;
use tollgate_core::config::nearest;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::tools::ToolServer;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::identity::Acting;

use super::allowed::may_reach;

/// An address at which clients find tools.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// What stands behind `/mcp/`; empty where nothing does.
    pub(crate) address: Arc<str>,
    /// The servers that the caller may use.
    pub(crate) servers: Vec<Arc<ToolServer>>,
    /// Whether it was made for one server: then what is asked for is that server's, whatever it is.
    pub(crate) single: bool,
    /// Which of their tools it is about; `None` stands for all.
    pub(crate) tools: Option<Vec<ToolPattern>>,
    /// What happens when a server cannot be reached.
    pub(crate) failure: OnFailure,
    /// In whose name servers are asked that act for people.
    pub(crate) acting: Option<Acting>,
}

impl Endpoint {
    /// The one at `/mcp/address`, as far as `caller` may use it; `None` is whoever runs the gate.
    pub(crate) fn at(address: &str, snapshot: &Snapshot, caller: Option<&Caller>) -> Result<Self, Fault> {
        let of = |names: &mut dyn Iterator<Item = &Arc<str>>| {
            let found = names.filter_map(|name| snapshot.tool_servers.get(name));
            found.filter(|server| may_reach(caller, &server.name)).map(Arc::clone).collect::<Vec<_>>()
        };
        let acting = caller.and_then(Caller::acting);
        if address.is_empty() {
            let servers = of(&mut snapshot.tool_servers.keys());
            return Ok(Self {
                address: Arc::from(""),
                single: false,
                servers,
                tools: None,
                failure: OnFailure::Open,
                acting,
            });
        }
        if let Some(bundle) = snapshot.tool_bundles.get(address) {
            return Ok(Self {
                address: Arc::clone(&bundle.name),
                single: false,
                servers: of(&mut bundle.servers.iter()),
                tools: bundle.tools.clone(),
                failure: bundle.failure,
                acting,
            });
        }
        match snapshot.tool_servers.get(address).filter(|server| may_reach(caller, &server.name)) {
            Some(server) => Ok(Self {
                address: Arc::clone(&server.name),
                single: true,
                servers: vec![Arc::clone(server)],
                tools: None,
                failure: OnFailure::Closed,
                acting,
            }),
            None => Err(nothing_at(address, snapshot, caller)),
        }
    }

    /// Whether the tool `tool` of `server` is among what it is about.
    pub(crate) fn is_about(&self, server: &str, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.iter().any(|pattern| pattern.fits(server, tool)))
    }
}

fn nothing_at(address: &str, snapshot: &Snapshot, caller: Option<&Caller>) -> Fault {
    let shown: String = address.chars().take(100).collect();
    let servers = snapshot.tool_servers.keys().filter(|name| may_reach(caller, name));
    let known = || servers.clone().chain(snapshot.tool_bundles.keys()).map(|name| &**name);
    let hint = nearest(address, known()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let message = format!("there is no tool server and no bundle called `{shown}` here{hint}");
    Fault::new(FaultClass::RouteNotFound, message)
}
