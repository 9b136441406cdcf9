use super::Validator;

fn finds(validator: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let validator = Validator::named(validator).expect("the test names a validator");
    validator.refine(text, 0..text.len(), |span| found.push(text[span].to_owned()));
    found
}

#[test]
fn every_window_of_groups_is_tried_for_a_card() {
    assert_eq!(finds("card", "1234 4111 1111 1111 1111 99"), ["4111 1111 1111 1111"]);
    assert_eq!(
        finds("card", "4111111111111111 5500005555555559"),
        ["4111111111111111", "5500005555555559"]
    );
}

#[test]
fn cards_have_the_lengths_of_their_issuers() {
    for card in [
        "4222222222222",
        "371449635398431",
        "38520000023237",
        "6200000000000005",
        "2223003122003222",
        "6759649826438453",
    ] {
        assert_eq!(finds("card", card), [card]);
    }
    for id in [
        "422222222222",
        "411111111111111",
        "37144963539843",
        "0000000000000000",
        "1234567812345670",
    ] {
        assert!(finds("card", id).is_empty(), "{id}");
    }
}

#[test]
fn every_social_security_number_that_can_exist_is_accepted_and_no_other() {
    for (text, issued) in [
        ("001-01-0001", true),
        ("899-99-9999", true),
        ("665-01-0001", true),
        ("734-02-0003", true),
    ] {
        assert_eq!(!finds("us-ssn", text).is_empty(), issued, "{text}");
    }
    for text in [
        "000-01-0001",
        "666-01-0001",
        "900-01-0001",
        "999-99-9999",
        "123-00-0001",
        "123-01-0000",
    ] {
        assert!(finds("us-ssn", text).is_empty(), "{text}");
    }
}

#[test]
fn placeholders_are_not_secrets() {
    for text in [
        "<token>",
        "${TOKEN}",
        "$TOKEN",
        "{{ token }}",
        "****",
        "Bearer <access token>",
        "...",
        "xxxx",
    ] {
        assert!(finds("filled", text).is_empty(), "{text}");
    }
    for text in ["$2b$12$abc", "<b3>", "Bearer abc", "xxy", "$token"] {
        assert_eq!(finds("filled", text), [text]);
    }
}
