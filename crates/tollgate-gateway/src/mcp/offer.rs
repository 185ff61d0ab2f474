//! What clients find at an address: the tools and prompts of several servers as one list, each under a name of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::Value;
use tollgate_core::access::Caller;
use tollgate_core::config::bundles::{NamePrefix, OnFailure, ToolNames};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::identity::Acting;
use tollgate_core::policy::{Rule, effect};
use tollgate_core::principal::Principal;
use tollgate_mcp::bridge::{Answer, Notes, Way, answer};
use tollgate_mcp::json::{Object, elements, quoted};
use tollgate_mcp::lint;
use tollgate_mcp::message::response;
use tollgate_mcp::names::{NameError, Names, Naming, Prefix, Rename, Source};
use tollgate_mcp::revision::Revision;

use super::allowed::{who_forbids, who_forbids_the_rest};
use super::ask::message;
use super::endpoint::Endpoint;
use super::listed::{Listed, ListedTool};
use crate::gate::Gate;
use crate::policies::rules::may_list;

/// Offers that are remembered: one for each choice of servers that somebody may use.
const MOST: usize = 1_000;

/// A tool as clients find it.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Whose it is.
    pub(crate) listed: Arc<Listed>,
    /// What its server calls it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) tool: Arc<ListedTool>,
    /// Others here that a model could take for it.
    pub(crate) twins: Vec<String>,
}

/// What clients find at an address.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    /// The servers that could be listed.
    pub(crate) servers: Vec<Arc<Listed>>,
    /// Why others could not.
    pub(crate) failed: Vec<Fault>,
    /// The tools, by the names that clients see.
    pub(crate) tools: BTreeMap<String, Shown>,
    /// The prompts, by the names that clients see: the server, and its own name for it.
    pub(crate) prompts: BTreeMap<String, (Arc<Listed>, String)>,
    /// The definitions of tools by their names, in the words of each revision that was asked for.
    words: [OnceLock<BTreeMap<String, String>>; Revision::ALL.len()],
}

/// Offers that are remembered, by address and the servers that a caller may use there.
#[derive(Debug, Default)]
pub(crate) struct Offers(Mutex<HashMap<At, Arc<Offer>>>);

/// An address, the servers that somebody may use there, and who that is where one of them acts for people.
type At = (Arc<str>, Vec<Arc<str>>, Option<Acting>);

impl Offers {
    /// What clients find at `endpoint`. Servers that nobody has listed yet are listed first.
    pub(crate) async fn at(&self, gate: &Arc<Gate>, endpoint: &Endpoint) -> Result<Arc<Offer>, Fault> {
        let (catalogue, acting) = (&gate.tools.catalogue, endpoint.acting.as_ref());
        let all =
            join_all(endpoint.servers.iter().map(|server| catalogue.listed(gate, server, acting))).await;
        let (mut servers, mut failed) = (Vec::new(), Vec::new());
        for listed in all {
            match listed {
                Ok(listed) => servers.push(listed),
                // Whoever has to do something first is told so when they call.
                Err(fault) if fault.class == FaultClass::NotConnected => failed.push(fault),
                Err(fault) if endpoint.failure == OnFailure::Closed => return Err(fault),
                Err(fault) => failed.push(fault),
            }
        }
        let key = (
            Arc::clone(&endpoint.address),
            endpoint.servers.iter().map(|server| Arc::clone(&server.name)).collect::<Vec<_>>(),
            acting
                .filter(|_| endpoint.servers.iter().any(|server| server.acts_for_people()))
                .map(Acting::alone),
        );
        let known = self.0.lock().get(&key).cloned();
        if let Some(known) = known.filter(|known| known.is_of(&servers) && known.failed == failed) {
            return Ok(known);
        }
        let names = &gate.runtime().snapshot.tool_names;
        let offer = Arc::new(Offer::new(endpoint, names, servers, failed));
        let mut remembered = self.0.lock();
        if remembered.len() >= MOST {
            remembered.clear();
        }
        remembered.insert(key, Arc::clone(&offer));
        Ok(offer)
    }
}

