//! Whether a request may pass: who asks, whether they may use the application, and what the rules say. A decision is recorded
//! once in a session, before it counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use moka::sync::Cache;
use serde_json::json;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::identity::Visitor;
use tollgate_core::record::{Entry, Event};

use super::{Visit, nobody_signs_in, paths, voice};
use crate::policies::rules;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The method; `None` where a proxy does not say it.
    pub(super) method: Option<&'a str>,
    /// The path, as it was written; `None` where a proxy does not say it.
    pub(super) path: Option<&'a str>,
    pub(super) peer: Option<IpAddr>,
}

/// Who may pass.
#[derive(Debug)]
pub(super) enum Passed {
    /// Whoever it is.
    Anybody,
    /// Somebody who is known.
    Known(Box<Visitor>),
}

/// What was recorded of late, so that it is not recorded again with each request.
#[derive(Debug)]
pub(crate) struct Decisions(Cache<Decision, ()>);

/// In which session, of which application, and why not.
type Decision = (String, Arc<str>, Option<String>);

impl Default for Decisions {
    fn default() -> Self {
        const MOST: u64 = 100_000;
        const KNOWN: Duration = Duration::from_hours(12);
        Self(Cache::builder().max_capacity(MOST).time_to_live(KNOWN).build())
    }
}

impl Visit<'_> {
    /// Who may pass with what is asked for, or why nobody may.
    pub(super) async fn decide(&self, headers: &HeaderMap, asked: &Asked<'_>) -> Result<Passed, Fault> {
        let site = self.gate.parts.site.as_ref().ok_or_else(nobody_signs_in)?;
        let plain = asked.path.and_then(paths::plain);
        let visitor = site.visitor(&self.runtime.snapshot, self.application, headers).await;
        if plain.as_deref().is_some_and(|path| self.application.is_public(path)) {
            return Ok(match visitor {
                Ok(Some(visitor)) if self.may_enter(&visitor, asked, plain.as_deref()).is_ok() => {
                    Passed::Known(Box::new(visitor))
                }
                _ => Passed::Anybody,
            });
        }
        let visitor = visitor.map_err(|why| why.fault())?;
        let visitor = visitor.ok_or_else(|| Fault::new(FaultClass::Unauthenticated, "sign in first"))?;
        let decided = self.may_enter(&visitor, asked, plain.as_deref());
        self.record(&visitor, asked, decided.as_ref().err())?;
        decided.map(|()| Passed::Known(Box::new(visitor)))
    }

    fn may_enter(&self, visitor: &Visitor, asked: &Asked<'_>, plain: Option<&str>) -> Result<(), Fault> {
        let caller = self.gate.parts.access.of(&visitor.subject, self.gate.parts.clock.now());
        let caller = caller.map_err(|why| why.fault())?;
        if let Some(groups) = &self.application.groups
            && !visitor.groups.iter().any(|group| groups.contains(group))
        {
            let name = &self.application.name;
            let why = format!("you may not use `{name}`: none of your groups may");
            return Err(Fault::new(FaultClass::Forbidden, why));
        }
        let rules = &self.runtime.snapshot.policies;
        let principal = caller.principal();
        // Some servers know no difference.
        let method = asked.method.map(str::to_ascii_uppercase);
        rules::check_web(rules, &rules::of_web(&principal, &self.application.name, method.as_deref(), plain))
    }

    /// Records that a visitor is let in, or why not, where that is new.
    fn record(&self, visitor: &Visitor, asked: &Asked<'_>, refused: Option<&Fault>) -> Result<(), Fault> {
        let why = refused.map(|fault| fault.message.to_string());
        let decision = (visitor.session.clone(), Arc::clone(&self.application.name), why);
        let path = refused.and(asked.path).map(|path| path.chars().take(200).collect::<String>());
        let append = || {
            let detail = json!({
                "by": visitor.subject.principal,
                "application": &*self.application.name,
                "session": visitor.session,
                "surface": voice::NAME,
                "allowed": refused.is_none(),
                "why": decision.2,
                "method": asked.method,
                "path": path,
                "from": asked.peer.map(|peer| peer.to_canonical().to_string()),
            });
            let at = self.gate.parts.clock.now();
            let entry = Event { at, event: "visited", call_id: None, detail };
            self.gate.parts.journal.append(&Entry::Event(&entry)).map(drop)
        };
        let recorded = self.gate.decisions.0.try_get_with(decision.clone(), append);
        recorded.map_err(|why| {
            Fault::new(FaultClass::Unrecordable, format!("nobody is let in unrecorded: {why}"))
        })
    }
}
