//! Which secrets are planted, where, and in which form.

use std::collections::HashSet;
use std::fmt;

use super::dice::Dice;
use super::forms::Form;
use super::issuers::Issuer;
use super::kinds::Kind;
use super::secret::Secret;

/// The longest text that is planted where a message says which call it is about.
const ENVELOPE: usize = 200;
/// Attempts at a secret that nobody has seen yet and that fits its place.
const ATTEMPTS: usize = 10_000;

/// Where a secret is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// In the arguments of a tool's call.
    Arguments,
    /// In a text block of a result.
    Text,
    /// In a result's structured content, and in its copy in a text block.
    Structured,
    /// In the message or the data of an error.
    Error,
    /// In a notification on the way to the answer: progress, or a log message.
    Progress,
    /// Around the places where a large request is cut into parts.
    RequestParts,
    /// Around the places where a large answer is.
    AnswerParts,
    /// Around the places where a large event is.
    EventParts,
    /// In an answer that is no JSON.
    PlainText,
    /// As the URL of a resource.
    Url,
    /// As the name of a tool.
    Tool,
    /// In the request's `User-Agent`.
    UserAgent,
    /// As what the client calls itself.
    ClientName,
    /// In a comment of an event stream.
    Comment,
    /// As an event's id.
    EventId,
    /// As a call's id.
    CallId,
    /// As a call's method.
    Method,
}

/// Each place, and in how many of a hundred canaries it is.
const PLACES: [(Place, usize); 17] = [
    (Place::Arguments, 21),
    (Place::Text, 20),
    (Place::Structured, 12),
    (Place::Error, 10),
    (Place::Progress, 9),
    (Place::RequestParts, 5),
    (Place::AnswerParts, 5),
    (Place::EventParts, 5),
    (Place::PlainText, 3),
    (Place::Url, 2),
    (Place::Tool, 1),
    (Place::UserAgent, 2),
    (Place::ClientName, 1),
    (Place::Comment, 1),
    (Place::EventId, 1),
    (Place::CallId, 1),
    (Place::Method, 1),
];

impl Place {
    pub(super) const ALL: [Self; 17] = {
        let mut all = [Self::Arguments; 17];
        let mut at = 0;
        while at < all.len() {
            all[at] = PLACES[at].0;
            at += 1;
        }
        all
    };

    /// Forms that it takes, of a secret like that; none where redaction promises nothing there.
    fn forms(self, secret: &Secret, source: &Source<'_>) -> &'static [Form] {
        let text = match secret {
            Secret::Text { text, .. } => text,
            Secret::Member { .. } => return if self.takes_json() { &Form::OF_MEMBERS } else { &[] },
        };
        let is_header = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text;
        match self {
            // Who and what stays: personal data goes from bodies.
            Self::EventId | Self::CallId | Self::Method if !source.is_credential() => &[],
            Self::CallId | Self::Method | Self::Tool | Self::ClientName if text.len() <= ENVELOPE => &Form::OF_STRINGS,
            Self::CallId | Self::Method | Self::Tool | Self::ClientName => &[],
            Self::UserAgent | Self::Comment | Self::EventId if is_header => &Form::OF_HEADERS,
            Self::UserAgent | Self::Comment | Self::EventId => &[],
            Self::Url | Self::PlainText => &Form::OF_STRINGS,
            _ if secret.digits().is_some() && source.rule() == "card" => &Form::OF_NUMBERS,
            _ => &Form::OF_TEXTS,
        }
    }

    /// Whether any JSON value may stand there.
    fn takes_json(self) -> bool {
        matches!(
            self,
            Self::Arguments
                | Self::Text
                | Self::Structured
                | Self::Error
                | Self::Progress
                | Self::RequestParts
                | Self::AnswerParts
                | Self::EventParts
        )
    }
}

/// A secret at a place.
#[derive(Debug, Clone)]
pub(super) struct Canary {
    /// The rule that is to find it.
    pub(super) rule: String,
    pub(super) place: Place,
    pub(super) form: Form,
    pub(super) secret: Secret,
}

impl Canary {
    /// The source text of a JSON value that holds it.
    pub(super) fn source(&self) -> String {
        self.form.write(&self.secret)
    }

