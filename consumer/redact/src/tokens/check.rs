//! The grammar of JSON as a table, for texts in which nothing but numbers has to be looked at.
//!
//! It accepts what [`Tokens`](super::Tokens) walks to the end, several times faster: most positions are one lookup, and only
//! containers, numbers and literals are more.

use super::{Broken, Texts, number_end, open::Open, scanner::Scanner, starts_literal};
use std::ops::Range;

/// Which position it is, of those that a scanner reports.
#[derive(Clone, Copy)]
enum Class {
    Quote,
    Colon,
    Comma,
    OpenObject,
    CloseObject,
    OpenArray,
    CloseArray,
    /// Anything else: the beginning of a number or literal, or nothing sound.
    Scalar,
}

const CLASSES: usize = 8;

/// What has come, as far as it decides on what may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing; a value.
    Text,
    /// The opening quote of the only value.
    TextString,
    /// All of the text.
    End,
    /// `{`.
    Object,
    /// A comma in an object.
    NextMember,
    /// The opening quote of a name.
    Name,
    /// A name.
    Named,
    /// A name and a colon.
    Member,
    /// The opening quote of a member's value.
    MemberString,
    /// A member.
    EndMember,
    /// `[`.
    Array,
    /// A comma in an array.
    NextElement,
    /// The opening quote of an element.
    ElementString,
    /// An element.
    EndElement,
}

const STATES: usize = 14;

/// What a position leads to: a state, or one of these.
const OPEN_OBJECT: u8 = 0x80;
const OPEN_ARRAY: u8 = 0x81;
const CLOSE: u8 = 0x82;
/// A number or literal, and the state behind it in the lower bits.
const SCALAR: u8 = 0x90;
const BROKEN: u8 = 0xFF;

const CLASS: [u8; 256] = {
    let mut classes = [Class::Scalar as u8; 256];
    classes[b'"' as usize] = Class::Quote as u8;
    classes[b':' as usize] = Class::Colon as u8;
    classes[b',' as usize] = Class::Comma as u8;
    classes[b'{' as usize] = Class::OpenObject as u8;
    classes[b'}' as usize] = Class::CloseObject as u8;
    classes[b'[' as usize] = Class::OpenArray as u8;
    classes[b']' as usize] = Class::CloseArray as u8;
    classes
};

const NEXT: [[u8; CLASSES]; STATES] = {
    let mut next = [[BROKEN; CLASSES]; STATES];
    // Where a value may stand, its opening quote, and what is behind it.
    let values = [
        (State::Text, State::TextString, State::End),
        (State::Member, State::MemberString, State::EndMember),
        (State::Array, State::ElementString, State::EndElement),
        (State::NextElement, State::ElementString, State::EndElement),
    ];
    let mut at = 0;
    while at < values.len() {
        let (value, string, end) = values[at];
        next[value as usize][Class::Quote as usize] = string as u8;
        next[string as usize][Class::Quote as usize] = end as u8;
        next[value as usize][Class::Scalar as usize] = SCALAR | end as u8;
        next[value as usize][Class::OpenObject as usize] = OPEN_OBJECT;
        next[value as usize][Class::OpenArray as usize] = OPEN_ARRAY;
        at += 1;
    }
    // JSON lines.
    next[State::End as usize][Class::OpenObject as usize] = OPEN_OBJECT;
    next[State::End as usize][Class::OpenArray as usize] = OPEN_ARRAY;
    next[State::Object as usize][Class::Quote as usize] = State::Name as u8;
    next[State::NextMember as usize][Class::Quote as usize] = State::Name as u8;
    next[State::Name as usize][Class::Quote as usize] = State::Named as u8;
    next[State::Named as usize][Class::Colon as usize] = State::Member as u8;
    next[State::EndMember as usize][Class::Comma as usize] = State::NextMember as u8;
    next[State::EndElement as usize][Class::Comma as usize] = State::NextElement as u8;
    next[State::Object as usize][Class::CloseObject as usize] = CLOSE;
    next[State::EndMember as usize][Class::CloseObject as usize] = CLOSE;
    next[State::Array as usize][Class::CloseArray as usize] = CLOSE;
    next[State::EndElement as usize][Class::CloseArray as usize] = CLOSE;
    next
};

/// Checks a whole text, and calls `number` for each number in it.
pub(crate) fn check(
    src: &str,
    max_depth: usize,
    texts: Texts,
    mut number: impl FnMut(Range<usize>),
) -> Result<(), Broken> {
    let src = src.as_bytes();
    let mut scanner = Scanner::new(src);
    let mut open = Open::default();
    let mut state = State::Text as u8;
    while let Some(at) = scanner.next()? {
        let next = NEXT[usize::from(state)][usize::from(CLASS[usize::from(src[at])])];
        if next < OPEN_OBJECT {
            state = next;
            continue;
        }
        state = match next {
            OPEN_OBJECT | OPEN_ARRAY => {
                if state == State::End as u8 && texts == Texts::One {
                    return Err(Broken::Syntax);
                }
                if open.len() >= max_depth {
                    return Err(Broken::TooDeep);
                }
                let is_object = next == OPEN_OBJECT;
                open.push(is_object);
                if is_object {
                    State::Object as u8
                } else {
                    State::Array as u8
                }
            }
            CLOSE => {
                open.pop();
                match (open.is_empty(), open.is_object()) {
                    (true, _) => State::End as u8,
                    (_, true) => State::EndMember as u8,
                    (_, false) => State::EndElement as u8,
                }
            }
            BROKEN => return Err(Broken::Syntax),
            scalar => {
                match src[at] {
                    b'-' | b'0'..=b'9' => number(at..number_end(src, at).ok_or(Broken::Syntax)?),
                    _ if starts_literal(src, at) => {}
                    _ => return Err(Broken::Syntax),
                }
                scalar & !SCALAR
            }
        };
    }
    if state == State::End as u8 {
        Ok(())
    } else {
        Err(Broken::Syntax)
    }
}
