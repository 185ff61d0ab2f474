//! Whom a request is for: the gate itself, or one of its tool servers; and in whose names.

use std::sync::Arc;

use tollgate_core::access::Caller;
use tollgate_core::effect::Effect;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::ToolUse;
use tollgate_llm::tool_facts::canonical_arguments;
use tollgate_mcp::hidden;
use tollgate_mcp::json::{Object, quoted};
use tollgate_mcp::method::Method;
use tollgate_mcp::revision::Revision;

use super::allowed::who_forbids_the_rest;
use super::endpoint::Endpoint;
use super::listed::{Listed, ListedTool};
use super::offer::Offer;
use super::operations;
use super::said::Asked;
use crate::gate::Gate;

/// Whom a request is for.
#[derive(Debug)]
pub(crate) enum Aim {
    /// The gate, which knows what this address offers.
    Gate(Arc<Offer>),
    /// A server.
    Server(Aimed),
}

/// A request for a server.
#[derive(Clone, Debug)]
pub(crate) struct Aimed {
    /// The server.
    pub(crate) listed: Arc<Listed>,
    /// The request's params, in the server's names.
    pub(crate) params: Option<String>,
    /// The tool that is called, where one is.
    pub(crate) tool: Option<Arc<ListedTool>>,
    /// Whether the request may be sent again though it may have arrived.
    pub(crate) repeatable: bool,
}

/// Requests that the gate answers itself, whatever the servers. What clients ask for in order to list is answered from what
/// the gate has listed, where there are several servers; a single one is asked itself.
const OWN: [&str; 7] = [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "logging/setLevel",
    "subscriptions/listen",
    operations::END,
];

/// Lists that a single server is asked for itself.
const LISTS: [&str; 3] = ["prompts/list", "resources/list", "resources/templates/list"];

/// Requests that change nothing, apart from what a server remembers of its client.
const READS: [&str; 8] = [
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
];

/// What is needed to find out whom a request is for.
pub(crate) struct Aiming<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) asked: &'a Asked,
    /// What the client speaks.
    pub(crate) revision: Revision,
}

