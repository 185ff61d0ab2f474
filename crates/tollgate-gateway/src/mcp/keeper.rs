//! Keeps a tool server listed for as long as somebody wants to know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::capability;
use tollgate_mcp::contract::port::{Seen, Verdict, local};
use tollgate_mcp::headers::Mirrors;
use tollgate_mcp::json::{Object, elements};
use tollgate_mcp::tool::{Listing, Tool, ToolLimits};

use super::ask::{ask, gate_as_client, message, refuse};
use super::audience::Audience;
use super::catalogue::{Kept, Known, OfGate};
use super::link::{Heard, Link};
use super::listed::{Entries, Listed, ListedTool};
use super::tools::Changed;
use super::trouble;
use crate::gate::Gate;

/// Listed again at least so often: not every server says when something has changed.
const EVERY: Duration = Duration::from_mins(5);

/// After a failure, at first; it doubles.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A server that says all the time that something has changed is listed at most so often.
const NOT_MORE_OFTEN: Duration = Duration::from_secs(1);

/// For all lists together.
const TIME: Duration = Duration::from_secs(30);

/// Pages of one list.
const MOST_PAGES: usize = 1_000;

/// Prompts, resources or templates of one server.
const MOST_ENTRIES: usize = 20_000;

/// Keeps a server listed until nobody has wanted to know for its idle time, or its configuration has changed.
pub(super) async fn keep(gate: OfGate, kept: Arc<Kept>) {
    let mut pause = AFTER_FAILURE;
    loop {
        let Some(alive) = gate.upgrade() else { return };
        let outcome = round(&alive, &kept).await;
        let catalogue = &alive.tools.catalogue;
        if !catalogue.is_current(&kept) {
            return;
        }
        match outcome {
            Ok(()) => pause = AFTER_FAILURE,
            // Somebody has to do something first, and is not kept waiting once they have.
            Err(fault) if fault.class == FaultClass::NotConnected => {
                catalogue.give_up(&kept);
                kept.known.send_replace(Known::Failed(Arc::new(fault)));
                return;
            }
            Err(fault) => {
                tracing::warn!(server = &*kept.server.name, %fault, "the tool server could not be listed");
                // What was offered goes on being offered: calls say what is wrong, and may find that it is over.
                kept.known.send_if_modified(|known| {
                    let news = !matches!(known, Known::Listed(_));
                    if news {
                        *known = Known::Failed(Arc::new(fault));
                    }
                    news
                });
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        if catalogue.forget(&kept, kept.server.limits.idle) {
            return;
        }
    }
}

/// Lists the server over a link of the gate's own, again at every change, until the link ends or nobody wants to know.
async fn round(gate: &Arc<Gate>, kept: &Arc<Kept>) -> Result<(), Fault> {
    let server = &kept.server;
    let deadline = Instant::now() + TIME;
    let failed = |error| trouble::fault(server, &error);
    let audience = Audience::of_gate(server, kept.acting.as_ref());
    let link = gate.tools.link(server, &audience, &gate_as_client(), deadline).await.map_err(failed)?;
    let mut events = link.events();
    let mut decisions = 0;
    loop {
        let listed = list(gate, kept, &link).await?;
        tell(gate, kept, Arc::new(listed));
        let again = Instant::now() + EVERY;
        tokio::time::sleep(NOT_MORE_OFTEN).await;
        loop {
            tokio::select! {
                heard = events.next() => match heard {
                    Some(Heard::Notification(text)) if says_changed(&text) => break,
                    Some(Heard::Request(text)) => refuse(&link, &text).await,
                    Some(_) => {}
                    None => return Ok(()),
                },
                decided = gate.parts.contracts.decided(decisions) => {
                    decisions = decided;
                    break;
                }
                () = tokio::time::sleep_until(again) => break,
            }
        }
        let idle = kept.wanted.lock().elapsed() >= server.limits.idle;
        if idle || !link.is_open() || !gate.tools.catalogue.is_current(kept) {
            return Ok(());
        }
    }
}

/// Puts what is listed in force, and tells whoever listens what of it has changed.
fn tell(gate: &Gate, kept: &Kept, listed: Arc<Listed>) {
    let before = kept.known.send_replace(Known::Listed(Arc::clone(&listed)));
    let Known::Listed(before) = before else { return };
    let changed = Changed {
        server: Arc::clone(&kept.server.name),
        tools: !before.same_tools(&listed),
        prompts: before.prompts != listed.prompts,
        resources: before.resources != listed.resources || before.templates != listed.templates,
    };
    if changed.tools || changed.prompts || changed.resources {
        // Nobody may be listening.
        let _ = gate.tools.changes.send(changed);
    }
}

fn says_changed(text: &[u8]) -> bool {
    let Ok(message) = message(text) else { return false };
    message.method().is_some_and(|method| method.ends_with("/list_changed"))
}

/// Everything that the server lists.
async fn list(gate: &Arc<Gate>, kept: &Arc<Kept>, link: &Arc<Link>) -> Result<Listed, Fault> {
    let deadline = Instant::now() + TIME;
    let said = link.said();
    let can = |name: &str| capability::has(&said.capabilities, name);
    let tools = if can("tools") { tools(link, deadline).await? } else { Vec::new() };
    let (mut prompts, mut resources, mut templates) = (Entries::new(), Entries::new(), Entries::new());
    if can("prompts") {
        prompts = entries(link, "prompts/list", "prompts", deadline).await?;
    }
    if can("resources") {
        resources = entries(link, "resources/list", "resources", deadline).await?;
        // Many servers that have resources know no templates.
        templates = entries(link, "resources/templates/list", "resourceTemplates", deadline)
            .await
            .unwrap_or_default();
    }
    let (tools, hidden) = pinned(gate, kept, tools).await;
    Ok(Listed {
        server: Arc::clone(&kept.server),
        revision: link.revision(),
        capabilities: said.capabilities.clone(),
        info: said.info.clone(),
        instructions: said.instructions.clone(),
        tools,
        hidden,
        prompts,
        resources,
        templates,
    })
}

type Offered = (BTreeMap<String, Arc<ListedTool>>, BTreeMap<String, String>);

/// The tools that may be offered, by their contracts, and why others may not.
async fn pinned(gate: &Gate, kept: &Kept, tools: Vec<Tool>) -> Offered {
    let others = gate.tools.catalogue.tools_of_others(kept);
    let seen = Seen {
        server: &kept.server.name,
        audience: kept.acting.as_ref().map(|person| &*person.user),
        tools,
        others: &others,
        effects: &kept.server.effects,
    };
    let verdicts = gate.parts.contracts.observe(seen).await;
    let (mut offered, mut hidden) = (BTreeMap::new(), BTreeMap::new());
    for verdict in verdicts {
        match verdict {
            Verdict::Offered { name, tool, contract, facts, schemas } => {
                let local = local(&kept.server.effects, &name);
                let mirrors = Mirrors::of(tool.input_schema());
                let contract = contract.to_string();
                let listed = ListedTool { tool, facts, local, contract, schemas, mirrors };
                offered.insert(name, Arc::new(listed));
            }
            Verdict::Hidden { name, why } => {
                hidden.insert(name, why);
            }
        }
    }
    (offered, hidden)
}

async fn tools(link: &Arc<Link>, deadline: Instant) -> Result<Vec<Tool>, Fault> {
    let mut listing = Listing::new(ToolLimits::default());
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let page = ask(link, "tools/list", params(cursor.as_deref()).as_deref(), deadline).await?;
        let next = listing
            .page(&page)
            .map_err(|refusal| trouble::unreadable(link.server(), "tools/list", &refusal))?;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let (tools, refused) = listing.finish();
    for refused in refused {
        tracing::warn!(
            server = &*link.server().name,
            ?refused,
            "a tool of the server cannot be read and is not offered"
        );
    }
    Ok(tools)
}

/// All pages of a list that is no list of tools.
async fn entries(link: &Arc<Link>, method: &str, member: &str, deadline: Instant) -> Result<Entries, Fault> {
    let mut all = Entries::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = ask(link, method, params(cursor.as_deref()).as_deref(), deadline).await?;
        let page = Object::read(&page);
        let listed = page.as_ref().and_then(|page| page.get(member)).and_then(elements);
        let listed =
            listed.ok_or_else(|| trouble::unreadable(link.server(), method, &"there is no list in it"))?;
        let room = MOST_ENTRIES.saturating_sub(all.len());
        all.extend(listed.into_iter().take(room).map(str::to_owned));
        cursor = page.and_then(|page| page.string("nextCursor")).map(std::borrow::Cow::into_owned);
        if cursor.is_none() || all.len() >= MOST_ENTRIES {
            break;
        }
    }
    Ok(all)
}

fn params(cursor: Option<&str>) -> Option<String> {
    cursor.map(|cursor| format!("{{\"cursor\":{}}}", tollgate_mcp::json::quoted(cursor)))
}
