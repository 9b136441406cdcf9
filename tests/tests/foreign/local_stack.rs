//! `cargo dev` with parts that run already.

use std::process::Stdio;

use anyhow::Result;
use tapedeck_dev::binaries::binaries;
use tapedeck_tests::{AUDIENCE, parts, run};
use tokio::process::Command;

use crate::servers::memory;

async fn dev(arguments: &[&str], token: &str) -> Result<(Option<i32>, String)> {
    let output = Command::new(&binaries().await?.dev)
        .args(arguments)
        .env("TAPEDECK_DEV_TOKEN", token)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn it_records_a_session_between_a_broker_a_database_an_issuer_and_a_server_that_were_given() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let server = memory(parts).await?;
        let token = parts.token("alice").await?;
        let (broker, clickhouse) = (parts.broker.bootstrap(), parts.clickhouse.url());
        let given = [
            "--kafka",
            &broker,
            "--clickhouse",
            &clickhouse,
            "--issuer",
            parts.identity.issuer(),
            "--audience",
            AUDIENCE,
            "--target",
            server.url(),
        ];
        let (code, said) = dev(&[&["--exit"], &given[..]].concat(), token.as_str()).await?;
        assert_eq!(code, Some(0), "{said}");
        for expected in ["alice@example.com → target", "response tools/list", "complete"] {
            assert!(said.contains(expected), "{expected} is not in:\n{said}");
        }
        assert!(!said.contains(token.as_str()), "the token is shown");

        let mut nobody = given;
        let silent = "http://127.0.0.1:9/mcp";
        nobody[9] = silent;
        let (code, said) = dev(&[&["--exit"], &nobody[..]].concat(), token.as_str()).await?;
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(&format!("the MCP server at {silent} does not answer")),
            "{said}"
        );
        Ok(())
    })
}
