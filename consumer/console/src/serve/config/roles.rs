//! `[roles]`: which groups may see what.

use tapedeck_config::{OneOrMany, Section};

/// What groups are worth. A user has all the rights that any of their groups gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// See their own sessions.
    pub viewers: Vec<String>,
    /// See the sessions of named tenants.
    pub auditors: Vec<Auditor>,
    /// See everything.
    pub administrators: Vec<String>,
}

/// Groups that see the sessions of tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auditor {
    /// The groups.
    pub groups: Vec<String>,
    /// The tenants, as they stand in recordings.
    pub tenants: Vec<String>,
}

impl Roles {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let groups = |key| {
            let given = section.field::<OneOrMany<String>>(key).optional();
            given.map_or_else(Vec::new, |OneOrMany(groups)| groups)
        };
        let (viewers, administrators) = (groups("viewer"), groups("administrator"));
        let tables = section.sections("auditor");
        if tables.is_empty() && viewers.is_empty() && administrators.is_empty() {
            let message = "nobody has a right; name groups: viewer, administrator, or [[roles.auditor]] with tenants";
            section.reader().problem(section.span(), message);
        }
        // Collected before judging: a wrong one must not hide the mistakes of those after it.
        let auditors: Vec<Option<Auditor>> = tables.iter().map(Auditor::read).collect();
        Some(Self {
            viewers,
            auditors: auditors.into_iter().collect::<Option<_>>()?,
            administrators,
        })
    }
}

impl Roles {
    /// Whether any role is given to this group.
    pub(in crate::serve) fn name(&self, group: &String) -> bool {
        self.viewers.contains(group)
            || self.administrators.contains(group)
            || self.auditors.iter().any(|auditor| auditor.groups.contains(group))
    }
}

impl Auditor {
    fn read(section: &Section<'_>) -> Option<Self> {
        let groups = section.field("groups").required("the groups of these auditors");
        let tenants = section.field("tenants").required("the tenants that they may see");
        let (OneOrMany(groups), OneOrMany(tenants)) = (groups?, tenants?);
        Some(Self { groups, tenants })
    }
}
