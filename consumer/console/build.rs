//! Builds the web pages with Node and npm where they are there, into `OUT_DIR/web/dist`, which the program embeds. Where
//! they are not, or it fails, that folder is empty, the program is built all the same, and says how to get its pages.
//!
//! `TAPEDECK_WEB=off` leaves the pages out.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// What belongs to the pages: nothing else in `web` makes this run again.
const SOURCES: [&str; 8] = [
    "index.html",
    "package.json",
    "package-lock.json",
    ".npmrc",
    "tsconfig.json",
    "vite.config.ts",
    "compress.mjs",
    "public",
];

fn main() {
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("web");
    let web = PathBuf::from(variable("OUT_DIR")).join("web");
    println!("cargo::rerun-if-env-changed=TAPEDECK_WEB");
    println!("cargo::rerun-if-changed=build.rs");
    for name in SOURCES.into_iter().chain(["src"]) {
        println!("cargo::rerun-if-changed={}", source.join(name).display());
    }
    let dist = web.join("dist");
    let built = match env::var("TAPEDECK_WEB").as_deref() {
        Ok("off") => Err("TAPEDECK_WEB is off".to_owned()),
        _ => build(&source, &web),
    };
    if let Err(why) = built {
        println!("cargo::warning=`tapedeck serve` is built without its web pages: {why}");
        // Half of them would be worse than none.
        let emptied = remove(&dist).and_then(|()| fs::create_dir_all(&dist));
        emptied.unwrap_or_else(|error| panic!("{} cannot be made: {error}", dist.display()));
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// Sources are copied: npm puts what it installs beside them, and the working copy is not its place.
fn build(source: &Path, web: &Path) -> Result<(), String> {
    let site = web.join("site");
    let said = |error: io::Error| error.to_string();
    let lock = fs::read(source.join("package-lock.json")).map_err(said)?;
    fs::create_dir_all(&site).map_err(said)?;
    remove(&site.join("src")).map_err(said)?;
    remove(&site.join("public")).map_err(said)?;
    for name in SOURCES.into_iter().chain(["src"]) {
        copy(&source.join(name), &site.join(name)).map_err(said)?;
    }
    let installed = web.join("installed");
    if fs::read(&installed).ok().as_deref() != Some(&lock) {
        // As few attempts as can be: a machine without a network is not to wait.
        let once = ["--fetch-retries=1", "--fetch-timeout=60000"];
        let install = ["ci", "--prefer-offline", "--loglevel=error"];
        run("npm", install.into_iter().chain(once), &site)?;
        fs::write(&installed, &lock).map_err(said)?;
    }
    run("npm", ["run", "--silent", "build"], &site)?;
    remove(&web.join("dist")).map_err(said)?;
    fs::rename(site.join("dist"), web.join("dist")).map_err(said)
}

fn run(program: &str, arguments: impl IntoIterator<Item = &'static str>, site: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(site).stdin(Stdio::null());
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("there is no `{program}` (Node.js 20.19 or newer with npm is needed)"),
        _ => format!("`{program}` cannot be run: {error}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let end: Vec<&str> = said.trim().lines().rev().take(5).collect();
    let end: Vec<&str> = end.into_iter().rev().collect();
    Err(format!("`{program}` failed: {}", end.join(" / ")))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        copy(&path, &to.join(path.file_name().unwrap_or(OsStr::new(""))))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
