//! Generated frames with nothing to hide, of what is taken for something else most easily. Numbers of 12 to 19 digits that begin like
//! a card's are not among them: of those, one in ten has a card's check digit, and is one, for all that anybody can see.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tapedeck_redact::{Context, Outcome, Redactor};

use crate::canaries::dice::Dice;

/// Frames of each kind.
const FRAMES: usize = 2_000;
/// The same frames every time.
const SEED: u64 = 13;

const HEX: &str = "0123456789abcdef";
const WORDS: [&str; 36] = [
    "the", "record", "of", "every", "call", "is", "complete", "and", "in", "order", "tool", "result", "issue",
    "branch", "merged", "closed", "review", "with", "changes", "for", "release", "by", "team", "after", "tests",
    "passed", "on", "main", "deploys", "user", "token", "key", "secret", "password", "session", "card",
];

/// What a frame is about, and how one is made.
type Kind = (&'static str, fn(&mut Dice) -> Value);

const KINDS: [Kind; 5] = [
    ("UUIDs, commit hashes, digests", hashes),
    ("timestamps, counters, coordinates, versions", numbers),
    ("pictures and other bytes in base64", bytes),
    ("code, changes, settings", code),
    ("logs and prose", prose),
];

/// Each kind with how many frames it has and how many of them were changed, and how many were changed in all.
pub(super) fn score(redactor: &Redactor, reports: &mut Vec<String>) -> (Vec<(&'static str, usize, usize)>, usize) {
    let mut dice = Dice::new(SEED);
    let mut kinds = Vec::new();
    for (kind, make) in KINDS {
        let mut changed = 0;
        for id in 0..FRAMES {
            let frame = frame(id, &make(&mut dice), &mut dice);
            let redacted = redactor.redact(frame.as_bytes(), &Context::default());
            if redacted.outcome() != Outcome::Unchanged {
                changed += 1;
                reports.push(format!("{kind}: {:?} in {frame}", redacted.findings()));
            }
        }
        kinds.push((kind, FRAMES, changed));
    }
    let changed = kinds.iter().map(|(_, _, changed)| changed).sum();
    (kinds, changed)
}

/// An answer with that content; structured content comes as text, too.
fn frame(id: usize, content: &Value, dice: &mut Dice) -> String {
    let meta = json!({ "traceparent": format!("00-{}-{}-01", dice.text(HEX, 32), dice.text(HEX, 16)) });
    let result = match content {
        Value::String(text) => json!({"content": [{"type": "text", "text": text}], "_meta": meta}),
        Value::Object(object) if object.contains_key("type") => json!({"content": [content], "_meta": meta}),
        _ => json!({
            "content": [{"type": "text", "text": content.to_string()}], "structuredContent": content, "_meta": meta,
        }),
    };
    json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()
}

fn hashes(dice: &mut Dice) -> Value {
    let lines = (0..8).map(|_| match dice.below(6) {
        0 => format!("{}  {}.tar.gz", dice.text(HEX, 64), word(dice)),
        1 => format!("commit {}\ntree {}", dice.text(HEX, 40), dice.text(HEX, 40)),
        2 => format!("registry.example.com/{}@sha256:{}", word(dice), dice.text(HEX, 64)),
        3 => format!("\"integrity\": \"sha512-{}\"", STANDARD.encode(random(dice, 64))),
        4 => format!(
            "{} {} {}",
            uuid(dice),
            uuid(dice).to_uppercase(),
            uuid(dice).replace('-', "")
        ),
        _ => format!("ETag: W/\"{}\"  md5={}", dice.text(HEX, 32), dice.text(HEX, 32)),
    });
    let lines: Vec<_> = lines.collect();
    if dice.below(2) == 0 {
        return json!(lines.join("\n"));
    }
    let rows: Vec<_> = (0..5)
        .map(|_| {
            json!({
                "id": uuid(dice), "sha": dice.text(HEX, 40), "node_id": STANDARD.encode(random(dice, 18)),
                "digest": format!("sha256:{}", dice.text(HEX, 64)), "short": dice.text(HEX, 7),
                "cursor": URL_SAFE_NO_PAD.encode(random(dice, 24)), "ulid": dice.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26),
            })
        })
        .collect();
    json!({ "rows": rows })
}

fn numbers(dice: &mut Dice) -> Value {
    let rows: Vec<_> = (0..6)
        .map(|row| {
            let millis = 1_600_000_000_000 + dice.below(200_000_000_000) as u64;
            let degrees = |dice: &mut Dice, most: usize| dice.below(most * 2_000_000) as f64 / 1e6 - most as f64;
            json!({
                "row": row, "created": time(dice), "date": time(dice)[..10], "seconds": millis / 1000, "ms": millis,
                "ns": millis * 1_000_000 + dice.below(1_000_000) as u64, "id": dice.below(1 << 36),
                "snowflake": (millis - 1_288_834_974_657) << 22 | dice.below(1 << 22) as u64, "size": dice.below(1 << 36),
                "ratio": dice.below(1 << 50) as f64 / 7e14, "position": [degrees(dice, 90), degrees(dice, 180)],
                "version": format!("{}.{}.{}", dice.below(20), dice.below(40), dice.below(400)),
                "build": format!("{}.{}", time(dice).replace(['-', ':', 'T', 'Z', '.'], ""), dice.below(1000)),
                "range": format!("{}-{}/{}", dice.below(1 << 20), dice.below(1 << 21), dice.below(1 << 30)),
            })
        })
        .collect();
    json!({ "rows": rows })
}

fn bytes(dice: &mut Dice) -> Value {
    let mut made = match dice.below(4) {
        0 => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x06\0\0\0".to_vec(),
        1 => b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec(),
        2 => b"RIFF\x24\x08\0\0WEBPVP8 ".to_vec(),
        _ => b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(),
    };
    let length = 1_000 + dice.below(1_000);
    made.extend(random(dice, length));
    let data = STANDARD.encode(&made);
    match dice.below(4) {
        0 => json!({"type": "image", "mimeType": "image/png", "data": data}),
        1 => json!(format!("![{}](data:image/png;base64,{data})", word(dice))),
        2 => json!({"type": "resource", "resource": {"uri": format!("file:///{}.bin", word(dice)), "blob": data}}),
        _ => json!(format!(
            "<img alt=\"{}\" src=\"data:image/jpeg;base64,{data}\">",
            word(dice)
        )),
    }
}

fn code(dice: &mut Dice) -> Value {
    let (a, b, c) = (word(dice), word(dice), word(dice));
    let (hash, number) = (dice.text(HEX, 64), dice.below(1 << 32));
    json!(match dice.below(8) {
        0 => format!(
            "def {a}_{b}(token, password):\n    if not token:\n        raise ValueError(\"no {c}\")\n    return hmac.new(key, b\"{a}\").hexdigest() == \"{hash}\"\n"
        ),
        1 => format!(
            "const {a} = await fetch(`${{base}}/{b}/${{id}}?page=${{page}}`, {{ headers: {{ Authorization: `Bearer ${{token}}` }} }});\nexport const {c}Id = '{}';\n",
            uuid(dice)
        ),
        2 => format!(
            "+++ b/src/{a}/{b}.rs\n@@ -{},7 +{},9 @@ fn {c}()\n-    let mask = 0x{hash:.16};\n+    let mask = {number}_u64;\nindex {hash:.10}..{hash:.9} 100644\n",
            number % 900,
            number % 901
        ),
        3 => format!(
            "services:\n  {a}:\n    image: registry.example.com/{b}/{c}@sha256:{hash}\n    environment:\n      PASSWORD: ${{DB_PASSWORD}}\n      TOKEN_FILE: /run/secrets/{a}\n    ports: [\"127.0.0.1:{}:80\"]\n",
            number % 60_000
        ),
        4 => format!(
            "[[package]]\nname = \"{a}-{b}\"\nversion = \"{}.{}.{}\"\nchecksum = \"{hash}\"\ndependencies = [\n \"{c}\",\n]\n",
            dice.below(3),
            dice.below(40),
            dice.below(99)
        ),
        5 => format!(
            "impl {a}::Password for {b} {{\n    fn secret(&self) -> SecretString {{ self.{c}_secret.clone() }}\n    // see https://docs.example.com/{a}/{b}#{c}-token\n}}\nconst API_KEY_HEADER: &str = \"x-api-key\";\n"
        ),
        6 => format!(
            "SELECT u.id, u.password_hash IS NOT NULL AS has_password FROM users u JOIN tokens t ON t.user_id = u.id\nWHERE t.expires_at > '{}' AND u.{a} = $1 AND u.{b}_id IN ({number}, {});\n",
            time(dice),
            number / 3
        ),
        _ => format!(
            "export AWS_REGION=eu-central-1\nexport {}_TOKEN=\"$(cat /run/secrets/{b})\"\ncurl -sS -H \"Authorization: Bearer $TOKEN\" -o {c}.json https://api.example.com/v1/{a}/{}\n",
            a.to_uppercase(),
            uuid(dice)
        ),
    })
}

fn prose(dice: &mut Dice) -> Value {
    let lines: Vec<_> = (0..8)
        .map(|_| match dice.below(5) {
            0 => format!(
                "{} INFO {}[{}]: {} took {}.{:03} s, {} of {} bytes",
                time(dice), word(dice), dice.below(1 << 22), sentence(dice, 5), dice.below(900), dice.below(1000),
                dice.below(1 << 30), dice.below(1 << 30)
            ),
            1 => format!(
                "10.{}.{}.{} - - [{}] \"GET /{}/{} HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{}.0.{}.{} Safari/537.36\"",
                dice.below(256), dice.below(256), dice.below(256), time(dice), word(dice), dice.below(1 << 34),
                dice.below(1 << 20), 100 + dice.below(50), 4_000 + dice.below(5_000), dice.below(300)
            ),
            2 => format!(
                "Build {} of {} was {}: see https://ci.example.com/{}/runs/{}?attempt={}#step-{}",
                dice.below(100_000), dice.text(HEX, 40), sentence(dice, 3), word(dice), dice.below(1 << 34),
                dice.below(4), dice.below(40)
            ),
            3 => format!("PR #{}: {} ({}..{})", dice.below(90_000), sentence(dice, 9), dice.text(HEX, 8), dice.text(HEX, 8)),
            _ => format!("{}.", sentence(dice, 20)),
        })
        .collect();
    json!(lines.join("\n"))
}

fn word(dice: &mut Dice) -> String {
    (*dice.one(&WORDS)).to_owned()
}

fn sentence(dice: &mut Dice, words: usize) -> String {
    (0..words).map(|_| *dice.one(&WORDS)).collect::<Vec<_>>().join(" ")
}

fn random(dice: &mut Dice, length: usize) -> Vec<u8> {
    (0..length).map(|_| dice.below(256) as u8).collect()
}

fn uuid(dice: &mut Dice) -> String {
    let hex = dice.text(HEX, 32);
    let variant = dice.text("89ab", 1);
    format!(
        "{}-{}-{}{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        1 + dice.below(8),
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

fn time(dice: &mut Dice) -> String {
    let (month, day, hour) = (1 + dice.below(12), 1 + dice.below(28), dice.below(24));
    let (minute, second, milli) = (dice.below(60), dice.below(60), dice.below(1000));
    format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}
