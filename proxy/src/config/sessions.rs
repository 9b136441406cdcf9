//! `[sessions] tag_keys`: the keys that bind a session's id to its owner.

use tapedeck_config::{Field, SecretSource, SharedKeys};

/// The keys of session tags: the first makes tags, all of them verify, so that a key rotates without ending sessions.
pub(super) fn tag_keys(field: Option<Field<'_, Vec<SecretSource>>>, warnings: &mut Vec<String>) -> Option<SharedKeys> {
    match field.filter(Field::is_present) {
        Some(field) => SharedKeys::read(field),
        None => {
            warnings.push(
                "no [sessions] tag_keys: a random key is used, so sessions end when this proxy restarts, and replicas \
                 refuse each other's sessions"
                    .to_owned(),
            );
            Some(SharedKeys::random())
        }
    }
}
