//! From the grammar's events to envelopes.

use super::capture::{Capture, json_string};
use super::keys::{LONGEST_KEY, Lookup, Place, Slot};
use super::member::Member;
use super::{Envelope, EnvelopeError, Kind, Limits, Sender};
use crate::json::{Literal, Sink};

/// The most containers that are looked at inside each other: batch, message, params, _meta, clientInfo.
const LEVELS: usize = 5;

const NOT_AN_OBJECT: EnvelopeError = EnvelopeError::Invalid("it is not an object");
const LONE_SURROGATE: EnvelopeError = EnvelopeError::Invalid("a string that names it has half of a surrogate pair");

/// Receives the grammar's events.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    limits: Limits,
    /// The open containers that are looked at, outermost first.
    places: [Place; LEVELS],
    open: usize,
    /// Containers that are open inside the innermost of these and not looked at.
    ignored: usize,
    /// The member whose value comes next, if it is looked at.
    slot: Option<Slot>,
    capture: Capture,
    member: Member,
    batch: bool,
    members: Vec<Envelope>,
    done: Option<Envelope>,
}

impl Reader {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: [Place::Outside; LEVELS],
            open: 0,
            ignored: 0,
            slot: None,
            capture: Capture::default(),
            member: Member::default(),
            batch: false,
            members: Vec::new(),
            done: None,
        }
    }

    /// The envelope of the message, which the grammar has found to be whole.
    pub(super) fn into_envelope(self) -> Result<Envelope, EnvelopeError> {
        self.done.ok_or(NOT_AN_OBJECT)
    }

    pub(super) fn so_far(&self) -> Option<Envelope> {
        match &self.done {
            Some(done) => Some(done.clone()),
            None if self.batch => Some(Envelope {
                kind: Kind::Batch,
                members: self.members.clone(),
                ..Envelope::default()
            }),
            None => self.member.so_far(),
        }
    }

    /// The innermost open container that is looked at.
    fn place(&self) -> Place {
        self.open
            .checked_sub(1)
            .map_or(Place::Outside, |innermost| self.places[innermost])
    }

    /// Takes the member whose value begins, unless that value lies in something that is not looked at.
    fn begin_value(&mut self) -> Result<Option<Slot>, EnvelopeError> {
        match self.place() {
            _ if self.ignored > 0 => Ok(None),
            Place::Outside => Err(NOT_AN_OBJECT),
            Place::Batch => Err(EnvelopeError::Invalid("a member of the batch is not an object")),
            _ => Ok(self.slot.take()),
        }
    }

    fn enter(&mut self, place: Place) {
        self.places[self.open] = place;
        self.open += 1;
    }

    fn limit(&self, slot: Slot) -> usize {
        match slot {
            Slot::Id | Slot::Method => self.limits.label,
            Slot::Name | Slot::Uri => self.limits.name,
            _ => self.limits.text,
        }
    }

    fn key(&mut self) -> Result<(), EnvelopeError> {
        let (slot, fault) = match self.place().look_up(&self.capture.text) {
            Lookup::Known(slot, name) if self.member.has(slot) => (None, Some(EnvelopeError::Ambiguous(name))),
            Lookup::Known(slot, name) => {
                self.member.seen |= slot.bit();
                (
                    Some(slot),
                    self.capture.escaped.then_some(EnvelopeError::Ambiguous(name)),
                )
            }
            Lookup::Variant(name) => (None, Some(EnvelopeError::Ambiguous(name))),
            // Other parsers drop or replace the half, or refuse the message: the key may become any key.
            Lookup::Unknown if self.capture.lone_surrogate => (None, Some(LONE_SURROGATE)),
            Lookup::Unknown => (None, None),
        };
        if let Some(fault) = fault {
            if self.limits.sender == Sender::Client {
                return Err(fault);
            }
            self.member.ambiguous = true;
        }
        self.slot = slot;
        Ok(())
    }

    fn string(&mut self, slot: Slot) -> Result<(), EnvelopeError> {
        let Capture {
            truncated,
            lone_surrogate,
            ..
        } = self.capture;
        let text = self.capture.text();
        let (label, whole) = match slot {
            Slot::Id => ("id", true),
            Slot::Method => ("method", true),
            Slot::Name => ("name", false),
            Slot::Uri => ("uri", false),
            _ => ("", false),
        };
        if lone_surrogate && !label.is_empty() {
            return Err(LONE_SURROGATE);
        }
        if truncated && whole {
            return Err(EnvelopeError::TooLong(label));
        }
        let member = &mut self.member;
        let target = match slot {
            Slot::JsonRpc => {
                member.version = text == "2.0";
                return Ok(());
            }
            Slot::Id | Slot::MetaProgressToken | Slot::ParamsProgressToken => {
                let text = json_string(text);
                return self.token(slot, text);
            }
            Slot::Method => &mut member.method,
            Slot::Name => &mut member.name,
            Slot::Uri => &mut member.uri,
            Slot::ProtocolVersion => &mut member.protocol_version,
            Slot::InfoName => &mut member.info.name,
            Slot::InfoVersion => &mut member.info.version,
            Slot::TraceParent => &mut member.trace_parent,
            Slot::MetaProtocolVersion => &mut member.meta_protocol_version,
            Slot::MetaInfoName => &mut member.meta_info.name,
            Slot::MetaInfoVersion => &mut member.meta_info.version,
            _ => return wrong_type(slot),
        };
        *target = Some(text.to_owned());
        member.truncated |= truncated;
        Ok(())
    }

    /// An id or a progress token, as JSON text.
    fn token(&mut self, slot: Slot, text: String) -> Result<(), EnvelopeError> {
        let target = match slot {
            Slot::Id => &mut self.member.id,
            Slot::MetaProgressToken => &mut self.member.meta_progress_token,
            _ => &mut self.member.params_progress_token,
        };
        if self.capture.truncated {
            self.member.truncated = true;
        } else {
            *target = Some(text);
        }
        Ok(())
    }

    fn message_complete(&mut self) -> Result<(), EnvelopeError> {
        let envelope = std::mem::take(&mut self.member).complete()?;
        if !self.batch {
            self.done = Some(envelope);
            return Ok(());
        }
        if self.members.len() == self.limits.members {
            return Err(EnvelopeError::TooMany);
        }
        // MCP 2025-03-26, lifecycle: "The initialize request MUST NOT be part of a JSON-RPC batch".
        if envelope.method.as_deref() == Some("initialize") {
            return Err(EnvelopeError::Invalid("`initialize` is not allowed in a batch"));
        }
        self.members.push(envelope);
        Ok(())
    }
}

