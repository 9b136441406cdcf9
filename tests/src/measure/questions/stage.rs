//! The archive, the console before it, and who asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::identity::User;
use tapedeck_dev::ports;
use tapedeck_dev::process::{Child, Launch};
use tapedeck_dev::services::Database;
use tokio::net::TcpStream;

use super::answered::Person;
use crate::archive::{Archive, Shape, subject, today};
use crate::measure::parts::{Parts, note};
use crate::measure::{Extent, Report};
use crate::oracle::table;

/// What the console's tokens have in `aud`.
const AUDIENCE: &str = "https://tapedeck.example/console";
/// Longer than a console takes to start.
const START: Duration = Duration::from_secs(60);
/// Longer than ClickHouse merges what was inserted.
const MERGING: Duration = Duration::from_secs(1800);

/// People of the archive.
const PEOPLE: u32 = 8_000;
/// Days of the archive: a quarter of a year.
const DAYS: u32 = 90;

/// Ranks of people who see their own sessions: from who has most to who has few.
const VIEWERS: [u32; 8] = [0, 1, 5, 20, 80, 300, 1_000, 4_000];
/// Tenants with an auditor each, the largest first.
const AUDITED: usize = 8;
/// People who look around.
pub(super) const PEOPLE_ASKING: usize = 20;
/// Those of them who see everything.
const ADMINISTRATORS: usize = 4;

pub(super) struct Stage {
    pub(super) archive: Archive,
    /// `http://127.0.0.1:PORT`.
    pub(super) url: String,
    pub(super) console: Child,
    /// An administrator, the auditor of the largest tenant, and others.
    pub(super) people: Vec<Person>,
    /// Sessions to take filters from, drawn from all.
    pub(super) drawn: Vec<Drawn>,
    /// Bytes on disk.
    disk: f64,
    /// Seconds that the archive took to make.
    made: f64,
    _parts: Parts,
}

/// What a session can be found by.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Drawn {
    /// Subject, address or name of its caller.
    pub(super) user: String,
    pub(super) target: String,
    /// A tool that it used.
    pub(super) tool: String,
    /// When the day on which it began begins, milliseconds since 1970.
    pub(super) day: i64,
}

impl Stage {
    /// A stage whose first so many people have signed in.
    pub(super) async fn set(extent: Extent, count: usize) -> anyhow::Result<Self> {
        let logins = logins();
        let parts = Parts::start_with(logins.iter().cloned().collect()).await?;
        let (kafka, database) = (parts.kafka("measure-questions"), parts.database("measure_questions"));
        // It makes the tables.
        parts.consumer(&kafka, &database, 1).await?.service().stop().await;
        let shape = Shape {
            sessions: extent.sessions,
            long_sessions: 3,
            people: PEOPLE,
            days: DAYS,
            until: today()?,
            issuer: parts.identity.issuer().to_owned(),
        };
        let begun = Instant::now();
        let mut told = 0;
        let archive = Archive::make(&database, &shape, |made| {
            if (made - told) * 10 >= shape.sessions || made == shape.sessions {
                note(&format!("{made} of {} sessions are made", shape.sessions));
                told = made;
            }
        })
        .await?;
        let made = begun.elapsed().as_secs_f64();
        note("ClickHouse merges");
        Archive::settled(&database, MERGING).await?;

        let (url, console) = serve(&parts, &database).await?;
        note("people sign in");
        let mut people = Vec::new();
        for (login, _) in logins.iter().take(count) {
            people.push(Person::new(&url, parts.identity.user_token(login, AUDIENCE).await?)?);
        }
        let disk = "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = currentDatabase()";
        let disk = table::values(&database, disk).await?;
        let disk = disk.first().and_then(|row| row["bytes"].as_f64());
        Ok(Self {
            drawn: draw(&database).await?,
            archive,
            url,
            console,
            people,
            disk: disk.context("no parts")?,
            made,
            _parts: parts,
        })
    }

    /// Who sees everything.
    pub(super) fn administrator(&self) -> &Person {
        &self.people[0]
    }

