//! Installs pinned parts through the ordinary package clients: npm, Maven, pip, cargo and Go.
//!
//! What is installed is pinned by files in this crate's folder and verified by the clients: npm against the checksums of
//! `package-lock.json`, Maven against the repository's checksums, cargo against those of the package's own lock file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::cargo;
use crate::folder::{Folder, FolderError, Part, Slot};
use crate::prerequisites::{self, Missing, Prerequisite};
use crate::process::{Launch, ProcessError};
use crate::progress::{Progress, Step};

/// Longer than a download takes on a slow line.
pub(crate) const DOWNLOAD: Duration = Duration::from_secs(20 * 60);

/// Longer than a build takes on a slow machine.
const BUILD: Duration = Duration::from_secs(90 * 60);

/// A part could not be installed.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The package client, or what it needs, is not on this machine.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The package client failed.
    #[error("cannot install {part}: {source}")]
    Client {
        /// What was installed.
        part: String,
        /// What the client said.
        source: Box<ProcessError>,
    },
    /// The files that pin the part could not be read or copied.
    #[error("cannot copy {}: {source}", path.display())]
    Recipe {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Installs the packages that `package-lock.json` in `deploy/dev/RECIPE` pins, with `npm ci`. Returns the folder that holds
/// `node_modules`. `version` is for people; the lock file decides.
///
/// # Errors
/// When npm fails, or the folder cannot be used.
pub async fn npm(folder: &Folder, recipe: &str, version: &str, progress: &dyn Progress) -> Result<PathBuf, FetchError> {
    let source = folder.workspace().join("deploy/dev").join(recipe);
    let lock = read(&source.join("package-lock.json"))?;
    let part = Part {
        name: recipe,
        version,
        recipe: &lock,
    };
    let vacancy = match folder.part(&part, progress).await? {
        Slot::Installed(path) => return Ok(path),
        Slot::Vacant(vacancy) => vacancy,
    };
    prerequisites::check(&[Prerequisite::Npm])?;
    progress.report(Step::Installing {
        part: recipe,
        what: "from npm",
    });
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        copy(&source.join(name), &vacancy.path().join(name))?;
    }
    let launch = Launch::new("npm ci", "npm", vacancy.log()).current_dir(vacancy.path());
    complete(&launch.args(["ci", "--no-audit", "--no-fund"]), recipe, DOWNLOAD).await?;
    Ok(vacancy.seal()?)
}

/// Installs the runtime dependencies that `pom.xml` in `deploy/dev/RECIPE` pins. Returns the folder that holds them in
/// `lib/`. `version` is for people; the `pom.xml` decides.
///
/// # Errors
/// When Maven fails, or the folder cannot be used.
pub async fn maven(
    folder: &Folder,
    recipe: &str,
    version: &str,
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    match resolve(folder, recipe, version, "copy-dependencies", progress).await? {
        Slot::Installed(path) => Ok(path),
        Slot::Vacant(vacancy) => Ok(vacancy.seal()?),
    }
}

/// Unpacks the archives that `pom.xml` in `deploy/dev/RECIPE` pins to `lib/`. What is vacant holds them, and is for the
/// caller to prepare and to seal.
///
/// # Errors
/// As [`maven`].
pub(crate) async fn unpacked(
    folder: &Folder,
    recipe: &str,
    version: &str,
    progress: &dyn Progress,
) -> Result<Slot, FetchError> {
    resolve(folder, recipe, version, "unpack-dependencies", progress).await
}

async fn resolve(
    folder: &Folder,
    recipe: &str,
    version: &str,
    goal: &str,
    progress: &dyn Progress,
) -> Result<Slot, FetchError> {
    let pom_path = folder.workspace().join("deploy/dev").join(recipe).join("pom.xml");
    let pom = read(&pom_path)?;
    let part = Part {
        name: recipe,
        version,
        recipe: &pom,
    };
    let vacancy = match folder.part(&part, progress).await? {
        Slot::Installed(path) => return Ok(Slot::Installed(path)),
        Slot::Vacant(vacancy) => vacancy,
    };
    prerequisites::check(&[Prerequisite::Java, Prerequisite::Maven])?;
    progress.report(Step::Installing {
        part: recipe,
        what: "from Maven Central",
    });
    copy(&pom_path, &vacancy.path().join("pom.xml"))?;
    let launch = Launch::new(format!("mvn dependency:{goal}"), "mvn", vacancy.log())
        .current_dir(vacancy.path())
        .args([
            "--quiet",
            "--batch-mode",
            // Without it, a wrong checksum is a warning.
            "--strict-checksums",
        ])
        .arg(format!("dependency:{goal}"))
        .args(["-DoutputDirectory=lib", "-DincludeScope=runtime"]);
    complete(&launch, recipe, DOWNLOAD).await?;
    Ok(Slot::Vacant(vacancy))
}

