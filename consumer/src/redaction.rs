//! Where secrets end: what goes in is a frame as recorded, what comes out can be stored and published.
//!
//! [`mask`] masks a frame's texts; [`clean`] redacts the payload of a message, or takes what a stream has made of its parts,
//! and gives back one [`CleanFrame`] per frame. Rows and publishers take nothing else, and nothing else makes one.

use std::sync::Arc;

use bytes::Bytes;
use tapedeck_redact::{Content, Context, DropReason, Finding, Outcome, Redacted, Redactor};
use tapedeck_schemas::{Commitments, Counters, Direction, Frame, Payload, Salt, Salts};

mod erase;
mod known;
mod masks;
#[cfg(test)]
mod tests;

pub use known::Known;
use masks::{Masks, add, note};

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// There was none.
    None,
    /// It is here as recorded.
    Unchanged,
    /// It is here, masked; of a message of several parts, this frame's piece of it.
    Masked,
    /// Nothing of it is left; the reason's stable name.
    Dropped(&'static str),
    /// Nothing of it is left, nor of who it was about: an erasure was ordered.
    Erased,
}

impl Fate {
    /// The name in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unchanged => "unchanged",
            Self::Masked => "masked",
            Self::Dropped(_) => "dropped",
            Self::Erased => "erased",
        }
    }
}

/// A frame whose texts are masked and whose payload is still secret.
#[derive(Debug)]
pub struct MaskedFrame {
    /// Invariant: no payload, no salts.
    frame: Box<Frame>,
    payload: Option<Payload>,
    salts: Salts,
    metadata_masked: bool,
    direct_masked: bool,
    rules: Vec<Arc<str>>,
    tokens: Vec<String>,
}

impl MaskedFrame {
    /// The frame without its payload and salts.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Takes the payload away, unredacted. What is taken is lost to [`clean`]'s `Unchanged`; the caller keeps it for that.
    pub(crate) fn take_payload(&mut self) -> Option<Payload> {
        self.payload.take()
    }
}

/// A frame that may be stored and published.
#[derive(Clone, Debug)]
pub struct CleanFrame {
    /// Invariant: no payload, no salts, texts masked.
    frame: Box<Frame>,
    body: Option<Bytes>,
    fate: Fate,
    rules: Vec<Arc<str>>,
    tokens: Vec<String>,
    salts: (Option<Salt>, Option<Salt>),
    direct_masked: bool,
}

impl CleanFrame {
    /// The frame without payload and salts.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The redacted payload.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// The redacted payload, to be shared.
    pub(crate) fn shared_body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// What became of the payload.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.fate
    }

    /// Rules that masked something, each once.
    #[must_use]
    pub fn rules(&self) -> &[Arc<str>] {
        &self.rules
    }

    /// Tokens that stand in payload and metadata, each once.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The salt of the payload's commitment, where the payload is unchanged.
    #[must_use]
    pub fn payload_salt(&self) -> Option<Salt> {
        self.salts.0
    }

    /// The salt of the metadata's commitment, where nothing of it was masked.
    #[must_use]
    pub fn metadata_salt(&self) -> Option<Salt> {
        self.salts.1
    }

    /// A field was masked that the frame hash covers directly.
    #[must_use]
    pub fn direct_masked(&self) -> bool {
        self.direct_masked
    }

    /// The place of a record that is no frame: nothing of the record itself.
    #[must_use]
    pub fn stub(frame: Frame, reason: &'static str) -> Self {
        Self {
            frame: Box::new(Frame {
                payload: None,
                salts: Salts::default(),
                commitments: Commitments::default(),
                counters: Counters::default(),
                ..frame
            }),
            body: None,
            fate: Fate::Dropped(reason),
            rules: Vec::new(),
            tokens: Vec::new(),
            salts: (None, None),
            direct_masked: false,
        }
    }
}

/// Masks every text of a frame that a client or a target chose. `known` goes with the redactor.
#[must_use]
pub fn mask(frame: impl Into<Box<Frame>>, redactor: &Redactor, known: &mut Known) -> MaskedFrame {
    let mut frame: Box<Frame> = frame.into();
    let payload = frame.payload.take();
    let salts = std::mem::take(&mut frame.salts);
    if !redactor.is_enabled() {
        return MaskedFrame {
            frame,
            payload,
            salts,
            metadata_masked: false,
            direct_masked: false,
            rules: Vec::new(),
            tokens: Vec::new(),
        };
    }
    // Rules and keys are those of the tenant and the target, which no rule masks.
    let (tenant, target) = (std::mem::take(&mut frame.tenant), std::mem::take(&mut frame.target));
    let mut masks = Masks::new(redactor, known, &tenant, &target);
    let mut metadata_masked = false;
    if let Some(principal) = &mut frame.principal {
        // Decoded a moment ago and held by nobody else: nothing is cloned.
        let principal = Arc::make_mut(principal);
        metadata_masked |= masks.mask(&mut principal.name) | masks.mask(&mut principal.email);
    }
    metadata_masked |= masks.mask_all(&mut frame.client.user_agent);
    metadata_masked |= masks.mask_all(&mut frame.client.claimed_name);
    metadata_masked |= masks.mask_all(&mut frame.client.claimed_version);
    let mut direct_masked = masks.mask(&mut frame.protocol.revision);
    direct_masked |= masks.mask(&mut frame.traceparent);
    direct_masked |= masks.mask(&mut frame.http.content_type);
    direct_masked |= masks.mask(&mut frame.http.method);
    if let Some(rpc) = &mut frame.rpc {
        metadata_masked |= masks.mask_all(&mut rpc.name);
        direct_masked |= masks.mask(&mut rpc.method);
        direct_masked |= masks.mask_id(&mut rpc.id);
    }
    if let Some(sse) = &mut frame.sse {
        metadata_masked |= masks.mask(&mut sse.id);
        metadata_masked |= masks.mask(&mut sse.event);
        metadata_masked |= masks.mask_all(&mut sse.comment);
    }
    let (rules, tokens) = (masks.rules, masks.tokens);
    (frame.tenant, frame.target) = (tenant, target);
    MaskedFrame {
        rules,
        tokens,
        frame,
        payload,
        salts,
        metadata_masked,
        direct_masked,
    }
}

