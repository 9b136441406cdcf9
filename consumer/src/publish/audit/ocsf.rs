//! Holds an event against OCSF's own schema, `schemas/ocsf`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};
use tapedeck_schemas::AuditEvent;
use tapedeck_schemas::wire::encode_audit_json;

/// The parts of the schema, each read once.
struct Schema {
    dictionary: Value,
    class: Definition,
    category: Value,
    objects: BTreeMap<String, Definition>,
    forms: BTreeMap<String, Regex>,
}

/// A class or an object with all that it inherits.
#[derive(Clone, Default)]
struct Definition {
    attributes: BTreeMap<String, Attribute>,
    at_least_one: Vec<Value>,
}

#[derive(Clone, Default)]
struct Attribute {
    /// What the definition says of it, over what the dictionary does.
    says: Map<String, Value>,
    /// It is there only with one of these; none: always.
    profiles: Vec<String>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::read);

/// The event, as JSON has it, is one of OCSF's.
pub(super) fn assert_valid(event: &AuditEvent) {
    let event: Value = serde_json::from_slice(&encode_audit_json(event)).expect("JSON");
    let wrong = SCHEMA.judge(&event);
    assert!(wrong.is_empty(), "{wrong:#?}\nin {event:#}");
}

fn json(path: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/ocsf/1.8.0");
    let text = std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

impl Definition {
    /// A definition on top of what it extends.
    fn read(folder: &str, name: &str) -> Self {
        let own = json(&format!("{folder}/{name}.json"));
        let mut read = match own["extends"].as_str() {
            Some(base) => Self::read(folder, base),
            None => Self::default(),
        };
        let attributes = own["attributes"].as_object().expect("attributes");
        for include in attributes
            .get("$include")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let profile = json(include.as_str().expect("a path"));
            let name = profile["name"].as_str().expect("a name").to_owned();
            for (attribute, says) in profile["attributes"].as_object().expect("attributes") {
                let entry = read.attributes.entry(attribute.clone()).or_default();
                entry.profiles.push(name.clone());
                entry.add(says);
            }
        }
        for (attribute, says) in attributes.iter().filter(|(name, _)| !name.starts_with('$')) {
            let entry = read.attributes.entry(attribute.clone()).or_default();
            match says.get("profile") {
                Some(Value::String(profile)) => entry.profiles.push(profile.clone()),
                // The class has it in any case.
                Some(Value::Null) => entry.profiles.clear(),
                _ => {}
            }
            entry.add(says);
        }
        if let Some(one) = own["constraints"]["at_least_one"].as_array() {
            read.at_least_one = one.clone();
        }
        read
    }
}

impl Attribute {
    /// A definition's words over those of what it extends; its enumeration beside theirs.
    fn add(&mut self, says: &Value) {
        for (key, value) in says.as_object().expect("an attribute") {
            match (self.says.get_mut(key), value) {
                (Some(Value::Object(before)), Value::Object(more)) => before.extend(more.clone()),
                _ => drop(self.says.insert(key.clone(), value.clone())),
            }
        }
    }
}

impl Schema {
    fn read() -> Self {
        let dictionary = json("dictionary.json");
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/ocsf/1.8.0/objects");
        let names = std::fs::read_dir(folder).expect("objects").map(|entry| {
            let path = entry.expect("an entry").path();
            path.file_stem().expect("a name").to_str().expect("ASCII").to_owned()
        });
        let forms = dictionary["types"]["attributes"].as_object().expect("types").iter();
        let forms = forms.filter_map(|(name, kind)| {
            let form = Regex::new(kind["regex"].as_str()?).expect("an expression");
            Some((name.clone(), form))
        });
        Self {
            class: Definition::read("events", "api_activity"),
            category: json("categories.json")["attributes"]["application"]["uid"].clone(),
            objects: names
                .map(|name| (name.clone(), Definition::read("objects", &name)))
                .collect(),
            forms: forms.collect(),
            dictionary,
        }
    }

    fn judge(&self, event: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let profiles = event["metadata"]["profiles"].as_array().cloned().unwrap_or_default();
        self.judge_object("", event, &self.class, &profiles, &mut wrong);
        let number = |name: &str| event[name].as_i64().unwrap_or(-1);
        let class = self.category.as_i64().expect("a number") * 1000
            + json("events/api_activity.json")["uid"].as_i64().expect("a number");
        if number("class_uid") != class || number("type_uid") != class * 100 + number("activity_id") {
            wrong.push("class_uid and type_uid do not fit".to_owned());
        }
        if event["category_uid"] != self.category {
            wrong.push("category_uid does not fit".to_owned());
        }
        if event["metadata"]["version"] != json("version.json")["version"] {
            wrong.push("metadata.version is another".to_owned());
        }
        wrong
    }

