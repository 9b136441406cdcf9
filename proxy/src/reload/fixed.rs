//! What cannot change while the proxy runs.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::{Config, Record};

/// What a configuration would change that only a restart can: one sentence each, at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fixed(Vec<String>);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Which targets are spooled, of all that there ever were in this process: a session key's frames go one way, or their order
/// would be lost.
#[derive(Clone, Debug)]
pub(super) struct Modes(BTreeMap<String, bool>);

impl Modes {
    pub(super) fn of(config: &Config) -> Self {
        let targets = config.targets.iter();
        Self(
            targets
                .map(|target| (target.name.clone(), target.record == Record::Spooled))
                .collect(),
        )
    }

    /// The names of those that are.
    pub(super) fn spooled(&self) -> impl Iterator<Item = &str> {
        let spooled = self.0.iter().filter(|(_, is_spooled)| **is_spooled);
        spooled.map(|(name, _)| name.as_str())
    }
}

/// The modes of all targets, those of `after` included.
pub(super) fn check(before: &Config, after: &Config, modes: &Modes) -> Result<Modes, Fixed> {
    let mut wrong = Vec::new();
    let mut unless = |is_same: bool, what: &str| {
        if !is_same {
            wrong.push(format!("{what} cannot change without a restart"));
        }
    };
    unless(before.listen == after.listen, "`listen`");
    unless(before.admin_listen == after.admin_listen, "`admin_listen`");
    unless(before.schema_registry == after.schema_registry, "[schema_registry]");
    unless(before.kafka == after.kafka, "[kafka], with the secrets that it names,");
    unless(before.spool == after.spool, "[spool]");
    unless(before.traces == after.traces, "[telemetry]");
    let mut all = modes.clone();
    for (name, is_spooled) in Modes::of(after).0 {
        if *all.0.entry(name.clone()).or_insert(is_spooled) != is_spooled {
            wrong.push(format!(
                "target {name}: `record` cannot become \"spooled\", or cease to be, without a restart"
            ));
        }
    }
    match wrong.is_empty() {
        true => Ok(all),
        false => Err(Fixed(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tapedeck_config::Environment;

    use super::*;

    fn config(top: &str, kafka: &str, record: &str) -> Config {
        let text = format!(
            "listen = \"127.0.0.1:0\"\npublic_url = \"https://mcp.example\"\n{top}\n[kafka]\nbrokers = \"127.0.0.1:9092\"\n{kafka}\n\
             [spool]\ndir = \"spool\"\n[[issuer]]\nurl = \"https://login.example\"\naudience = \"mcp\"\n\
             [[target]]\nname = \"demo\"\nurl = \"http://127.0.0.1:1/mcp\"\nallow_groups = [\"*\"]\nrecord = \"{record}\"\n"
        );
        let variables = HashMap::from([
            ("ONE".to_owned(), "hunter1".to_owned()),
            ("TWO".to_owned(), "hunter2".to_owned()),
        ]);
        Config::from_text("proxy.toml", &text, Environment::Given(variables)).expect("it is right")
    }

    fn refused(before: &Config, after: &Config) -> String {
        match check(before, after, &Modes::of(before)) {
            Ok(_) => String::new(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn addresses_kafka_and_the_spool_stay_and_the_rest_may_change() {
        let before = config("", "", "required");
        assert_eq!(
            refused(&before, &config("allowed_hosts = [\"lb\"]", "", "best_effort")),
            ""
        );
        let after = config("admin_listen = \"127.0.0.1:1\"", "topic_prefix = \"other\"", "spooled");
        let why = refused(&before, &after);
        for word in ["`admin_listen`", "[kafka]", "target demo"] {
            assert!(why.contains(word), "{word} is not in:\n{why}");
        }
        assert_eq!(why.lines().count(), 3, "{why}");
    }

    #[test]
    fn a_secret_of_kafkas_that_has_changed_is_refused_and_not_shown() {
        let with = |name: &str| {
            config(
                "",
                &format!("options.sasl.password = {{ env = \"{name}\" }}"),
                "required",
            )
        };
        assert_eq!(refused(&with("ONE"), &with("ONE")), "");
        let why = refused(&with("ONE"), &with("TWO"));
        assert!(why.contains("[kafka]") && !why.contains("hunter"), "{why}");
    }

    #[test]
    fn a_target_that_comes_back_is_spooled_or_not_as_it_was() {
        let (spooled, required) = (config("", "", "spooled"), config("", "", "required"));
        let mut without = config("", "", "required");
        without.targets.clear();
        let modes = check(&spooled, &without, &Modes::of(&spooled)).expect("a target may go");
        assert_eq!(modes.spooled().collect::<Vec<_>>(), ["demo"]);
        assert!(check(&without, &required, &modes).is_err());
        assert!(check(&without, &spooled, &modes).is_ok());
    }
}
