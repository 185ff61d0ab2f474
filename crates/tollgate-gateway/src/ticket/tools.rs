//! What a ticket learns of tools: those that a model may choose and has chosen, and the one that is called.

use bytes::Bytes;
use tokio::time::Instant;
use tollgate_core::fault::{Fault, SideEffect};
use tollgate_core::record::{Cause, Direction, Outcome, ToolUse};
use tollgate_llm::chat::ToolCall;
use tollgate_llm::tool_facts::ToolFacts;

use super::Ticket;
use crate::identify;
use crate::mcp::whose;

impl Ticket {
    /// Notes which call this one goes on with, or takes back.
    pub fn caused_by(&mut self, cause: Cause) {
        self.witness.caused_by(cause);
    }

    /// Notes what is asked of a tool server, and in which words.
    pub fn asks(&mut self, tool: ToolUse, request: &Bytes) {
        self.request_bytes = request.len() as u64;
        self.witness.request_digest = Some(self.gate.parts.journal.digest_key().digest(request));
        self.witness.film_tool(&self.runtime.snapshot, &tool, self.arrived);
        if let Some(film) = &self.witness.film {
            film.shoot(Direction::FromClient, None, request);
        }
        self.witness.asks(tool, &self.principal, &self.gate.causes);
        self.became(None);
    }

    /// Notes that a tool call is answered with a question.
    pub fn asks_back(&mut self) {
        if let Some(used) = &mut self.witness.tool {
            used.question = true;
        }
    }

    /// Notes in the operation that a tool call belongs to what has become of it.
    pub(super) fn became(&self, became: Option<(Outcome, SideEffect)>) {
        if let Some(used) = self.tool().filter(|used| used.operation.is_some() && !used.dry_run) {
            self.gate.tools.operations.note(&whose(&self.principal), used, self.call_id, became);
        }
    }

    /// Notes that the call was approved, by the approval `id`.
    pub fn approved(&mut self, id: &str) {
        if let Some(used) = &mut self.witness.tool {
            used.approval = Some(id.to_owned());
        }
    }

    /// Takes the configuration of now, and the caller as they are now, for a call that has waited for somebody. Its
    /// time-outs begin anew.
    pub fn renew(&mut self) -> Result<(), Fault> {
        self.runtime = self.gate.runtime();
        self.since = Instant::now();
        if let Some(caller) = &self.caller {
            let again = identify::again(&self.gate, &self.runtime.snapshot, caller, self.witness.peer);
            self.caller = Some(again.map_err(|why| why.fault())?);
        }
        Ok(())
    }

    /// Notes what the request says of tools.
    pub fn tools(&mut self, facts: ToolFacts) {
        let key = self.gate.parts.journal.digest_key();
        self.witness.tools(facts, &self.principal, &self.gate.causes, key);
    }

    /// Notes the tool calls that the model chose.
    pub fn model_chose<'a>(&mut self, calls: impl Iterator<Item = &'a ToolCall>) {
        self.witness.chose(calls, self.gate.parts.journal.digest_key());
    }

    /// What is asked of which tool.
    pub fn tool(&self) -> Option<&ToolUse> {
        self.witness.tool.as_ref()
    }
}
