//! From JSONPath's text to steps (RFC 9535 section 2).

use super::{Selector, Step};

/// The largest index that RFC 9535 section 2.1 allows.
const LARGEST: u64 = (1 << 53) - 1;

/// The steps of a path; an error says what is wrong, and at which character.
pub(super) fn parse(path: &str) -> Result<Vec<Step>, String> {
    let mut parser = Parser { path, at: 0 };
    let steps = parser.steps();
    steps.map_err(|message| format!("{message}, at character {}", path[..parser.at].chars().count() + 1))
}

struct Parser<'p> {
    path: &'p str,
    at: usize,
}

impl Parser<'_> {
    fn steps(&mut self) -> Result<Vec<Step>, String> {
        if !self.takes("$") {
            return Err("a path begins with $".to_owned());
        }
        let mut steps = Vec::new();
        loop {
            self.space();
            if self.rest().is_empty() {
                return Ok(steps);
            }
            let descends = self.takes("..");
            let selectors = if self.takes("[") {
                self.bracketed()?
            } else if descends || self.takes(".") {
                vec![self.shorthand()?]
            } else {
                return Err("a step begins with . or [".to_owned());
            };
            steps.push(Step { descends, selectors });
        }
    }

    fn rest(&self) -> &str {
        &self.path[self.at..]
    }

    fn takes(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        self.at += if there { token.len() } else { 0 };
        there
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next();
        self.at += next.map_or(0, char::len_utf8);
        next
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn shorthand(&mut self) -> Result<Selector, String> {
        if self.takes("*") {
            return Ok(Selector::Any);
        }
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        let rest = self.rest();
        let end = rest
            .find(|c: char| !first(c) && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let name = &rest[..end];
        if !name.starts_with(first) {
            return Err("a name behind a point begins with a letter or _; others stand in ['…']".to_owned());
        }
        let name = name.to_owned();
        self.at += name.len();
        Ok(Selector::Name(name))
    }

    fn bracketed(&mut self) -> Result<Vec<Selector>, String> {
        let mut selectors = Vec::new();
        loop {
            self.space();
            selectors.push(self.selector()?);
            self.space();
            if self.takes("]") {
                return Ok(selectors);
            }
            if !self.takes(",") {
                return Err("expected , or ]".to_owned());
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, String> {
        match self.rest().chars().next() {
            Some('*') => {
                self.at += 1;
                Ok(Selector::Any)
            }
            Some(quote @ ('\'' | '"')) => {
                self.at += 1;
                self.quoted(quote).map(Selector::Name)
            }
            Some('?') => Err("a filter depends on values that a walk has not seen yet".to_owned()),
            Some('-' | ':' | '0'..='9') => self.index_or_slice(),
            _ => Err("expected a name in quotes, an index, a slice or *".to_owned()),
        }
    }

    fn index_or_slice(&mut self) -> Result<Selector, String> {
        let from = self.integer()?;
        self.space();
        if !self.takes(":") {
            return from.map(Selector::Index).ok_or_else(|| "expected an index".to_owned());
        }
        self.space();
        let to = self.integer()?;
        self.space();
        let every = if self.takes(":") {
            self.space();
            self.integer()?
        } else {
            None
        };
        if every == Some(0) {
            return Err("a slice by 0 selects nothing".to_owned());
        }
        Ok(Selector::Slice(
            from.unwrap_or(0),
            to.unwrap_or(u64::MAX),
            every.unwrap_or(1),
        ))
    }

    fn integer(&mut self) -> Result<Option<u64>, String> {
        if self.rest().starts_with('-') {
            return Err("an index from the end depends on how long the array is".to_owned());
        }
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Ok(None);
        }
        let number = &self.rest()[..digits];
        let value: Option<u64> = number.parse().ok().filter(|number| *number <= LARGEST);
        if value.is_none() || digits > 1 && number.starts_with('0') {
            return Err("an index is 0 to 2^53 - 1, without zeros in front".to_owned());
        }
        self.at += digits;
        Ok(value)
    }

    /// A name in quotes (RFC 9535 section 2.3.1.1).
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut name = String::new();
        loop {
            match self.next() {
                None => return Err("a quote is missing".to_owned()),
                Some(c) if c == quote => return Ok(name),
                Some('\\') => name.push(self.escape(quote)?),
                Some(c) if c < ' ' => return Err("a control character stands in a name".to_owned()),
                Some(c) => name.push(c),
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<char, String> {
        match self.next() {
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(c @ ('/' | '\\')) => Ok(c),
            Some(c) if c == quote => Ok(c),
            Some('u') => {
                let code = match self.unit()? {
                    high @ 0xD800..0xDC00 => {
                        let low = if self.takes("\\u") { self.unit()? } else { 0 };
                        let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400);
                        low.map(|low| 0x1_0000 + ((high - 0xD800) << 10) + low)
                    }
                    code => Some(code),
                };
                code.and_then(char::from_u32)
                    .ok_or_else(|| "half a surrogate pair is no character".to_owned())
            }
            _ => Err("no such escape".to_owned()),
        }
    }

    fn unit(&mut self) -> Result<u32, String> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|four| four.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|four| u32::from_str_radix(four, 16).ok());
        self.at += if unit.is_some() { 4 } else { 0 };
        unit.ok_or_else(|| "\\u has four hexadecimal digits behind it".to_owned())
    }
}
