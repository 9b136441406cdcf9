//! Tables of the file, and the fields read from them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    ops::Range,
};

use toml::de::{DeTable, DeValue};

use crate::{FromToml, Node, Reader};

/// Names closer than this to a known one are taken for a slip of the pen.
const SIMILAR: f64 = 0.75;

/// One table of the file. Keys that were never asked for are reported as unknown when the section is dropped.
pub struct Section<'a> {
    reader: &'a Reader,
    table: &'a DeTable<'a>,
    /// Where the table stands: its header, or its braces.
    span: Range<usize>,
    /// The table's own name with its parents', such as `target[1].credential`; empty at the root.
    path: String,
    asked: RefCell<BTreeSet<&'static str>>,
    /// Whether keys that nobody asked for are mistakes.
    heeds_others: Cell<bool>,
}

impl<'a> Section<'a> {
    pub(crate) fn root(reader: &'a Reader, table: &'a DeTable<'a>) -> Self {
        Self {
            reader,
            table,
            span: 0..0,
            path: String::new(),
            asked: RefCell::default(),
            heeds_others: Cell::new(true),
        }
    }

    pub(crate) fn new(reader: &'a Reader, table: &'a DeTable<'a>, span: Range<usize>, path: String) -> Self {
        Self {
            reader,
            table,
            span,
            path,
            asked: RefCell::default(),
            heeds_others: Cell::new(true),
        }
    }

    /// The reading that this table belongs to: where problems are reported.
    pub fn reader(&self) -> &'a Reader {
        self.reader
    }

    /// Where the table stands, for problems of the table as a whole.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of `key`: absent, given, or wrong (then already reported).
    pub fn field<T: FromToml>(&self, key: &'static str) -> Field<'a, T> {
        let state = match self.node(key) {
            None => State::Absent,
            Some(node) => {
                let span = node.span();
                match T::from_toml(&node) {
                    Some(value) => State::Given(At { value, span }),
                    None => State::Wrong(span),
                }
            }
        };
        Field {
            reader: self.reader,
            name: self.name(key),
            table: self.span(),
            state,
        }
    }

    /// The table under `key`, if there is one; a value that is no table is reported.
    pub fn section(&self, key: &'static str) -> Option<Section<'a>> {
        self.node(key)?.section()
    }

    /// The table under `key`; its absence is reported with `purpose`, a word on what belongs there.
    pub fn required_section(&self, key: &'static str, purpose: &str) -> Option<Section<'a>> {
        let Some(node) = self.node(key) else {
            self.reader
                .problem(self.span(), format!("missing section [{}]: {purpose}", self.name(key)));
            return None;
        };
        node.section()
    }

    /// The tables of `[[key]]`, in the file's order; none when absent. A value that is no array of tables is reported.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        match node.value() {
            DeValue::Array(items) => {
                let item = |(index, value)| Node::new(self.reader, value, format!("{}[{index}]", self.name(key)));
                items
                    .iter()
                    .enumerate()
                    .map(item)
                    .filter_map(|node| node.section())
                    .collect()
            }
            DeValue::Table(_) => {
                let name = self.name(key);
                node.problem(format!("[{name}] is written [[{name}]], since there can be several"));
                // Its keys are read all the same: their mistakes are worth reporting too.
                node.section().into_iter().collect()
            }
            _ => {
                node.wrong_type("an array of tables");
                Vec::new()
            }
        }
    }

    /// The value under `key`, whatever it is; the key counts as known from now on.
    pub fn node(&self, key: &'static str) -> Option<Node<'a>> {
        self.asked.borrow_mut().insert(key);
        Some(Node::new(self.reader, self.table.get(key)?, self.name(key)))
    }

    /// Lets keys pass that were not asked for: for programs that read a section of somebody else's file.
    pub fn leave_others(&self) {
        self.heeds_others.set(false);
    }

    /// The key with the names of the tables that it stands in.
    fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if !self.heeds_others.get() {
            return;
        }
        let asked = self.asked.borrow();
        for (key, _) in self.table {
            let written = key.get_ref().as_ref();
            if asked.contains(written) {
                continue;
            }
            let similar = asked
                .iter()
                .map(|known| (strsim::jaro_winkler(written, known), known))
                .max_by(|(a, _), (b, _)| a.total_cmp(b))
                .filter(|(likeness, _)| *likeness >= SIMILAR);
            let advice = match similar {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", asked.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            self.reader
                .problem(key.span(), format!("unknown key `{}`; {advice}", self.name(written)));
        }
    }
}

impl fmt::Debug for Section<'_> {
    /// Names the table, never its values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A value with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Byte range of the value in the file's text, for [`Reader::problem`].
    pub span: Range<usize>,
}

/// What stands under one key: nothing, a value of the right type, or something wrong that has been reported.
#[derive(Debug)]
#[must_use]
pub struct Field<'a, T> {
    reader: &'a Reader,
    name: String,
    /// Where the table stands that has or lacks the key.
    table: Range<usize>,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Absent,
    Given(At<T>),
    /// Wrong, and reported.
    Wrong(Range<usize>),
}

impl<'a, T> Field<'a, T> {
    pub(crate) fn reader(&self) -> &'a Reader {
        self.reader
    }

    /// The key with the names of the tables that it stands in.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The value. Its absence is reported with `purpose`: what the key is for, or an example. `None` means that
    /// something has been reported.
    pub fn required(self, purpose: &str) -> Option<T> {
        self.required_at(purpose).map(|at| at.value)
    }

    /// [`Field::required`] with the value's place.
    pub fn required_at(self, purpose: &str) -> Option<At<T>> {
        if let State::Absent = self.state {
            self.reader
                .problem(self.table.clone(), format!("missing key `{}`: {purpose}", self.name));
        }
        self.optional_at()
    }

    /// The value, if there is a right one.
    pub fn optional(self) -> Option<T> {
        self.optional_at().map(|at| at.value)
    }

    /// [`Field::optional`] with the value's place.
    pub fn optional_at(self) -> Option<At<T>> {
        match self.state {
            State::Given(at) => Some(at),
            State::Absent | State::Wrong(_) => None,
        }
    }

    /// The value, or `default` when there is none (or a wrong one: then the file is refused anyway).
    pub fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// Whether the key stands in the file, right or wrong. For rules over several keys.
    pub fn is_present(&self) -> bool {
        !matches!(self.state, State::Absent)
    }

    /// Where the value stands, or else the table that lacks it.
    pub fn span(&self) -> Range<usize> {
        match &self.state {
            State::Given(At { span, .. }) | State::Wrong(span) => span.clone(),
            State::Absent => self.table.clone(),
        }
    }

    /// Turns a given value into another or refuses it: the error, which says what to do, is reported where the value
    /// stands, with the key's name before it.
    pub fn and_then<U, E: fmt::Display>(self, rule: impl FnOnce(T) -> Result<U, E>) -> Field<'a, U> {
        let Self {
            reader,
            name,
            table,
            state,
        } = self;
        let state = match state {
            State::Absent => State::Absent,
            State::Wrong(span) => State::Wrong(span),
            State::Given(At { value, span }) => match rule(value) {
                Ok(value) => State::Given(At { value, span }),
                Err(error) => {
                    reader.problem(span.clone(), format!("`{name}`: {error}"));
                    State::Wrong(span)
                }
            },
        };
        Field {
            reader,
            name,
            table,
            state,
        }
    }
}
