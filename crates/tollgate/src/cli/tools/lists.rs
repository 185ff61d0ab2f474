//! Lists of tools in files.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_mcp::hidden;
use tollgate_mcp::tool::{Listing, Tool, ToolLimits};

use crate::cli::complain;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// A file with a server's list, as it is named on the command line.
#[derive(Clone, Debug)]
pub(super) struct List {
    server: String,
    file: PathBuf,
}

impl FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (server, file) = match text.split_once('=') {
            Some((server, file)) => (server.to_owned(), file),
            None => {
                let stem = Path::new(text).file_stem().unwrap_or_default();
                (stem.to_string_lossy().into_owned(), text)
            }
        };
        if server.is_empty() || file.is_empty() {
            return Err("write it as FILE or NAME=FILE".to_owned());
        }
        Ok(Self { server, file: PathBuf::from(file) })
    }
}

/// What a server lists.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) tools: Vec<Tool>,
}

/// A whole answer, or its result alone.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// What the files say. Pages of one server are files of one name.
pub(super) fn read(lists: &[List]) -> Result<Vec<Server>> {
    let mut servers: Vec<(String, Listing)> = Vec::new();
    for list in lists {
        let text = text(&list.file)?;
        let shown = || list.file.display().to_string();
        let answer: Answer<'_> = serde_json::from_str(&text).with_context(shown)?;
        let page = answer.result.map_or(text.as_str(), RawValue::get);
        let known = servers.iter().position(|(name, _)| *name == list.server);
        let at = known.unwrap_or_else(|| {
            servers.push((list.server.clone(), Listing::new(ToolLimits::default())));
            servers.len() - 1
        });
        if let Some((_, listing)) = servers.get_mut(at) {
            listing.page(page).with_context(shown)?;
        }
    }
    Ok(servers.into_iter().map(finished).collect())
}

fn text(file: &Path) -> Result<String> {
    let shown = || format!("{} cannot be read", file.display());
    let size = std::fs::metadata(file).with_context(shown)?.len();
    ensure!(size <= LARGEST, "{} has {size} bytes, and at most {LARGEST} are read", file.display());
    std::fs::read_to_string(file).with_context(shown)
}

/// A definition that is refused spoils itself, and is told of.
fn finished((name, listing): (String, Listing)) -> Server {
    let (tools, refused) = listing.finish();
    for tool in refused {
        let called = tool.name.map_or_else(
            || format!("tool number {}", tool.index + 1),
            |called| format!("`{}`", hidden::excerpt(&called, 128)),
        );
        complain(&format!("{name}: {called} is left out: {}", tool.why));
    }
    Server { name, tools }
}