    fn judge_object(
        &self,
        at: &str,
        value: &Value,
        definition: &Definition,
        profiles: &[Value],
        wrong: &mut Vec<String>,
    ) {
        let Some(members) = value.as_object() else {
            return wrong.push(format!("{at} is no object"));
        };
        let is_active = |attribute: &Attribute| {
            attribute.profiles.is_empty()
                || profiles
                    .iter()
                    .any(|active| attribute.profiles.iter().any(|one| active == one))
        };
        for (name, value) in members {
            let at = format!("{at}.{name}");
            match definition.attributes.get(name) {
                None => wrong.push(format!("{at} is not in the schema")),
                Some(attribute) if !is_active(attribute) => {
                    wrong.push(format!("{at} is of the profiles {:?}", attribute.profiles));
                }
                Some(attribute) => self.judge_attribute(&at, value, name, attribute, profiles, wrong),
            }
        }
        for (name, attribute) in &definition.attributes {
            let is_required = attribute.says.get("requirement").is_some_and(|word| word == "required");
            if is_required && is_active(attribute) && !members.contains_key(name) {
                wrong.push(format!("{at}.{name} is required"));
            }
        }
        let one = &definition.at_least_one;
        if !one.is_empty()
            && !one
                .iter()
                .any(|name| members.contains_key(name.as_str().expect("a name")))
        {
            wrong.push(format!("{at} has none of {one:?}"));
        }
    }

    fn judge_attribute(
        &self,
        at: &str,
        value: &Value,
        name: &str,
        attribute: &Attribute,
        profiles: &[Value],
        wrong: &mut Vec<String>,
    ) {
        let entry = &self.dictionary["attributes"][name];
        let says = |key: &str| attribute.says.get(key).unwrap_or(&entry[key]);
        if !says("@deprecated").is_null() {
            wrong.push(format!("{at} is deprecated"));
        }
        let kind = says("type").as_str().expect("a type");
        if says("is_array").as_bool() == Some(true) {
            let Some(items) = value.as_array() else {
                return wrong.push(format!("{at} is no list"));
            };
            for item in items {
                self.judge_value(at, item, kind, profiles, wrong);
            }
            return;
        }
        self.judge_value(at, value, kind, profiles, wrong);
        let mut known = entry["enum"].as_object().cloned().unwrap_or_default();
        known.extend(
            attribute
                .says
                .get("enum")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        );
        // Of these the schema computes the one that fits.
        let is_computed = matches!(name, "category_uid" | "class_uid" | "type_uid");
        let key = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !known.is_empty() && !is_computed && !known.contains_key(&key) {
            wrong.push(format!("{at} is {value}, which its enumeration does not have"));
        }
    }

    fn judge_value(&self, at: &str, value: &Value, kind: &str, profiles: &[Value], wrong: &mut Vec<String>) {
        let scalar = &self.dictionary["types"]["attributes"][kind];
        if scalar.is_null() {
            // Whatever members an `object` has are its own.
            return match self.objects.get(kind) {
                Some(_) if kind == "object" => {}
                Some(definition) => self.judge_object(at, value, definition, profiles, wrong),
                None => wrong.push(format!("{at}: the object {kind} is not among the files")),
            };
        }
        let fits = match scalar["type"].as_str().unwrap_or(kind) {
            "boolean_t" => value.is_boolean(),
            "integer_t" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "long_t" => value.is_i64(),
            "float_t" => value.is_f64(),
            "string_t" => value.is_string(),
            "json_t" => true,
            other => panic!("{other} is a type that no event had so far"),
        };
        let text = value.as_str().unwrap_or_default();
        let has_form = self.forms.get(kind).is_none_or(|form| form.is_match(text));
        let is_short = scalar["max_len"].as_u64().is_none_or(|most| text.len() as u64 <= most);
        if !(fits && has_form && is_short) {
            wrong.push(format!("{at} is {value}, which is no {kind}"));
        }
    }
}

#[test]
fn what_is_no_event_of_ocsfs_is_found() {
    let event = serde_json::json!({
        "activity_id": 98, "category_uid": 6, "class_uid": 6003, "type_uid": 600_398, "severity_id": 1, "time": "now",
        "metadata": { "version": "1.8.0", "product": { "name": "tapedeck" } },
        "actor": {}, "src_endpoint": { "ip": "somewhere" }, "message_context": { "uid": "1" }, "colour": "red",
    });
    let wrong = SCHEMA.judge(&event).join("\n");
    for expected in [
        ".activity_id is 98",
        ".time is \"now\"",
        ".actor has none of",
        ".src_endpoint.ip is",
        ".message_context is of the profiles",
        ".colour is not in the schema",
        ".api is required",
    ] {
        assert!(wrong.contains(expected), "{expected} is not in:\n{wrong}");
    }
}
