//! Models and credentials that admins add, on the command line: what is the same for both.

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};
use tollgate_core::addition::AdditionKind;
use tollgate_core::document::Kind;

use super::ask::remote;
use super::holder::How;
use super::holder::shown::text;

#[derive(Debug, Args)]
pub(super) struct One {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
}

/// Where those of `kind` are, or the one that is called `name`.
pub(super) fn path(kind: AdditionKind, name: Option<&str>) -> String {
    let one = name.map(|name| format!("/{}", remote::segment(name))).unwrap_or_default();
    format!("/api/v1/{}s{one}", kind.word())
}

/// Adds what is `said`.
pub(super) async fn add(
    kind: AdditionKind,
    said: Map<String, Value>,
    id: &'static str,
    how: &How,
) -> Result<()> {
    let made = how.remote()?.change("POST", &path(kind, None), None, &Value::Object(said)).await?;
    how.tell(&made, || vec![format!("the {} `{}` was added", kind.word(), text(&made[id]))])
}

/// Prints all of them, as `lines` says.
pub(super) async fn list(
    kind: AdditionKind,
    how: &How,
    lines: impl FnOnce(&[Value]) -> Vec<String>,
) -> Result<()> {
    let all = how.remote()?.all(&path(kind, None), Map::new()).await?;
    how.tell(&all, || match all.as_array().map_or(&[][..], Vec::as_slice) {
        [] => vec![format!("no {}s", kind.word())],
        items => lines(items),
    })
}

/// Prints one of them, as `lines` says.
pub(super) async fn show(
    kind: AdditionKind,
    One { name }: One,
    how: &How,
    lines: impl FnOnce(&Value) -> Vec<String>,
) -> Result<()> {
    let answer: Value = how.remote()?.get(&path(kind, Some(&name))).await?;
    how.tell(&answer, || lines(&answer))
}

/// Removes one of them.
pub(super) async fn delete(kind: AdditionKind, One { name }: One, how: &How) -> Result<()> {
    how.remote()?.answer("DELETE", &path(kind, Some(&name)), &[], "").await?;
    how.tell(&json!({ "name": name, "deleted": true }), || {
        vec![format!("the {} `{name}` is deleted", kind.word())]
    })
}

/// Whether one is in service, in a word.
pub(super) fn state(item: &Value) -> String {
    if item["in_service"] == true { "in service" } else { "out of service" }.to_owned()
}