impl Aiming<'_> {
    /// Whom the request is for. What was found out of it is noted in `used`, also where it is for nobody.
    pub(crate) async fn aim(&self, used: &mut ToolUse) -> Result<Aim, Fault> {
        let method = self.asked.method.as_str();
        used.effect =
            if OWN.contains(&method) || READS.contains(&method) { Effect::Read } else { Effect::Destructive };
        let revision = self.revision;
        if Method::find(method)
            .is_some_and(|known| known.understood && !known.is_in(revision) && revision.is_stateless())
        {
            let why = format!("MCP {revision} has no `{method}`");
            return Err(Fault::new(FaultClass::MethodNotFound, why));
        }
        if method == "subscriptions/listen" && !revision.is_stateless() {
            let why = format!("MCP {revision} has no `{method}`: ask with GET for what is said unasked");
            return Err(Fault::new(FaultClass::MethodNotFound, why));
        }
        // Nobody waits for servers to say hello or to be told that all is well.
        if method == "ping" || method == operations::END {
            return Ok(Aim::Gate(Arc::default()));
        }
        let offer = self.gate.tools.offers.at(self.gate, self.endpoint).await?;
        let begins = matches!(method, "initialize" | "server/discover");
        if let Some(missing) = offer.failed.first().filter(|_| self.endpoint.single && !begins) {
            return Err(missing.clone());
        }
        if OWN.contains(&method) || (LISTS.contains(&method) && !self.endpoint.single) {
            return Ok(Aim::Gate(offer));
        }
        match method {
            "tools/call" => self.tool(&offer, used),
            "prompts/get" => self.prompt(&offer, used),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => self.resource(&offer, used),
            "completion/complete" => self.completion(&offer, used),
            _ => self.only(&offer, used),
        }
    }

    fn tool(&self, offer: &Offer, used: &mut ToolUse) -> Result<Aim, Fault> {
        let name = self.asked.string("name").ok_or_else(|| missing("name"))?;
        used.name = Some(clipped(&name));
        // At a server's own address its tools are known by its own names, too.
        let own = || offer.tools.values().find(|shown| self.endpoint.single && shown.name == name);
        let Some(shown) = offer.tools.get(&name).or_else(own) else { return Err(no_tool(offer, &name)) };
        used.server = Some(Arc::clone(&shown.listed.server.name));
        used.shown_as = (name != shown.name).then(|| clipped(&name));
        used.name = Some(clipped(&shown.name));
        used.effect = shown.tool.facts.effect;
        used.contract = Some(shown.tool.contract.clone());
        used.twins = shown.twins.iter().take(8).map(|twin| clipped(twin)).collect();
        let configured = shown.listed.server.effects.tools.get(&shown.name);
        used.undo = configured.and_then(|said| said.undo.clone());
        let arguments = self.asked.params.as_deref().and_then(Object::read);
        let arguments = arguments.and_then(|params| params.get("arguments").map(str::to_owned));
        let canonical = canonical_arguments(arguments.as_deref().unwrap_or("{}"));
        used.arguments_digest = Some(self.gate.parts.journal.digest_key().digest(canonical.as_bytes()));
        Ok(Aim::Server(Aimed {
            listed: Arc::clone(&shown.listed),
            params: self.renamed(&[], "name", &name, &shown.name),
            tool: Some(Arc::clone(&shown.tool)),
            repeatable: shown.tool.facts.retryable,
        }))
    }

    fn prompt(&self, offer: &Offer, used: &mut ToolUse) -> Result<Aim, Fault> {
        let name = self.asked.string("name").ok_or_else(|| missing("name"))?;
        used.name = Some(clipped(&name));
        let found = offer.prompts.get(&name).cloned();
        let (listed, own) = match (found, offer.servers.first()) {
            (Some(found), _) => found,
            // A server may know prompts that it does not list.
            (None, Some(listed)) if self.endpoint.single => (Arc::clone(listed), name.clone()),
            _ => return Err(none("prompt", &name)),
        };
        Ok(self.server(listed, self.renamed(&[], "name", &name, &own), used))
    }

    fn resource(&self, offer: &Offer, used: &mut ToolUse) -> Result<Aim, Fault> {
        let uri = self.asked.string("uri").ok_or_else(|| missing("uri"))?;
        used.name = Some(clipped(&uri));
        let listed = who_has(offer, self.endpoint, self.caller, &uri)?;
        Ok(self.server(listed, self.asked.params.clone(), used))
    }

    fn completion(&self, offer: &Offer, used: &mut ToolUse) -> Result<Aim, Fault> {
        let params = self.asked.params.as_deref().and_then(Object::read);
        let of = params.as_ref().and_then(|params| params.object("ref")).ok_or_else(|| missing("ref"))?;
        if let Some(uri) = of.string("uri") {
            used.name = Some(clipped(&uri));
            let listed = match who_has(offer, self.endpoint, self.caller, &uri) {
                // The address of a template is one that it could not have become.
                Err(fault) => self.who_has_template(offer, &uri).ok_or(fault)?,
                Ok(listed) => listed,
            };
            return Ok(self.server(listed, self.asked.params.clone(), used));
        }
        let name = of.string("name").ok_or_else(|| missing("ref.name"))?.into_owned();
        used.name = Some(clipped(&name));
        match (offer.prompts.get(&name), offer.servers.first()) {
            (Some((listed, own)), _) => {
                let params = self.renamed(&["ref"], "name", &name, own);
                Ok(self.server(Arc::clone(listed), params, used))
            }
            (None, Some(only)) if self.endpoint.single => {
                Ok(self.server(Arc::clone(only), self.asked.params.clone(), used))
            }
            _ => Err(none("prompt", &name)),
        }
    }

    fn who_has_template(&self, offer: &Offer, template: &str) -> Option<Arc<Listed>> {
        let is = |entry: &String| {
            Object::read(entry).and_then(|entry| entry.string("uriTemplate")).as_deref() == Some(template)
        };
        offer.servers.iter().find(|listed| listed.templates.iter().any(is)).cloned()
    }

    /// What the gate does not understand is for the one server that there is.
    fn only(&self, offer: &Offer, used: &mut ToolUse) -> Result<Aim, Fault> {
        match offer.servers.first().filter(|_| self.endpoint.single) {
            Some(only) => Ok(self.server(Arc::clone(only), self.asked.params.clone(), used)),
            None => {
                let method: String = hidden::excerpt(&self.asked.method, 100);
                Err(Fault::new(
                    FaultClass::MethodNotFound,
                    format!(
                        "`{method}` does not say which server it is for; this address has several: ask one of them at \
                         /mcp/NAME"
                    ),
                ))
            }
        }
    }

    fn server(&self, listed: Arc<Listed>, params: Option<String>, used: &mut ToolUse) -> Aim {
        used.server = Some(Arc::clone(&listed.server.name));
        let repeatable = READS.contains(&self.asked.method.as_str());
        Aim::Server(Aimed { listed, params, tool: None, repeatable })
    }

    /// The params with the server's `own` name in the place of `name`.
    fn renamed(&self, path: &[&str], member: &str, name: &str, own: &str) -> Option<String> {
        let params = self.asked.params.as_deref()?;
        if name == own {
            return Some(params.to_owned());
        }
        let mut draft = Object::read(params)?.draft();
        match path {
            [] => draft.set(member, quoted(own)),
            [outer, ..] => {
                let mut inner = draft.was().object(outer)?.draft();
                inner.set(member, quoted(own));
                draft.set(outer, inner.finish().into_owned());
            }
        }
        Some(draft.finish().into_owned())
    }
}

