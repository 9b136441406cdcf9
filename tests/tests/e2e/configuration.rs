//! A configuration file is right, or the services say all that is wrong with it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::Result;
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::folder::Folder;
use tapedeck_tests::run;

fn check(program: &Path, config: &Path) -> Result<Output> {
    Ok(Command::new(program)
        .arg("--config")
        .arg(config)
        .arg("--check")
        .output()?)
}

#[test]
fn a_bad_proxy_file_is_refused_with_every_mistake_and_exit_code_64() -> Result<()> {
    run(async {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("proxy.toml");
        let text = r#"
listen = "nowhere"
public_url = "http://mcp.example.com"
colour = "blue"
[kafka]
brokers = ["127.0.0.1:9092"]
options = { "enable.idempotence" = "false" }
[[issuer]]
url = "https://login.example.com"
[[target]]
name = "Not A Name"
url = "ftp://example.com"
record = "maybe"
credential = { env = "TAPEDECK_TEST_NO_SUCH_VARIABLE" }
"#;
        fs::write(&file, text)?;
        let output = check(&binaries().await?.proxy, &file)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        let mistakes = [
            "listen",
            "public_url",
            "colour",
            "enable.idempotence",
            "audience",
            "name",
            "url",
            "record",
            "allow_groups",
            "TAPEDECK_TEST_NO_SUCH_VARIABLE",
        ];
        for mistake in mistakes {
            assert!(said.contains(mistake), "{mistake} is not in:\n{said}");
        }
        assert!(said.contains("proxy.toml:2"), "places are named:\n{said}");
        Ok(())
    })
}

#[test]
fn a_bad_consumer_file_is_refused_with_every_mistake_and_exit_code_64() -> Result<()> {
    run(async {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("consumer.toml");
        let text = "colour = \"blue\"\n[kafka]\noptions = { \"enable.auto.commit\" = \"true\" }\n[batch]\nrows = 0\n";
        fs::write(&file, text)?;
        let output = check(&binaries().await?.consumer, &file)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        for mistake in ["colour", "brokers", "enable.auto.commit", "clickhouse", "rows"] {
            assert!(said.contains(mistake), "{mistake} is not in:\n{said}");
        }
        Ok(())
    })
}

#[test]
fn a_good_file_passes_its_check_and_nothing_is_started() -> Result<()> {
    run(async {
        let folder = tempfile::tempdir()?;
        let proxy = folder.path().join("proxy.toml");
        let text = r#"
listen = "127.0.0.1:0"
public_url = "https://mcp.example.com"
[kafka]
brokers = "127.0.0.1:1"
[[issuer]]
url = "https://login.example.com"
audience = "tapedeck"
[[target]]
name = "demo"
url = "http://127.0.0.1:1/mcp"
allow_groups = ["*"]
"#;
        fs::write(&proxy, text)?;
        let output = check(&binaries().await?.proxy, &proxy)?;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );

        let consumer = folder.path().join("consumer.toml");
        fs::write(
            &consumer,
            "[kafka]\nbrokers = \"127.0.0.1:1\"\n[clickhouse]\nurl = \"http://127.0.0.1:1\"\n",
        )?;
        let output = check(&binaries().await?.consumer, &consumer)?;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    })
}

#[test]
fn every_shipped_example_is_right_but_for_the_secrets_that_it_points_at() -> Result<()> {
    run(async {
        let examples = Folder::open()?.workspace().join("deploy/examples");
        let programs = binaries().await?;
        let mut checked = 0;
        for entry in fs::read_dir(&examples)? {
            let file = entry?.path();
            let output = match file.file_name().and_then(|name| name.to_str()) {
                Some("proxy.toml") => check(&programs.proxy, &file)?,
                Some("consumer.toml") => check(&programs.consumer, &file)?,
                Some("console.toml") => {
                    let mut serve = Command::new(&programs.console);
                    serve.args(["serve", "--check", "--config"]).arg(&file);
                    serve
                        .envs(["CLICKHOUSE_PASSWORD", "CLIENT_SECRET", "WATCHER_PASSWORD"].map(|name| (name, "secret")))
                        .env("SESSION_KEY", "a-key-of-a-test-of-thirty-two-bytes-and-more")
                        .output()?
                }
                other => panic!("which service reads {other:?}?"),
            };
            let said = String::from_utf8_lossy(&output.stderr);
            let complaints = if output.status.success() { "" } else { &*said };
            for complaint in complaints.lines() {
                let is_absent = complaint.contains("the file /etc/tapedeck/") && complaint.contains("cannot be read");
                assert!(is_absent, "{complaint}");
            }
            checked += 1;
        }
        assert_eq!(checked, 3);
        Ok(())
    })
}
