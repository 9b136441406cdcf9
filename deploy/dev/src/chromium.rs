//! A browser for tests: Debian's Chromium, and what drives it.
//!
//! Where no `chromium` is on the path, its packages are fetched by apt into a folder of ours and unpacked there: nothing is
//! installed on the machine, and nobody need be root. Debian keeps only the newest, so the version is the distribution's.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fetch::{self, FetchError};
use crate::folder::{Folder, Part, Slot, Vacancy};
use crate::process::{Launch, ProcessError};
use crate::progress::{Progress, Step};

/// Longer than a hundred megabytes take on a slow line.
const DOWNLOAD: Duration = Duration::from_secs(20 * 60);
/// Where the packages of npm are pinned.
const RECIPE: &str = "browser";
const VERSION: &str = "0.1.0";
const NAME: &str = "chromium";

/// Runs the unpacked browser with the unpacked libraries, wherever the folder has been moved to.
const SCRIPT: &str = "#!/bin/sh\nroot=$(dirname \"$(readlink -f \"$0\")\")/root\nlib=$root/usr/lib/x86_64-linux-gnu\n\
    export LD_LIBRARY_PATH=$lib:$lib/pulseaudio:$root/lib/x86_64-linux-gnu\n\
    export XDG_DATA_DIRS=$root/usr/share:/usr/share\nexec \"$root/usr/lib/chromium/chromium\" \"$@\"\n";

/// A browser and the packages that drive it.
#[derive(Clone, Debug)]
pub struct Browser {
    /// The program.
    pub program: PathBuf,
    /// The folder with `playwright-core` and `axe-core` in its `node_modules`.
    pub packages: PathBuf,
}

impl Browser {
    /// Finds or installs both.
    ///
    /// # Errors
    /// When apt or npm fails; the error quotes its log.
    pub async fn open(folder: &Folder, progress: &dyn Progress) -> Result<Self, FetchError> {
        let packages = fetch::npm(folder, RECIPE, VERSION, progress).await?;
        let program = match answers(NAME) {
            true => PathBuf::from(NAME),
            false => unpacked(folder, progress).await?.join("chromium"),
        };
        Ok(Self { program, packages })
    }
}

fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
    command
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

async fn unpacked(folder: &Folder, progress: &dyn Progress) -> Result<PathBuf, FetchError> {
    let part = Part {
        name: NAME,
        version: "debian",
        recipe: SCRIPT.as_bytes(),
    };
    let vacancy = match folder.part(&part, progress).await? {
        Slot::Installed(path) => return Ok(path),
        Slot::Vacant(vacancy) => vacancy,
    };
    progress.report(Step::Installing {
        part: NAME,
        what: "from Debian, unpacked and not installed",
    });
    let room = vacancy.path().to_owned();
    let failed = |source| FetchError::Recipe {
        path: room.clone(),
        source,
    };
    for place in ["lists/partial", "archives/partial", "root"] {
        fs::create_dir_all(room.join(place)).map_err(failed)?;
    }
    complete(&apt(&vacancy).arg("update")).await?;
    let packages = [
        "install",
        "--download-only",
        "chromium",
        "fonts-liberation",
        "fontconfig-config",
    ];
    complete(&apt(&vacancy).args(packages)).await?;
    for package in fs::read_dir(room.join("archives")).map_err(failed)? {
        let package = package.map_err(failed)?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let unpack = Launch::new("dpkg-deb", "dpkg-deb", vacancy.log());
            complete(&unpack.arg("-x").arg(package).arg(room.join("root"))).await?;
        }
    }
    write_script(&room.join("chromium")).map_err(failed)?;
    for place in ["lists", "archives"] {
        fs::remove_dir_all(room.join(place)).map_err(failed)?;
    }
    Ok(vacancy.seal()?)
}

/// apt with lists and packages in a folder of ours.
fn apt(vacancy: &Vacancy) -> Launch {
    let place = |name: &str| vacancy.path().join(name).display().to_string();
    let options = [
        format!("Dir::State::Lists={}", place("lists")),
        format!("Dir::Cache={}", place("")),
        format!("Dir::Cache::Archives={}", place("archives")),
        // Nothing is installed, so nobody else's apt is in the way.
        "Debug::NoLocking=1".to_owned(),
        "APT::Sandbox::User=".to_owned(),
    ];
    let launch = Launch::new("apt-get", "apt-get", vacancy.log()).args(["-q", "-y", "--no-install-recommends"]);
    options
        .iter()
        .fold(launch, |launch, option| launch.args(["-o", option]))
}

async fn complete(launch: &Launch) -> Result<(), FetchError> {
    launch
        .complete(DOWNLOAD)
        .await
        .map_err(|source: ProcessError| FetchError::Client {
            part: "chromium: install Debian's package of that name, or make apt work".to_owned(),
            source: Box::new(source),
        })
}

fn write_script(path: &Path) -> io::Result<()> {
    fs::write(path, SCRIPT)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
