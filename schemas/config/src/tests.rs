//! The promises of this crate, on whole files.

use std::{collections::HashMap, io::Write, net::SocketAddr, time::Duration};

use secrecy::ExposeSecret;
use url::Url;

use crate::{
    ByteSize, ClickHouse, Environment, Errors, Kafka, OneOrMany, SecretSource, Section, read, read_text, read_text_with,
};

#[derive(Debug)]
struct Everything {
    listen: SocketAddr,
    patience: Duration,
    size: ByteSize,
    names: Vec<String>,
}

fn everything(root: &Section<'_>) -> Option<Everything> {
    let listen = root.field("listen").required("the address to serve on");
    let patience = root.field("patience").or(Duration::from_secs(30));
    let size = root.field("size").or(ByteSize::mib(1));
    let names = root.field::<OneOrMany<String>>("names").required("whom to greet");
    let url = root.field::<Url>("url");
    if url.is_present() && root.field::<bool>("offline").or(false) {
        root.reader().problem(
            url.span(),
            "`url` is of no use when `offline` is true; remove one of them",
        );
    }
    Some(Everything {
        listen: listen?,
        patience,
        size,
        names: names?.0,
    })
}

fn given(variables: &[(&str, &str)]) -> Environment {
    Environment::Given(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )
}

fn kafka(text: &str, variables: &[(&str, &str)]) -> Result<Kafka, Errors> {
    read_text_with("kafka.toml", text, given(variables), |root| {
        Kafka::read(&root.required_section("kafka", "where the brokers are")?)
    })
}

#[test]
fn a_right_file_is_read_with_its_units() {
    let text = "listen = \"127.0.0.1:80\"\npatience = \"1m 500ms\"\nsize = \"16MiB\"\nnames = \"alice\"\n";
    let read = read_text("a.toml", text, everything).expect("the file is right");
    assert_eq!(read.listen, "127.0.0.1:80".parse().expect("an address"));
    assert_eq!(read.patience, Duration::from_millis(60_500));
    assert_eq!(read.size, ByteSize::mib(16));
    assert_eq!(read.names, ["alice"]);
}

