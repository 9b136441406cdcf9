//! One rule, from what its pack says to what the engine runs.

use super::{Rule, lead, split::Split};
use crate::{
    action::Action,
    config::Pack,
    pack::{self, Class, RawRule},
    reach,
    triggers::Shape,
    validate::Validator,
};
use regex_automata::meta::{Config as RegexConfig, Regex};
use regex_syntax::{ParserBuilder, hir::Hir};

/// A rule with what makes it worth trying.
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) shapes: Vec<Shape>,
    /// Token bytes that every match has in a row.
    pub(super) run: usize,
}

/// The line, where it is another than the rule's, and what is wrong there.
type Refusals = Vec<(Option<usize>, String)>;

impl Rule {
    pub(super) fn compile(pack: &Pack, raw: RawRule, number: u16, kind: u16) -> Result<Compiled, Refusals> {
        let mut refusals = Vec::new();
        let mut refuse = |line, message| refusals.push((line, format!("rule {:?}: {message}", raw.id)));
        check(&raw, &mut refuse);
        let mut shapes = Vec::new();
        for name in &raw.shapes {
            match Shape::named(name.get_ref()) {
                Some(shape) => shapes.push(shape),
                None => refuse(
                    Some(pack::line(pack, name.span().start)),
                    format!("no shape is called {:?}", name.get_ref()),
                ),
            }
        }
        // Windows are short, and begin like a match: to look for its first bytes there, or for all that they may be, costs
        // more than to search. Only an `@` says little about what stands around it.
        let looks_ahead = shapes.contains(&Shape::At);
        let pattern = raw
            .pattern
            .as_deref()
            .and_then(|pattern| match compiled(pattern, looks_ahead) {
                Ok(compiled) => Some(compiled),
                Err(message) => {
                    refuse(None, message);
                    None
                }
            });
        if let (Some(group), Some((regex, _))) = (raw.group, &pattern)
            && group >= regex.captures_len()
        {
            refuse(None, format!("the pattern has no group {group}"));
        }
        let until = raw.until.as_deref().and_then(|until| match compiled(until, true) {
            Ok((regex, _)) => Some(regex),
            Err(message) => {
                refuse(None, format!("until: {message}"));
                None
            }
        });
        let excepted = (!raw.except.is_empty()).then(|| format!("(?:{})", raw.except.join(")|(?:")));
        let except = excepted.and_then(|excepted| match compiled(&excepted, true) {
            Ok((regex, _)) => Some(regex),
            Err(message) => {
                refuse(None, format!("except: {message}"));
                None
            }
        });
        let validator = match &raw.validator {
            None => Validator::Any,
            Some(name) => Validator::named(name.get_ref()).unwrap_or_else(|| {
                refuse(
                    Some(pack::line(pack, name.span().start)),
                    format!("no validator is called {:?}", name.get_ref()),
                );
                Validator::Any
            }),
        };
        let in_match = raw.context.is_some() || keywords_are_in_matches(&raw);
        let mask = raw
            .replacement
            .clone()
            .unwrap_or_else(|| format!("‹redacted:{}›", raw.id));
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let (find, hir) = pattern.unzip();
        // What shapes call for, or words around, begins anywhere.
        let leads = shapes.is_empty()
            && raw.context.is_none()
            && hir
                .as_ref()
                .is_some_and(|hir| lead::leads(hir, &raw.keywords, raw.exact));
        let usual = match raw.class {
            Class::Personal => Action::Token,
            Class::Credential => Action::Mask,
        };
        let rule = Self {
            number,
            action: raw.action.unwrap_or(usual),
            kind,
            canonical: raw.canonical.unwrap_or(validator.canonical()),
            id: raw.id.into(),
            description: raw.description,
            mask,
            class: raw.class,
            until,
            find,
            group: raw.group,
            validator,
            entropy: raw.entropy.unwrap_or(0.0),
            except,
            context: raw.context.unwrap_or(0),
            reach: hir.as_ref().filter(|_| in_match).and_then(reach::reach),
            leads,
            split: hir.as_ref().and_then(Split::of),
        };
        Ok(Compiled {
            rule,
            shapes,
            run: hir.as_ref().map_or(0, reach::run),
        })
    }
}

