//! The rules as they apply to one body, and what they write in the place of findings.

use crate::{
    action::Action,
    keyring::{TenantKey, are_letters},
    policy::Plan,
    rules::Rules,
    scan::Span,
};
use memchr::memchr;
use std::{borrow::Cow, ops::Range, sync::Arc};

/// Letters and digits of a value that a partial mask shows.
const SHOWN: usize = 4;
/// Letters and digits that a value has at least before any of them is shown.
const LEAST: usize = 8;
/// Bytes that a stand-in has at most: a kind, a key's id, the letters, the marks, and a number.
const LONGEST: usize = 112;

/// The rules by the policies that fit a body, with its tenant's key.
#[derive(Clone)]
pub(crate) struct Active<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) plan: Arc<Plan>,
    pub(crate) key: Option<Arc<TenantKey>>,
}

impl<'r> Active<'r> {
    /// What a rule does here; `None` where it is off.
    pub(crate) fn action(&self, rule: u16) -> Option<Action> {
        self.plan.action(rule)
    }

    /// What is written in the place of a span of `text`.
    pub(crate) fn stand_in(&self, span: &Span, text: &str) -> Cow<'r, str> {
        let value = span.value.as_deref().unwrap_or(&text[span.start..span.end]);
        self.stand_in_for(span.rule, value)
    }

    /// What is written in the place of a value.
    pub(crate) fn stand_in_for(&self, rule: u16, value: &str) -> Cow<'r, str> {
        let rules = self.rules;
        let rule = &rules.all[usize::from(rule)];
        let kind = &rules.kinds[usize::from(rule.kind)];
        match (self.action_of(rule.number), &self.key) {
            (Action::Token, Some(key)) => {
                let letters = key.letters((rule.kind, kind), &rule.canonical.write(value));
                ["‹", kind, ":", &*key.id, ":", letters.as_str(), "›"].concat().into()
            }
            (Action::Hash, Some(key)) => format!("‹{kind}:#{}›", key.hash(kind, value).as_str()).into(),
            (Action::Partial, _) => format!("‹{kind}:****{}›", shown(value)).into(),
            (Action::Drop, _) => format!("‹dropped:{}›", rule.id).into(),
            (Action::Mask | Action::Token | Action::Hash, _) => Cow::Borrowed(rule.mask.as_str()),
        }
    }

    fn action_of(&self, rule: u16) -> Action {
        // A rule that is off finds nothing, so nobody asks; hiding is the safe answer.
        self.action(rule).unwrap_or(Action::Mask)
    }
}

/// The last letters and digits of a value, fewer where they would be most of it.
fn shown(value: &str) -> String {
    let all: Vec<char> = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let count = if all.len() < LEAST { 0 } else { SHOWN };
    all[all.len() - count..].iter().collect()
}

/// The token in what stands in for a finding, without its marks; `None` if that is something else.
pub(crate) fn token(stand_in: &str) -> Option<&str> {
    let inner = stand_in.trim_matches('"').strip_prefix('‹')?.strip_suffix('›')?;
    let inner = inner.rsplit_once('~').map_or(inner, |(token, _)| token);
    let (rest, letters) = inner.rsplit_once(':')?;
    (are_letters(letters) && rest.contains(':')).then_some(inner)
}

impl Rules {
    /// Whether a text is a stand-in of this engine and nothing else, so that it holds nothing to mask. Keys come and go, so
    /// what has the form of a token is one, whatever its key.
    pub(crate) fn is_stand_in(&self, text: &str) -> bool {
        let Some(inner) = text.strip_prefix('‹').and_then(|rest| rest.strip_suffix('›')) else {
            return false;
        };
        let inner = match inner.rsplit_once('~') {
            Some((inner, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => inner,
            _ => inner,
        };
        if self.masks.contains(inner) {
            return true;
        }
        let Some((kind, rest)) = inner.split_once(':') else {
            return false;
        };
        if !self.kinds.iter().any(|other| &**other == kind) {
            return false;
        }
        let is_key = |id: &str| {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !id.is_empty() && id.len() <= crate::keyring::LONGEST_ID && id.bytes().all(fits)
        };
        let is_shown = |rest: &str| rest.len() <= SHOWN && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match rest.split_once(':') {
            Some((id, letters)) => is_key(id) && are_letters(letters),
            None => rest.strip_prefix('#').is_some_and(are_letters) || rest.strip_prefix("****").is_some_and(is_shown),
        }
    }

    /// Whether a piece of a text lies in a stand-in of this engine: the name of a rule may look like what a rule looks for.
    pub(crate) fn is_in_stand_in(&self, text: &str, piece: &Range<usize>) -> bool {
        let from = text.floor_char_boundary(piece.start.saturating_sub(LONGEST));
        let to = text.ceil_char_boundary((piece.end + LONGEST).min(text.len()));
        // Most texts have none of the bytes that marks begin with.
        if memchr(0xE2, &text.as_bytes()[from..piece.end]).is_none() {
            return false;
        }
        let Some(start) = text[from..piece.end].rfind('‹') else {
            return false;
        };
        let Some(end) = text[piece.start..to].find('›') else {
            return false;
        };
        let mask = from + start..piece.start + end + '›'.len_utf8();
        mask.start <= piece.start && piece.end <= mask.end && self.is_stand_in(&text[mask])
    }
}

#[cfg(test)]
mod tests {
    use super::{shown, token};

    #[test]
    fn what_is_shown_of_a_value_is_its_lesser_part() {
        assert_eq!(shown("4111 1111 1111 4242"), "4242");
        assert_eq!(shown("555-0143"), "");
        assert_eq!(shown("Jürgen Müller"), "ller");
    }

    #[test]
    fn a_token_is_told_from_other_stand_ins() {
        assert_eq!(
            token("\"‹card:k1:ABCDEFGHIJKLMNOP2345~2›\""),
            Some("card:k1:ABCDEFGHIJKLMNOP2345")
        );
        for other in [
            "‹redacted:card›",
            "‹card:#ABCDEFGHIJKLMNOP2345›",
            "‹card:****4242›",
            "card:k1:ABCDEFGHIJKLMNOP2345",
        ] {
            assert_eq!(token(other), None, "{other}");
        }
    }
}
