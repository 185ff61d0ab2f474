//! Which call a later one was caused by: the tool calls that models chose of late, by whom they were chosen for. An
//! agent's next prompt carries the result under the id of the choice; the tool call itself carries no id, and is
//! recognised by the tool's name and its arguments.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::digest::Digest;
use tollgate_core::principal::Principal;
use tollgate_core::record::{AskedFor, ChosenTool};
use tollgate_core::trace::TraceId;

/// So many choices are remembered; what is older is tied together when the records are read.
const MOST: usize = 100_000;

/// A choice that was made longer ago is not taken for the cause of a tool call. People who are asked whether a tool may
/// run take their time.
const LATE: Duration = Duration::from_hours(1);

/// The same call by one principal is looked for among so many choices of it.
const MOST_ALIKE: usize = 16;

/// The tool calls that models chose of late.
#[derive(Debug, Default)]
pub(crate) struct Causes(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    by_id: HashMap<String, Chosen>,
    /// The ids of choices with the same arguments, the latest last.
    by_arguments: HashMap<(String, Digest), Vec<String>>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Chosen {
    call_id: CallId,
    trace_id: TraceId,
    tool_call_id: String,
    tool: String,
    arguments: (String, Digest),
    at: Instant,
    /// Whether a tool call was tied to it.
    made: bool,
}

/// A choice that a tool call executes.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The call whose answer it was a part of.
    pub(crate) call_id: CallId,
    /// That call's trace.
    pub(crate) trace_id: TraceId,
    /// The model's id for it.
    pub(crate) tool_call_id: String,
    /// Whether it was executed before.
    pub(crate) asked: AskedFor,
}

/// One tenant cannot tie its calls to another's by guessing.
fn tenant(principal: &Principal) -> String {
    format!("{}/{}", principal.sub.kind.name(), principal.sub.id)
}

fn key(principal: &Principal, tool_call_id: &str) -> String {
    format!("{}/{tool_call_id}", tenant(principal))
}

/// Whether a client that knows a tool as `name` tells models of it as `told`: as that, or behind a prefix of its own,
/// such as `mcp__files__`.
fn is_told_as(name: &str, told: &str) -> bool {
    let separator =
        |prefix: &str| prefix.is_empty() || !prefix.ends_with(|c: char| c.is_ascii_alphanumeric());
    told.strip_suffix(name).is_some_and(separator)
}

impl Causes {
    /// Remembers that the answer to `call` chose `chosen`.
    pub(crate) fn remember(
        &self,
        principal: &Principal,
        chosen: &ChosenTool,
        call_id: CallId,
        trace_id: TraceId,
    ) {
        let key = key(principal, &chosen.id);
        let arguments = (tenant(principal), chosen.arguments_digest);
        let known = Chosen {
            call_id,
            trace_id,
            tool_call_id: chosen.id.clone(),
            tool: chosen.name.clone(),
            arguments: arguments.clone(),
            at: Instant::now(),
            made: false,
        };
        let mut remembered = self.0.lock();
        if let Some(before) = remembered.by_id.insert(key.clone(), known) {
            remembered.forget_arguments(&before.arguments, &key);
        } else {
            remembered.order.push_back(key.clone());
        }
        let alike = remembered.by_arguments.entry(arguments).or_default();
        if alike.len() >= MOST_ALIKE {
            alike.remove(0);
        }
        alike.push(key);
        if remembered.order.len() > MOST
            && let Some(oldest) = remembered.order.pop_front()
            && let Some(forgotten) = remembered.by_id.remove(&oldest)
        {
            remembered.forget_arguments(&forgotten.arguments, &oldest);
        }
    }

    /// The call whose answer chose `tool_call_id`, and its trace.
    pub(crate) fn of(&self, principal: &Principal, tool_call_id: &str) -> Option<(CallId, TraceId)> {
        let remembered = self.0.lock();
        remembered.by_id.get(&key(principal, tool_call_id)).map(|known| (known.call_id, known.trace_id))
    }

