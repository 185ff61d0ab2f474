//! What is said of each route: one line a route.

/// What the query of a route may be.
#[derive(Clone, Copy)]
pub(super) enum QueryOf {
    /// A list of calls.
    Calls,
    /// A list of holders.
    Holders,
    /// A list of models or credentials.
    Additions,
    /// A list of contracts.
    Contracts,
    /// A list of approvals.
    Approvals,
    /// What an application expects.
    Rehearsal,
    /// Sums of spend.
    Spend,
}

/// What is said of a route.
pub(super) struct Described {
    method: &'static str,
    path: &'static str,
    pub(super) summary: &'static str,
    /// The schema of its body.
    pub(super) asks: Option<&'static str>,
    pub(super) query: Option<QueryOf>,
    /// Whether it takes `If-Match`.
    pub(super) versioned: bool,
    pub(super) status: u16,
    /// The schema of its answer; empty where there is none.
    pub(super) answers: &'static str,
}

const fn get(path: &'static str, summary: &'static str, answers: &'static str) -> Described {
    let (method, asks, query, versioned, status) = ("GET", None, None, false, 200);
    Described { method, path, summary, asks, query, versioned, status, answers }
}

const fn list(path: &'static str, summary: &'static str, query: QueryOf, answers: &'static str) -> Described {
    Described { query: Some(query), ..get(path, summary, answers) }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    asks: &'static str,
    status: u16,
    answers: &'static str,
) -> Described {
    Described { method: "POST", asks: Some(asks), status, ..get(path, summary, answers) }
}

const fn patch(
    path: &'static str,
    summary: &'static str,
    asks: &'static str,
    answers: &'static str,
) -> Described {
    Described { method: "PATCH", asks: Some(asks), versioned: true, ..get(path, summary, answers) }
}

const fn delete(path: &'static str, summary: &'static str) -> Described {
    Described { method: "DELETE", versioned: true, status: 204, ..get(path, summary, "") }
}

