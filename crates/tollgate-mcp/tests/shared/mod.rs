//! Published specifications and recordings, which stand beside the project where it is developed and are not part
//! of it. Where they are absent, tests that need them skip and say so; with `REQUIRE_SHARED` set that is a failure.

use std::path::Path;

/// The text of `../shared/PATH`.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
pub(crate) fn read(path: &str) -> Option<String> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    match std::fs::read_to_string(&full) {
        Ok(text) => Some(text),
        Err(_) => {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            assert!(
                std::env::var_os("REQUIRE_SHARED").is_none(),
                "SKIPPED {test}: ../shared/{path} is absent"
            );
            eprintln!("SKIPPED {test}: ../shared/{path} is absent");
            None
        }
    }
}
