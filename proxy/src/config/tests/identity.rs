//! What may be said of who asks: issuers, certificates, bound tokens.

use rcgen::generate_simple_self_signed;

use super::{MINIMAL, read};
use crate::config::{Dpop, GroupsFrom, Introspected};

#[test]
fn every_way_to_bind_a_token_and_to_ask_about_it_has_its_rules() {
    let with = |top: &str, of_issuer: &str| {
        let text =
            format!("{top}\n{MINIMAL}").replace("audience = \"mcp\"", &format!("audience = \"mcp\"\n{of_issuer}"));
        read(&text, &[("SECRET", "hunter2")])
    };
    let plain = with("", "").expect("it is right");
    assert_eq!(plain.dpop, Dpop::Accepted);
    assert!(!plain.client_cert_header && !plain.sees_certificates());
    let asked = "[issuer.introspection]\nclient_id = \"proxy\"\nclient_secret = { env = \"SECRET\" }\n";
    let config = with(
        "dpop = \"required\"\ntrusted_proxies = [\"10.0.0.0/8\"]\nclient_cert_header = true",
        &format!("groups_from = \"userinfo\"\n{asked}"),
    );
    let config = config.expect("it is right");
    assert!(config.sees_certificates());
    assert_eq!(
        (config.dpop, config.issuers[0].groups_from),
        (Dpop::Required, GroupsFrom::Userinfo)
    );
    let introspection = config.issuers[0].introspection.as_ref().expect("it is there");
    assert_eq!(
        (introspection.tokens, introspection.keep.as_secs()),
        (Introspected::Opaque, 30)
    );
    assert!(!format!("{config:?}").contains("hunter2"));

    let second = format!("{asked}[[issuer]]\nurl = \"https://b.example\"\naudience = \"mcp\"\n{asked}");
    for (top, of_issuer, mistake) in [
        ("dpop = \"on\"", "", "`dpop`: \"on\" must be"),
        ("client_cert_header = true", "", "of no use without `trusted_proxies`"),
        ("proxy_protocol = true", "", "of no use without `trusted_proxies`"),
        (
            "client_address_header = \"Forwarded\"",
            "",
            "of no use without `trusted_proxies`",
        ),
        ("", "groups_from = \"ldap\"", "\"ldap\" must be"),
        ("", "[issuer.introspection]", "issuer[0].introspection.client_secret"),
        ("", &second, "a second issuer would be shown"),
        ("", &format!("{asked}keep = \"1h\""), "from 1 s to 5 minutes"),
        ("", &format!("{asked}tokens = \"none\""), "\"none\" must be"),
        (
            "",
            &format!("{asked}endpoint = \"http://login.example/\""),
            "only https will do",
        ),
        ("", &asked.replace("SECRET", "ABSENT"), "ABSENT"),
    ] {
        let report = with(top, of_issuer).expect_err(mistake).to_string();
        assert!(report.contains(mistake), "{mistake} is not in:\n{report}");
        assert!(!report.contains("hunter"), "{report}");
    }
    assert!(with("", &second.replacen("client_id", "tokens = \"jwt\"\nclient_id", 1)).is_ok());
}

#[test]
fn a_token_for_one_target_is_for_no_other_unless_that_says_so() {
    let text = MINIMAL.replace(
        "audience = \"mcp\"",
        "audience = [\"mcp\", \"special\", \"https://mcp.example/demo/mcp\"]",
    );
    let more = "[[target]]\nname = \"two\"\nurl = \"http://127.0.0.1:2/mcp\"\nallow_groups = [\"*\"]\n";
    let config = read(
        &format!("{text}{more}{}audience = \"special\"\n", more.replace("two", "three")),
        &[],
    );
    let config = config.expect("it is right");
    let accepts = |name: &str| {
        let target = config.target(name).expect("named so");
        [
            "mcp",
            "special",
            "https://mcp.example/demo/mcp",
            "https://mcp.example/two/mcp",
        ]
        .map(|audience| target.audience.accepts(audience))
    };
    assert_eq!(accepts("demo"), [true, true, true, false]);
    assert_eq!(accepts("two"), [true, true, false, true]);
    assert_eq!(accepts("three"), [false, true, false, false]);
    let report = read(&format!("{MINIMAL}audience = \"unknown\"\n"), &[])
        .expect_err("wrong")
        .to_string();
    assert!(report.contains("\"unknown\" is in no issuer's `audience`"), "{report}");
}

#[test]
fn certificates_of_clients_need_a_root_and_a_word_on_who_must_have_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = generate_simple_self_signed(vec!["a.example".to_owned()]).expect("made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("certificate"), made.cert.pem()).expect("written");
    std::fs::write(path("key"), made.signing_key.serialize_pem()).expect("written");
    let with = |more: &str| {
        let (certificate, key) = (path("certificate"), path("key"));
        read(
            &format!("{MINIMAL}[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n{more}"),
            &[],
        )
    };
    let ca = format!("client_ca = {:?}\n", path("certificate"));
    for (certificates, optional) in [("", true), ("optional", true), ("required", false)] {
        let more = match certificates {
            "" => ca.clone(),
            word => format!("{ca}client_certificates = {word:?}"),
        };
        let config = with(&more).expect("it is right");
        assert!(config.sees_certificates());
        let clients = config.tls.and_then(|tls| tls.clients).expect("asked for");
        assert_eq!((clients.optional, clients.roots.len()), (optional, 1));
    }
    assert!(!with("").expect("it is right").sees_certificates());
    for (more, mistake) in [
        (
            "client_certificates = \"required\"",
            "of no use without `tls.client_ca`",
        ),
        ("client_ca = \"no-such.pem\"", "no-such.pem"),
        (&format!("{ca}client_certificates = \"asked\""), "\"asked\" must be"),
    ] {
        let report = with(more).expect_err(mistake).to_string();
        assert!(report.contains(mistake), "{mistake} is not in:\n{report}");
    }
}
