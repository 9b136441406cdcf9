//! Chunks become what the whole becomes, wherever a body is cut: the first bytes of the input say where.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tapedeck_redact::{Config, Content, Context, Limits, Redacted, Redactor};

/// Strings are long soon, so that windows are searched too.
static REDACTOR: LazyLock<Arc<Redactor>> = LazyLock::new(|| {
    let limits = Limits {
        string: 512,
        ..Limits::default()
    };
    let config = Config {
        limits,
        ..Config::default()
    };
    Arc::new(Redactor::new(config).expect("the built-in packs are sound"))
});

fuzz_target!(|data: &[u8]| {
    let Some((cuts, body)) = data.split_first_chunk::<4>() else {
        return;
    };
    for content in [Content::Json, Content::Text] {
        let context = Context {
            content,
            ..Context::default()
        };
        let mut stream = REDACTOR.stream(&context);
        let mut back = Vec::new();
        let mut rest = body;
        for size in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, more) = rest.split_at((usize::from(*size) + 1).min(rest.len()));
            back.extend(stream.push(chunk));
            rest = more;
        }
        back.extend(stream.finish());
        let bodies: Option<Vec<&[u8]>> = back.iter().map(Redacted::body).collect();
        let whole = REDACTOR.redact(body, &context);
        assert_eq!(bodies.map(|bodies| bodies.concat()).as_deref(), whole.body());
    }
});
