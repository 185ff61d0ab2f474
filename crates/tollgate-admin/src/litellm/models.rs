//! Which models a holder may call. An empty list means all of them at LiteLLM, and none here.

use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, ModelPattern};

use super::{Body, members};
use crate::error::ApiError;

/// All that the team may call.
const OF_TEAM: &str = "all-team-models";

/// Words for all models.
const ALL: [&str; 2] = ["all-proxy-models", "*"];

/// No model.
const NONE: &str = "no-default-models";

/// What `models` means for a holder of `kind`; null for all of them, `None` where nothing is said.
pub(super) fn said(body: &Body, kind: HolderKind, in_team: bool) -> Result<Option<Value>, ApiError> {
    let Some(said) = members::texts(body, "models")? else { return Ok(None) };
    let names = |word: &str| said.iter().any(|model| model == word);
    if names(OF_TEAM) {
        // The team's own list holds for each of its keys.
        return if in_team {
            Ok(Some(Value::Null))
        } else {
            Err(ApiError::of("models", format!("`{OF_TEAM}` is for keys of a team: say `team_id`")))
        };
    }
    if names(NONE) {
        return if kind == HolderKind::User {
            let why =
                "a user's models hold for the user's keys of a team too: give each key its models instead";
            Err(ApiError::of("models", why))
        } else if said.len() == 1 {
            Ok(Some(json!([])))
        } else {
            Err(ApiError::of("models", format!("`{NONE}` stands alone")))
        };
    }
    let all = said.is_empty() || ALL.iter().any(|word| names(word));
    Ok(Some(if all { Value::Null } else { json!(said) }))
}

/// The same as they write it.
pub(super) fn written(models: Option<&[ModelPattern]>) -> Vec<&str> {
    match models {
        None => Vec::new(),
        Some([]) => vec![NONE],
        Some(models) => models.iter().map(ModelPattern::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_all_and_none_is_said() {
        let said = |models: Value, kind: HolderKind, in_team: bool| {
            let body = json!({ "models": models });
            said(body.as_object().unwrap(), kind, in_team).map_err(|error| error.detail)
        };
        for all in [json!([]), json!(["*"]), json!(["all-proxy-models"]), json!(["gpt-4o", "*"])] {
            assert_eq!(said(all, HolderKind::Key, false), Ok(Some(Value::Null)));
        }
        assert_eq!(said(json!(["no-default-models"]), HolderKind::Team, false), Ok(Some(json!([]))));
        assert_eq!(said(json!(["openai/*"]), HolderKind::Key, false), Ok(Some(json!(["openai/*"]))));
        assert_eq!(said(json!(null), HolderKind::Key, false), Ok(None));
        assert_eq!(said(json!(["all-team-models"]), HolderKind::Key, true), Ok(Some(Value::Null)));
        assert!(said(json!(["all-team-models"]), HolderKind::Key, false).unwrap_err().contains("team_id"));
        assert!(said(json!(["no-default-models", "a"]), HolderKind::Key, false).is_err());
        assert!(said(json!(["no-default-models"]), HolderKind::User, false).is_err());
        assert!(said(json!("gpt-4o"), HolderKind::Key, false).is_err());
        assert_eq!(written(Some(&[])), ["no-default-models"]);
    }
}
