//! Error codes: JSON-RPC's and MCP's, and which revision has which.

use crate::revision::Revision;

/// A code that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// As it stands in `error.code`.
    pub code: i64,
    /// Its name in the schemas, or in the specification where they have none.
    pub name: &'static str,
    /// The first revision that has it.
    pub since: Revision,
    /// The last, where there is a later one without it.
    pub until: Option<Revision>,
    /// What it says.
    pub meaning: &'static str,
}

/// The codes, by name.
pub mod codes {
    /// What came is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// It is JSON, but no message.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Nobody knows the method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The params are not what the method takes.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The other side failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// No resource has this address. Until 2025-11-25; afterwards that is [`INVALID_PARAMS`].
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// Somebody must visit an address first. Only 2025-11-25; afterwards that is a result.
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// Headers and body disagree. Since 2026-07-28.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The client did not say that it can do what the request needs. Since 2026-07-28.
    pub const MISSING_REQUIRED_CLIENT_CAPABILITY: i64 = -32021;
    /// The server does not speak the revision of the request. Since 2026-07-28.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
}

const fn code(
    code: i64,
    name: &'static str,
    since: Revision,
    until: Option<Revision>,
    meaning: &'static str,
) -> Code {
    Code { code, name, since, until, meaning }
}

use Revision::{V2024_11_05, V2025_11_25, V2026_07_28};

/// Every code that a revision defines.
pub const CODES: &[Code] = &[
    code(codes::PARSE_ERROR, "ParseError", V2024_11_05, None, "not JSON"),
    code(codes::INVALID_REQUEST, "InvalidRequest", V2024_11_05, None, "JSON, but no message"),
    code(codes::METHOD_NOT_FOUND, "MethodNotFound", V2024_11_05, None, "nobody knows the method"),
    code(codes::INVALID_PARAMS, "InvalidParams", V2024_11_05, None, "not the params that the method takes"),
    code(codes::INTERNAL_ERROR, "InternalError", V2024_11_05, None, "the other side failed"),
    code(
        codes::RESOURCE_NOT_FOUND,
        "ResourceNotFound",
        V2024_11_05,
        Some(V2025_11_25),
        "no resource has this address; later InvalidParams",
    ),
    code(
        codes::URL_ELICITATION_REQUIRED,
        "URLElicitationRequired",
        V2025_11_25,
        Some(V2025_11_25),
        "somebody must visit an address first; later a result that asks for it",
    ),
    code(codes::HEADER_MISMATCH, "HeaderMismatch", V2026_07_28, None, "headers and body disagree"),
    code(
        codes::MISSING_REQUIRED_CLIENT_CAPABILITY,
        "MissingRequiredClientCapability",
        V2026_07_28,
        None,
        "the client did not say that it can do what this needs",
    ),
    code(
        codes::UNSUPPORTED_PROTOCOL_VERSION,
        "UnsupportedProtocolVersion",
        V2026_07_28,
        None,
        "the server does not speak the revision of the request",
    ),
];

impl Code {
    /// The code `code` where `revision` defines it.
    pub fn find(code: i64, revision: Revision) -> Option<&'static Self> {
        let defines = |c: &&Self| c.since <= revision && c.until.is_none_or(|until| revision <= until);
        CODES.iter().find(|known| known.code == code).filter(defines)
    }
}