/// Gets one archive of Maven Central's, `GROUP:NAME:VERSION:TYPE:CLASSIFIER` and the name of its file, and unpacks it. Returns the
/// folder that holds what was in it. This version of the plugin takes the archive alone, whether or not the repository has
/// all that its description refers to.
///
/// # Errors
/// As [`maven`].
pub(crate) async fn archive(
    folder: &Folder,
    name: &str,
    version: &str,
    (artifact, file): (&str, &str),
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    let part = Part {
        name,
        version,
        recipe: artifact.as_bytes(),
    };
    let vacancy = match folder.part(&part, progress).await? {
        Slot::Installed(path) => return Ok(path),
        Slot::Vacant(vacancy) => vacancy,
    };
    prerequisites::check(&[Prerequisite::Java, Prerequisite::Maven])?;
    progress.report(Step::Installing {
        part: name,
        what: "from Maven Central",
    });
    let copy = Launch::new("mvn dependency:copy", "mvn", vacancy.log())
        .current_dir(vacancy.path())
        .args(["--quiet", "--batch-mode", "--strict-checksums"])
        .arg("org.apache.maven.plugins:maven-dependency-plugin:2.10:copy")
        .arg(format!("-Dartifact={artifact}"))
        .arg("-DoutputDirectory=archive");
    complete(&copy, name, DOWNLOAD).await?;
    let unpack = Launch::new("tar", "tar", vacancy.log())
        .current_dir(vacancy.path())
        .args(["-xzf", &format!("archive/{file}")]);
    complete(&unpack, name, DOWNLOAD).await?;
    // Only space: all of it stands beside it now.
    let _ = fs::remove_dir_all(vacancy.path().join("archive"));
    Ok(vacancy.seal()?)
}

/// Installs the packages that `requirements.txt` in `deploy/dev/RECIPE` pins, into `lib/` of the folder that it returns, and
/// unpacks `trees`, folders of `source`'s source package, beside it, if there are any. `source` is `NAME==VERSION`.
///
/// # Errors
/// When pip fails, or the folder cannot be used.
pub async fn python(
    folder: &Folder,
    recipe: &str,
    source: &str,
    trees: &[&str],
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    let file = folder
        .workspace()
        .join("deploy/dev")
        .join(recipe)
        .join("requirements.txt");
    let requirements = read(&file)?;
    let name = format!("{recipe}-python");
    let pinned = [requirements, trees.join("\n").into_bytes()].concat();
    let part = Part {
        name: &name,
        version: source.rsplit('=').next().unwrap_or(source),
        recipe: &pinned,
    };
    let vacancy = match folder.part(&part, progress).await? {
        Slot::Installed(path) => return Ok(path),
        Slot::Vacant(vacancy) => vacancy,
    };
    prerequisites::check(&[Prerequisite::Python])?;
    progress.report(Step::Installing {
        part: &name,
        what: "from PyPI",
    });
    let pip = |verb| {
        let launch = Launch::new("pip", "python3", vacancy.log()).current_dir(vacancy.path());
        launch.args(["-m", "pip", verb, "--quiet", "--disable-pip-version-check"])
    };
    let install = pip("install")
        .args(["--target", "lib", "--only-binary", ":all:", "--requirement"])
        .arg(file);
    complete(&install, &name, DOWNLOAD).await?;
    if trees.is_empty() {
        return Ok(vacancy.seal()?);
    }
    let package = source.split('=').next().unwrap_or(source);
    let download = pip("download").args(["--no-deps", "--no-binary", package, "--dest", "source", source]);
    complete(&download, &name, DOWNLOAD).await?;
    let root = source.replace("==", "-");
    let unpack = Launch::new("tar", "tar", vacancy.log())
        .current_dir(vacancy.path())
        .args(["-xzf", &format!("source/{root}.tar.gz"), "--strip-components=1"])
        .args(trees.iter().map(|tree| format!("{root}/{tree}")));
    complete(&unpack, &name, DOWNLOAD).await?;
    Ok(vacancy.seal()?)
}

