//! `cargo run --example embedding -- openai/text-embedding-3-small "one text" "another"`
#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use tollgate_sdk::{Error, embedding};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let model = arguments.first().map_or("openai/text-embedding-3-small", String::as_str);
    let texts: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let embedding = embedding(model, &texts).await?;
    for vector in &embedding.vectors {
        println!("{} numbers, beginning with {:?}", vector.len(), vector.first());
    }
    Ok(())
}
