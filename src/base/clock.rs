//! Wall-clock time as data. Code asks a [`Clock`]; only [`SystemClock`] looks at the real one.

mod civil;

use std::fmt;
use std::str::FromStr;

pub use civil::{BadSpan, CalendarSpan, Civil};

/// A moment, in whole seconds and nanoseconds since 1970-01-01 UTC. Ordered; may lie before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since the epoch, rounded towards the past.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanos: u32,
}

impl Timestamp {
    /// A moment from its two parts; nanoseconds beyond a second are refused.
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        (nanos < 1_000_000_000).then_some(Self { seconds, nanos })
    }

    /// Nanoseconds since the epoch, wide enough for every file system.
    pub fn as_nanos(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }

    /// Whole milliseconds since another moment; negative if that is later.
    pub fn millis_since(self, other: Self) -> i64 {
        i64::try_from((self.as_nanos() - other.as_nanos()) / 1_000_000).unwrap_or(i64::MAX)
    }

    fn civil(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::new(self.seconds, self.nanos as i32).ok()
    }
}

/// RFC 3339 in UTC, to the nanosecond where there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil() {
            Some(civil) => f.pad(&civil.to_string()),
            None => f.pad(&format!("@{}.{:09}", self.seconds, self.nanos)),
        }
    }
}

impl Timestamp {
    /// `YYYY-MM-DD HH:MM:SS` in the machine's time zone, for tables.
    pub fn local(self) -> String {
        match self.civil() {
            Some(civil) => civil.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            None => self.to_string(),
        }
    }
}

/// A time zone: the machine's, or one that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(jiff::tz::TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(jiff::tz::TimeZone::system())
    }
}

impl Zone {
    /// When a day begins there; `None` for what is no day. Where clocks are put forward at midnight it begins at one.
    pub fn midnight(&self, year: i16, month: i8, day: i8) -> Option<Timestamp> {
        let date = jiff::civil::Date::new(year, month, day).ok()?;
        let moment = date.to_zoned(self.0.clone()).ok()?.timestamp();
        Some(Timestamp { seconds: moment.as_second(), nanos: 0 })
    }

    /// The end of what a text names: of a day, or the moment if it names one. A time without offset is this zone's.
    pub fn end_of(&self, text: &str) -> Result<Timestamp, BadTime> {
        let bad = |_| BadTime(text.to_owned());
        let civil = match text.parse::<jiff::Timestamp>() {
            Ok(_) => return text.parse(),
            Err(_) => text.parse::<jiff::civil::DateTime>().map_err(bad)?,
        };
        let names_a_day = !text.contains([':', 'T', 't', ' ']);
        let end = if names_a_day { civil.date().tomorrow().map_err(bad)?.at(0, 0, 0, 0) } else { civil };
        let moment = end.to_zoned(self.0.clone()).map_err(bad)?.timestamp();
        Ok(Timestamp { seconds: moment.as_second(), nanos: 0 })
    }
}

/// Text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time zone; write it like `Europe/Paris` or `UTC`")]
pub struct BadZone(String);

impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(name: &str) -> Result<Self, BadZone> {
        jiff::tz::TimeZone::get(name).map(Self).map_err(|_| BadZone(name.to_owned()))
    }
}

/// Text that names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time; write it like `2026-11-22 07:15:00` (local) or `2026-11-22T07:15:00Z`")]
pub struct BadTime(pub String);

impl FromStr for Timestamp {
    type Err = BadTime;

    /// Accepts RFC 3339 with an offset, or a local date and time as restic's `--time` does.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bad = || BadTime(text.to_owned());
        let moment = match text.parse::<jiff::Timestamp>() {
            Ok(moment) => moment,
            Err(_) => text
                .parse::<jiff::civil::DateTime>()
                .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::system()))
                .map_err(|_| bad())?
                .timestamp(),
        };
        let nanos = moment.as_nanosecond();
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).map_err(|_| bad())?;
        Ok(Self { seconds, nanos: nanos.rem_euclid(1_000_000_000) as u32 })
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<C> minicbor::Encode<C> for Timestamp {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.i64(self.seconds)?.u32(self.nanos)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Timestamp {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bad = || minicbor::decode::Error::message("a time is an array of seconds and nanoseconds");
        if d.array()? != Some(2) {
            return Err(bad());
        }
        Self::new(d.i64()?, d.u32()?).ok_or_else(bad)
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The current wall-clock time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the real clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        match since {
            Ok(after) => Timestamp { seconds: after.as_secs() as i64, nanos: after.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                let nanos = -(before.as_nanos() as i128);
                Timestamp {
                    seconds: nanos.div_euclid(1_000_000_000) as i64,
                    nanos: nanos.rem_euclid(1_000_000_000) as u32,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_from_its_text() {
        let moment = Timestamp::new(1_763_795_700, 123_456_789).unwrap();
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn moments_before_1970_and_beyond_civil_time_still_print() {
        assert_eq!(Timestamp::new(-1, 0).unwrap().to_string(), "1969-12-31T23:59:59Z");
        assert!(Timestamp::new(i64::MAX, 0).unwrap().to_string().starts_with('@'));
    }

    #[test]
    fn nonsense_is_no_time() {
        assert!("yesterday-ish".parse::<Timestamp>().is_err());
    }

    #[test]
    fn part_of_a_second_before_1970_counts_forward() {
        let moment = Timestamp::new(-1, 500_000_000).unwrap();
        assert_eq!(moment.to_string(), "1969-12-31T23:59:59.5Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
        assert_eq!(moment.as_nanos(), -500_000_000);
        assert!(moment < Timestamp::default());
    }

    #[test]
    fn an_offset_is_taken_into_account() {
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(moment("2026-11-22T07:15:00+01:00"), moment("2026-11-22T06:15:00Z"));
    }

    #[test]
    fn nanoseconds_beyond_a_second_are_refused_also_when_stored() {
        assert_eq!(Timestamp::new(0, 1_000_000_000), None);
        let stored = minicbor::to_vec(Timestamp { seconds: 0, nanos: 1_000_000_000 }).unwrap();
        assert!(minicbor::decode::<Timestamp>(&stored).is_err());
        assert!(minicbor::decode::<Timestamp>(&[0x83, 0, 0, 0]).is_err());
    }
}
