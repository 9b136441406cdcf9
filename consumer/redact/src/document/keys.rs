//! Keys of one object, told apart again where masks made them alike.

use crate::{
    edit::{Edit, splice},
    text::Decoded,
};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

/// A key of an open object, and its edits.
pub(super) struct Key {
    pub(super) span: Range<usize>,
    pub(super) edits: Range<usize>,
}

/// Numbers edited keys of one object where masks made them alike, so that no reader loses a member.
pub(super) fn keep_apart(src: &str, keys: &[Key], edits: &mut [Edit<'_>]) {
    let (plain, edited): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(|key| key.edits.is_empty());
    let mut taken: HashSet<String> = plain
        .iter()
        .map(|key| Decoded::new(&src[key.span.clone()]).text.into_owned())
        .collect();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for key in edited {
        let span = key.span.clone();
        let spelled = splice(&src[span.clone()], span.start, &edits[key.edits.clone()]);
        let name = Decoded::new(&spelled).text.into_owned();
        let number = numbers.entry(name.clone()).or_insert(1);
        let mut candidate = name;
        while taken.contains(&candidate) {
            *number += 1;
            let last = &mut edits[key.edits.end - 1];
            let mask = last.text.split(['~', '›']).next().unwrap_or_default();
            last.text = format!("{mask}~{number}›").into();
            let spelled = splice(&src[span.clone()], span.start, &edits[key.edits.clone()]);
            candidate = Decoded::new(&spelled).text.into_owned();
        }
        taken.insert(candidate);
    }
}
