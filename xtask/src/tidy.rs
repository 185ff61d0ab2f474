//! Checks of the tree that no compiler makes: module documentation, file lengths, forbidden arrows between
//! crates, names of nowhere folders.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Lines of code, tests left out, beyond which a file wants splitting.
const LONGEST_FILE: usize = 500;

/// Crates that a crate may depend on, of this workspace. The binary may depend on all.
const ARROWS: [(&str, &[&str]); 15] = [
    ("tollgate-core", &[]),
    ("tollgate-llm", &["tollgate-core"]),
    ("tollgate-mcp", &["tollgate-core"]),
    ("tollgate-gateway", &["tollgate-core", "tollgate-llm", "tollgate-mcp"]),
    ("tollgate-sdk", &["tollgate-core", "tollgate-llm"]),
    ("tollgate-journal", &["tollgate-core"]),
    ("tollgate-store", &["tollgate-core", "tollgate-journal"]),
    ("tollgate-ledger", &["tollgate-core"]),
    ("tollgate-identity", &["tollgate-core"]),
    ("tollgate-models", &["tollgate-core"]),
    ("tollgate-contracts", &["tollgate-core", "tollgate-mcp"]),
    ("tollgate-approvals", &["tollgate-core"]),
    ("tollgate-policy", &["tollgate-core"]),
    (
        "tollgate-admin",
        &[
            "tollgate-approvals",
            "tollgate-contracts",
            "tollgate-core",
            "tollgate-identity",
            "tollgate-ledger",
            "tollgate-mcp",
            "tollgate-models",
        ],
    ),
    ("tollgate-export", &["tollgate-core", "tollgate-journal"]),
];

/// Runs every check and names all that fail.
pub(crate) fn run() -> Result<()> {
    let mut wrong = Vec::new();
    for file in rust_files(Path::new("."))? {
        check_file(&file, &mut wrong)?;
    }
    for (name, allowed) in ARROWS {
        check_arrows(name, allowed, &mut wrong)?;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("the tree is not tidy:\n  {}", wrong.join("\n  "))
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "node_modules" | ".git") {
            found.extend(rust_files(&path)?);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    Ok(found)
}

fn check_file(path: &Path, wrong: &mut Vec<String>) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let shown = path.display();
    if !text.starts_with("//!") {
        wrong.push(format!("{shown}: does not begin with `//!`: what is it for, what must it never do?"));
    }
    let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]\nmod")).count();
    let tests = text.lines().position(|line| line.starts_with("mod tests {")).unwrap_or(code);
    if code.min(tests) > LONGEST_FILE && !path.components().any(|c| c.as_os_str() == "tests") {
        wrong.push(format!("{shown}: {} lines: is there one reason to change each?", code.min(tests)));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if matches!(stem.as_str(), "utils" | "util" | "helpers" | "helper" | "common" | "misc") {
        wrong.push(format!("{shown}: the name says nothing"));
    }
    Ok(())
}

fn check_arrows(name: &str, allowed: &[&str], wrong: &mut Vec<String>) -> Result<()> {
    let manifest = std::fs::read_to_string(format!("crates/{name}/Cargo.toml"))?;
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    for line in dependencies.lines().filter(|line| line.starts_with("tollgate-")) {
        let target = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if !allowed.contains(&target) {
            wrong.push(format!("crates/{name}: must not depend on {target}"));
        }
    }
    Ok(())
}
