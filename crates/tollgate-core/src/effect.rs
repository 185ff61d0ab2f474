//! What a call can change in the world.

use serde::{Deserialize, Serialize};

/// What a call can change, apart from what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: a model is asked.
    Read,
    /// Something is added or changed, and nothing lost.
    Write,
    /// Something may be lost.
    Destructive,
}