impl Sink for Reader {
    type Error = EnvelopeError;

    fn begin_object(&mut self) -> Result<(), EnvelopeError> {
        if self.ignored > 0 {
            self.ignored += 1;
            return Ok(());
        }
        match (self.place(), self.slot.take()) {
            (Place::Outside | Place::Batch, _) => self.enter(Place::Message),
            (_, Some(Slot::Params)) => self.enter(Place::Params),
            (_, Some(Slot::Result)) => self.enter(Place::Result),
            (_, Some(Slot::Error)) => self.enter(Place::Error),
            (_, Some(Slot::ClientInfo)) => self.enter(Place::ClientInfo),
            (_, Some(Slot::Meta)) => self.enter(Place::Meta),
            (_, Some(Slot::MetaClientInfo)) => self.enter(Place::MetaClientInfo),
            (_, slot) => {
                slot.map_or(Ok(()), wrong_type)?;
                self.ignored = 1;
            }
        }
        Ok(())
    }

    fn end_object(&mut self) -> Result<(), EnvelopeError> {
        if self.ignored > 0 {
            self.ignored -= 1;
            return Ok(());
        }
        let place = self.place();
        self.open -= 1;
        if place == Place::Message {
            self.message_complete()
        } else {
            Ok(())
        }
    }

    fn begin_array(&mut self) -> Result<(), EnvelopeError> {
        if self.ignored == 0 && self.place() == Place::Outside {
            self.batch = true;
            self.enter(Place::Batch);
            return Ok(());
        }
        self.begin_value()?.map_or(Ok(()), wrong_type)?;
        self.ignored += 1;
        Ok(())
    }

