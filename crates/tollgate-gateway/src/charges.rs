//! What a call used and cost, attempt by attempt.

use std::sync::Arc;

use tollgate_core::price::Cost;
use tollgate_core::usage::Usage;

use crate::metrics::{DeploymentLabels, Metrics};
use crate::route::Target;

/// What each attempt that a provider may bill used and cost.
#[derive(Debug, Default)]
pub(crate) struct Charges(Vec<Charge>);

#[derive(Debug)]
struct Charge {
    deployment: Arc<str>,
    usage: Usage,
    cost: Cost,
}

impl Charges {
    /// Charges `usage` at the price of `target`, and says what that is.
    pub(crate) fn add(&mut self, target: &Target, usage: Usage) -> Cost {
        let cost = target.cost(&usage);
        self.0.push(Charge { deployment: Arc::clone(target.id()), usage, cost });
        cost
    }

    /// All together; `None` when there is nothing.
    pub(crate) fn total(&self) -> Option<(Usage, Cost)> {
        let mut each = self.0.iter().map(|charge| (charge.usage, charge.cost));
        let first = each.next()?;
        Some(each.fold(first, |(usage, cost), (more, further)| (usage.and(&more), add_cost(cost, further))))
    }

    /// Counts each at its deployment.
    pub(crate) fn count(&self, metrics: &Metrics) {
        for charge in &self.0 {
            let labels = DeploymentLabels { deployment: Arc::clone(&charge.deployment) };
            metrics.input_tokens.get_or_create(&labels).inc_by(charge.usage.input_tokens);
            metrics.output_tokens.get_or_create(&labels).inc_by(charge.usage.output_tokens);
            match charge.cost {
                Cost::Known(nano) => metrics.cost.get_or_create(&labels).inc_by(nano),
                Cost::Unknown => metrics.unpriced.get_or_create(&labels).inc(),
            };
        }
    }
}

/// Both together; unknown where one of them is.
pub(crate) fn add_cost(a: Cost, b: Cost) -> Cost {
    match (a, b) {
        (Cost::Known(a), Cost::Known(b)) => a.checked_add(b).map_or(Cost::Unknown, Cost::Known),
        _ => Cost::Unknown,
    }
}