    /// Who sees the largest tenant.
    pub(super) fn auditor(&self) -> &Person {
        &self.people[1]
    }

    /// Says how large the archive is.
    pub(super) fn describe(&self, report: &mut Report) {
        report.add("archive", "sessions", self.archive.sessions as f64, "");
        report.add("archive", "frames", self.archive.frames as f64, "");
        report.add("archive on disk", "all tables", self.disk / (1u64 << 30) as f64, "GiB");
        report.add("archive", "made in", self.made, "s");
    }
}

/// Everybody who may sign in: an administrator first, then auditors, more administrators, viewers.
fn logins() -> Vec<(String, User)> {
    let user = |login: String, group: String| {
        let user = User {
            name: login.clone(),
            email: format!("{login}@example.com"),
            groups: vec![group],
        };
        (login, user)
    };
    let administrator = |number: usize| user(format!("admin-{number}"), "admins".to_owned());
    let auditors = (0..AUDITED).map(|number| user(format!("auditor-{number}"), format!("audit-{number}")));
    let viewers = VIEWERS.map(|rank| user(subject(rank), "staff".to_owned()));
    [administrator(0)]
        .into_iter()
        .chain(auditors)
        .chain((1..ADMINISTRATORS).map(administrator))
        .chain(viewers)
        .collect()
}

async fn serve(parts: &Parts, database: &Database) -> anyhow::Result<(String, Child)> {
    let port = ports::free()?;
    let url = format!("http://127.0.0.1:{port}");
    let (room, log) = parts.room("console")?;
    let config = configure(&room, port, &url, database, parts.identity.issuer())?;
    let launch = Launch::new("console", &binaries().await?.console, log)
        .args(["serve", "--config"])
        .arg(config);
    let console = launch.start()?;
    let connects = async || {
        let connected = TcpStream::connect(("127.0.0.1", port)).await;
        connected.map(drop).map_err(|error| error.to_string())
    };
    console.ready(START, connects).await?;
    Ok((url, console))
}

/// As users have it: nothing is set that has a default.
fn configure(room: &Path, port: u16, url: &str, database: &Database, issuer: &str) -> anyhow::Result<PathBuf> {
    let tables = json!({ "url": database.url, "database": database.name, "user": database.user });
    let auditor =
        |number: usize| json!({ "groups": [format!("audit-{number}")], "tenants": [format!("tenant-{number}")] });
    let config = json!({
        "listen": format!("127.0.0.1:{port}"),
        "public_url": url,
        "clickhouse": tables,
        "access_log": tables,
        "issuer": { "url": issuer, "client_id": "measure", "audience": AUDIENCE },
        "roles": {
            "administrator": "admins",
            "viewer": "staff",
            "auditor": (0..AUDITED).map(auditor).collect::<Vec<_>>(),
        },
    });
    let path = room.join("console.toml");
    fs::write(&path, toml::to_string(&config)?)?;
    Ok(path)
}

/// Sessions of the archive, always the same: who has many is drawn often.
async fn draw(database: &Database) -> anyhow::Result<Vec<Drawn>> {
    let statement = "SELECT [subject, principal_email, principal_name][1 + cityHash64(session_id, 'user') % 3] AS user, \
        toString(target) AS target, names[1 + cityHash64(session_id, 'tool') % length(names)] AS tool, \
        toUnixTimestamp64Milli(toDateTime64(toStartOfDay(session_start, 'UTC'), 3, 'UTC')) AS day \
        FROM sessions_v WHERE (session_start, session_id) IN \
        (SELECT session_start, session_id FROM sessions ORDER BY cityHash64(session_id) LIMIT 500) \
        AND notEmpty(names) ORDER BY cityHash64(session_id)";
    let drawn: Vec<Drawn> = table::query(database, statement).await?;
    anyhow::ensure!(drawn.len() > 100, "only {} sessions have used a tool", drawn.len());
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn twenty_people_sign_in() {
        let logins: BTreeMap<String, User> = logins().into_iter().collect();
        assert_eq!(logins.len(), PEOPLE_ASKING);
    }
}