    /// The choice of `tool` with these arguments that `principal` executes now: the oldest of late that was not executed
    /// yet, else the latest that was.
    pub(crate) fn choice(&self, principal: &Principal, tool: &str, arguments: Digest) -> Option<Choice> {
        let now = Instant::now();
        let mut remembered = self.0.lock();
        let Remembered { by_id, by_arguments, .. } = &mut *remembered;
        let alike = by_arguments.get(&(tenant(principal), arguments))?;
        let fits = |key: &&String| {
            by_id
                .get(*key)
                .is_some_and(|chosen| is_told_as(tool, &chosen.tool) && now.duration_since(chosen.at) <= LATE)
        };
        let fitting: Vec<&String> = alike.iter().filter(fits).collect();
        let new = fitting.iter().find(|key| by_id.get(**key).is_some_and(|chosen| !chosen.made));
        let chosen = by_id.get_mut(*new.or(fitting.last())?)?;
        let asked = if chosen.made { AskedFor::Again } else { AskedFor::Once };
        chosen.made = true;
        let tool_call_id = chosen.tool_call_id.clone();
        Some(Choice { call_id: chosen.call_id, trace_id: chosen.trace_id, tool_call_id, asked })
    }
}

impl Remembered {
    fn forget_arguments(&mut self, arguments: &(String, Digest), key: &str) {
        if let Some(alike) = self.by_arguments.get_mut(arguments) {
            alike.retain(|known| known != key);
            if alike.is_empty() {
                self.by_arguments.remove(arguments);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::digest::DigestKey;
    use tollgate_core::principal::ActorKind;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tool_call_is_tied_to_the_choice_that_it_executes() {
        let (causes, digests) = (Causes::default(), DigestKey::derive(b"k"));
        let (ann, bob) = (Principal::direct(ActorKind::Key, "ann"), Principal::direct(ActorKind::Key, "bob"));
        let arguments = digests.digest(b"{}");
        let choose = |id: &str, name: &str| {
            let (call, id, name) = (CallId::new(), id.to_owned(), name.to_owned());
            causes.remember(&ann, &ChosenTool { id, name, arguments_digest: arguments }, call, call.trace());
            call
        };
        let (first, second) = (choose("1", "mcp__files__read"), choose("2", "read"));
        let asked =
            |who: &Principal, name: &str| causes.choice(who, name, arguments).map(|c| (c.call_id, c.asked));
        assert_eq!(asked(&bob, "read"), None, "somebody else's choice");
        assert_eq!(asked(&ann, "ead"), None, "another tool");
        assert_eq!(asked(&ann, "files__read"), Some((first, AskedFor::Once)));
        assert_eq!(asked(&ann, "read"), Some((second, AskedFor::Once)));
        assert_eq!(asked(&ann, "read"), Some((second, AskedFor::Again)));
        assert_eq!(causes.choice(&ann, "read", digests.digest(b"[]")).map(|c| c.asked), None);
        tokio::time::advance(LATE + Duration::from_secs(1)).await;
        assert_eq!(asked(&ann, "read"), None, "long ago");
        assert_eq!(causes.of(&ann, "2").map(|(call, _)| call), Some(second), "a result may come late");
    }

    #[test]
    fn the_oldest_choices_are_forgotten() {
        let (causes, digests) = (Causes::default(), DigestKey::derive(b"k"));
        let ann = Principal::direct(ActorKind::Key, "ann");
        let call = CallId::new();
        for n in 0..MOST + 10 {
            let chosen =
                ChosenTool { id: n.to_string(), name: "t".into(), arguments_digest: digests.digest(b"") };
            causes.remember(&ann, &chosen, call, call.trace());
        }
        let remembered = causes.0.lock();
        assert_eq!((remembered.by_id.len(), remembered.order.len()), (MOST, MOST));
        assert_eq!(remembered.by_arguments.values().map(Vec::len).sum::<usize>(), MOST_ALIKE);
    }
}
