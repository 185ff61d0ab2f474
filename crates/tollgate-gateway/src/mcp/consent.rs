//! Whether whoever makes a call lets it pass, where the configuration says that they may decide (`approver: caller`). A
//! client with a session is asked while it waits for its answer; one without ends its request with the question, and makes
//! it again with what it was told.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tollgate_core::effect::Effect;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::policy::effect;
use tollgate_core::record::ToolUse;
use tollgate_mcp::bridge::{Notes, Retry, Way, ask, say};
use tollgate_mcp::hidden;
use tollgate_mcp::json::{Object, object, quoted};
use tollgate_mcp::message::request;

use super::ask::{OWN, message};
use super::conversation::with_id;
use super::questions::{Question, Waits};
use super::relay::Answer;
use super::{Mcp, stream};
use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::pipeline::Consulted;
use crate::ticket::Ticket;

/// What the names of questions begin with that clients without sessions answer in another request.
const MARK: &str = "tollgate.approval.";

/// By what a client without sessions knows the question.
const KEY: &str = "allow";

/// The longest of the arguments that is shown, in bytes.
const LONGEST: usize = 2_000;

/// What a client without sessions was told, which makes its request again.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    /// Of which approval.
    approval: String,
    /// Whether the call may be made; `None` where nobody has decided.
    allows: Option<bool>,
}

impl Consent {
    /// What `params` say of a question of the gate's own, and the params without that.
    pub(super) fn of(params: Option<&str>) -> Option<(Self, String)> {
        let again = Retry::of(params)?;
        let state = again.state.as_deref()?.strip_prefix(MARK)?;
        let (approval, carried) =
            state.split_once('.').map_or((state, None), |(id, carried)| (id, Some(carried)));
        let allows = again.answers.iter().find(|(key, _)| key == KEY).and_then(|(_, said)| allows(said));
        let mut plain = Object::read(params?)?.draft();
        let carried = carried.and_then(|text| String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok());
        let carried = carried.as_deref().and_then(Object::read);
        for member in OF_RETRIES {
            match carried.as_ref().and_then(|carried| carried.get(member)) {
                Some(text) => plain.set(member, text.to_owned()),
                None => plain.remove(member),
            }
        }
        Some((Self { approval: approval.to_owned(), allows }, plain.finish().into_owned()))
    }
}

/// What a client says when it makes a request again (2026-07-28, multi round-trip requests).
const OF_RETRIES: [&str; 2] = ["inputResponses", "requestState"];

/// By what the client's retry is recognised: the approval `id`, and what the request says to the server of an earlier try,
/// which goes on when the call is allowed.
fn state(id: &str, params: Option<&str>) -> String {
    let said = params.and_then(Object::read);
    let of = |member| Some((member, Cow::Owned(said.as_ref()?.get(member)?.to_owned())));
    let carried: Vec<(&str, Cow<'_, str>)> = OF_RETRIES.into_iter().filter_map(of).collect();
    if carried.is_empty() {
        return format!("{MARK}{id}");
    }
    format!("{MARK}{id}.{}", URL_SAFE_NO_PAD.encode(object(carried)))
}

/// What somebody has answered (`ElicitResult`): only `true` lets the call pass.
fn allows(said: &str) -> Option<bool> {
    let said: Value = serde_json::from_str(said).ok()?;
    match said["action"].as_str()? {
        "accept" => Some(said["content"][KEY] == true),
        "decline" => Some(false),
        _ => None,
    }
}

/// The question, as the gate itself asks it.
fn question(used: &ToolUse, arguments: &str) -> String {
    let (tool, server) = (used.name.as_deref().unwrap_or("?"), used.server.as_deref().unwrap_or("?"));
    let can = match used.effect {
        Effect::Destructive => "It may lose something.",
        Effect::Write => "It changes something.",
        Effect::Read => "It only reads.",
    };
    let shown = hidden::excerpt(arguments, LONGEST);
    let text = format!("Allow `{tool}` of `{server}`? {can} Arguments: {shown}");
    let allow = json!({ "type": "boolean", "title": "Allow this call" });
    let schema = json!({ "type": "object", "properties": { KEY: allow }, "required": [KEY] });
    request(
        "0",
        "elicitation/create",
        Some(&json!({ "message": text, "requestedSchema": schema }).to_string()),
    )
}

impl Mcp {
    /// Whether the client can be asked while it waits for its answer.
    pub(super) fn can_be_asked(&self) -> bool {
        self.takes_events && self.client.session.is_some() && self.client.can("elicitation.form")
    }

    /// Asks whoever makes the call about the approval `id`.
    pub(super) async fn ask_caller(
        &self,
        arguments: &str,
        ticket: &mut Ticket,
        id: &str,
    ) -> Result<Consulted<Answer>, Fault> {
        let Some(used) = ticket.tool().filter(|_| self.client.can("elicitation.form")) else {
            return Ok(Consulted::Nobody);
        };
        if let Some(told) = self.consent.as_ref().filter(|told| told.approval == id) {
            return Ok(told.allows.map_or(Consulted::Nobody, Consulted::Says));
        }
        let text = question(used, arguments);
        let defect = |why: String| Fault::new(FaultClass::Internal, why);
        let asked = message(text.as_bytes()).map_err(defect)?;
        if self.client.revision.is_stateless() {
            let state = quoted(&state(id, self.asked()?.params.as_deref()));
            let said = ask(&self.asked()?.id, &[(KEY, &asked)], Some(&state), &mut Notes::default());
            return Ok(Consulted::Asks(Answer::Asks(said.map_err(|why| defect(why.to_string()))?)));
        }
        let way = Way::new(OWN, self.client.revision);
        let (Some(session), Some(asks), Ok(said)) =
            (&self.client.session, &self.asks, say(&asked, way, None, &mut Notes::default()))
        else {
            return Ok(Consulted::Nobody);
        };
        let (answer, mut answered) = mpsc::channel(1);
        let waits = Waits::Request(answer, KEY.to_owned(), "elicitation/create".to_owned());
        let question = Question { session: session.name.clone(), revision: self.client.revision, waits };
        let gate = Arc::clone(ticket.gate());
        let ours = gate.tools.questions.open(question);
        let open = Open { gate, ours: ours.clone() };
        let begun = tokio::time::Instant::now();
        let patience = ticket.runtime.snapshot.holds.wait;
        let said = asks.send(with_id(&said, &ours).unwrap_or_default()).await.is_ok();
        let answer = tokio::time::timeout(patience, answered.recv()).await;
        drop(open);
        ticket.waited(begun.elapsed());
        let allows = answer.ok().flatten().filter(|_| said).and_then(|(_, result)| allows(&result));
        Ok(allows.map_or(Consulted::Nobody, Consulted::Says))
    }
}

/// A question that the client was asked, for as long as somebody waits for the answer.
struct Open {
    gate: Arc<Gate>,
    ours: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gate.tools.questions.close(std::slice::from_ref(&self.ours));
    }
}

