//! Names of one object, told apart again where what stands in for them made them alike.

use crate::{
    edit::{Edit, splice},
    text::Decoded,
};
use std::collections::{HashMap, HashSet};

/// The names of an open object that hold a stand-in, or may be taken for one.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names as edits left them.
    edited: HashSet<String>,
    plain: HashSet<String>,
    /// By name without a number: the number given last, and the rule by which the name was edited.
    numbers: HashMap<String, (usize, u16)>,
}

impl Names {
    /// Notes a name; `edits` from `first` on are those of its text. Numbers it where another has the same already and one of
    /// the two was edited, so that no reader loses a member. Names that were the same before stay so.
    pub(super) fn note<'r>(&mut self, decoded: &Decoded<'_>, edits: &mut Vec<Edit<'r>>, first: usize) {
        let text = decoded.text.as_ref();
        let is_edited = edits.len() > first;
        let mut name = if is_edited {
            splice(text, 0, &edits[first..])
        } else {
            text.to_owned()
        };
        let base = unnumbered(&name).to_owned();
        while self.edited.contains(&name) || is_edited && self.plain.contains(&name) {
            let (number, rule) = self.numbers.entry(base.clone()).or_insert((1, 0));
            *number += 1;
            match edits[first..].last_mut() {
                Some(last) => {
                    let stand_in = unnumbered(&last.text);
                    last.text = format!("{stand_in}~{number}›").into();
                }
                None => {
                    let end = text.rfind('›').unwrap_or(text.len());
                    edits.push(Edit {
                        start: base.len().min(end),
                        end,
                        text: format!("~{number}").into(),
                        rule: *rule,
                    });
                }
            }
            name = splice(text, 0, &edits[first..]);
        }
        if let Some(last) = edits[first..].last() {
            self.numbers.entry(base).or_insert((1, last.rule));
            self.edited.insert(name);
        } else if text.contains('‹') {
            self.plain.insert(name);
        }
    }
}

/// A name up to the number, or the end, of its last stand-in.
fn unnumbered(name: &str) -> &str {
    let name = name.rfind('›').map_or(name, |end| &name[..end]);
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
    digits
        .strip_suffix('~')
        .filter(|_| digits.len() < name.len())
        .unwrap_or(name)
}
