//! Library mode: any provider's models from Rust, with the translation that the gate uses and no server in between.
//!
//! ```no_run
//! # async fn example() -> Result<(), tollgate_sdk::Error> {
//! use tollgate_sdk::{Chat, completion};
//!
//! let answer = completion(&Chat::new("anthropic/claude-sonnet-4-5").user("Hello!")).await?;
//! println!("{}", answer.text());
//! # Ok(())
//! # }
//! ```
//!
//! A model is written as `provider/model`. Credentials and addresses come from the variables that the providers' own
//! SDKs read, such as `OPENAI_API_KEY`. There is no journal, no budget and no fallback here: those are the gate's, and
//! `base_url` leads there as well.

mod answer;
mod client;
mod error;
mod request;
mod stream;

pub use answer::{Answer, Embedding};
pub use client::Client;
pub use error::Error;
pub use request::Chat;
pub use stream::Stream;
pub use tollgate_core::price::Cost;
pub use tollgate_core::usage::Usage;
pub use tollgate_llm::chat::{Event, StopReason, ToolCall};

/// Answers `chat`, whole.
///
/// # Errors
/// See [`Error`].
pub async fn completion(chat: &Chat) -> Result<Answer, Error> {
    Client::from_environment().completion(chat).await
}

/// Answers `chat`, piece by piece.
///
/// # Errors
/// See [`Error`]; what goes wrong later comes as a piece.
pub async fn stream(chat: &Chat) -> Result<Stream, Error> {
    Client::from_environment().stream(chat).await
}

/// Turns each of `texts` into a vector.
///
/// # Errors
/// See [`Error`].
pub async fn embedding(model: &str, texts: &[&str]) -> Result<Embedding, Error> {
    Client::from_environment().embedding(model, texts).await
}
