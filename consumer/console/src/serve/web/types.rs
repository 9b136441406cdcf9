//! The pages' types are those of the API's description, and hold: `web/src/api/types.ts` is made of it by a test here.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

use crate::serve::openapi;

/// With this variable set, the test writes the file instead of comparing it.
const WRITE: &str = "TAPEDECK_WRITE_TYPES";

#[test]
fn the_pages_know_the_types_of_the_api() {
    let description: Value = serde_json::from_str(&openapi()).expect("it is JSON");
    let made = types(&description);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/src/api/types.ts");
    if env::var_os(WRITE).is_some() {
        fs::write(&path, &made).expect("the file can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "types.ts is not what the API describes: run this test with {WRITE}=1 and look at the difference"
    );
}

#[test]
fn the_pages_are_typed_throughout() {
    let site = Path::new(env!("OUT_DIR")).join("web/site");
    let checked = Command::new("npm")
        .args(["run", "--silent", "types"])
        .current_dir(&site)
        .output();
    let checked = checked.expect("npm runs: Node.js 20.19 or newer with npm is needed");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// Every schema as a TypeScript interface, in the order of their names.
fn types(description: &Value) -> String {
    let mut made = format!(
        "// Made of the API's description. To make it again: {WRITE}=1 cargo test -p tapedeck --lib the_pages_know\n\n\
         /** One page of a list. */\nexport interface Page<T> {{\n  items: T[];\n  /** The cursor of the next page; none on the last. */\n  \
         next: string | null;\n}}\n"
    );
    let schemas = description["components"]["schemas"].as_object();
    for (name, schema) in schemas.expect("there are schemas") {
        // Pages of all kinds are one type.
        if name.starts_with("Page_") {
            continue;
        }
        made.push('\n');
        comment(&mut made, "", &schema["description"]);
        match schema["properties"].as_object() {
            None => {
                let _ = writeln!(made, "export type {name} = {};", kind(schema));
            }
            Some(properties) => {
                let _ = writeln!(made, "export interface {name} {{");
                for (property, schema) in properties {
                    comment(&mut made, "  ", &schema["description"]);
                    let _ = writeln!(made, "  {property}: {};", kind(schema));
                }
                made.push_str("}\n");
            }
        }
    }
    made
}

fn comment(made: &mut String, indent: &str, text: &Value) {
    if let Some(text) = text.as_str() {
        let _ = writeln!(made, "{indent}/** {} */", text.replace('\n', " ").replace("*/", "* /"));
    }
}

/// A schema as a TypeScript type. What this project's schemas do not use is not known here.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or(name).to_owned();
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    if let Some(either) = schema["oneOf"].as_array() {
        return either.iter().map(kind).collect::<Vec<_>>().join(" | ");
    }
    match &schema["type"] {
        Value::Array(names) => {
            let kinds = names
                .iter()
                .map(|name| named(name.as_str().unwrap_or_default(), schema));
            kinds.collect::<Vec<_>>().join(" | ")
        }
        name => named(name.as_str().unwrap_or_default(), schema),
    }
}

fn named(name: &str, schema: &Value) -> String {
    match name {
        "string" => "string".to_owned(),
        "integer" | "number" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        "null" => "null".to_owned(),
        "array" => match kind(&schema["items"]) {
            item if item.contains('|') => format!("({item})[]"),
            item => format!("{item}[]"),
        },
        "object" => "Record<string, unknown>".to_owned(),
        "" => "unknown".to_owned(),
        _ => panic!("no type for {schema}"),
    }
}