const ALL: &[Described] = &[
    list("/api/v1/calls", "Past calls, the latest first", QueryOf::Calls, "CallPage"),
    get("/api/v1/calls/{id}", "Every entry of a call", "CallStory"),
    get("/api/v1/traces/{id}", "The calls of a trace, or of the trace of a call", "TraceStory"),
    get("/api/v1/content/{instance}/{name}", "Frames that were kept in a side file", "Frames"),
    get("/api/v1/tail", "The journal as it grows", "text/event-stream"),
    list("/api/v1/spend", "Who spends what", QueryOf::Spend, "Spend"),
    get("/api/v1/instances", "The instances that share budgets and limits", "InstancePage"),
    Described {
        asks: None,
        ..post(
            "/api/v1/instances/{id}/release",
            "Says that an instance will not come back, so that others get what it has not used",
            "",
            204,
            "",
        )
    },
    Described {
        asks: None,
        ..post("/api/v1/alerts/test", "Sends a test alert to each address", "", 200, "AlertTests")
    },
    list("/api/v1/keys", "Keys", QueryOf::Holders, "KeyPage"),
    post(
        "/api/v1/keys",
        "Makes a key, which is shown in this answer and never again",
        "NewKey",
        201,
        "MadeKey",
    ),
    get("/api/v1/keys/{id}", "A key, and how it stands with its budgets and limits", "Key"),
    patch("/api/v1/keys/{id}", "Changes a key by a merge patch (RFC 7396)", "KeySpec", "Key"),
    delete("/api/v1/keys/{id}", "Removes a key"),
    Described {
        versioned: true,
        ..post("/api/v1/keys/{id}/rotate", "Gives a key a new secret", "Rotation", 200, "MadeKey")
    },
    list("/api/v1/users", "Users", QueryOf::Holders, "UserPage"),
    post("/api/v1/users", "Makes a user", "NewUser", 201, "User"),
    get("/api/v1/users/{id}", "A user, and how it stands with its budgets and limits", "User"),
    patch("/api/v1/users/{id}", "Changes a user by a merge patch (RFC 7396)", "UserSpec", "User"),
    delete("/api/v1/users/{id}", "Removes a user to whom no key belongs"),
    post(
        "/api/v1/users/{id}/invitation",
        "Invites a user to choose a password; the link is in this answer and never again",
        "NewInvitation",
        201,
        "Invitation",
    ),
    get("/api/v1/users/{id}/login", "How a user signs in here", "Login"),
    patch("/api/v1/users/{id}/login", "Changes a login by a merge patch (RFC 7396)", "LoginSpec", "Login"),
    delete("/api/v1/users/{id}/login", "Removes a login"),
    post(
        "/api/v1/users/{id}/login/end",
        "Ends a user's sessions, and what applications were granted",
        "LoginEnding",
        200,
        "Login",
    ),
    get(
        "/api/v1/signing-keys",
        "The keys that the gate's own authorization server signs with",
        "SigningKeyPage",
    ),
    Described {
        versioned: false,
        ..delete("/api/v1/signing-keys/{id}", "Takes a signing key out of use at once; another one is made")
    },
    list(
        "/api/v1/clients/{id}/rehearsal",
        "What an application would see of somebody who signs in, and why it would refuse",
        QueryOf::Rehearsal,
        "Rehearsal",
    ),
    list("/api/v1/teams", "Teams", QueryOf::Holders, "TeamPage"),
    post("/api/v1/teams", "Makes a team", "NewTeam", 201, "Team"),
    get("/api/v1/teams/{id}", "A team, and how it stands with its budgets and limits", "Team"),
    patch("/api/v1/teams/{id}", "Changes a team by a merge patch (RFC 7396)", "TeamSpec", "Team"),
    delete("/api/v1/teams/{id}", "Removes a team to which no key belongs"),
    list("/api/v1/models", "Models, those of the configuration file too", QueryOf::Additions, "ModelPage"),
    post("/api/v1/models", "Adds a model", "NewModel", 201, "Model"),
    get("/api/v1/models/{name}", "A model, and whether it is in service", "Model"),
    patch("/api/v1/models/{name}", "Changes a model by a merge patch (RFC 7396)", "ModelSpec", "Model"),
    delete("/api/v1/models/{name}", "Removes a model that was added"),
    list("/api/v1/credentials", "Credentials, without their secrets", QueryOf::Additions, "CredentialPage"),
    post(
        "/api/v1/credentials",
        "Adds a credential; its secret is not shown again",
        "NewCredential",
        201,
        "Credential",
    ),
    get("/api/v1/credentials/{id}", "A credential, and whether it can be read", "Credential"),
    patch(
        "/api/v1/credentials/{id}",
        "Changes a credential by a merge patch (RFC 7396), or gives it a new secret",
        "CredentialPatch",
        "Credential",
    ),
    delete("/api/v1/credentials/{id}", "Removes a credential that no model uses"),
    list(
        "/api/v1/tools/contracts",
        "Contracts of tools, without their definitions",
        QueryOf::Contracts,
        "ContractPage",
    ),
    get("/api/v1/tools/lock", "Every pinned definition, as `tools.lock` holds them", "Lock"),
    get("/api/v1/tools/contracts/{server}/{tool}", "What is pinned of a tool, and what waits", "Contract"),
    Described {
        versioned: true,
        ..post(
            "/api/v1/tools/contracts/{server}/{tool}/approve",
            "Approves the definition that `digest` names",
            "Approval",
            200,
            "Contract",
        )
    },
    Described {
        versioned: true,
        ..post(
            "/api/v1/tools/contracts/{server}/{tool}/reject",
            "Rejects the definition that `digest` names",
            "Rejection",
            200,
            "Contract",
        )
    },
    delete(
        "/api/v1/tools/contracts/{server}/{tool}",
        "Forgets what is known of a tool: it is seen for the first time again",
    ),
    list(
        "/api/v1/approvals",
        "Calls that wait for somebody to let them pass",
        QueryOf::Approvals,
        "CallApprovalPage",
    ),
    get("/api/v1/approvals/{id}", "What a call would do", "CallApproval"),
    Described {
        versioned: true,
        ..post(
            "/api/v1/approvals/{id}/approve",
            "Lets a call pass, once",
            "CallDecision",
            200,
            "CallApproval",
        )
    },
    Described {
        versioned: true,
        ..post("/api/v1/approvals/{id}/deny", "Does not let a call pass", "CallDecision", 200, "CallApproval")
    },
    post(
        "/api/v1/import/litellm",
        "Takes over rows of LiteLLM's tables",
        "LiteLlmRows",
        200,
        "LiteLlmOutcomes",
    ),
];

/// What is said of a route.
pub(super) fn described(method: &str, path: &str) -> Option<&'static Described> {
    ALL.iter().find(|said| said.method == method && said.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_ours_is_described_and_nothing_else_is() {
        let routes = crate::routes::all();
        let ours: Vec<_> = routes.iter().filter(|route| route.path.starts_with("/api/v1/")).collect();
        for route in &ours {
            let said = described(route.method.as_str(), &route.path);
            assert!(said.is_some(), "{} {} is not described", route.method, route.path);
        }
        assert_eq!(ours.len(), ALL.len(), "what is described is a route");
    }
}
