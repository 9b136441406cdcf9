//! The schemas themselves, and their fingerprints.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;

/// Text of `frame.avsc`.
pub const FRAME: &str = include_str!("../frame.avsc");
/// Text of `control.avsc`.
pub const CONTROL: &str = include_str!("../control.avsc");
/// Text of `audit.avsc`.
pub const AUDIT: &str = include_str!("../audit.avsc");
/// Text of `deadletter.avsc`.
pub const DEAD_LETTER: &str = include_str!("../deadletter.avsc");
/// Every schema, by its file's name.
pub const ALL: [(&str, &str); 4] = [
    ("frame.avsc", FRAME),
    ("control.avsc", CONTROL),
    ("audit.avsc", AUDIT),
    ("deadletter.avsc", DEAD_LETTER),
];

/// A record's schema and what names it on the wire.
#[derive(Debug)]
pub struct Released {
    /// Parsed schema.
    pub schema: Schema,
    /// CRC-64-AVRO of its parsing canonical form, as the single-object header carries it (little-endian).
    pub fingerprint: [u8; 8],
}

impl Released {
    pub(crate) fn parse(text: &str) -> Self {
        Self::read(text).expect("a schema of this crate parses: a test reads each")
    }

    /// Reads a schema's text.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(text: &str) -> Result<Self, Box<apache_avro::Error>> {
        let schema = Schema::parse_str(text)?;
        let fingerprint = schema
            .fingerprint::<Rabin>()
            .bytes
            .try_into()
            .expect("CRC-64-AVRO has eight bytes");
        Ok(Self { schema, fingerprint })
    }
}

/// Today's schema of the frames.
pub static FRAME_TODAY: LazyLock<Released> = LazyLock::new(|| Released::parse(FRAME));
/// Today's schema of the control statements.
pub static CONTROL_TODAY: LazyLock<Released> = LazyLock::new(|| Released::parse(CONTROL));
/// Today's schema of the audit events.
pub static AUDIT_TODAY: LazyLock<Released> = LazyLock::new(|| Released::parse(AUDIT));
/// Today's schema of the dead letters.
pub static DEAD_LETTER_TODAY: LazyLock<Released> = LazyLock::new(|| Released::parse(DEAD_LETTER));

/// A schema that was released, for ever.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// What it is of: frame, control, audit or deadletter.
    pub of: &'static str,
    /// Dense from 1; of frames and statements `golden/OF-VERSION.hex` is a record.
    pub version: u32,
    /// Its text.
    pub text: &'static str,
}

/// Every released schema, oldest first.
pub const RELEASES: &[Release] = &[
    Release {
        of: "frame",
        version: 1,
        text: FRAME,
    },
    Release {
        of: "control",
        version: 1,
        text: CONTROL,
    },
    Release {
        of: "audit",
        version: 1,
        text: AUDIT,
    },
    Release {
        of: "deadletter",
        version: 1,
        text: DEAD_LETTER,
    },
];

/// Earlier released schemas of the frames, newest first. An `*.avsc` that was released moves to `released/` before
/// it is changed, and is listed here.
pub static FRAME_EARLIER: LazyLock<Vec<Released>> = LazyLock::new(Vec::new);