/// What the call would do, which is only rehearsed: nothing is sent, and nobody is asked.
pub(super) fn rehearsed(used: &ToolUse, held: Option<&str>, stateless: bool) -> String {
    let (tool, server) = (used.name.as_deref().unwrap_or("?"), used.server.as_deref().unwrap_or("?"));
    let mut text = format!("Dry run, nothing was sent: `{tool}` of `{server}` ({})", effect(used.effect));
    text.push_str(if held.is_some() { " would wait for somebody's approval" } else { " would be called" });
    if let Some(why) = held {
        text.push_str(&format!(": {why}"));
    }
    text.push('.');
    if let Some(undo) = &used.undo {
        text.push_str(&format!(" `{}` would take it back.", undo.tool));
    }
    let facts = json!({
        "server": server, "tool": tool, "effect": effect(used.effect), "held": held,
        "undo": used.undo.as_ref().map(|undo| &undo.tool),
    });
    let mut result =
        json!({ "content": [{ "type": "text", "text": text }], "_meta": { "tollgate/dry_run": facts } });
    if stateless {
        result["resultType"] = json!("complete");
    }
    result.to_string()
}

/// The answer to a request; where the client is asked something before, it comes as a stream.
pub(super) async fn answer_or_ask(
    mut answering: stream::Answering,
    mut asks: mpsc::Receiver<String>,
) -> Response<AnswerBody> {
    let first = tokio::select! {
        biased;
        answer = &mut answering => return answer,
        Some(first) = asks.recv() => first,
    };
    stream::of(first, answering, asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_lets_a_call_pass() {
        for (said, expected) in [
            (r#"{"action":"accept","content":{"allow":true}}"#, Some(true)),
            (r#"{"action":"accept","content":{"allow":false}}"#, Some(false)),
            (r#"{"action":"accept","content":{"allow":"true"}}"#, Some(false)),
            (r#"{"action":"accept"}"#, Some(false)),
            (r#"{"action":"decline"}"#, Some(false)),
            (r#"{"action":"cancel"}"#, None),
            ("{}", None),
            ("yes", None),
        ] {
            assert_eq!(allows(said), expected, "{said}");
        }
    }

    #[test]
    fn what_a_client_was_told_goes_no_further() {
        let params = r#"{"name":"t","requestState":"tollgate.approval.7","inputResponses":{"allow":{"action":"accept","content":{"allow":true}}}}"#;
        let (consent, plain) = Consent::of(Some(params)).unwrap();
        assert_eq!((consent.approval.as_str(), consent.allows), ("7", Some(true)));
        assert_eq!(plain, r#"{"name":"t"}"#);
        let said =
            r#"{"name":"t","requestState":"the server's","inputResponses":{"confirm":{"action":"accept"}}}"#;
        let asked =
            format!(r#"{{"name":"t","requestState":"{}","inputResponses":{{}}}}"#, state("7", Some(said)));
        let (consent, plain) = Consent::of(Some(&asked)).unwrap();
        assert_eq!((consent.approval.as_str(), consent.allows), ("7", None));
        let (plain, said) = (Object::read(&plain).unwrap(), Object::read(said).unwrap());
        assert!(
            OF_RETRIES.iter().all(|member| plain.get(member) == said.get(member)),
            "what the server asked goes on"
        );
        assert!(Consent::of(Some(r#"{"name":"t","requestState":"the server's"}"#)).is_none());
        assert!(Consent::of(Some(r#"{"name":"t"}"#)).is_none());
    }
}
