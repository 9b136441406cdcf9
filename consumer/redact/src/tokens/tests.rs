use super::{Broken, Progress, Texts, Token, Tokens, check};
use proptest::prelude::*;

fn walk(src: &str, depth: usize, texts: Texts) -> Result<Vec<Token>, Broken> {
    let mut tokens = Tokens::resume(src, Progress::new(texts), depth, true);
    let mut all = Vec::new();
    while let Some(token) = tokens.next()? {
        all.push(token);
    }
    Ok(all)
}

#[test]
fn positions_are_those_of_the_source() {
    let expected = vec![
        Token::OpenObject,
        Token::Key(2..3),
        Token::OpenArray,
        Token::Number(6..12),
        Token::Text(14..18),
        Token::Literal,
        Token::CloseArray,
        Token::CloseObject,
    ];
    assert_eq!(walk(r#"{"a":[-1.5e3,"\"no",null]}"#, 8, Texts::One), Ok(expected));
}

#[test]
fn what_follows_the_text_breaks_it() {
    for bad in [
        "",
        " ",
        "{}{}",
        "1 2",
        "{\"a\"}",
        "[1,]",
        "{\"a\":1,}",
        "[1",
        "]",
        "{]",
        "[}",
        "01",
        "-",
        "1.",
        "1e",
        "nul",
    ] {
        assert_eq!(walk(bad, 8, Texts::One), Err(Broken::Syntax), "{bad}");
    }
    for bad in [
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"a",
        "\"\\",
        "'a'",
        "{a:1}",
        "[,1]",
        "{,}",
        "+1",
        ".5",
        "\u{feff}1",
    ] {
        assert_eq!(walk(bad, 8, Texts::One), Err(Broken::Syntax), "{bad}");
    }
}

#[test]
fn json_lines_are_objects_and_arrays_only() {
    assert!(walk("{}\n[1]\n{}", 8, Texts::Lines).is_ok());
    assert_eq!(walk("[1] 4111 1111", 8, Texts::Lines), Err(Broken::Syntax));
}

#[test]
fn depth_is_counted_in_containers() {
    assert!(walk("[[1]]", 2, Texts::One).is_ok());
    assert_eq!(walk("[[[1]]]", 2, Texts::One), Err(Broken::TooDeep));
}

proptest! {
    /// Strings and runs of backslashes that cross from one block to the next.
    #[test]
    fn positions_do_not_depend_on_where_blocks_begin(
        before in 0_usize..140,
        inner in r#"(\\\\|\\"|\\u00e9|[a-z{}\[\],:]){0,80}"#,
        after in "[ \n]{0,70}",
    ) {
        let src = format!("{}[\"{inner}\"{after},-12]", " ".repeat(before));
        let start = before + 2;
        let end = start + inner.len();
        let number = end + after.len() + 2;
        prop_assert_eq!(
            walk(&src, 1, Texts::One),
            Ok(vec![Token::OpenArray, Token::Text(start..end), Token::Number(number..number + 3), Token::CloseArray])
        );
    }

    /// serde_json refuses lone surrogates and numbers beyond f64; the alphabet has neither.
    #[test]
    fn accepts_what_serde_json_accepts(src in r#"[\[\]{}",:\\/ntrue0-9eE.+ \n-]{0,24}"#) {
        prop_assert_eq!(walk(&src, 100, Texts::One).is_ok(), serde_json::from_str::<&serde_json::value::RawValue>(&src).is_ok());
    }

    /// The table and the walk are two ways to say what JSON is.
    #[test]
    fn checking_accepts_what_a_walk_accepts(
        pieces in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"a\"", "\"a\":", "1", "-2.5e3", "null", "true", "\"", "\\", " ", "{}", "[1,2]"]),
            1 => prop::sample::select(vec!["0", "e", "nul", "+", "\n", "\u{1}", "x"]),
        ], 0..24),
        lines in any::<bool>(),
    ) {
        let src = pieces.concat();
        let texts = if lines { Texts::Lines } else { Texts::One };
        let mut numbers = Vec::new();
        let checked = check(&src, 3, texts, |span| numbers.push(Token::Number(span)));
        let walked = walk(&src, 3, texts);
        prop_assert_eq!(checked, walked.clone().map(drop));
        if let Ok(tokens) = walked {
            let expected: Vec<Token> = tokens.into_iter().filter(|token| matches!(token, Token::Number(_))).collect();
            prop_assert_eq!(numbers, expected);
        }
    }

    #[test]
    fn no_text_makes_it_panic(src in ".{0,64}") {
        let _ = walk(&src, 4, Texts::Lines);
    }
}
