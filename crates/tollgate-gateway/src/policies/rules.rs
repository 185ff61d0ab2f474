//! Rules that the configuration writes down. A rule that cannot be decided refuses: whoever wrote it meant something. But
//! what a rule says of arguments does not concern calls that have none.

use serde_json::Value;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::policy::{Facts, Outcome, Rule, WhereItBelongs, WhoCalls, effect};
use tollgate_core::principal::Principal;
use tollgate_core::record::{AskedFor, Cause};

use super::Question;
use crate::ticket::Ticket;

/// Whether a rule wants to know the arguments of calls.
pub(super) fn want_arguments(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| rule.expression.mentions("arguments"))
}

/// Refuses what a rule refuses.
pub(super) fn check(question: &Question<'_>) -> Result<(), Fault> {
    let rules = &question.ticket.runtime.snapshot.policies;
    if rules.is_empty() {
        return Ok(());
    }
    match first(rules, Outcome::Deny, question)? {
        Some(rule) => {
            Err(Fault::new(FaultClass::Forbidden, format!("the call is refused: {}", rule.words())))
        }
        None => Ok(()),
    }
}

/// Why a tool call is held, where a rule holds it.
pub(super) fn held(question: &Question<'_>) -> Result<Option<String>, Fault> {
    let rules = &question.ticket.runtime.snapshot.policies;
    Ok(first(rules, Outcome::Hold, question)?.map(Rule::words))
}

/// The first rule of `outcome` that fits the call.
fn first<'a>(
    rules: &'a [Rule],
    outcome: Outcome,
    question: &Question<'_>,
) -> Result<Option<&'a Rule>, Fault> {
    let mut of_outcome = rules.iter().filter(|rule| rule.outcome == outcome).peekable();
    if of_outcome.peek().is_none() {
        return Ok(None);
    }
    let trace_id = question.ticket.trace_id().to_string();
    let facts = facts(question.ticket, question.arguments, &trace_id);
    let calls_a_tool = facts.method == Some("tools/call");
    for rule in of_outcome {
        match rule.expression.holds(&facts) {
            Ok(true) => return Ok(Some(rule)),
            Ok(false) => {}
            Err(_) if !calls_a_tool && rule.expression.mentions("arguments") => {}
            Err(why) => return Err(undecided(rule, &why)),
        }
    }
    Ok(None)
}

fn undecided(rule: &Rule, why: &str) -> Fault {
    let why = tollgate_mcp::hidden::excerpt(why, 300);
    let message =
        format!("the policy `{}` cannot be decided of this call, so it is refused: {why}", rule.name);
    Fault::new(FaultClass::Forbidden, message)
}

/// Whether a tool may be listed for `principal`. What can only be decided of a call does not hide it.
pub(crate) fn may_list(rules: &[Rule], principal: &Principal, server: &str, tool: &str, of: &str) -> bool {
    let facts = Facts {
        principal: who(principal),
        surface: "mcp",
        method: Some("tools/call"),
        model: "",
        server,
        tool,
        effect: of,
        application: "",
        path: Some(""),
        arguments: None,
        trace: WhereItBelongs { id: "", asked: "", cause: "" },
    };
    // What cannot be decided would be refused.
    let fits = |rule: &Rule| rule.expression.holds(&facts).unwrap_or(true);
    !rules.iter().filter(|rule| rule.is_of_tools()).any(fits)
}

/// What rules see of a request for a web application: its name, the method and the path in its plain form, as far as they are
/// known.
pub(crate) fn of_web<'a>(
    principal: &'a Principal,
    application: &'a str,
    method: Option<&'a str>,
    path: Option<&'a str>,
) -> Facts<'a> {
    Facts {
        principal: who(principal),
        surface: "web",
        method,
        model: "",
        server: "",
        tool: "",
        effect: "",
        application,
        path,
        arguments: None,
        trace: WhereItBelongs { id: "", asked: "", cause: "" },
    }
}

/// Refuses what a rule refuses of web applications. What depends on a path that has no plain form cannot be decided.
pub(crate) fn check_web(rules: &[Rule], facts: &Facts<'_>) -> Result<(), Fault> {
    for rule in rules.iter().filter(|rule| rule.outcome == Outcome::Deny) {
        match rule.expression.holds(facts) {
            Ok(false) => {}
            Ok(true) => {
                return Err(Fault::new(
                    FaultClass::Forbidden,
                    format!("you may not do this: {}", rule.words()),
                ));
            }
            // It is about arguments, which nobody has here; unless it is about what is not known here, too.
            Err(_) if rule.expression.mentions("arguments") && !is_about_web(rule) => {}
            Err(why) => return Err(undecided(rule, &why)),
        }
    }
    Ok(())
}

fn is_about_web(rule: &Rule) -> bool {
    ["path", "method", "application"].iter().any(|variable| rule.expression.mentions(variable))
}

fn who(principal: &Principal) -> WhoCalls<'_> {
    WhoCalls {
        kind: principal.sub.kind.name(),
        id: &principal.sub.id,
        user: principal.user.as_deref().unwrap_or_default(),
        team: principal.team.as_deref().unwrap_or_default(),
    }
}

fn facts<'a>(ticket: &'a Ticket, arguments: Option<&'a Value>, trace_id: &'a str) -> Facts<'a> {
    let tool = ticket.tool();
    let text = |of: Option<&'a str>| of.unwrap_or_default();
    Facts {
        principal: who(ticket.principal()),
        surface: ticket.surface(),
        method: Some(text(tool.map(|tool| tool.method.as_str()))),
        model: text(ticket.model().map(|model| &**model)),
        server: text(tool.and_then(|tool| tool.server.as_deref())),
        tool: text(tool.and_then(|tool| tool.name.as_deref())),
        effect: text(tool.map(|tool| effect(tool.effect))),
        application: "",
        path: Some(""),
        arguments,
        trace: WhereItBelongs {
            id: trace_id,
            asked: match tool.and_then(|tool| tool.asked) {
                Some(AskedFor::Once) => "once",
                Some(AskedFor::Again) => "again",
                Some(AskedFor::No) => "no",
                None => "",
            },
            cause: match ticket.cause() {
                Some(Cause::Choice { .. }) => "choice",
                Some(Cause::ToolCall { .. }) => "tool_call",
                Some(Cause::Retry { .. }) => "retry",
                Some(Cause::Undo { .. }) => "undo",
                Some(Cause::Replay { .. }) => "replay",
                None => "",
            },
        },
    }
}
