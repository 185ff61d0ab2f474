//! Names of `_meta` members that the protocol itself defines.

/// The revision of a request (2026-07-28, general fields).
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Who the client says that it is.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// What the client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// From which level on the client wants log messages of a request.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Who the server says that it is.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The subscription that a notification or a result belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The token that a request asks to be told progress under.
pub const PROGRESS_TOKEN: &str = "progressToken";

/// What a stateless request says of itself. Between a client and a stateful server these never pass: a server that
/// speaks both ways would take the request for a stateless one.
pub const OF_REQUESTS: [&str; 4] = [PROTOCOL_VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, LOG_LEVEL];

/// Before the names of what the gate itself writes into `_meta`.
pub const OURS: &str = "tollgate/";
