//! `cargo run --example completion -- anthropic/claude-sonnet-4-5 "Hello!"`
#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use tollgate_sdk::{Chat, Error, completion};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "openai/gpt-4o".to_owned());
    let prompt = arguments.next().unwrap_or_else(|| "Hello!".to_owned());
    let answer = completion(&Chat::new(model).system("Be brief.").user(prompt).max_tokens(200)).await?;
    println!("{}", answer.text());
    println!("{} cost {} USD", answer.model(), answer.cost());
    Ok(())
}
