//! `cargo run --example stream -- gemini/gemini-2.5-flash "Hello!"`
#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use std::io::Write;

use tollgate_sdk::{Chat, Error, stream};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "openai/gpt-4o".to_owned());
    let prompt = arguments.next().unwrap_or_else(|| "Hello!".to_owned());
    let mut answer = stream(&Chat::new(model).user(prompt)).await?;
    while let Some(text) = answer.next_text().await {
        print!("{}", text?);
        let _ = std::io::stdout().flush();
    }
    println!();
    Ok(())
}
