//! What is wrong with a configuration file: all of it, in the order of the file.

use std::{fmt, ops::Range, path::PathBuf};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; 0 when the file as a whole is meant (it could not be read).
    pub line: usize,
    /// Column in that line, in characters from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// What is wrong and what to do, in one line. Never holds a secret's value.
    pub message: String,
}

/// Everything that is wrong with one configuration file. Displayed as one line per problem,
/// `file:line:column: message`, which editors and terminals turn into links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    file: String,
    problems: Vec<Problem>,
    files: Vec<PathBuf>,
}

impl Errors {
    /// The problems of `text`, whose byte ranges are turned into lines and columns and sorted by place. Problems at one
    /// place keep the order in which they were found.
    pub(crate) fn new(file: &str, text: &str, mut found: Vec<(Range<usize>, String)>) -> Self {
        found.sort_by_key(|(span, _)| span.start);
        let problems = found
            .into_iter()
            .map(|(span, message)| {
                let (line, column) = place(text, span.start);
                Problem { line, column, message }
            })
            .collect();
        Self {
            file: file.to_owned(),
            problems,
            files: Vec::new(),
        }
    }

    /// One problem of the file as a whole.
    pub(crate) fn whole(file: &str, message: String) -> Self {
        Self {
            file: file.to_owned(),
            problems: vec![Problem {
                line: 0,
                column: 0,
                message,
            }],
            files: Vec::new(),
        }
    }

    /// The same, found while these files were looked at.
    pub(crate) fn found_in(self, files: Vec<PathBuf>) -> Self {
        Self { files, ..self }
    }

    /// The file's name as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The file, where it is one, and the paths that it names, as far as they were found: when one of them has changed, it
    /// is worth another try.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The problems, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many problems there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one problem")]
    pub fn len(&self) -> usize {
        self.problems.len()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match problem {
                Problem { line: 0, message, .. } => write!(f, "{}: {message}", self.file)?,
                Problem { line, column, message } => write!(f, "{}:{line}:{column}: {message}", self.file)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Line and column, both from 1, of a byte offset. An offset within a character or past the end counts as the nearest
/// place before it.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nbé = 2\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 6), (2, 1));
        assert_eq!(place(text, 9), (2, 3), "é is one character of two bytes");
        assert_eq!(place(text, 1000), (3, 1), "past the end is the end");
    }
}
