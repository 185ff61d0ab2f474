//! The data plane. Every call of a client goes through the nine phases of [`pipeline`]; nothing else sends its
//! traffic anywhere. What the gate fetches on its own behalf goes through [`upstream::egress`].

pub mod answer;
mod attempt;
mod causes;
mod charges;
pub mod dice;
mod explain;
pub mod gate;
mod gathered;
mod guardrails;
mod identify;
pub mod inbound;
mod leg;
pub mod llm;
pub mod mcp;
pub mod metrics;
pub mod pipeline;
mod policies;
mod reject;
mod relay;
pub mod route;
pub mod serve;
mod strangers;
pub mod ticket;
pub mod upstream;
pub mod voice;
pub mod web;