    /// What holds it where no JSON is; nothing for the value of a member.
    pub(super) fn text(&self) -> String {
        match &self.secret {
            Secret::Text { text, .. } => self.form.text(text),
            Secret::Member { .. } => String::new(),
        }
    }
}

/// Canaries open nothing, so they may be shown.
impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}: {:?}", self.rule, self.place, self.form, self.source())
    }
}

/// Where secrets come from.
enum Source<'a> {
    Kind(Kind),
    Issuer(&'a Issuer),
}

impl Source<'_> {
    fn rule(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.rule(),
            Self::Issuer(issuer) => issuer.rule(),
        }
    }

    fn is_credential(&self) -> bool {
        match self {
            Self::Kind(kind) => kind.is_credential(),
            Self::Issuer(_) => true,
        }
    }

    fn make(&self, dice: &mut Dice) -> Secret {
        match self {
            Self::Kind(kind) => kind.make(dice),
            Self::Issuer(issuer) => issuer.make(dice),
        }
    }
}

/// Makes canaries, none twice.
#[derive(Debug)]
pub(super) struct Planner {
    issuers: Vec<Issuer>,
    dice: Dice,
    /// How many were made at each place: kinds take turns there, then forms.
    turns: [usize; Place::ALL.len()],
    seen: HashSet<String>,
}

impl Planner {
    /// # Errors
    /// A pack has a rule that no canary can be made for.
    pub(super) fn new(seed: u64) -> anyhow::Result<Self> {
        Ok(Self {
            issuers: Issuer::all()?,
            dice: Dice::new(seed),
            turns: [0; Place::ALL.len()],
            seen: HashSet::new(),
        })
    }

    /// The rules that there are canaries for.
    pub(super) fn rules(&self) -> HashSet<&str> {
        let kinds = Kind::all().into_iter().map(|kind| -> &str { kind.rule() });
        kinds.chain(self.issuers.iter().map(Issuer::rule)).collect()
    }

    /// So many canaries. Kinds and forms take turns at each place, so that each kind comes in each form.
    pub(super) fn canaries(&mut self, count: usize) -> Vec<Canary> {
        let kinds = Kind::all();
        let places: Vec<Place> = PLACES
            .iter()
            .flat_map(|(place, share)| std::iter::repeat_n(*place, *share))
            .collect();
        (0..count)
            .map(|_| {
                let place = *self.dice.one(&places);
                self.canary(place, &kinds)
            })
            .collect()
    }

    fn canary(&mut self, place: Place, kinds: &[Kind]) -> Canary {
        let at = Place::ALL.iter().position(|other| *other == place).unwrap_or_default();
        let turns = &mut self.turns[at];
        for _ in 0..ATTEMPTS {
            let turn = *turns;
            *turns += 1;
            // Rules that were written by hand find most of what people have; issuers are many.
            let all = if turn.is_multiple_of(2) {
                kinds.len()
            } else {
                self.issuers.len()
            };
            let (round, which) = (turn / 2 / all, turn / 2 % all);
            let source = match turn % 2 {
                0 => Source::Kind(kinds[which]),
                _ => Source::Issuer(&self.issuers[which]),
            };
            let secret = source.make(&mut self.dice);
            let forms = place.forms(&secret, &source);
            if forms.is_empty() || !self.seen.insert(secret.window().to_owned()) {
                continue;
            }
            // A kind has few turns at each place: they go on where those at the place before end.
            let form = forms[(which + round + 3 * at) % forms.len()];
            // The proxy refuses ids that are much longer than anybody's.
            let is_short = matches!(place, Place::CallId | Place::Method | Place::Tool | Place::ClientName);
            if is_short && form.write(&secret).len() > ENVELOPE {
                continue;
            }
            return Canary {
                rule: source.rule().to_owned(),
                place,
                form,
                secret,
            };
        }
        panic!("nothing fits {place:?}")
    }
}

/// So many of those whose text a header field can have.
pub(super) fn in_headers(canaries: Vec<Canary>, count: usize) -> Vec<Canary> {
    let plain = |mut canary: Canary| {
        canary.form = Form::Plain;
        canary
    };
    let fits = |canary: &Canary| {
        let text = canary.text();
        !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text
    };
    canaries.into_iter().map(plain).filter(fits).take(count).collect()
}
