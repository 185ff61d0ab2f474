//! Code generation and checks of the tree: `cargo xtask catalog FACTS`, `cargo xtask tidy`.

mod catalog;
mod tidy;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["catalog", facts] => catalog::run(facts),
        ["tidy"] => tidy::run(),
        _ => bail!("usage: cargo xtask catalog FACTS.json | cargo xtask tidy"),
    }
}
