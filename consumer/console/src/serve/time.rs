//! Points in time as the API has them: RFC 3339 in UTC, to the microsecond.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Microseconds since 1970: what ClickHouse gives and takes. Read from it as a number, shown to clients as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(i64);

impl Time {
    pub(super) fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }

    pub(crate) fn microseconds(self) -> i64 {
        self.0
    }

    pub(super) fn minus(self, duration: SignedDuration) -> Self {
        let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(microseconds))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.6}"),
            // Recorded clocks may say anything.
            Err(_) => f.write_str("9999-12-31T23:59:59.999999Z"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    /// From a database row, or from the API's own JSON.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        let time = text.parse::<Timestamp>().map_err(D::Error::custom)?;
        Ok(Self(time.as_microsecond()))
    }
}

/// A [`Time`] that may be missing; a row has 0 for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MaybeTime(i64);

impl MaybeTime {
    pub(super) const NEVER: Self = Self(0);
}

impl Serialize for MaybeTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.serialize_none(),
            microseconds => serializer.serialize_some(&Time(microseconds)),
        }
    }
}

impl<'de> Deserialize<'de> for MaybeTime {
    /// From a database row.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

/// Whether ClickHouse's DateTime64 knows the time.
pub(super) fn is_known(microseconds: i64) -> bool {
    (FIRST..=LAST).contains(&microseconds)
}

/// A point in time that a client names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked(pub(super) Time);

/// The years that ClickHouse's DateTime64 knows.
const FIRST: i64 = -2_208_988_800_000_000;
const LAST: i64 = 10_413_791_999_000_000;

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Timestamp>().map(|timestamp| timestamp.as_microsecond()) {
            Ok(microseconds @ FIRST..=LAST) => Ok(Self(Time(microseconds))),
            _ => Err("a time is written 2026-01-31T12:00:00Z, from the year 1900 to 2299".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Asked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, MaybeTime, Time};

    #[test]
    fn times_are_shown_in_utc_to_the_microsecond() {
        let time = Time(1_769_860_800_000_001);
        assert_eq!(
            serde_json::to_string(&time).expect("JSON"),
            "\"2026-01-31T12:00:00.000001Z\""
        );
        assert_eq!(serde_json::to_string(&MaybeTime(0)).expect("JSON"), "null");
    }

    #[test]
    fn a_time_beyond_what_the_database_knows_is_refused() {
        assert!("2026-01-31T12:00:00+01:00".parse::<Asked>().is_ok());
        for wrong in [
            "9000-01-01T00:00:00Z",
            "-000001-01-01T00:00:00Z",
            "yesterday",
            "1' OR 1=1",
        ] {
            assert!(wrong.parse::<Asked>().is_err(), "{wrong}");
        }
    }
}
