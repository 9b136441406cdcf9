//! Every parser of foreign bytes, fuzzed for ten seconds each. `tests/fuzz` has the targets and says how to go on longer.

use std::time::Duration;

use tapedeck_dev::fetch::{self, Optimized};
use tapedeck_dev::folder::Folder;
use tapedeck_dev::process::Launch;
use tapedeck_dev::progress::Quiet;

const CARGO_FUZZ: &str = "0.13.2";
const TARGETS: [&str; 6] = [
    "envelope",
    "sse_splitter",
    "frame_decode",
    "redact",
    "redact_json",
    "redact_stream",
];
/// Longer than an instrumented build takes on a slow machine.
const BUILD: Duration = Duration::from_secs(30 * 60);

#[tokio::test]
async fn ten_seconds_of_fuzzing_find_nothing_in_any_parser_of_foreign_bytes() {
    let folder = Folder::open().unwrap();
    let run = folder.run("fuzz").unwrap();
    let installed = fetch::program(&folder, "cargo-fuzz", CARGO_FUZZ, "", Optimized::JustEnough, &Quiet)
        .await
        .unwrap();
    let cargo_fuzz = |name: &str| {
        let room = run.room(name).unwrap();
        Launch::new(
            format!("cargo fuzz of {name}"),
            installed.join("bin/cargo-fuzz"),
            run.log(&room),
        )
        .current_dir(folder.workspace().join("tests/fuzz"))
        // The outer cargo's word on where to build is not meant for this workspace.
        .env_remove("CARGO_TARGET_DIR")
    };
    // The address sanitizer needs a nightly toolchain; what these targets can get wrong panics without it.
    let build = cargo_fuzz("build").args(["fuzz", "build", "--sanitizer", "none"]);
    build.complete(BUILD).await.unwrap();
    for target in TARGETS {
        let fuzz = cargo_fuzz(target).args(["fuzz", "run", "--sanitizer", "none", target, "--", "-max_total_time=10"]);
        fuzz.complete(BUILD).await.unwrap();
    }
}
