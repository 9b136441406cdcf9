use foldhash::{HashMap, HashSet};

/// Texts that are remembered of each place, of each kind.
const TEXTS: usize = 1024;
/// Longer texts are looked at each time.
const LONGEST: usize = 256;

/// Places whose texts are remembered.
const PLACES: usize = 256;

/// Short texts that the rules have left alone, each kind under rules of its own: nearly every frame repeats the user agent,
/// method, tool and content type of the one before.
///
/// Holds nothing secret: what was masked is not remembered. Valid for one redactor.
#[derive(Debug, Default)]
pub struct Known {
    /// By tenant and target, on which rules depend.
    places: HashMap<(String, String), Place>,
}

impl Known {
    /// What is known of one target of one tenant.
    pub(super) fn of(&mut self, tenant: &str, target: &str) -> &mut Place {
        if self.places.len() >= PLACES {
            self.places.clear();
        }
        self.places.entry((tenant.to_owned(), target.to_owned())).or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Place {
    /// Looked at by all rules.
    pub(super) all: Texts,
    /// Looked at for credentials.
    pub(super) credentials: Texts,
}

#[derive(Debug, Default)]
pub(super) struct Texts(HashSet<Box<str>>);

impl Texts {
    pub(super) fn contains(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    /// With too many of them, all are forgotten: those that matter come again.
    pub(super) fn insert(&mut self, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        if self.0.len() >= TEXTS {
            self.0.clear();
        }
        self.0.insert(text.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut texts = Texts::default();
        for number in 0..3 * TEXTS {
            texts.insert(&number.to_string());
            assert!(texts.0.len() <= TEXTS && texts.contains(&number.to_string()));
        }
        texts.insert(&"a".repeat(LONGEST + 1));
        assert!(!texts.contains(&"a".repeat(LONGEST + 1)));
    }
}