/// What can be seen without compiling anything.
fn check(raw: &RawRule, refuse: &mut impl FnMut(Option<usize>, String)) {
    let sound_id = raw
        .id
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if raw.id.is_empty() || raw.id.len() > 48 || !sound_id {
        refuse(None, "an id is 1 to 48 of a-z, 0-9 and -".to_owned());
    }
    let sound_kind = |kind: &String| {
        let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=48).contains(&kind.len()) && kind.bytes().all(sound) && kind != "redacted" && kind != "dropped"
    };
    if !raw.kind.as_ref().is_none_or(sound_kind) {
        refuse(
            None,
            "a kind is 1 to 48 of a-z, 0-9 and -, and neither redacted nor dropped".to_owned(),
        );
    }
    if raw.action == Some(Action::Partial) && raw.class == Class::Credential {
        refuse(None, "no part of a credential may stay".to_owned());
    }
    if raw.pattern.is_none() && raw.keys.is_empty() && raw.paths.is_empty() {
        refuse(None, "needs a pattern, keys or paths".to_owned());
    }
    if raw.pattern.is_some() && raw.keywords.is_empty() && raw.shapes.is_empty() {
        refuse(
            None,
            "a pattern needs keywords or shapes, or it would be tried on every text".to_owned(),
        );
    }
    if raw.keywords.iter().any(|word| !(3..=200).contains(&word.len())) {
        refuse(None, "a keyword has 3 to 200 bytes".to_owned());
    }
    // A character beyond ASCII may be folded or escaped before the search sees it.
    let searchable = |word: &String| {
        word.bytes()
            .all(|byte| (b' '..0x7F).contains(&byte) && byte != b'"' && byte != b'\\')
    };
    if !raw.keywords.iter().all(searchable) {
        refuse(None, "a keyword is ASCII, without quotes and backslashes".to_owned());
    }
    if raw.entropy.is_some_and(|bits| !(0.0..=8.0).contains(&bits)) {
        refuse(None, "entropy is 0 to 8 bits per byte".to_owned());
    }
    if raw.context.is_some_and(|bytes| bytes > 1024) {
        refuse(None, "context is 1024 bytes at most".to_owned());
    }
    let sound = |c: char| c.is_alphanumeric() || matches!(c, ':' | '-' | '_');
    let mask = raw.replacement.as_deref().unwrap_or("‹redacted›");
    let inner = mask.strip_prefix('‹').and_then(|rest| rest.strip_suffix('›'));
    if !inner.is_some_and(|inner| !inner.is_empty() && inner.len() <= 64 && inner.chars().all(sound)) {
        refuse(
            None,
            "a replacement is ‹…› around 1 to 64 bytes of letters, digits, ':', '-' and '_'".to_owned(),
        );
    }
}

/// Whether each keyword stands in the pattern, so that it is a part of every match. A pattern spells some bytes with a
/// backslash; where it spells a keyword otherwise, all of a text is searched, which is slower and finds as much.
fn keywords_are_in_matches(raw: &RawRule) -> bool {
    let pattern = raw
        .pattern
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .replace('\\', "");
    raw.keywords
        .iter()
        .all(|word| pattern.contains(&word.to_ascii_lowercase()))
}

/// `looks_ahead` says that literals of the pattern are looked for first.
fn compiled(pattern: &str, looks_ahead: bool) -> Result<(Regex, Hir), String> {
    let wrong = |error: String| format!("the pattern does not compile: {error}");
    // Bytes, not Unicode: half the size and no slow path on non-ASCII text. A pattern can ask for (?u:…) where it
    // has to know letters beyond ASCII.
    let hir = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(pattern)
        .map_err(|error| wrong(error.to_string()))?;
    // Windows are short: what a fully built automaton would gain, building it for each rule costs at every start.
    let config = RegexConfig::new()
        .utf8_empty(false)
        .auto_prefilter(looks_ahead)
        .dfa(false)
        .onepass(false)
        .nfa_size_limit(Some(4 << 20))
        .hybrid_cache_capacity(512 << 10);
    let regex = Regex::builder()
        .configure(config)
        .build_from_hir(&hir)
        .map_err(|error| wrong(error.to_string()))?;
    if regex.is_match("") {
        Err("the pattern matches nothing at all".to_owned())
    } else {
        Ok((regex, hir))
    }
}
