use foldhash::{HashMap, HashSet};

/// Longer texts are looked at each time.
const LONGEST: usize = 256;

/// What is remembered of each kind for each place, in bytes: the texts, and what each takes besides.
const BYTES: usize = 16 * 1024;
/// What a text takes besides its bytes, about.
const EACH: usize = 32;

/// Places whose texts are remembered.
const PLACES: usize = 64;

/// Short texts that the rules have left alone, each kind under rules of its own: nearly every frame repeats the user agent,
/// method, tool and content type of the one before.
///
/// Holds nothing secret: what was masked is not remembered. Valid for one redactor. Bounded to 3 MiB.
#[derive(Debug, Default)]
pub struct Known {
    /// By tenant and, within it, by target, on which rules depend. Invariant: no tenant is without a target.
    places: HashMap<Box<str>, HashMap<Box<str>, Place>>,
}

impl Known {
    /// What is known of one target of one tenant.
    pub(super) fn of(&mut self, tenant: &str, target: &str) -> &mut Place {
        let is_known = |places: &HashMap<Box<str>, HashMap<Box<str>, Place>>| {
            places.get(tenant).is_some_and(|targets| targets.contains_key(target))
        };
        // Nearly always it is, and no name is copied.
        if !is_known(&self.places) {
            if self.places.values().map(HashMap::len).sum::<usize>() >= PLACES {
                self.places.clear();
            }
            let targets = self.places.entry(tenant.into()).or_default();
            targets.insert(target.into(), Place::default());
        }
        let place = self.places.get_mut(tenant).and_then(|targets| targets.get_mut(target));
        place.expect("it was inserted above where it was absent")
    }
}

#[derive(Debug, Default)]
pub(super) struct Place {
    /// Looked at by all rules.
    pub(super) all: Texts,
    /// Looked at for credentials.
    pub(super) credentials: Texts,
    /// JSON-RPC ids, as JSON text.
    pub(super) ids: Texts,
}

#[derive(Debug, Default)]
pub(super) struct Texts {
    texts: HashSet<Box<str>>,
    bytes: usize,
}

impl Texts {
    pub(super) fn contains(&self, text: &str) -> bool {
        self.texts.contains(text)
    }

    /// With too many of them, all are forgotten: those that matter come again.
    pub(super) fn insert(&mut self, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        let size = text.len() + EACH;
        if self.bytes + size > BYTES {
            *self = Self::default();
        }
        if self.texts.insert(text.into()) {
            self.bytes += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut texts = Texts::default();
        for number in 0..4096 {
            texts.insert(&number.to_string());
            assert!(texts.texts.len() * EACH <= BYTES && texts.contains(&number.to_string()));
        }
        texts.insert(&"a".repeat(LONGEST + 1));
        assert!(!texts.contains(&"a".repeat(LONGEST + 1)));
    }

    #[test]
    fn places_do_not_know_each_others_texts_and_are_bounded() {
        let mut known = Known::default();
        known.of("acme", "search").all.insert("sample/1.0");
        assert!(known.of("acme", "search").all.contains("sample/1.0"));
        assert!(!known.of("acme", "payments").all.contains("sample/1.0"));
        assert!(!known.of("other", "search").all.contains("sample/1.0"));
        for number in 0..4 * PLACES {
            known.of("acme", &number.to_string());
            assert!(known.places.values().map(HashMap::len).sum::<usize>() <= PLACES);
        }
    }
}
