//! What an attempt is made at, as far as the phases that all protocols share must know it.

use std::sync::Arc;

use tollgate_core::config::snapshot::{Deployment, Timeouts};
use tollgate_core::price::{Cost, Price};
use tollgate_core::secret::Secret;
use tollgate_core::usage::Usage;

use super::{Candidate, Health};
use crate::mcp::ServerCandidate;

/// What an attempt is made at.
#[derive(Clone, Debug)]
pub enum Target {
    /// A deployment of a model.
    Deployment(Candidate),
    /// A tool server.
    Server(ServerCandidate),
}

impl From<Candidate> for Target {
    fn from(candidate: Candidate) -> Self {
        Self::Deployment(candidate)
    }
}

impl Target {
    /// Its name in records and counters.
    pub fn id(&self) -> &Arc<str> {
        match self {
            Self::Deployment(candidate) => &candidate.deployment.id,
            Self::Server(candidate) => &candidate.server.name,
        }
    }

    /// How it has been doing.
    pub fn health(&self) -> &Arc<Health> {
        match self {
            Self::Deployment(candidate) => &candidate.health,
            Self::Server(candidate) => &candidate.health,
        }
    }

    /// How long to wait for it.
    pub fn timeouts(&self) -> &Timeouts {
        match self {
            Self::Deployment(candidate) => &candidate.deployment.timeouts,
            Self::Server(candidate) => candidate.timeouts(),
        }
    }

    /// What it takes for what it does; `None` where that is not known.
    pub fn price(&self) -> Option<&Price> {
        self.deployment()?.facts.price.as_ref()
    }

    /// The longest answer that it gives, in tokens.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.deployment()?.facts.max_output_tokens
    }

    /// What `usage` costs there.
    pub fn cost(&self, usage: &Usage) -> Cost {
        self.price().map_or(Cost::Unknown, |price| price.cost(usage))
    }

    /// What it is sent as credentials: no message may show any of them.
    pub fn secrets(&self) -> Vec<Secret> {
        let Self::Deployment(Candidate { deployment, .. }) = self else { return self.health().fetched() };
        let headers = deployment.headers.iter().filter_map(|(_, value)| value.to_str().ok()).map(Secret::new);
        let cloud = deployment.cloud.iter().flat_map(tollgate_core::config::snapshot::Cloud::secrets);
        let configured = deployment.api_key.iter().cloned().chain(headers).chain(cloud);
        configured.chain(self.health().fetched()).collect()
    }

    fn deployment(&self) -> Option<&Deployment> {
        match self {
            Self::Deployment(candidate) => Some(&candidate.deployment),
            Self::Server(_) => None,
        }
    }
}