#[test]
fn mistakes_of_every_kind_are_reported_together_each_at_its_place() {
    let text = "\
patience = 30
size = \"16\"
names = [\"alice\", 7, \"bob\", false]
url = \"ftp://files.example\"
offline = true
lissten = \"127.0.0.1:80\"
";
    let errors = read_text("b.toml", text, everything).expect_err("the file is wrong");
    let expected = "\
b.toml:1:1: missing key `listen`: the address to serve on
b.toml:1:12: `patience` is an integer, but must be a duration with its unit, such as \"30s\", \"500ms\" or \"7d\"
b.toml:2:8: `size`: \"16\" is not a size with its unit, such as \"16MiB\" or \"512KiB\": the unit is missing
b.toml:3:19: `names[1]` is an integer, but must be a string
b.toml:3:29: `names[3]` is a boolean, but must be a string
b.toml:4:7: `url`: \"ftp://files.example\" is not an http or https URL: the scheme is ftp
b.toml:4:7: `url` is of no use when `offline` is true; remove one of them
b.toml:6:1: unknown key `lissten`; did you mean `listen`?";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn an_unknown_key_that_resembles_nothing_lists_what_is_known() {
    let errors =
        read_text("c.toml", "listen = \"[::1]:1\"\nnames = \"a\"\nqqq = 1\n", everything).expect_err("unknown");
    let expected = "c.toml:3:1: unknown key `qqq`; known here: listen, names, patience, size, url";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn text_that_is_not_toml_is_reported_in_every_place_and_nothing_else_is() {
    let errors = read_text("d.toml", "listen = \nnames = [\"a\"\nurl = = 3\n", everything).expect_err("not TOML");
    assert!(errors.len() >= 2, "{errors}");
    assert!(
        errors.to_string().lines().all(|line| line.contains(": not TOML: ")),
        "{errors}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = std::path::Path::new("no-such-folder/service.toml");
    let errors = read(missing, everything).expect_err("there is no such file");
    assert!(
        errors
            .to_string()
            .starts_with("no-such-folder/service.toml: the configuration file cannot be read")
    );
}

#[test]
fn several_tables_are_read_each_with_its_own_mistakes() {
    let text = "[[target]]\nname = \"a\"\n\n[[target]]\nnome = \"b\"\n";
    let errors = read_text("e.toml", text, |root| {
        let names: Vec<Option<String>> = root
            .sections("target")
            .iter()
            .map(|target| target.field("name").required("how clients call it"))
            .collect();
        names.into_iter().collect::<Option<Vec<_>>>()
    })
    .expect_err("the second has no name");
    let expected = "\
e.toml:4:1: missing key `target[1].name`: how clients call it
e.toml:5:1: unknown key `target[1].nome`; did you mean `name`?";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn paths_start_at_the_file_and_a_secret_loses_one_newline() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("password"), "pass word\r\n").expect("written");
    let config = folder.path().join("service.toml");
    let mut file = std::fs::File::create(&config).expect("created");
    writeln!(
        file,
        "[clickhouse]\nurl = \"http://127.0.0.1:8123\"\npassword_file = \"password\""
    )
    .expect("written");
    let read = read(&config, |root| {
        ClickHouse::read(&root.required_section("clickhouse", "where it is")?)
    });
    let clickhouse = read.expect("the file is right");
    assert_eq!(
        clickhouse.password.as_ref().expect("a password").expose_secret(),
        "pass word"
    );
    assert_eq!(
        (clickhouse.database.as_str(), clickhouse.user.as_str()),
        ("tapedeck", "default")
    );
    assert!(
        !format!("{clickhouse:?}").contains("pass word"),
        "Debug shows no secret"
    );
}

#[test]
fn clickhouse_may_have_several_interfaces_and_times_that_fit_each_other() {
    let read = |keys: &str| {
        read_text("f.toml", &format!("[clickhouse]\n{keys}\n"), |root| {
            ClickHouse::read(&root.required_section("clickhouse", "where it is")?)
        })
    };
    let several = read("url = [\"https://a:1\", \"http://b:1\"]\nca_file = \"ca.pem\"\nconnect_timeout = \"1s\"");
    let several = several.expect("the file is right");
    assert_eq!(
        several.urls().map(Url::as_str).collect::<Vec<_>>(),
        ["https://a:1/", "http://b:1/"]
    );
    assert_eq!(
        (several.connect_timeout, several.request_timeout),
        (Duration::from_secs(1), Duration::from_secs(60))
    );
    for (keys, said) in [
        ("url = []", "is an empty array"),
        ("url = [\"http://a:1\", \"http://a:1/\"]", "http://a:1/ is there twice"),
        ("url = \"http://a:1\"\nca_file = \"ca.pem\"", "every `url` is http"),
        ("url = \"http://a:1\"\nconnect_timeout = \"1ms\"", "from 100ms to 60s"),
        ("url = \"http://a:1\"\nrequest_timeout = \"1h\"", "from 1s to 10m"),
        (
            "url = \"http://a:1\"\nrequest_timeout = \"5s\"",
            "longer than `connect_timeout`",
        ),
    ] {
        let errors = read(keys).expect_err("the file is wrong").to_string();
        assert!(errors.contains(said), "{said} is not in {errors}");
    }
}

#[test]
fn each_way_a_secret_can_be_missing_has_its_own_word() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("empty"), "\n").expect("written");
    std::fs::write(path("binary"), [0xff, 0xfe]).expect("written");
    std::fs::write(path("huge"), vec![b'x'; 65_537]).expect("written");
    let none = given(&[("EMPTY", "")]);
    let word = |source: SecretSource| source.text(&none).expect_err("no secret").to_string();
    assert_eq!(
        word(SecretSource::Env("ABSENT".into())),
        "the environment variable ABSENT is not set"
    );
    assert_eq!(
        word(SecretSource::Env("EMPTY".into())),
        "the environment variable EMPTY is empty"
    );
    assert!(word(SecretSource::File(path("empty"))).ends_with("empty is empty"));
    assert!(word(SecretSource::File(path("binary"))).ends_with("is not UTF-8 text"));
    assert!(word(SecretSource::File(path("huge"))).ends_with("is larger than 64 KiB; is it the right file?"));
    assert!(word(SecretSource::File(path("absent"))).contains("cannot be read"));
    assert!(
        SecretSource::File(path("binary")).bytes(&none).is_ok(),
        "bytes need not be text"
    );
}

#[test]
fn a_secret_written_where_its_source_belongs_is_not_repeated() {
    let wrong = [
        "secret = \"hunter2\"",
        "secret = { env = \"hunter2!\" }",
        "secret = { env = 7, file = \"x\" }",
    ];
    for text in wrong {
        let errors = read_text("f.toml", text, |root| {
            root.field::<SecretSource>("secret").required("a secret")
        });
        let errors = errors.expect_err("it is wrong").to_string();
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn kafka_has_brokers_topics_and_options_in_both_spellings() {
    let text = "
[kafka]
brokers = \"one:9092, [::1]:9093\"
topic_prefix = \"acme.mcp\"
[kafka.options]
security.protocol = \"SASL_SSL\"
\"sasl.mechanism\" = \"PLAIN\"
sasl.username = { env = \"USER_NAME\" }
\"sasl.password\" = { env = \"PASSWORD\" }
socket.timeout.ms = 20_000
socket.keepalive.enable = true
ssl.key.password = \"in the file\"
";
    let kafka = kafka(text, &[("USER_NAME", "recorder"), ("PASSWORD", "hunter2")]).expect("the file is right");
    assert_eq!(kafka.brokers, ["one:9092", "[::1]:9093"]);
    assert_eq!(kafka.topics.frames(), "acme.mcp.frames.v1");
    assert_eq!(kafka.topics.deadletter(), "acme.mcp.deadletter.v1");
    let config = kafka.client_config();
    let expected = HashMap::from([
        ("bootstrap.servers", "one:9092,[::1]:9093"),
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "recorder"),
        ("sasl.password", "hunter2"),
        ("socket.timeout.ms", "20000"),
        ("socket.keepalive.enable", "true"),
        ("ssl.key.password", "in the file"),
    ]);
    assert_eq!(config.config_map().len(), expected.len());
    for (name, value) in expected {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
    let debug = format!("{kafka:?}");
    assert!(!debug.contains("hunter2") && !debug.contains("in the file"), "{debug}");
}

#[test]
fn options_that_carry_the_promise_or_that_librdkafka_refuses_are_reported() {
    let text = "
[kafka]
brokers = [\"one\"]
topic_prefix = \"a b\"
options.acks = 1
options.\"enable.idempotence\" = false
options.\"auto.offset.reset\" = \"latest\"
options.\"sokcet.timeout.ms\" = 1
options.\"compression.codec\" = \"tar\"
options.\"sasl.pasword\" = { env = \"PASSWORD\" }
options.\"sasl.password\" = { env = \"ABSENT\" }
options.debug = []
";
    let errors = kafka(text, &[("PASSWORD", "hunter2")])
        .expect_err("the file is wrong")
        .to_string();
    let expected = [
        "kafka.toml:3:11: `kafka.brokers`: \"one\" is not a broker's host:port",
        "kafka.toml:4:16: `kafka.topic_prefix`: a topic's name has letters",
        "kafka.toml:5:16: `kafka.options.acks` cannot be set: a frame counts as recorded only when",
        "kafka.toml:6:32: `kafka.options.enable.idempotence` cannot be set: frames must reach the log once",
        "kafka.toml:7:31: `kafka.options.auto.offset.reset` cannot be set: an offset that is gone",
        "kafka.toml:8:31: `kafka.options.sokcet.timeout.ms`: librdkafka refuses it: No such configuration property",
        "kafka.toml:9:31: `kafka.options.compression.codec`: librdkafka refuses it: Invalid value",
        "kafka.toml:10:26: `kafka.options.sasl.pasword`: librdkafka refuses this name or its value",
        "kafka.toml:11:27: `kafka.options.sasl.password`: the environment variable ABSENT is not set",
        "kafka.toml:12:17: `kafka.options.debug` is an array, but must be a string, a decimal number",
    ];
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n  should start\n{expected}");
    }
}
