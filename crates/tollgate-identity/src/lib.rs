//! Who people, agents and applications are.
//!
//! Tokens that issuers have given out are credentials beside keys ([`tokens`]): a JWT (RFC 7519, RFC 9068) whose
//! signature, issuer, audience and time are checked, and whose claims say which user or agent presents it. The gate can be
//! such an issuer itself ([`server`]). It depends on the domain only: what it fetches, it fetches through the gate's guarded
//! client.

pub mod server;
pub mod tokens;

pub use self::tokens::IssuedTokens;
