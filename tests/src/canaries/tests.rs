//! What the canary test rests on, without the parts that it takes.

use std::collections::HashSet;

use serde_json::Value;
use tapedeck_redact::{Config, Content, Context, Outcome, Pack, Redactor, TokenKey};

use super::dice::Dice;
use super::forms::{Form, needles};
use super::messages;
use super::plan::{Canary, Place, Planner};
use super::search::Search;
use super::secret::Secret;

/// Rules for what is too short to be searched for: six digits stand in times and offsets by chance.
const WITHOUT: [&str; 1] = ["phone-of-three-pairs"];

fn planner() -> Planner {
    Planner::new(7).expect("canaries can be made for every rule")
}

#[test]
fn every_rule_of_every_pack_has_a_canary() {
    #[derive(serde::Deserialize)]
    struct Rules {
        rule: Vec<Rule>,
    }
    #[derive(serde::Deserialize)]
    struct Rule {
        id: String,
    }
    let planner = planner();
    let with_canaries = planner.rules();
    for pack in Pack::built_in() {
        let rules: Rules = toml::from_str(&pack.toml).expect("a pack is TOML");
        for rule in rules.rule {
            let has_some = with_canaries.contains(rule.id.as_str());
            assert_ne!(
                has_some,
                WITHOUT.contains(&rule.id.as_str()),
                "{} of {}",
                rule.id,
                pack.name
            );
        }
    }
}

#[test]
fn no_canary_is_made_twice_and_all_places_and_forms_have_some() {
    let canaries = planner().canaries(10_000);
    let windows: HashSet<&str> = canaries.iter().map(|canary| canary.secret.window()).collect();
    assert_eq!(windows.len(), canaries.len());
    for place in Place::ALL {
        assert!(canaries.iter().any(|canary| canary.place == place), "{place:?}");
    }
    for form in Form::OF_TEXTS
        .into_iter()
        .chain(Form::OF_NUMBERS)
        .chain(Form::OF_MEMBERS)
    {
        assert!(canaries.iter().any(|canary| canary.form == form), "{form:?}");
    }
}

#[test]
fn whatever_is_written_has_a_needle_in_it_and_is_json() {
    for canary in planner().canaries(5_000) {
        let source = canary.source();
        assert!(serde_json::from_str::<Value>(&source).is_ok(), "{canary}");
        let nested = serde_json::to_string(&source).expect("a string is JSON");
        let text = canary.text();
        for written in [&source, &nested, &text] {
            let has = needles(&canary.secret)
                .iter()
                .any(|needle| written.as_bytes().windows(needle.len()).any(|window| window == needle));
            assert!(has || written.is_empty(), "{canary}");
        }
    }
}

#[test]
fn what_is_looked_for_is_found_in_every_phase_of_base64() {
    let secret = Secret::text("key ", "ghp_0123456789abcdefghijABCDEFGHIJ012345", ".");
    for form in [Form::Base64(0), Form::Base64(1), Form::Base64(2), Form::Base64Url(1)] {
        let written = form.write(&secret);
        let found = needles(&secret).iter().any(|needle| {
            let needle = String::from_utf8_lossy(needle);
            written.contains(&*needle)
        });
        assert!(found, "{written}");
    }
}

/// The whole test without the parts: what the engine by itself leaves of every message.
#[test]
fn no_canary_is_left_by_the_engine_in_any_message() {
    let key = TokenKey::new("canary", &[7; 32], Vec::new()).expect("it is long enough");
    let redactor = Redactor::new(Config {
        keys: vec![key],
        ..Config::default()
    })
    .expect("the built-in packs are sound");
    let canaries = planner().canaries(20_000);
    let mut leaks = Vec::new();
    for place in Place::ALL {
        let there: Vec<Canary> = canaries
            .iter()
            .filter(|canary| canary.place == place)
            .cloned()
            .collect();
        let search = Search::new(&there).expect("there are not too many");
        let mut found = search.nothing();
        for exchange in messages::exchanges(&there, &mut Dice::new(1)) {
            search.look(
                &left_of(&redactor, exchange.request.as_bytes(), Content::Json),
                &mut found,
            );
            if let Some(agent) = &exchange.user_agent {
                search.look(&left_of(&redactor, agent.as_bytes(), Content::Text), &mut found);
            }
            let body = String::from_utf8(exchange.reply.body()).expect("messages are UTF-8");
            match exchange.reply.content_type {
                "text/event-stream" => {
                    for event in body.split("\n\n").filter(|event| !event.is_empty()) {
                        for (field, text) in fields(event) {
                            let content = if field == "data" { Content::Json } else { Content::Text };
                            search.look(&left_of(&redactor, text.as_bytes(), content), &mut found);
                        }
                    }
                }
                kind if kind.starts_with("text/") => {
                    search.look(&left_of(&redactor, body.as_bytes(), Content::Text), &mut found);
                }
                _ => search.look(&left_of(&redactor, body.as_bytes(), Content::Json), &mut found),
            }
        }
        leaks.extend(found.numbers().map(|number| there[number].to_string()));
    }
    assert!(leaks.is_empty(), "{} are left:\n{}", leaks.len(), leaks.join("\n"));
}

fn left_of(redactor: &Redactor, body: &[u8], content: Content) -> Vec<u8> {
    let context = Context {
        content,
        ..Context::default()
    };
    let redacted = redactor.redact(body, &context);
    let is_dropped = matches!(redacted.outcome(), Outcome::Dropped(_));
    assert!(!is_dropped, "{redacted:?}: {}", String::from_utf8_lossy(body));
    redacted.body().unwrap_or_default().to_vec()
}

/// The fields of an event: its data in one piece, the others each for itself.
fn fields(event: &str) -> Vec<(&str, String)> {
    let (data, others): (Vec<&str>, Vec<&str>) = event.lines().partition(|line| line.starts_with("data:"));
    let data: Vec<&str> = data
        .iter()
        .map(|line| line["data:".len()..].trim_start_matches(' '))
        .collect();
    let others = others.into_iter().map(|line| ("other", line.to_owned()));
    others.chain([("data", data.join("\n"))]).collect()
}
