//! What the gate answers itself: who it is, what there is at an address, and that it is there.

use std::borrow::Cow;

use tollgate_core::access::Caller;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::bridge::{ClientHello, Level, Notes, discover_result};
use tollgate_mcp::capability;
use tollgate_mcp::json::{Object, object, quoted};
use tollgate_mcp::revision::{Revision, answer_initialize};

use super::client::Client;
use super::endpoint::Endpoint;
use super::listed::Listed;
use super::offer::Offer;
use super::said::Asked;

/// Entries of one page of a list.
const PAGE: usize = 1_000;

/// The most that is passed on of what servers want models to know, in bytes.
const MOST_INSTRUCTIONS: usize = 64 << 10;

/// The revisions that begin with `initialize`.
const STATEFUL: &[Revision] =
    &[Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25];

/// The client that says hello with `asked`, in the revision that it is answered in.
pub(super) fn hello(asked: &Asked) -> Result<Client, Fault> {
    let hello = ClientHello::of_initialize(asked.params.as_deref())
        .map_err(|error| Fault::new(FaultClass::Invalid, error.to_string()).param(error.0))?;
    let revision = answer_initialize(&hello.version, STATEFUL).unwrap_or(Revision::NEWEST_STATEFUL);
    Ok(Client::of(&hello, revision))
}

/// The result of `initialize`.
pub(super) fn initialize(
    offer: &Offer,
    endpoint: &Endpoint,
    caller: Option<&Caller>,
    client: &Client,
) -> String {
    let said = about(offer, endpoint, caller, client.revision);
    let mut members = vec![("protocolVersion", Cow::Owned(quoted(client.revision.name())))];
    members.extend(said.capabilities());
    members.push(("serverInfo", said.info.into()));
    members.extend(said.instructions.map(|text| ("instructions", Cow::Owned(quoted(&text)))));
    object(members)
}

/// The result of `server/discover`.
pub(super) fn discover(
    offer: &Offer,
    endpoint: &Endpoint,
    caller: Option<&Caller>,
    client: &Client,
) -> String {
    let said = about(offer, endpoint, caller, client.revision);
    let mut members: Vec<_> = said.capabilities().into_iter().collect();
    members.push(("serverInfo", said.info.into()));
    members.extend(said.instructions.map(|text| ("instructions", Cow::Owned(quoted(&text)))));
    discover_result(&object(members), &Revision::ALL, &mut Notes::default()).into_owned()
}

/// What an address says of itself.
struct About {
    capabilities: String,
    info: String,
    instructions: Option<String>,
}

impl About {
    fn capabilities(&self) -> [(&'static str, Cow<'static, str>); 1] {
        [("capabilities", Cow::Owned(self.capabilities.clone()))]
    }
}

const OURS: &str =
    concat!(r#"{"name":"tollgate","title":"Tollgate","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

fn about(offer: &Offer, endpoint: &Endpoint, caller: Option<&Caller>, to: Revision) -> About {
    let may = |listed: &&std::sync::Arc<Listed>| super::allowed::may_reach(caller, &listed.server.name);
    let servers: Vec<&Listed> = offer.servers.iter().filter(may).map(|listed| &**listed).collect();
    if let [only] = servers[..]
        && endpoint.single
    {
        let mut notes = Notes::default();
        let capabilities = Object::read(&only.capabilities).map(Object::draft).map(|mut draft| {
            // Also where the server says nothing of the kind: contracts change what is offered.
            if draft.was().has("tools") {
                draft.set("tools", r#"{"listChanged":true}"#);
            }
            draft.finish().into_owned()
        });
        let capabilities = capabilities.unwrap_or_else(|| "{}".to_owned());
        return About {
            capabilities: capability::of_server(&capabilities, to, &mut notes).into_owned(),
            info: only.info.clone().unwrap_or_else(|| OURS.to_owned()),
            instructions: only.instructions.clone(),
        };
    }
    let capabilities = capability::of_server(&together(&servers), to, &mut Notes::default()).into_owned();
    About { capabilities, info: OURS.to_owned(), instructions: instructions(&servers, &offer.failed) }
}

/// What several servers can do together. Extensions and what is experimental belong to one server, and are for whoever
/// asks that one.
fn together(servers: &[&Listed]) -> String {
    let any = |name: &str| servers.iter().any(|listed| capability::has(&listed.capabilities, name));
    let mut members = vec![("tools", Cow::Borrowed(r#"{"listChanged":true}"#))];
    if any("prompts") {
        members.push(("prompts", r#"{"listChanged":true}"#.into()));
    }
    if any("resources") {
        let subscribe = any("resources.subscribe");
        members.push(("resources", format!(r#"{{"listChanged":true,"subscribe":{subscribe}}}"#).into()));
    }
    for name in ["completions", "logging"] {
        if any(name) {
            members.push((name, "{}".into()));
        }
    }
    object(members)
}

fn instructions(servers: &[&Listed], failed: &[Fault]) -> Option<String> {
    // Whoever does not see a tool server's tools can do something about that.
    let missing = failed.iter().filter(|fault| fault.class == FaultClass::NotConnected);
    let mut text = missing.map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("\n\n");
    for listed in servers {
        let Some(said) = &listed.instructions else { continue };
        if text.len() + said.len() > MOST_INSTRUCTIONS {
            continue;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&format!("# {}\n\n{said}", listed.server.name));
    }
    (!text.is_empty()).then_some(text)
}

/// A page of `entries` under `member`.
pub(super) fn page<T: AsRef<str>>(
    member: &str,
    entries: &[T],
    asked: &Asked,
    client: &Client,
    cacheable: bool,
) -> Result<String, Fault> {
    let from: usize = match asked.string("cursor") {
        None => 0,
        Some(cursor) => cursor.parse().ok().filter(|at| *at <= entries.len()).ok_or_else(|| {
            Fault::new(FaultClass::Invalid, "the cursor is none of this list's").param("cursor")
        })?,
    };
    let until = entries.len().min(from + PAGE);
    let shown: Vec<&str> = entries[from..until].iter().map(AsRef::as_ref).collect();
    let mut members = vec![(member, Cow::Owned(format!("[{}]", shown.join(","))))];
    if until < entries.len() {
        members.push(("nextCursor", Cow::Owned(quoted(&until.to_string()))));
    }
    if client.revision.is_stateless() {
        members.push(("resultType", quoted("complete").into()));
        if cacheable {
            // Another caller may see another list, and it may change at any time.
            members.push(("ttlMs", "0".into()));
            members.push(("cacheScope", quoted("private").into()));
        }
    }
    Ok(object(members))
}

/// The result that says that all is well.
pub(super) fn empty(client: &Client) -> String {
    if client.revision.is_stateless() { r#"{"resultType":"complete"}"#.to_owned() } else { "{}".to_owned() }
}

/// The level that `logging/setLevel` sets.
pub(super) fn level(asked: &Asked) -> Result<Level, Fault> {
    let level = asked.params.as_deref().and_then(Level::of_params);
    level.ok_or_else(|| Fault::new(FaultClass::Invalid, "`level` is no level of RFC 5424").param("level"))
}