    fn end_array(&mut self) -> Result<(), EnvelopeError> {
        if self.ignored > 0 {
            self.ignored -= 1;
            return Ok(());
        }
        self.open -= 1;
        if self.members.is_empty() {
            return Err(EnvelopeError::Invalid("the batch is empty"));
        }
        self.done = Some(Envelope {
            kind: Kind::Batch,
            members: std::mem::take(&mut self.members),
            ..Envelope::default()
        });
        Ok(())
    }

    fn begin_string(&mut self, is_key: bool) -> bool {
        if self.ignored > 0 {
            return false;
        }
        match self.slot {
            _ if is_key => self.capture.begin(LONGEST_KEY),
            Some(slot) => self.capture.begin(self.limit(slot)),
            None => return false,
        }
        true
    }

    fn text(&mut self, utf8: &[u8]) {
        self.capture.add(utf8);
    }

    fn escape(&mut self) {
        self.capture.escaped = true;
    }

    fn lone_surrogate(&mut self) {
        self.capture.lone_surrogate = true;
        self.capture.add("\u{fffd}".as_bytes());
    }

    fn end_string(&mut self, is_key: bool) -> Result<(), EnvelopeError> {
        if is_key {
            return if self.ignored > 0 { Ok(()) } else { self.key() };
        }
        match self.begin_value()? {
            Some(slot) => self.string(slot),
            None => Ok(()),
        }
    }

    fn begin_number(&mut self) {
        if let Some(slot) = self.slot {
            self.capture.begin(self.limit(slot));
        }
    }

    fn number(&mut self, raw: &[u8]) {
        if self.slot.is_some() {
            self.capture.add(raw);
        }
    }

    fn end_number(&mut self) -> Result<(), EnvelopeError> {
        let Some(slot) = self.begin_value()? else { return Ok(()) };
        let text = self.capture.text();
        match slot {
            Slot::Id if self.capture.truncated => Err(EnvelopeError::TooLong("id")),
            Slot::Id if text.contains(['.', 'e', 'E']) => wrong_type(slot),
            Slot::Id | Slot::MetaProgressToken | Slot::ParamsProgressToken => {
                let text = text.to_owned();
                self.token(slot, text)
            }
            Slot::Code => {
                self.member.error_code = text.parse().ok();
                Ok(())
            }
            _ => wrong_type(slot),
        }
    }

    fn literal(&mut self, literal: Literal) -> Result<(), EnvelopeError> {
        match self.begin_value()? {
            // Some encoders write absent members as null.
            Some(Slot::Id | Slot::Params) if literal == Literal::Null => Ok(()),
            Some(Slot::IsError) => {
                self.member.is_error = literal == Literal::True;
                Ok(())
            }
            Some(slot) => wrong_type(slot),
            None => Ok(()),
        }
    }
}

/// A value of a type that the member cannot have. Only the members that make a message what it is are strict: what is
/// in the others is between client and target.
fn wrong_type(slot: Slot) -> Result<(), EnvelopeError> {
    Err(EnvelopeError::Invalid(match slot {
        Slot::JsonRpc => "`jsonrpc` is not \"2.0\"",
        Slot::Id => "`id` is neither a string nor an integer",
        Slot::Method => "`method` is not a string",
        Slot::Params => "`params` is not an object",
        Slot::Error => "`error` is not an object",
        _ => return Ok(()),
    }))
}
