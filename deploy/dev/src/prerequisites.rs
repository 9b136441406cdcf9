//! What must be installed on the machine before anything here can be, and how to get it.

use std::fmt;
use std::process::{Command, Stdio};

/// A program or library that is not installed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prerequisite {
    /// Java 17 or newer: runs Apache Kafka.
    Java,
    /// Maven: gets Apache Kafka.
    Maven,
    /// Node.js 20 or newer: runs the identity provider and the demo MCP server.
    Node,
    /// npm: gets ClickHouse and what Node.js runs.
    Npm,
    /// Python 3.10 or newer with pip: runs the server of the conformance tests.
    Python,
    /// Go 1.26 or newer: builds the OpenTelemetry collector.
    Go,
    /// git: gets data of public repositories to measure with.
    Git,
    /// A C compiler: builds librdkafka and the embedded broker's SQLite.
    CCompiler,
    /// make: builds librdkafka.
    Make,
    /// pkg-config and OpenSSL's headers: librdkafka's TLS and SCRAM.
    OpenSsl,
}

/// What was looked for and not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Invariant: not empty.
    lacking: Vec<(Prerequisite, Finding)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Sufficient,
    Absent,
    TooOld(u32),
    Unclear(String),
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("missing on this machine:")?;
        for (prerequisite, finding) in &self.lacking {
            write!(formatter, "\n  {}", prerequisite.what())?;
            match finding {
                Finding::Sufficient | Finding::Absent => {}
                Finding::TooOld(found) => write!(formatter, " (found {found})")?,
                Finding::Unclear(said) => write!(formatter, " (found one that fails: {said})")?,
            }
            write!(formatter, ": {}", prerequisite.how())?;
        }
        let packages: Vec<&str> = self
            .lacking
            .iter()
            .map(|(prerequisite, _)| prerequisite.debian())
            .collect();
        write!(
            formatter,
            "\non Debian or Ubuntu: sudo apt-get install {}",
            packages.join(" ")
        )
    }
}

/// Looks for all of `needed`.
///
/// # Errors
/// When any is missing or too old: one error that names them all, and how to get them.
pub fn check(needed: &[Prerequisite]) -> Result<(), Missing> {
    let found = needed.iter().map(|&prerequisite| (prerequisite, prerequisite.find()));
    let lacking: Vec<_> = found.filter(|(_, finding)| *finding != Finding::Sufficient).collect();
    if lacking.is_empty() {
        Ok(())
    } else {
        Err(Missing { lacking })
    }
}

impl Prerequisite {
    fn what(self) -> &'static str {
        match self {
            Self::Java => "Java 17 or newer (`java`)",
            Self::Maven => "Maven (`mvn`)",
            Self::Node => "Node.js 20 or newer (`node`)",
            Self::Npm => "npm (`npm`)",
            Self::Python => "Python 3.10 or newer with pip (`python3 -m pip`)",
            Self::Go => "Go 1.26 or newer (`go`)",
            Self::Git => "git (`git`)",
            Self::CCompiler => "a C compiler (`cc`)",
            Self::Make => "make (`make`)",
            Self::OpenSsl => "OpenSSL's headers, found by pkg-config",
        }
    }

    fn how(self) -> &'static str {
        match self {
            Self::Java => "package openjdk-17-jre-headless, or https://adoptium.net",
            Self::Maven => "package maven, or https://maven.apache.org/download.cgi",
            Self::Node => "package nodejs where it is new enough, or https://nodejs.org",
            Self::Npm => "package npm; it comes with Node.js from https://nodejs.org",
            Self::Python => "packages python3 and python3-pip, or https://www.python.org",
            Self::Go => "package golang-go where it is new enough, or https://go.dev",
            Self::Git => "package git, or https://git-scm.com",
            Self::CCompiler => "package gcc",
            Self::Make => "package make",
            Self::OpenSsl => "packages libssl-dev and pkg-config",
        }
    }

    fn debian(self) -> &'static str {
        match self {
            Self::Java => "openjdk-17-jre-headless",
            Self::Maven => "maven",
            Self::Node => "nodejs",
            Self::Npm => "npm",
            Self::Python => "python3-pip",
            Self::Go => "golang-go",
            Self::Git => "git",
            Self::CCompiler => "gcc",
            Self::Make => "make",
            Self::OpenSsl => "libssl-dev pkg-config",
        }
    }

    fn find(self) -> Finding {
        match self {
            Self::Java => versioned("java", &["-version"], 17, java_major),
            Self::Node => versioned("node", &["--version"], 20, node_major),
            Self::Maven => present("mvn", &["--version"]),
            Self::Npm => present("npm", &["--version"]),
            Self::Python => versioned("python3", &["-m", "pip", "--version"], 10, python_minor),
            Self::Go => versioned("go", &["version"], 26, go_minor),
            Self::Git => present("git", &["--version"]),
            Self::CCompiler => present("cc", &["--version"]),
            Self::Make => present("make", &["--version"]),
            Self::OpenSsl => present("pkg-config", &["--exists", "openssl"]),
        }
    }
}

