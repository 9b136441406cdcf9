//! Files of public repositories that are measured with and not kept here: those of one commit, and nothing else.

use std::fs;
use std::path::PathBuf;

use crate::fetch::{DOWNLOAD, FetchError, complete};
use crate::folder::{Folder, Part, Slot};
use crate::prerequisites::{self, Prerequisite};
use crate::process::Launch;
use crate::progress::{Progress, Step};

/// Some files of one commit.
#[derive(Debug, Clone, Copy)]
pub struct Checkout<'a> {
    /// What it is called, in a folder's name.
    pub name: &'a str,
    /// Where the repository is, as `git fetch` takes it.
    pub address: &'a str,
    /// The whole name of the commit, which says what is in each file.
    pub commit: &'a str,
    /// The files and folders that are wanted.
    pub trees: &'a [&'a str],
}

impl Checkout<'_> {
    /// Gets them where that has not been done yet. Returns the folder that holds them, under their names in the repository.
    ///
    /// # Errors
    /// When git is missing, the repository cannot be reached or lacks the commit, or the folder cannot be used.
    pub async fn open(&self, folder: &Folder, progress: &dyn Progress) -> Result<PathBuf, FetchError> {
        let recipe = [&[self.address, self.commit], self.trees].concat().join("\n");
        let part = Part {
            name: self.name,
            version: self.commit.get(..12).unwrap_or(self.commit),
            recipe: recipe.as_bytes(),
        };
        let vacancy = match folder.part(&part, progress).await? {
            Slot::Installed(path) => return Ok(path),
            Slot::Vacant(vacancy) => vacancy,
        };
        prerequisites::check(&[Prerequisite::Git])?;
        progress.report(Step::Installing {
            part: self.name,
            what: "with git, from its own repository",
        });
        let git = |arguments: &[&str]| {
            let launch = Launch::new("git", "git", vacancy.log()).current_dir(vacancy.path());
            // What it does in the background would go on in a folder that is moved.
            let quiet = launch.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
            // A repository that wants a password is not the public one.
            quiet.args(arguments.iter().copied()).env("GIT_TERMINAL_PROMPT", "0")
        };
        let checkout = [&["checkout", "--quiet", self.commit, "--"], self.trees].concat();
        for arguments in [
            &["init", "--quiet"][..],
            &["remote", "add", "origin", self.address],
            // Without its files, of which only some are wanted: git gets those when they are checked out.
            &[
                "fetch",
                "--quiet",
                "--depth=1",
                "--filter=blob:none",
                "origin",
                self.commit,
            ],
            &checkout,
        ] {
            complete(&git(arguments), self.name, DOWNLOAD).await?;
        }
        // Only space: what is wanted stands beside it now.
        let _ = fs::remove_dir_all(vacancy.path().join(".git"));
        Ok(vacancy.seal()?)
    }
}