/// A JSON-RPC id as [`mask`] leaves it: it correlates frames.
pub fn mask_id(id: &str, frame: &Frame, redactor: &Redactor, known: &mut Known) -> String {
    let mut masks = Masks::new(redactor, known, &frame.tenant, &frame.target);
    let mut id = Some(id.to_owned());
    masks.mask_id(&mut id);
    id.unwrap_or_default()
}

/// The payload of a message.
#[derive(Debug)]
pub enum Body {
    /// All of it, in one frame.
    Whole(Option<Payload>),
    /// What a stream has made of its parts; as many as there are frames.
    Redacted(Vec<Redacted<'static>>),
    /// It is not to be kept, and why.
    Withheld(DropReason),
}

/// Redacts the payload of a message. `frames` are its parts in order, their payloads taken; there is at least one.
#[must_use]
pub fn clean(frames: Vec<MaskedFrame>, body: Body, redactor: &Redactor) -> Vec<CleanFrame> {
    match body {
        Body::Withheld(reason) => frames.into_iter().map(|frame| frame.drop_payload(reason)).collect(),
        Body::Redacted(bodies) => {
            let pairs = frames.into_iter().zip(bodies);
            pairs.map(|(frame, redacted)| frame.with(&redacted)).collect()
        }
        Body::Whole(payload) => {
            let each = |frame| clean_whole(frame, payload.as_ref(), redactor);
            frames.into_iter().map(each).collect()
        }
    }
}

/// The same for a message that came in one frame, whose payload this is.
#[must_use]
pub fn clean_whole(frame: MaskedFrame, payload: Option<&Payload>, redactor: &Redactor) -> CleanFrame {
    let Some(payload) = payload else {
        return frame.finish(None, Fate::None, &[], &[]);
    };
    let redacted = redactor.redact(&payload.0, &context(&frame.frame));
    match redacted.outcome() {
        // The very same bytes: nothing is copied.
        Outcome::Unchanged => frame.finish(Some(payload.0.clone()), Fate::Unchanged, &[], &[]),
        _ => frame.with(&redacted),
    }
}

/// What the rules are told about a frame's payload.
pub(crate) fn context(frame: &Frame) -> Context<'_> {
    let rpc = frame.rpc.as_ref();
    let content_type = frame.http.content_type.as_deref().unwrap_or_default();
    let is_text = content_type.starts_with("text/") && !content_type.starts_with("text/event-stream");
    Context {
        tenant: &frame.tenant,
        target: &frame.target,
        method: rpc.and_then(|rpc| rpc.method.as_deref()),
        name: rpc.and_then(|rpc| rpc.name.as_deref()),
        direction: match frame.direction {
            Direction::ToTarget => Some(tapedeck_redact::Direction::ToTarget),
            Direction::ToClient => Some(tapedeck_redact::Direction::ToClient),
            Direction::None => None,
        },
        content: if is_text { Content::Text } else { Content::Json },
    }
}

impl MaskedFrame {
    fn finish(self, body: Option<Bytes>, fate: Fate, findings: &[Finding], found: &[String]) -> CleanFrame {
        let (mut rules, mut tokens) = (self.rules, self.tokens);
        note(&mut rules, findings);
        add(&mut tokens, found);
        // A salt beside a mask would let anyone try all values.
        let payload_salt = self.salts.payload.filter(|_| fate == Fate::Unchanged);
        let metadata_salt = (!self.metadata_masked).then_some(self.salts.metadata);
        CleanFrame {
            frame: self.frame,
            body,
            fate,
            rules,
            tokens,
            salts: (payload_salt, metadata_salt),
            direct_masked: self.direct_masked,
        }
    }

    fn with(self, redacted: &Redacted<'_>) -> CleanFrame {
        let body = || redacted.body().map(Bytes::copy_from_slice);
        match redacted.outcome() {
            // A part that had no payload is an empty piece of its message.
            Outcome::Unchanged if self.frame.commitments.payload.is_none() => self.finish(None, Fate::None, &[], &[]),
            Outcome::Unchanged => self.finish(body(), Fate::Unchanged, &[], &[]),
            Outcome::Masked => self.finish(body(), Fate::Masked, redacted.findings(), redacted.tokens()),
            Outcome::Dropped(reason) => self.drop_payload(reason),
        }
    }

    fn drop_payload(self, reason: DropReason) -> CleanFrame {
        let fate = match self.frame.commitments.payload {
            Some(_) => Fate::Dropped(reason.as_str()),
            None => Fate::None,
        };
        self.finish(None, fate, &[], &[])
    }
}
