use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// A point in time as people type it: a date, a timestamp, or how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(Timestamp);

impl Moment {
    /// Microseconds since 1970.
    pub(crate) fn microseconds(self) -> i64 {
        self.0.as_microsecond()
    }

    /// As the API takes it (RFC 3339).
    pub(crate) fn written(self) -> String {
        format!("{:.6}", self.0)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(Self(timestamp));
        }
        if let Ok(date) = text.parse::<Date>() {
            let start = date.to_zoned(TimeZone::system()).map_err(|error| error.to_string())?;
            return Ok(Self(start.timestamp()));
        }
        let hint =
            || format!("{text:?} is no time: say 2026-01-31, 2026-01-31T12:00:00Z, or how long ago: 90m, 2h, 7d");
        let ago: Span = text.parse().map_err(|_| hint())?;
        let then = Zoned::now().checked_sub(ago).map_err(|_| hint())?;
        Ok(Self(then.timestamp()))
    }
}

/// Microseconds since 1970 as local time, to the millisecond.
pub(crate) fn display(microseconds: i64) -> String {
    match Timestamp::from_microsecond(microseconds) {
        Ok(timestamp) => timestamp
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S%.3f")
            .to_string(),
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::Moment;

    #[test]
    fn a_timestamp_is_taken_as_it_stands() {
        let moment: Moment = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(moment.microseconds(), 1_769_860_800_000_000);
    }

    #[test]
    fn a_length_of_time_is_counted_back_from_now() {
        let moment: Moment = "2h".parse().unwrap();
        let ago = Timestamp::now().duration_since(moment.0);
        assert!(
            (ago - SignedDuration::from_hours(2)).abs() < SignedDuration::from_secs(60),
            "{ago}"
        );
    }

    #[test]
    fn nonsense_says_what_would_do() {
        let error = "yesterdayish".parse::<Moment>().unwrap_err();
        assert!(error.contains("90m"), "{error}");
    }
}
