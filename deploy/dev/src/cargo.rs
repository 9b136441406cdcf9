//! Runs the cargo that runs us.

use std::path::PathBuf;

use crate::process::Launch;

/// Set by cargo for what it runs, or passed on by it. A cargo that inherits them sees other inputs than one started from
/// a shell, and builds crates again whose build scripts watch such variables.
const INHERITED: [&str; 8] = [
    "CARGO",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
    "OUT_DIR",
];

/// Cargo itself, in the environment that it would have in a shell.
pub(crate) fn launch(name: &str, log: PathBuf) -> Launch {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut launch = Launch::new(name, program, log);
    for (key, _) in std::env::vars_os() {
        let ours = key.to_str().is_some_and(|key| {
            INHERITED.contains(&key)
                || ["CARGO_PKG_", "CARGO_BIN_"]
                    .iter()
                    .any(|prefix| key.starts_with(prefix))
        });
        if ours {
            launch = launch.env_remove(key);
        }
    }
    launch
}
