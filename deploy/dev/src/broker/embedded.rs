//! Tansu: a Kafka broker in one program, with its log in SQLite.

use super::{BrokerError, Plan};
use crate::fetch::{self, Optimized};
use crate::folder::Site;
use crate::process::Launch;

const VERSION: &str = "0.6.0";

pub(super) async fn prepare(plan: &Plan, site: Site<'_>) -> Result<Launch, BrokerError> {
    let program = fetch::program(
        site.folder,
        "tansu",
        VERSION,
        "libsql",
        Optimized::JustEnough,
        site.progress,
    )
    .await?
    .join("bin/tansu");
    let room = site.run.room("tansu")?;
    let address = format!("tcp://127.0.0.1:{}", plan.port);
    let launch = Launch::new("Tansu", program, site.run.log(&room))
        // The storage URL's path is taken relative to the working directory, even if it begins with a slash.
        .current_dir(&room)
        .args([
            "broker",
            "--storage-engine",
            "sqlite://log.db",
            "--kafka-cluster-id",
            &plan.cluster,
        ])
        .args([
            "--kafka-listener-url",
            &address,
            "--kafka-advertised-listener-url",
            &address,
        ]);
    Ok(launch)
}
