//! Who spends what.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use tollgate_core::access::{HolderKind, HolderRef};
use tollgate_core::query::{Spend, SpendFilter};

use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// `GET /api/v1/spend`: what was spent, told apart by what the query says; for whoever may not see everything, that of
/// their own team or key.
pub(crate) async fn list(
    State(sources): State<Sources>,
    who: Who,
    filter: Result<Query<SpendFilter>, QueryRejection>,
) -> Result<Json<Spend>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    Ok(Json(sources.records.spend(seen_by(&who, filter)?).await?))
}

/// `filter`, with no more in it than `who` may see.
pub(crate) fn seen_by(who: &Who, mut filter: SpendFilter) -> Result<SpendFilter, ApiError> {
    let Some(HolderRef { kind, id }) = who.sees_spend_of()? else { return Ok(filter) };
    let place = match kind {
        HolderKind::Key => &mut filter.key,
        HolderKind::User => &mut filter.user,
        HolderKind::Team => &mut filter.team,
    };
    let other = place.replace(id.to_string()).is_some_and(|asked| *asked != *id);
    // A member names nobody else: it would be told whether that is its own team, or user.
    let elsewhere = match kind {
        HolderKind::Key => filter.team.is_some() || filter.user.is_some(),
        HolderKind::User => filter.team.is_some() || filter.key.is_some(),
        HolderKind::Team => false,
    };
    if other || elsewhere {
        let name = HolderRef { kind, id };
        let role = who.role().name();
        return Err(ApiError::forbidden(format!("the role `{role}` sees the spend of the {name} only")));
    }
    Ok(filter)
}