impl Offer {
    fn new(endpoint: &Endpoint, names: &ToolNames, servers: Vec<Arc<Listed>>, failed: Vec<Fault>) -> Self {
        let all = servers
            .iter()
            .flat_map(|listed| listed.tools.iter().map(move |(name, tool)| (listed, name, tool)));
        let about: Vec<_> =
            all.filter(|(listed, name, _)| endpoint.is_about(&listed.server.name, name)).collect();
        let sources =
            about.iter().map(|(listed, name, _)| Source::new(&*listed.server.name, *name)).collect();
        let given = given(&naming(endpoint, names), sources);
        let mut tools = BTreeMap::new();
        for (listed, name, tool) in about {
            let Some(shown) = given.name(&Source::new(&*listed.server.name, name)) else { continue };
            let (listed, tool) = (Arc::clone(listed), Arc::clone(tool));
            tools.insert(shown.to_owned(), Shown { listed, name: name.clone(), tool, twins: Vec::new() });
        }
        note_twins(&mut tools);
        let prompts = prompts(endpoint, names, &servers);
        Self { servers, failed, tools, prompts, words: Default::default() }
    }

    /// Whether it is made of these lists.
    fn is_of(&self, servers: &[Arc<Listed>]) -> bool {
        self.servers.len() == servers.len()
            && self.servers.iter().zip(servers).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// The definitions of the tools that `caller` may call, in the words of `revision`.
    pub(crate) fn tools_for(
        &self,
        (caller, principal): (Option<&Caller>, &Principal),
        rules: &[Rule],
        revision: Revision,
    ) -> Vec<&str> {
        let at = Revision::ALL.iter().position(|known| *known == revision).unwrap_or_default();
        let words = self.words[at].get_or_init(|| self.worded(revision));
        let may = |(name, _): &(&String, &String)| {
            self.tools.get(*name).is_some_and(|shown| {
                let (server, tool) = (&*shown.listed.server.name, &*shown.name);
                who_forbids(caller, server, tool).is_none()
                    && may_list(rules, principal, server, tool, effect(shown.tool.facts.effect))
            })
        };
        words.iter().filter(may).map(|(_, text)| text.as_str()).collect()
    }

    fn worded(&self, revision: Revision) -> BTreeMap<String, String> {
        let mut words = BTreeMap::new();
        for (name, shown) in &self.tools {
            let mut definition = Value::from(shown.tool.tool.clone());
            definition["name"] = Value::String(name.clone());
            if let Some(text) =
                in_words("tools/list", "tools", &definition.to_string(), shown.listed.revision, revision)
            {
                words.insert(name.clone(), text);
            }
        }
        words
    }

    /// The prompts that `caller` may use, in the words of `revision`.
    pub(crate) fn prompts_for(&self, caller: Option<&Caller>, revision: Revision) -> Vec<String> {
        let worded = self.prompts.iter().filter_map(|(shown, (listed, name))| {
            if who_forbids_the_rest(caller, &listed.server.name).is_some() {
                return None;
            }
            let named = |entry: &&String| {
                Object::read(entry).and_then(|entry| entry.string("name")).as_deref() == Some(name)
            };
            let entry = Object::read(listed.prompts.iter().find(named)?)?;
            let mut draft = entry.draft();
            draft.set("name", quoted(shown));
            in_words("prompts/list", "prompts", &draft.finish(), listed.revision, revision)
        });
        worded.collect()
    }

    /// The entries that `of` says of each server that `caller` may use, in the words of `revision`.
    pub(crate) fn entries_for<'a>(
        &'a self,
        caller: Option<&Caller>,
        (method, member): (&str, &str),
        of: impl Fn(&'a Listed) -> &'a [String],
        revision: Revision,
    ) -> Vec<String> {
        let servers =
            self.servers.iter().filter(|listed| who_forbids_the_rest(caller, &listed.server.name).is_none());
        let each = servers.flat_map(|listed| of(listed).iter().map(move |entry| (listed, entry)));
        each.filter_map(|(listed, entry)| in_words(method, member, entry, listed.revision, revision))
            .collect()
    }
}

/// The entry `text` of a list, as a server of revision `from` has it, in the words of `to`.
fn in_words(method: &str, member: &str, text: &str, from: Revision, to: Revision) -> Option<String> {
    let whole = response("0", &format!("{{\"{member}\":[{text}]}}"));
    let read = message(whole.as_bytes()).ok()?;
    let Answer::Says(said) = answer(&read, method, Way::new(from, to), None, &mut Notes::default()) else {
        return None;
    };
    let said = Object::read(&said)?.object("result")?;
    elements(said.get(member)?)?.first().map(|entry| (*entry).to_owned())
}

/// How tools are named at `endpoint`: those of one server have their own names.
fn naming(endpoint: &Endpoint, names: &ToolNames) -> Naming {
    let alone = endpoint.single;
    let own = |tool: &tollgate_core::config::bundles::ToolName| Source::new(&*tool.server, &*tool.tool);
    Naming {
        prefix: if alone || names.prefix == NamePrefix::Needed { Prefix::Needed } else { Prefix::Always },
        rename: names
            .rename
            .iter()
            .map(|rule| Rename { server: rule.server.clone(), tool: rule.tool.clone(), to: rule.to.clone() })
            .collect(),
        prefer: names.prefer.iter().map(own).collect(),
    }
}

/// Names for `sources`. One that cannot have any stands in nobody's way: it is left out, and that is said.
fn given(naming: &Naming, mut sources: Vec<Source>) -> Names {
    loop {
        let (out, why) = match Names::give(naming, &sources) {
            Ok(names) => return names,
            Err(error @ NameError::Collision { .. }) => {
                let NameError::Collision { second, .. } = &error else { return Names::default() };
                (second.clone(), error.to_string())
            }
            Err(error) => {
                tracing::error!(%error, "no tool can be named: `tools.names` cannot be followed");
                return Names::default();
            }
        };
        tracing::error!(
            server = out.server,
            tool = out.tool,
            why,
            "a tool is not offered: another has its name"
        );
        let before = sources.len();
        sources.retain(|source| *source != out);
        if sources.len() == before {
            return Names::default();
        }
    }
}

fn prompts(
    endpoint: &Endpoint,
    names: &ToolNames,
    servers: &[Arc<Listed>],
) -> BTreeMap<String, (Arc<Listed>, String)> {
    let named = |entry: &String| {
        Object::read(entry).and_then(|entry| entry.string("name")).map(|name| name.into_owned())
    };
    let all: Vec<(&Arc<Listed>, String)> = servers
        .iter()
        .flat_map(|listed| listed.prompts.iter().filter_map(named).map(move |name| (listed, name)))
        .collect();
    let naming = Naming { rename: Vec::new(), prefer: Vec::new(), ..naming(endpoint, names) };
    let sources = all.iter().map(|(listed, name)| Source::new(&*listed.server.name, name)).collect();
    let given = given(&naming, sources);
    let shown = |(listed, name): (&Arc<Listed>, String)| {
        let shown = given.name(&Source::new(&*listed.server.name, &name))?.to_owned();
        Some((shown, (Arc::clone(listed), name)))
    };
    all.into_iter().filter_map(shown).collect()
}

/// Says of each tool which others a model could take for it.
fn note_twins(tools: &mut BTreeMap<String, Shown>) {
    let offered: Vec<lint::Offered<'_>> = tools
        .values()
        .map(|shown| lint::Offered {
            server: &shown.listed.server.name,
            tool: &shown.tool.tool,
            local: &shown.tool.local,
        })
        .collect();
    let twins = lint::twins(&offered, lint::NEAR);
    let by_source: HashMap<Source, String> = tools
        .iter()
        .map(|(name, shown)| (Source::new(&*shown.listed.server.name, shown.tool.tool.name()), name.clone()))
        .collect();
    for pair in twins {
        let (Some(first), Some(second)) = (by_source.get(&pair.first), by_source.get(&pair.second)) else {
            continue;
        };
        for (one, other) in [(first, second), (second, first)] {
            if let Some(shown) = tools.get_mut(one) {
                shown.twins.push(other.clone());
            }
        }
    }
}
