//! Retention classes: how long the rows of a tenant and target are kept.
//!
//! The loader writes a row's class on it, and the class leads the partitions of `frames` and `calls`: whole partitions
//! expire, nothing is rewritten. `migrate` makes the classes' days known to ClickHouse, as the tables' TTL.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_config::Section;

/// What is kept without a class of its own.
pub const STANDARD: &str = "standard";

/// 13 months: twelve, and time to look at the first.
const KEEP: Duration = DAY.saturating_mul(400);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A retention class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name, as rows have it.
    pub name: Arc<str>,
    /// Days after a session's start that its rows are kept.
    pub days: u32,
    /// Only these tenants; empty: any.
    pub tenants: Vec<String>,
    /// Only these targets; empty: any.
    pub targets: Vec<String>,
}

/// The classes in the order in which they are tried; the last is [`STANDARD`] and fits everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    classes: Arc<[Class]>,
}

impl Default for Retention {
    fn default() -> Self {
        Self::new(Vec::new(), KEEP)
    }
}

impl Retention {
    /// These classes, and for the rest the standard one.
    #[must_use]
    pub fn new(mut classes: Vec<Class>, standard: Duration) -> Self {
        classes.push(Class {
            name: STANDARD.into(),
            days: days(standard),
            tenants: Vec::new(),
            targets: Vec::new(),
        });
        Self {
            classes: classes.into(),
        }
    }

    /// Reads `[retention]`; what is wrong is reported there.
    #[must_use]
    pub fn read(section: Option<&Section<'_>>) -> Self {
        let Some(section) = section else { return Self::default() };
        let standard = section.field::<Duration>("keep").and_then(long_enough).or(KEEP);
        let mut classes: Vec<Class> = Vec::new();
        for section in section.sections("class") {
            let taken: Vec<Arc<str>> = classes.iter().map(|class| Arc::clone(&class.name)).collect();
            let name = section.field::<String>("name").and_then(|name| named(name, &taken));
            let name = name.required("letters, digits and _: it is written on rows");
            let keep = section.field::<Duration>("keep").and_then(long_enough);
            let keep = keep.required("how long rows are kept, such as \"90d\"");
            let class = Class {
                name: name.unwrap_or_default().into(),
                days: days(keep.unwrap_or(KEEP)),
                tenants: section.field("tenants").or(Vec::new()),
                targets: section.field("targets").or(Vec::new()),
            };
            if class.tenants.is_empty() && class.targets.is_empty() {
                let message = "a class names `tenants` or `targets`; for all the rest there is [retention] `keep`";
                section.reader().problem(section.span(), message);
            }
            classes.push(class);
        }
        Self::new(classes, standard)
    }

    /// The class of what this tenant does with this target: the first that fits.
    #[must_use]
    pub fn class(&self, tenant: &str, target: &str) -> &Arc<str> {
        let holds = |names: &[String], name: &str| names.is_empty() || names.iter().any(|one| one == name);
        let fits = |class: &&Class| holds(&class.tenants, tenant) && holds(&class.targets, target);
        let class = self.classes.iter().find(fits).or(self.classes.last());
        &class.expect("the standard class is always there").name
    }

    /// All classes, the standard one last.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }
}

/// Whole days, rounded up.
fn days(keep: Duration) -> u32 {
    u32::try_from(keep.as_secs().div_ceil(DAY.as_secs())).unwrap_or(u32::MAX)
}

fn long_enough(keep: Duration) -> Result<Duration, &'static str> {
    match keep >= DAY && keep <= 40_000 * DAY {
        true => Ok(keep),
        false => Err("it must be from 1d to 40000d: partitions expire by the day"),
    }
}

fn named(name: String, taken: &[Arc<str>]) -> Result<String, String> {
    let fits = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    if name.len() > 32 || !name.bytes().all(fits) {
        return Err("a class has letters, digits and `_` only, 32 at most".to_owned());
    }
    match name == STANDARD || taken.iter().any(|one| **one == *name) {
        true => Err(format!("there is a class {name} already")),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Retention, String> {
        let build = |root: &Section<'_>| Some(Retention::read(root.section("retention").as_ref()));
        tapedeck_config::read_text("c.toml", text, build).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_first_class_that_fits_tenant_and_target_is_taken() {
        let text = "[retention]\nkeep = \"30d\"\n\
            [[retention.class]]\nname = \"money\"\nkeep = \"2557d\"\ntenants = [\"acme\"]\ntargets = [\"payments\", \"books\"]\n\
            [[retention.class]]\nname = \"short\"\nkeep = \"36h\"\ntargets = [\"books\"]\n";
        let retention = read(text).expect("it is right");
        let class = |tenant, target| retention.class(tenant, target).to_string();
        assert_eq!(class("acme", "payments"), "money");
        assert_eq!(class("acme", "books"), "money");
        assert_eq!(class("other", "books"), "short");
        assert_eq!(class("other", "payments"), STANDARD);
        let days: Vec<u32> = retention.classes().iter().map(|class| class.days).collect();
        assert_eq!(days, [2557, 2, 30]);
    }

    #[test]
    fn what_is_wrong_with_a_class_is_said() {
        let text = "[retention]\nkeep = \"1h\"\n[[retention.class]]\nname = \"a b\"\nkeep = \"9d\"\n\
            [[retention.class]]\nname = \"standard\"\ntargets = [\"x\"]\n";
        let said = read(text).expect_err("it is wrong");
        for expected in [
            "retention.keep",
            "letters, digits",
            "names `tenants`",
            "already",
            "`retention.class[1].keep`",
        ] {
            assert!(said.contains(expected), "{expected} is not in:\n{said}");
        }
    }
}
