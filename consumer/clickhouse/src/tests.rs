use std::net::TcpListener;

use super::*;

fn config(text: &str) -> ClickHouse {
    let text = format!("[clickhouse]\n{text}");
    let read = tapedeck_config::read_text("test.toml", &text, |root| {
        ClickHouse::read(&root.required_section("clickhouse", "where it is")?)
    });
    read.expect("a right configuration")
}

fn endpoints(text: &str) -> Endpoints {
    Endpoints::new(&config(text)).expect("endpoints")
}

#[test]
fn who_has_left_an_endpoint_first_has_left_it_for_all() {
    let endpoints = endpoints("url = [\"http://a:1\", \"http://b:1\", \"http://c:1/path/\"]");
    let other = endpoints.with(|client| client.with_setting("readonly", "2"));
    assert_eq!(other.after(1).collect::<Vec<_>>(), [2, 0]);
    assert!(other.leave(0, 1));
    // Whoever was there as well, and comes to know it later, does not leave the next one.
    assert!(!endpoints.leave(0, 1));
    assert_eq!((endpoints.current(), other.current()), (1, 1));
    assert!(!endpoints.leave(1, 3), "there is no such endpoint");
    assert_eq!(format!("{endpoints:?}"), "[http://a:1, http://b:1, http://c:1]");
}

#[tokio::test]
async fn who_is_not_there_has_been_sent_nothing_and_the_reason_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let endpoints = endpoints(&format!("url = \"http://{address}\""));
    let refused = endpoints.client().query("SELECT 1").execute().await;
    let refused = refused.expect_err("nobody is there");
    assert!(is_unsent(&refused) && !is_distrust(&refused));
    assert!(causes(&refused).contains("refused"), "{}", causes(&refused));
}

#[tokio::test]
async fn who_accepts_and_says_nothing_is_waited_for_no_longer_than_is_configured() {
    // Accepts by the system's own hand, and nobody reads.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    let root = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(&ca, root.cert.pem()).expect("written");
    let endpoints = endpoints(&format!(
        "url = \"https://{address}\"\nca_file = \"{}\"\nconnect_timeout = \"100ms\"",
        ca.display()
    ));
    let error = endpoints.client().query("SELECT 1").execute().await;
    let error = error.expect_err("no TLS");
    assert!(causes(&error).contains("within 100 ms"), "{}", causes(&error));
    assert!(is_unsent(&error));
}

#[test]
fn roots_that_are_none_are_refused_with_the_keys_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |name: &str, content: Option<&str>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).expect("written");
        }
        let config = config(&format!("url = \"https://a:1\"\nca_file = \"{}\"", path.display()));
        Endpoints::new(&config).expect_err("no roots").to_string()
    };
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for said in [
        refused("absent", None),
        refused("empty", Some("")),
        refused("broken", Some(broken)),
    ] {
        assert!(said.starts_with("clickhouse.ca_file"), "{said}");
    }
}
