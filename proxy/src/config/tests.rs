//! The promises of the configuration, on whole files.

mod identity;

use std::{collections::HashMap, path::Path};

use ipnet::IpNet;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use secrecy::ExposeSecret;
use tapedeck_asker::address::AddressHeader;
use tapedeck_config::{Environment, Errors};

use super::{
    Allow, Config, Credential, CredentialSource, Dpop, Endpoint, Grant, GroupsFrom, Introspected, Per, Record, Target,
    Tenant,
};

const MINIMAL: &str = "
listen = \"127.0.0.1:0\"
public_url = \"https://mcp.example\"
[kafka]
brokers = \"127.0.0.1:9092\"
[[issuer]]
url = \"https://login.example\"
audience = \"mcp\"
[[target]]
name = \"demo\"
url = \"http://127.0.0.1:3001/mcp\"
allow_groups = [\"admins\"]
";

/// The target of the smallest file.
pub(crate) fn target() -> Target {
    read(MINIMAL, &[])
        .expect("the smallest file is right")
        .targets
        .remove(0)
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Errors> {
    let variables: HashMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::from_text("proxy.toml", text, Environment::Given(variables))
}

/// The secret that all users share.
fn shared(credential: &Credential) -> &str {
    match &credential.secret {
        CredentialSource::Shared { secret, .. } => secret.expose_secret(),
        other => panic!("not shared: {other:?}"),
    }
}

#[test]
fn the_smallest_file_has_sensible_defaults() {
    let config = read(MINIMAL, &[]).expect("it is right");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9464");
    assert_eq!(config.kafka.topics.frames(), "mcp.frames.v1");
    assert_eq!(config.issuers[0].groups_claim.as_str(), "groups");
    assert_eq!(config.issuers[0].tenant, Tenant::Fixed("default".to_owned()));
    assert_eq!(config.tag_keys.all().len(), 1);
    assert_eq!(
        config.warnings.len(),
        1,
        "a random key is worth a warning: {:?}",
        config.warnings
    );
    let target = config.target("demo").expect("named so");
    assert_eq!(target.resource, "https://mcp.example/demo/mcp");
    assert_eq!(target.record, Record::Required);
    assert!(!target.allow_single_copy && target.ca.is_none() && target.credential.is_none());
}

#[test]
fn a_spooled_target_needs_a_spool_that_is_not_too_small() {
    let with = |spool: &str| read(&format!("{MINIMAL}record = \"spooled\"\n{spool}"), &[]);
    let config = with("[spool]\ndir = \"here\"\n").expect("it is right");
    let spool = config.spool.expect("it is there");
    assert!(spool.dir.ends_with("here"));
    assert_eq!(spool.max_bytes, 1 << 30);
    assert_eq!(config.targets[0].record, Record::Spooled);
    for (spool, wrong) in [
        ("", "needs a section [spool]"),
        ("[spool]\n", "missing key `spool.dir`"),
        ("[spool]\ndir = \"here\"\nmax_bytes = \"1 MiB\"\n", "too little"),
    ] {
        let errors = with(spool).expect_err("it is wrong").to_string();
        assert!(errors.contains(wrong), "{errors}");
    }
}

#[test]
fn every_key_of_the_shipped_example_is_understood() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["mcp.example".to_owned()]).expect("made");
    for (name, content) in [
        ("certificate.pem", cert.pem()),
        ("key.pem", signing_key.serialize_pem()),
        ("github-ca.pem", cert.pem()),
        ("tag-key-new", "n".repeat(64)),
        ("tag-key-old", "o".repeat(64)),
        ("kafka-password", "hunter2\n".to_owned()),
        ("tickets-api-key", "hunter3\n".to_owned()),
        ("github-token", "hunter4\n".to_owned()),
        ("warehouse-client-secret", "hunter5\n".to_owned()),
        ("introspection-secret", "hunter6\n".to_owned()),
        ("client-ca.pem", cert.pem()),
    ] {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/proxy.toml");
    let text = std::fs::read_to_string(&example).expect("the example is shipped");
    // Every optional key stands in the example as a comment that starts with "#:".
    let text = text.replace("\n#: ", "\n").replace("/etc/tapedeck/", "");
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, text).expect("written");

    let config = Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.listen.port(), 8443);
    let clients = config.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    assert!(clients.is_some_and(|clients| clients.optional));
    assert!(config.client_cert_header && config.proxy_protocol);
    assert_eq!(config.client_address_header, AddressHeader::Forwarded);
    assert_eq!(config.dpop, Dpop::Accepted);
    assert_eq!(
        config.trusted_proxies,
        ["10.0.0.0/8".parse::<IpNet>().expect("a network")]
    );
    assert_eq!(config.kafka.client_config().get("sasl.password"), Some("hunter2"));
    let keys: Vec<usize> = config
        .tag_keys
        .all()
        .iter()
        .map(|key| key.expose_secret().len())
        .collect();
    assert_eq!(keys, [64, 64]);
    assert_eq!(config.issuers.len(), 2);
    assert!(matches!(config.issuers[1].tenant, Tenant::Claim(_)));
    assert_eq!(config.issuers[0].groups_from, GroupsFrom::Token);
    assert!(config.issuers[0].introspection.is_none());
    let asked = config.issuers[1].introspection.as_ref().expect("in the example");
    assert_eq!((asked.tokens, asked.keep.as_secs()), (Introspected::All, 30));
    assert_eq!(asked.secret.expose_secret(), "hunter6");
    assert_eq!(config.targets.len(), 6);
    let github = config.target("github").expect("in the example");
    let github_credential = github.credential.as_ref().expect("one");
    assert_eq!(
        (github_credential.prefix.as_str(), shared(github_credential)),
        ("Bearer ", "hunter4")
    );
    assert!(github.ca.is_some());
    let tickets = config
        .target("tickets")
        .expect("in the example")
        .credential
        .as_ref()
        .expect("one")
        .clone();
    assert_eq!(
        (tickets.header.as_str(), tickets.prefix.as_str(), shared(&tickets)),
        ("x-api-key", "", "hunter3")
    );
    assert_eq!(
        config.target("demo").expect("in the example").allow,
        Allow::Authenticated
    );
    let old = &config.target("old").expect("in the example").endpoint;
    assert!(matches!(old, Endpoint::Stream(_)));
    let Endpoint::Process(files) = &config.target("files").expect("in the example").endpoint else {
        panic!("it is a command");
    };
    assert_eq!(
        (files.per, files.memory, files.open_files),
        (Per::Session, Some(1 << 30), Some(256))
    );
    let debug = format!("{config:?}");
    assert!(
        !debug.contains("hunter") && !debug.contains("nnnn"),
        "Debug shows no secret: {debug}"
    );
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_target_is_at_a_url_or_a_command_and_limits_fit_together() {
    let text = format!(
        "{MINIMAL}
transport = \"websocket\"
args = [\"x\"]
[[target]]
name = \"both\"
url = \"http://127.0.0.1:1/mcp\"
command = \"server\"
env = [\"ABSENT\"]
per = \"group\"
credential = {{ env = \"TOKEN\" }}
allow_groups = [\"*\"]
[limits]
request_head = \"1KiB\"
request_body = \"8MiB\"
request_bodies = \"4MiB\"
head_time = \"0s\"
burst = 5
"
    );
    let report = read(&text, &[("TOKEN", "hunter2")])
        .expect_err("full of mistakes")
        .to_string();
    for mistake in [
        "transport",
        "`args`",
        "`url` and `command`",
        "ABSENT",
        ".per`",
        "`credential`",
        "request_head",
        "request_bodies",
        "head_time",
        "`limits.burst`",
    ] {
        assert!(report.contains(mistake), "{mistake} is not in:\n{report}");
    }
    assert!(!report.contains("hunter"), "{report}");
}

#[test]
fn every_mistake_is_reported_at_its_place_with_a_word_on_what_to_do() {
    let text = "\
lissten = \"0.0.0.0:8443\"
admin_listen = 9464
public_url = \"http://mcp.example\"
trusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/99\"]

[tls]
certificate = \"no-such.pem\"

[kafka]
brokers = []
options.acks = \"1\"

[sessions]
tag_keys = [{ env = \"SHORT\" }, { env = \"ABSENT\" }]

[[issuer]]
url = \"http://login.example\"
groups_claim = \"realm..roles\"
tenant = \"acme\"
tenant_claim = \"org\"

[[target]]
name = \"Demo\"
url = \"http://127.0.0.1:3001/mcp\"
allow_groups = []
record = \"spooled\"

[[target]]
name = \"two\"
url = \"http://127.0.0.1:3002/mcp\"
ca = \"no-such.pem\"
allow_groups = [\"*\", \"admins\"]
record = \"always\"
credential = { header = \"Host\", prefix = \"Bearer \", env = \"A\", file = \"b\" }

[[target]]
name = \"two\"
url = \"mcp.example\"
credential = { prefix = \"Bearer\", env = \"BREAK\" }
";
    let errors = read(text, &[("SHORT", "hunter2"), ("BREAK", "hunter2\nhunter3")]).expect_err("full of mistakes");
    let report = errors.to_string();
    assert!(!report.contains("hunter"), "no secret in a report: {report}");
    assert_eq!(report, include_str!("tests/mistakes.txt").trim_end());
}

#[test]
fn every_way_to_a_credential_is_understood() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = generate_simple_self_signed(vec!["a.example".to_owned()]).expect("made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("certificate"), made.cert.pem()).expect("written");
    std::fs::write(path("key"), made.signing_key.serialize_pem()).expect("written");
    let text = MINIMAL.replace("http://127.0.0.1:3001", "https://tools.example");
    let text = format!(
        "{text}client_certificate = {:?}\nclient_key = {:?}\n\
         credential = {{ oauth = {{ grant = \"token_exchange\", token_url = \"https://login.example/token\", \
         client_id = \"proxy\", client_secret = {{ env = \"SECRET\" }}, audience = \"tools\" }} }}\n\
         [[target]]\nname = \"own\"\nurl = \"https://own.example/mcp\"\nallow_groups = [\"*\"]\n\
         credential = {{ header = \"x-key\", users = {:?} }}\n",
        path("certificate"),
        path("key"),
        folder.path().display().to_string(),
    );
    let config = read(&text, &[("SECRET", "hunter2")]).expect("it is right");
    let demo = config.target("demo").expect("named so");
    assert!(demo.client.is_some());
    match demo.credential.as_ref().map(|one| &one.secret) {
        Some(CredentialSource::OAuth(oauth)) => {
            assert_eq!(oauth.grant, Grant::TokenExchange);
            assert_eq!(oauth.audience.as_deref(), Some("tools"));
        }
        other => panic!("{other:?}"),
    }
    let own = config.target("own").and_then(|target| target.credential.clone());
    assert!(matches!(own.map(|one| one.secret), Some(CredentialSource::PerUser(_))));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn every_mistake_in_a_credential_is_reported() {
    let oauth = "credential = { env = \"A\", oauth = { grant = \"password\", token_url = \"http://login.example/\" } }";
    let report = read(&format!("{MINIMAL}{oauth}\n"), &[])
        .expect_err("wrong")
        .to_string();
    assert!(report.contains("both `env` and `oauth`"), "{report}");
    let oauth = oauth.replace("env = \"A\", ", "");
    let client = "client_certificate = \"no-such.pem\"";
    let report = read(&format!("{MINIMAL}{oauth}\n{client}\n"), &[])
        .expect_err("wrong")
        .to_string();
    for mistake in [
        "neither \"client_credentials\" nor \"token_exchange\"",
        "only https will do",
        "credential.oauth.client_id",
        "credential.oauth.client_secret",
        "`client_certificate` is of no use",
        "no-such.pem",
        "client_key",
    ] {
        assert!(report.contains(mistake), "{mistake} is not in:\n{report}");
    }
    let users = format!("{MINIMAL}credential = {{ users = \"no-such-folder\" }}\n");
    let report = read(&users, &[]).expect_err("wrong").to_string();
    assert!(report.contains("no-such-folder cannot be read"), "{report}");
}

#[test]
fn an_empty_file_says_what_is_needed() {
    let report = read("", &[]).expect_err("nothing there").to_string();
    let expected = "\
proxy.toml:1:1: missing section [kafka]: name the brokers, for example brokers = [\"kafka-1:9092\"]
proxy.toml:1:1: missing key `listen`: where clients connect, such as \"0.0.0.0:8443\"
proxy.toml:1:1: missing key `public_url`: the URL under which clients reach the proxy, such as \"https://mcp.example.com\"
proxy.toml:1:1: no [[issuer]]: name at least one, or no client can authenticate
proxy.toml:1:1: no [[target]]: name at least one MCP server";
    assert_eq!(report, expected);
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let one = generate_simple_self_signed(vec!["a.example".to_owned()]).expect("made");
    let other = generate_simple_self_signed(vec!["a.example".to_owned()]).expect("made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("certificate"), one.cert.pem()).expect("written");
    std::fs::write(path("key"), other.signing_key.serialize_pem()).expect("written");
    let tls = format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}\n",
        path("certificate"),
        path("key")
    );
    let report = read(&format!("{MINIMAL}{tls}"), &[])
        .expect_err("they do not match")
        .to_string();
    assert!(report.contains("certificate and key do not go together"), "{report}");
}

#[test]
fn an_issuer_stands_once_and_is_kept_byte_for_byte() {
    let twice = format!("{MINIMAL}[[issuer]]\nurl = \"https://login.example\"\naudience = [\"other\"]\n");
    let report = read(&twice, &[]).expect_err("twice").to_string();
    assert!(report.contains("stands here twice"), "{report}");
    let odd = MINIMAL.replace("https://login.example", "https://LOGIN.example:443/realms/%7Emcp/");
    let config = read(&odd, &[]).expect("it is right");
    assert_eq!(config.issuers[0].url, "https://LOGIN.example:443/realms/%7Emcp/");
}

#[test]
fn a_credential_over_plain_http_to_another_machine_is_worth_a_warning() {
    let text = format!("{MINIMAL}credential = {{ env = \"TOKEN\" }}\n").replace("127.0.0.1:3001", "tools.example:3001");
    let config = read(&text, &[("TOKEN", "hunter2")]).expect("it is right");
    assert!(
        config.warnings.iter().any(|warning| warning.contains("plain http")),
        "{:?}",
        config.warnings
    );
}

#[test]
fn no_option_passes_that_the_recorder_would_refuse_at_its_start() {
    for name in crate::record::OWN_OPTIONS {
        let text = MINIMAL.replace(
            "[[issuer]]",
            &format!("[kafka.options]\n\"{name}\" = \"1\"\n[[issuer]]"),
        );
        let errors = read(&text, &[]).expect_err(name).to_string();
        assert!(errors.contains("cannot be set"), "{name}: {errors}");
    }
}
