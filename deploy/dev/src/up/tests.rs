use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    up: Arguments,
}

fn options(arguments: &[&str]) -> StackOptions {
    let all = ["tapedeck-dev"].iter().chain(arguments);
    let parsed = CommandLine::try_parse_from(all).expect("a good command line");
    parsed.up.options().expect("options")
}

fn refused(arguments: &[&str]) -> String {
    let all = ["tapedeck-dev"].iter().chain(arguments);
    CommandLine::try_parse_from(all)
        .expect_err("a bad command line")
        .to_string()
}

#[test]
fn by_default_everything_is_started_and_only_the_stacks_engineers_may_come() {
    let options = options(&[]);
    assert!(matches!(options.broker, BrokerSource::Choose));
    assert!(options.clickhouse.is_none() && options.issuer.is_none() && options.target.is_none());
    assert_eq!(options.allow_groups, Some(vec![GROUP.to_owned()]));
}

#[test]
fn what_is_given_is_used_as_it_is() {
    let all = [
        "--kafka",
        "kafka-1:9092,kafka-2:9092",
        "--clickhouse",
        "https://reader:secret@db.example:8443",
        "--issuer",
        "https://login.example/realms/main",
        "--audience",
        "tapedeck",
        "--groups-claim",
        "realm_access.roles",
        "--target",
        "https://mcp.example/mcp",
    ];
    let options = options(&all);
    assert!(matches!(options.broker, BrokerSource::Given(brokers) if brokers == "kafka-1:9092,kafka-2:9092"));
    let clickhouse = options.clickhouse.expect("ClickHouse");
    assert_eq!(
        (clickhouse.username(), clickhouse.password()),
        ("reader", Some("secret"))
    );
    let issuer = options.issuer.expect("the issuer");
    // Byte for byte: no slash is added, as a parsed URL would have it.
    assert_eq!(issuer.url, "https://login.example/realms/main");
    assert_eq!(issuer.audiences, ["tapedeck"]);
    assert_eq!(issuer.groups_claim.as_deref(), Some("realm_access.roles"));
    let target = options.target.expect("the target");
    assert_eq!(target.url, "https://mcp.example/mcp");
    assert_eq!(target.allow_groups, ["*"], "the issuer says who may come");
}

#[test]
fn a_target_that_is_given_is_for_the_stacks_engineers_where_the_issuer_is_the_stacks() {
    let target = options(&["--target", "http://127.0.0.1:3001/mcp"]).target;
    assert_eq!(target.expect("the target").allow_groups, [GROUP]);
}

#[test]
fn arguments_that_do_not_go_together_are_refused() {
    assert!(refused(&["--issuer", "https://login.example"]).contains("--audience"));
    assert!(refused(&["--audience", "tapedeck"]).contains("--issuer"));
    assert!(refused(&["--groups-claim", "roles"]).contains("--issuer"));
    assert!(refused(&["--kafka", "a:1", "--broker", "apache"]).contains("cannot be used with"));
    assert!(refused(&["--clickhouse", "no url"]).contains("--clickhouse"));
}
