//! Rules switched, and their actions chosen, by tenant, target and tool.

use crate::{action::Action, config::Problem, context::Context, pack::Class, path::States, rules::Rules};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

/// What applies to some bodies. Where several policies fit a body, later ones win.
///
/// A list that is empty fits all. Rules are named by id, by the beginning of ids (`aws-*`, `*`), or by class
/// (`credential`, `personal`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Tenants that it is for.
    pub tenants: Vec<String>,
    /// Targets that it is for.
    pub targets: Vec<String>,
    /// Tools, prompts and resources that it is for. Where a call's is not known, only what the policy enables applies.
    pub tools: Vec<String>,
    /// Rules that are on.
    pub enable: Vec<String>,
    /// Rules that are off, even if they are enabled here.
    pub disable: Vec<String>,
    /// What becomes of the rules' findings.
    pub actions: BTreeMap<String, Action>,
}

/// How far a policy fits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    No,
    /// It may: what it enables applies, so that nothing is left in for want of a name.
    Perhaps,
    Yes,
}

impl Policy {
    fn fits(&self, context: &Context<'_>) -> Fit {
        let among = |list: &[String], name: &str| list.is_empty() || list.iter().any(|other| other == name);
        if !among(&self.tenants, context.tenant) || !among(&self.targets, context.target) {
            return Fit::No;
        }
        match context.name {
            _ if self.tools.is_empty() => Fit::Yes,
            Some(name) if among(&self.tools, name) => Fit::Yes,
            None if context.method.is_none_or(|method| method == "tools/call") => Fit::Perhaps,
            _ => Fit::No,
        }
    }
}

/// Whether a policy's name for rules means this one.
fn means(name: &str, id: &str, class: Class) -> bool {
    match name {
        "credential" => class == Class::Credential,
        "personal" => class == Class::Personal,
        name => match name.strip_suffix('*') {
            Some(beginning) => id.starts_with(beginning),
            None => name == id,
        },
    }
}

/// What each rule does to one body.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By rule; `None` where it is off.
    actions: Box<[Option<Action>]>,
    /// Where the path rules that are on begin.
    pub(crate) paths: States,
    /// Whether one of these paths can only be followed by looking at everything.
    pub(crate) looks_at_all: bool,
}

impl Plan {
    /// What the rule does; `None` where it is off.
    pub(crate) fn action(&self, rule: u16) -> Option<Action> {
        self.actions.get(usize::from(rule)).copied().flatten()
    }

    fn of<'p>(rules: &Rules, policies: impl Iterator<Item = (&'p Policy, Fit)>) -> Self {
        let mut actions: Vec<(bool, Action)> = rules.all.iter().map(|rule| (true, rule.action)).collect();
        for (policy, fit) in policies {
            for (rule, (on, action)) in rules.all.iter().zip(&mut actions) {
                let named = |names: &[String]| names.iter().any(|name| means(name, &rule.id, rule.class));
                *on |= named(&policy.enable);
                if fit == Fit::Perhaps {
                    continue;
                }
                *on &= !named(&policy.disable);
                // The most exact name counts: an id over a beginning or a class.
                let chosen = policy
                    .actions
                    .iter()
                    .filter(|(name, _)| means(name, &rule.id, rule.class))
                    .max_by_key(|(name, _)| (name.as_str() == &*rule.id, name.ends_with('*'), name.len()));
                if let Some((_, chosen)) = chosen {
                    // A class named as a whole does not show the ends of its credentials.
                    *action = match (chosen, rule.class) {
                        (Action::Partial, Class::Credential) => Action::Mask,
                        _ => *chosen,
                    };
                }
            }
        }
        let actions: Box<[Option<Action>]> = actions.into_iter().map(|(on, action)| on.then_some(action)).collect();
        let is_on = |rule: u16| actions[usize::from(rule)].is_some();
        Self {
            paths: rules.paths.starts(is_on),
            looks_at_all: rules.paths.looks_at_all(is_on),
            actions,
        }
    }
}

/// Plans that are kept; a deployment has few different ones.
const PLANS: usize = 256;

/// The policies of an engine, and the plans that came of them.
pub(crate) struct Policies {
    all: Vec<Policy>,
    /// Where no policy fits.
    usual: Arc<Plan>,
    /// By how far each policy fits.
    made: RwLock<HashMap<Vec<u8>, Arc<Plan>>>,
}

impl Policies {
    /// What is wrong goes to `problems`, with the number of the policy, from 1, as its line.
    pub(crate) fn new(all: Vec<Policy>, rules: &Rules, has_keys: bool, problems: &mut Vec<Problem>) -> Self {
        for (number, policy) in all.iter().enumerate() {
            let mut refuse = |message| {
                problems.push(Problem {
                    pack: "policies".to_owned(),
                    line: number + 1,
                    message,
                });
            };
            for name in policy.enable.iter().chain(&policy.disable).chain(policy.actions.keys()) {
                if !rules.all.iter().any(|rule| means(name, &rule.id, rule.class)) {
                    refuse(format!("{name:?} names no rule"));
                }
            }
            for (name, action) in &policy.actions {
                if matches!(action, Action::Token | Action::Hash) && !has_keys {
                    refuse(format!("{name:?}: {action} needs a key"));
                }
                let credential = |id: &str| {
                    rules
                        .all
                        .iter()
                        .any(|rule| &*rule.id == id && rule.class == Class::Credential)
                };
                if *action == Action::Partial && (name == "credential" || credential(name)) {
                    refuse(format!("{name:?}: no part of a credential may stay"));
                }
            }
        }
        let usual = Arc::new(Plan::of(rules, std::iter::empty()));
        Self {
            all,
            usual,
            made: RwLock::default(),
        }
    }

    /// What applies to a body.
    pub(crate) fn plan(&self, rules: &Rules, context: &Context<'_>) -> Arc<Plan> {
        let fits: Vec<Fit> = self.all.iter().map(|policy| policy.fits(context)).collect();
        if fits.iter().all(|fit| *fit == Fit::No) {
            return Arc::clone(&self.usual);
        }
        let key: Vec<u8> = fits.iter().map(|fit| *fit as u8).collect();
        // Whoever panicked held a map that is whole at any time.
        if let Some(plan) = self.made.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(plan);
        }
        let fitting = self.all.iter().zip(fits).filter(|(_, fit)| *fit != Fit::No);
        let plan = Arc::new(Plan::of(rules, fitting));
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= PLANS {
            made.clear();
        }
        made.insert(key, Arc::clone(&plan));
        plan
    }

    /// The plan of no policy at all.
    pub(crate) fn usual(&self) -> &Arc<Plan> {
        &self.usual
    }
}
