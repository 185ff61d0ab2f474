//! `docs/faults.md` is made from the code: `UPDATE_FIXTURES=1 cargo test -p tollgate-core --test faults` writes it.

use std::fmt::Write;
use std::path::Path;

use tollgate_core::fault::{FaultClass, SideEffect};

const INTRODUCTION: &str = "# Faults

An error is data: the same words stand in records (`fault`), in the labels of metrics, in the log and in error bodies
(`error.tollgate` in OpenAI's dialects, beside what each dialect says itself). This page is made from the code.

- **blame** says who has to change something for it to go away: the `client`, the `gate` (or whoever configures it), the
  `upstream`, a `tool`.
- **retryable** says whether the same request may succeed a little later. Where it may not, answers carry
  `x-should-retry: false`, which the SDKs obey.
- **side effect** says whether the call was worked on all the same, and may have been billed: `none`, `possible`, `certain`.
  The table has what holds for a request that went out and failed so. A call of which nothing went out has `none`, one whose
  upstream had answered with success has `certain`, whatever broke afterwards.

| class | status | blame | retryable | side effect | meaning |
|---|---:|---|---|---|---|
";

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for class in FaultClass::ALL {
        let effect = match class.side_effect() {
            SideEffect::None => "none",
            SideEffect::Possible => "possible",
            SideEffect::Certain => "certain",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {effect} | {} |",
            class.name(),
            class.status(),
            class.blame().name(),
            if class.retryable() { "yes" } else { "no" },
            class.meaning().trim(),
        );
    }
    page.push_str(
        "\nThe status is that of the gate's own answer; of an upstream's error the upstream's status is kept where it says more\n(5xx, and 409, 415, 422 for requests that it calls wrong).\n",
    );
    page
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page());
}