/// How well a program is to be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimized {
    /// Two thirds of the build time of the default, at a speed that tests do not notice.
    JustEnough,
    /// As its authors ship it: for measuring.
    Fully,
}

/// Installs a program from crates.io with the versions of its own lock file. Returns the folder that holds it in `bin/`.
///
/// # Errors
/// When cargo fails, or the folder cannot be used.
pub async fn program(
    folder: &Folder,
    package: &str,
    version: &str,
    features: &str,
    optimized: Optimized,
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    let part = Part {
        name: package,
        version,
        recipe: b"",
    };
    let place = match folder.part(&part, progress).await? {
        Slot::Installed(path) => path,
        Slot::Vacant(vacancy) => {
            prerequisites::check(&[Prerequisite::CCompiler])?;
            let what = "built by cargo, which takes several minutes, once";
            progress.report(Step::Installing { part: package, what });
            let launch = cargo::launch("cargo install", vacancy.log())
                .args(["install", package, "--version", version, "--locked"])
                .args(["--no-default-features", "--features", features, "--root"])
                .arg(vacancy.path())
                .env("CARGO_TARGET_DIR", folder.build(&part));
            let launch = match optimized {
                Optimized::Fully => launch,
                Optimized::JustEnough => launch
                    .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                    .env("CARGO_PROFILE_RELEASE_LTO", "off"),
            };
            complete(&launch, package, BUILD).await?;
            vacancy.seal()?
        }
    };
    // Only space, a gigabyte of it. Every time, since an install may have been killed before it was gone.
    let _ = fs::remove_dir_all(folder.build(&part));
    Ok(place)
}

/// Builds the Go program in `deploy/dev/RECIPE`, of the modules that its `go.sum` pins. Returns the folder that holds it, by the
/// recipe's name. `version` is for people; `go.mod` decides.
///
/// # Errors
/// When Go fails, or the folder cannot be used.
pub async fn go(folder: &Folder, recipe: &str, version: &str, progress: &dyn Progress) -> Result<PathBuf, FetchError> {
    const FILES: [&str; 3] = ["go.mod", "go.sum", "main.go"];
    let source = folder.workspace().join("deploy/dev").join(recipe);
    let mut pinned = Vec::new();
    for name in FILES {
        pinned.extend(read(&source.join(name))?);
    }
    let part = Part {
        name: recipe,
        version,
        recipe: &pinned,
    };
    let vacancy = match folder.part(&part, progress).await? {
        Slot::Installed(path) => return Ok(path),
        Slot::Vacant(vacancy) => vacancy,
    };
    prerequisites::check(&[Prerequisite::Go])?;
    progress.report(Step::Installing {
        part: recipe,
        what: "built by Go, which takes a minute or two, once",
    });
    for name in FILES {
        copy(&source.join(name), &vacancy.path().join(name))?;
    }
    let launch = Launch::new("go build", "go", vacancy.log())
        .current_dir(vacancy.path())
        .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"])
        .args(["-ldflags", "-s -w", "-o", recipe, "."])
        // What is installed, or an error: no toolchain is fetched behind anybody's back.
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0");
    complete(&launch, recipe, BUILD).await?;
    Ok(vacancy.seal()?)
}

pub(crate) async fn complete(launch: &Launch, part: &str, within: Duration) -> Result<(), FetchError> {
    launch.complete(within).await.map_err(|source| FetchError::Client {
        part: part.to_owned(),
        source: Box::new(source),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    fs::read(path).map_err(|source| FetchError::Recipe {
        path: path.to_owned(),
        source,
    })
}

fn copy(from: &Path, to: &Path) -> Result<(), FetchError> {
    fs::copy(from, to).map(drop).map_err(|source| FetchError::Recipe {
        path: from.to_owned(),
        source,
    })
}