/// The server that has a resource at `uri`, of those that `caller` may use. Of several that may have it, nobody can tell.
pub(super) fn who_has(
    offer: &Offer,
    endpoint: &Endpoint,
    caller: Option<&Caller>,
    uri: &str,
) -> Result<Arc<Listed>, Fault> {
    let may = |listed: &&Arc<Listed>| who_forbids_the_rest(caller, &listed.server.name).is_none();
    if let Some(only) = offer.servers.first().filter(|_| endpoint.single) {
        return Ok(Arc::clone(only));
    }
    let have: Vec<&Arc<Listed>> =
        offer.servers.iter().filter(may).filter(|listed| listed.may_have(uri)).collect();
    match have[..] {
        [only] => Ok(Arc::clone(only)),
        [] => Err(none("resource", uri)),
        [first, second, ..] => Err(Fault::new(
            FaultClass::Invalid,
            format!(
                "`{}` and `{}` both may have this resource: ask one of them, at /mcp/{0} or /mcp/{1}",
                first.server.name, second.server.name
            ),
        )),
    }
}

/// A name as records hold it.
fn clipped(name: &str) -> String {
    hidden::excerpt(name, 256)
}

fn missing(member: &str) -> Fault {
    Fault::new(FaultClass::Invalid, format!("`{member}` is missing, or is no text")).param(member)
}

fn none(what: &str, name: &str) -> Fault {
    let shown = hidden::excerpt(name, 100);
    Fault::new(FaultClass::ToolNotFound, format!("there is no {what} `{shown}` at this address"))
}

/// Why there is no such tool: perhaps there is, and it is held.
fn no_tool(offer: &Offer, name: &str) -> Fault {
    let held = offer.servers.iter().find_map(|listed| Some((listed, listed.hidden.get(name)?)));
    match held {
        Some((listed, why)) => Fault::new(
            FaultClass::ToolHeld,
            format!("the tool `{name}` of `{}` is not offered: {why}", listed.server.name),
        ),
        None => {
            let near = tollgate_core::config::nearest(name, offer.tools.keys().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let mut fault = none("tool", name);
            fault.message.push_str(&hint);
            fault.message.push_str(" (tools/list says what there is)");
            // It may be one of a server that lists nothing before somebody has done something.
            let missing = offer.failed.iter().find(|failed| failed.class == FaultClass::NotConnected);
            if let Some(missing) = missing {
                fault.message.push_str(&format!("; {}", missing.message));
            }
            fault
        }
    }
}
