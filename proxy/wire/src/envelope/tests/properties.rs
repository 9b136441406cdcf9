//! What holds for every message, however it is cut.

use proptest::prelude::*;

use super::*;

/// Messages that exercise the envelope, with edits that break a few of them.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        prop_oneof![
            Just("1".to_owned()),
            Just("null".to_owned()),
            Just("\"2.0\"".to_owned()),
            Just("true".to_owned()),
            Just("[]".to_owned()),
            Just(
                r#"{"name":"tool é","_meta":{"progressToken":1,"traceparent":"00-"},"uri":"\u00e9\ud834\udd1e"}"#
                    .to_owned()
            ),
            Just(r#"{"code":-32000,"isError":true}"#.to_owned()),
            Just("\"tools/call\"".to_owned()),
            Just("\"resources\\/read\"".to_owned()),
        ]
    };
    let key = prop::sample::select(vec![
        "id",
        "method",
        "params",
        "result",
        "error",
        "jsonrpc",
        "Method",
        "meth\\u006fd",
        "x",
    ]);
    let message = prop::collection::vec((key, value()), 0..4).prop_map(|members| {
        let mut json = String::from(r#"{"jsonrpc":"2.0""#);
        for (key, value) in members {
            json.push_str(&format!(r#","{key}":{value}"#));
        }
        json + "}"
    });
    let batch = prop::collection::vec(message.clone(), 0..4).prop_map(|messages| format!("[{}]", messages.join(",")));
    let edit = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (prop_oneof![3 => message, 1 => batch], edit).prop_map(|(text, edit)| {
        let mut bytes = text.into_bytes();
        if let Some((place, byte)) = edit {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_split_gives_the_same_result(message in messages(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), client in any::<bool>()) {
        let limits = Limits { name: 8, text: 6, ..if client { Limits::CLIENT } else { Limits::TARGET } };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
        cuts.extend([0, message.len()]);
        cuts.sort_unstable();
        let mut scanner = EnvelopeScanner::new(limits);
        for cut in cuts.windows(2) {
            // A failed scanner says so again at the end.
            let _ = scanner.push(&message[cut[0]..cut[1]]);
        }
        prop_assert_eq!(scanner.finish(), Envelope::scan(&message, limits));
    }

    #[test]
    fn an_envelope_says_what_a_tree_says(message in messages()) {
        let tree = serde_json::from_slice::<serde_json::Value>(&message).ok();
        match (Envelope::scan(&message, Limits::CLIENT), tree) {
            (Ok(envelope), Some(tree)) if envelope.kind != Kind::Batch => {
                prop_assert_eq!(envelope.method.as_deref(), tree["method"].as_str());
                prop_assert_eq!(envelope.id, tree.get("id").filter(|id| !id.is_null()).map(ToString::to_string));
                prop_assert_eq!(envelope.error_code, tree["error"]["code"].as_i64());
                prop_assert_eq!(envelope.is_error, tree["result"]["isError"] == true);
            }
            (Ok(envelope), Some(tree)) => prop_assert_eq!(envelope.members.len(), tree.as_array().map_or(0, Vec::len)),
            (Ok(_), None) => prop_assert!(false, "an envelope of what is not JSON"),
            (Err(error), tree) => prop_assert!(error.code() != -32700 || tree.is_none()),
        }
    }
}