/// What a program says to `arguments`, on either output. An error if it cannot be run or fails.
fn ask(program: &str, arguments: &[&str]) -> Result<String, Finding> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Finding::Absent,
            _ => Finding::Unclear(error.to_string()),
        })?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(Finding::Unclear(format!("{} {said}", output.status)))
    }
}

fn present(program: &str, arguments: &[&str]) -> Finding {
    ask(program, arguments).map_or_else(|finding| finding, |_| Finding::Sufficient)
}

fn versioned(program: &str, arguments: &[&str], least: u32, number: fn(&str) -> Option<u32>) -> Finding {
    match ask(program, arguments) {
        Err(finding) => finding,
        Ok(said) => match number(&said) {
            Some(found) if found >= least => Finding::Sufficient,
            Some(found) => Finding::TooOld(found),
            None => Finding::Unclear(said),
        },
    }
}

/// `openjdk version "17.0.15" 2025-04-15` is 17, `java version "1.8.0_402"` is 8. Options from the environment may be
/// reported on a line before.
fn java_major(said: &str) -> Option<u32> {
    let version = said
        .lines()
        .find(|line| line.contains(" version \""))?
        .split('"')
        .nth(1)?;
    let mut numbers = version.split(['.', '-', '_', '+']);
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

/// `v20.20.2` is 20.
fn node_major(said: &str) -> Option<u32> {
    said.lines()
        .next()?
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// `pip 23.2.1 from /usr/lib/python3/dist-packages/pip (python 3.11)` is 11.
fn python_minor(said: &str) -> Option<u32> {
    let (_, version) = said.rsplit_once("(python 3.")?;
    version.split_once(')')?.0.parse().ok()
}

/// `go version go1.26.8 linux/amd64` is 26.
fn go_minor(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("go1.")?;
    version.split(['.', ' ', '-', 'r']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_their_programs_write_them() {
        assert_eq!(
            java_major("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"),
            Some(17)
        );
        assert_eq!(
            java_major("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"21\" 2023-09-19"),
            Some(21)
        );
        assert_eq!(java_major("java version \"1.8.0_402\""), Some(8));
        assert_eq!(java_major("openjdk version \"26-ea\""), Some(26));
        assert_eq!(java_major("command not understood"), None);
        assert_eq!(node_major("v20.20.2\n"), Some(20));
        assert_eq!(node_major("20.20.2"), None);
        assert_eq!(go_minor("go version go1.26.8 linux/amd64"), Some(26));
        assert_eq!(go_minor("go version go1.27rc1 linux/amd64"), Some(27));
        assert_eq!(python_minor("pip 23.2.1 from /usr/lib/pip (python 3.11)\n"), Some(11));
        assert_eq!(python_minor("pip 20.3.4 from /usr/lib/pip (python 2.7)"), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_absent() {
        assert_eq!(present("tapedeck-no-such-program", &[]), Finding::Absent);
    }

    #[test]
    fn what_is_missing_is_named_at_once_with_how_to_get_it() {
        let lacking = vec![
            (Prerequisite::Java, Finding::TooOld(11)),
            (Prerequisite::OpenSsl, Finding::Absent),
        ];
        let said = Missing { lacking }.to_string();
        for part in [
            "Java 17",
            "found 11",
            "OpenSSL",
            "apt-get install openjdk-17-jre-headless libssl-dev pkg-config",
        ] {
            assert!(said.contains(part), "{part:?} is not in: {said}");
        }
    }
}
