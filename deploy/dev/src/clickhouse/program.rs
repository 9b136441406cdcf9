//! ClickHouse as the program that is installed on the machine.

use std::fs;
use std::io;
use std::path::Path;

use super::{Plan, QUERY_LOG, users};
use crate::process::Launch;

pub(super) fn prepare(program: &Path, plan: &Plan<'_>) -> io::Result<Launch> {
    fs::write(plan.room.join("users.xml"), users(plan.login, ""))?;
    let config = plan.room.join("config.xml");
    let query_log = plan.login.map_or("", |_| QUERY_LOG);
    fs::write(&config, settings(plan.port, query_log))?;
    Ok(Launch::new("ClickHouse", program, &plan.log)
        // The settings' paths are relative to it.
        .current_dir(plan.room)
        .arg("server")
        .arg(format!("--config-file={}", config.display())))
}

fn settings(port: u16, query_log: &str) -> String {
    format!(
        "<clickhouse>
  <logger><level>information</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <path>data/</path>
  <tmp_path>data/tmp/</tmp_path>
  <user_files_path>data/user_files/</user_files_path>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
{query_log}</clickhouse>
"
    )
}
