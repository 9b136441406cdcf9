//! Our own programs, built from the code as it is now.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::cargo;
use crate::folder::{Folder, FolderError};
use crate::process::ProcessError;

/// Longer than building the whole workspace takes on a slow machine.
const BUILD: Duration = Duration::from_secs(60 * 60);

/// Where our programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `tapedeck-proxy`
    pub proxy: PathBuf,
    /// `tapedeck-consumer`
    pub consumer: PathBuf,
    /// `tapedeck`, the console
    pub console: PathBuf,
    /// `tapedeck-dev`
    pub dev: PathBuf,
}

/// Our programs could not be built.
#[derive(Debug, Error)]
pub enum BinariesError {
    /// The folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The build failed.
    #[error("cannot build the workspace's programs: {0}")]
    Build(#[from] ProcessError),
    /// Cargo's report could not be read.
    #[error("cannot read cargo's report: {0}")]
    Report(#[from] io::Error),
    /// Cargo's report names no such program.
    #[error("cargo built no program {0}")]
    NotBuilt(&'static str),
}

static BINARIES: OnceCell<Binaries> = OnceCell::const_new();

/// Builds our programs in the profile and target folder of the calling program, once in a process, and says where they are.
///
/// # Errors
/// When the build fails; the error quotes the compiler.
pub async fn binaries() -> Result<&'static Binaries, BinariesError> {
    BINARIES.get_or_try_init(build).await
}

async fn build() -> Result<Binaries, BinariesError> {
    let folder = Folder::open()?;
    let files = tempfile::tempdir_in(folder.path())?;
    let report = files.path().join("report");
    let mut launch = cargo::launch("cargo build", files.path().join("log"))
        .current_dir(folder.workspace())
        .output(&report)
        .args(["build", "--quiet", "--bins", "--message-format=json-render-diagnostics"]);
    for package in ["tapedeck-proxy", "tapedeck-consumer", "tapedeck", "tapedeck-dev"] {
        launch = launch.args(["--package", package]);
    }
    if let Some(Built { target, profile }) = built(&std::env::current_exe()?) {
        launch = launch.arg("--target-dir").arg(target).arg("--profile").arg(profile);
    }
    launch.complete(BUILD).await?;

    let report = fs::read_to_string(report)?;
    let program = |name| executable(&report, name).ok_or(BinariesError::NotBuilt(name));
    Ok(Binaries {
        proxy: program("tapedeck-proxy")?,
        consumer: program("tapedeck-consumer")?,
        console: program("tapedeck")?,
        dev: program("tapedeck-dev")?,
    })
}

/// How a program was built, as far as its path tells.
#[derive(Debug, PartialEq, Eq)]
struct Built {
    target: PathBuf,
    profile: String,
}

/// `TARGET/PROFILE/NAME`, or `TARGET/PROFILE/deps/NAME` for a test, `…/examples/NAME` for an example.
fn built(program: &Path) -> Option<Built> {
    let mut folder = program.parent()?;
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder = folder.parent()?;
    }
    // The profile `dev` is the one whose folder has another name.
    let profile = match folder.file_name()?.to_str()? {
        "debug" => "dev",
        other => other,
    };
    Some(Built {
        target: folder.parent()?.to_owned(),
        profile: profile.to_owned(),
    })
}

/// The fields we need of cargo's `compiler-artifact` message; other messages lack them.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn executable(report: &str, name: &str) -> Option<PathBuf> {
    let artifacts = report
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts
        .filter(|artifact| artifact.target.name == name)
        .map(|artifact| artifact.executable)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_tells_how_it_was_built() {
        let expect = |path, target: &str, profile: &str| {
            let expected = Built {
                target: target.into(),
                profile: profile.to_owned(),
            };
            assert_eq!(built(Path::new(path)), Some(expected), "{path}");
        };
        expect("/w/target/debug/tapedeck-dev", "/w/target", "dev");
        expect("/w/target/debug/deps/parts-0123", "/w/target", "dev");
        expect("/w/target/release/examples/one", "/w/target", "release");
    }

    #[test]
    fn programs_are_found_in_cargos_report() {
        let report = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"tapedeck_dev","kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"tapedeck-dev","kind":["bin"]},"executable":"/t/d"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(report, "tapedeck-dev"), Some(PathBuf::from("/t/d")));
        assert_eq!(executable(report, "tapedeck"), None);
    }
}
