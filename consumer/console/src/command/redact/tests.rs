use std::fs;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;
use tapedeck_redact::{Config, Content, Context, Redactor};

use super::{What, explain, head, run};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    what: What,
}

/// What the command prints, and whether it ends well.
fn printed(arguments: &[&str]) -> (String, bool) {
    let line = Line::try_parse_from([&["redact"], arguments].concat()).expect("a right command line");
    let mut out = Vec::new();
    let code = run(&line.what, &mut out).expect("it runs");
    // Exit codes have no equality.
    let is_success = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
    (String::from_utf8(out).expect("it is text"), is_success)
}

#[test]
fn an_explanation_has_line_finding_rule_and_replacement() {
    let redactor = Redactor::new(Config::default()).expect("the built-in packs are sound");
    let text = b"first\nmail bob@example.com now\n";
    let context = Context {
        content: Content::Text,
        ..Context::default()
    };
    let marks = redactor.marks(text, &context).expect("it is not dropped");
    let mut out = Vec::new();
    explain(text, &marks, false, &mut out).expect("memory takes it");
    let shown = String::from_utf8(out).expect("it is text");
    assert!(shown.starts_with("2: mail bob@example.com now\n    email: "), "{shown}");
    assert!(shown.ends_with("→ ‹redacted:email›\n"), "{shown}");
    let mut out = Vec::new();
    explain(text, &marks, true, &mut out).expect("memory takes it");
    let coloured = String::from_utf8(out).expect("it is text");
    assert!(
        coloured.contains("mail \x1b[31mbob@example.com\x1b[0m now"),
        "{coloured}"
    );
}

#[test]
fn what_is_shown_cannot_move_the_cursor() {
    assert!(!head(b"a\x1b[2Jb", 10).contains('\x1b'));
}

#[test]
fn a_consumers_packs_policies_and_keys_do_what_they_do_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("it is written");
        path.display().to_string()
    };
    write("secret", "thirty-two bytes of a secret, and more");
    write(
        "mine.toml",
        "[[rule]]\nid = \"badge\"\nclass = \"personal\"\ndescription = \"A badge.\"\nkeywords = [\"badge\"]\ncontext = 20\n\
         pattern = '\\b[0-9]{5}\\b'\nmasks = [[\"badge 12345\", \"badge ‹redacted:badge›\"]]\nkeeps = [\"12345\"]\n",
    );
    let config = write(
        "consumer.toml",
        "source = \"main\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[redaction]\npacks = [\"mine.toml\"]\n\
         [[redaction.key]]\nid = \"2026a\"\nsecret = { file = \"secret\" }\n\
         [[redaction.policy]]\ntenants = [\"acme\"]\ntargets = [\"crm\"]\ntools = [\"write\"]\ndisable = [\"email\"]\npartial = [\"card\"]\n",
    );
    let text = write("text", "badge 12345, card 4111111111111111, mail bob@example.com");
    let (plain, ended_well) = printed(&[&text]);
    assert!(ended_well);
    assert_eq!(plain, "badge 12345, card ‹redacted:card›, mail ‹redacted:email›");
    let (usual, _) = printed(&["--config", &config, "--tenant", "acme", &text]);
    assert!(
        usual.contains("badge ‹badge:2026a:") && usual.contains("mail ‹email:2026a:"),
        "{usual}"
    );
    let (other, _) = printed(&["--config", &config, "--tenant", "other", &text]);
    assert_ne!(usual, other, "tenants have tokens of their own");
    let there = [
        "--config", &config, "--tenant", "acme", "--target", "crm", "--tool", "write", &text,
    ];
    let (there, _) = printed(&there);
    assert!(
        there.contains("card ‹card:****1111›") && there.ends_with("mail bob@example.com"),
        "{there}"
    );
    let (findings, _) = printed(&["--json", "--config", &config, &text]);
    let rules: Vec<String> = findings
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON")["rule"].to_string())
        .collect();
    assert_eq!(rules, ["\"badge\"", "\"card\"", "\"email\""]);
}

#[test]
fn a_consumer_that_has_redaction_switched_off_leaves_all_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let [config, text] = ["consumer.toml", "text"].map(|name| folder.path().join(name).display().to_string());
    fs::write(&config, "[redaction]\nenabled = false\n").expect("it is written");
    fs::write(&text, "mail bob@example.com").expect("it is written");
    let (out, ended_well) = printed(&["--config", &config, &text]);
    assert_eq!((out.as_str(), ended_well), ("mail bob@example.com", true));
    let (findings, ended_well) = printed(&["--config", &config, "--json", &text]);
    assert_eq!((findings.as_str(), ended_well), ("", true));
}

#[test]
fn a_configuration_with_mistakes_is_refused_with_all_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("consumer.toml");
    fs::write(&config, "[redaction]\ncolour = 1\n[[redaction.key]]\nid = \"A\"\n").expect("it is written");
    let config = config.display().to_string();
    let line = Line::try_parse_from(["redact", "--config", &config]).expect("a right command line");
    let error = run(&line.what, &mut Vec::new())
        .expect_err("the file is wrong")
        .to_string();
    for mistake in ["colour", "redaction.key[0].secret"] {
        assert!(error.contains(mistake), "{mistake} is not in:\n{error}");
    }
}

#[test]
fn a_file_of_any_size_is_filtered_and_what_is_no_text_is_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let large = folder.path().join("large");
    let line = "mail bob@example.com, and a line that goes on for a while without anything in it\n";
    let lines = (20 << 20) / line.len();
    fs::write(&large, line.repeat(lines)).expect("it is written");
    let (out, ended_well) = printed(&[&large.display().to_string()]);
    assert!(ended_well);
    assert!(out == line.replace("bob@example.com", "‹redacted:email›").repeat(lines));
    let broken = folder.path().join("broken");
    fs::write(&broken, b"\xff\xfe\x00").expect("it is written");
    let (out, ended_well) = printed(&[&broken.display().to_string()]);
    assert_eq!((out.as_str(), ended_well), ("", false));
}
