//! Moments as a calendar and a clock on the wall show them, and spans of calendar time.

use std::fmt;
use std::str::FromStr;

use crate::base::clock::{Timestamp, Zone};

/// A moment in some time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i16,
    /// Month, from 1.
    pub month: i8,
    /// Days since 1970-01-01 on the calendar of the zone; may be negative.
    pub day: i64,
    /// Hour of the day.
    pub hour: i8,
    /// Seconds the zone is ahead of UTC at that moment: tells apart the hour that comes twice.
    pub offset: i32,
    /// Year of the ISO week.
    pub iso_year: i16,
    /// ISO week, from 1; it may begin in December of the year before.
    pub iso_week: i8,
}

impl Zone {
    /// How the moment reads there. What is beyond the calendar reads as its first or last moment.
    pub fn civil(&self, moment: Timestamp) -> Civil {
        let zoned = self.zoned(moment);
        let (date, week) = (zoned.date(), zoned.date().iso_week_date());
        let since = date.duration_since(jiff::civil::Date::constant(1970, 1, 1));
        Civil {
            year: date.year(),
            month: date.month(),
            day: since.as_hours().div_euclid(24),
            hour: zoned.hour(),
            offset: zoned.offset().seconds(),
            iso_year: week.year(),
            iso_week: week.week(),
        }
    }

    /// The moment a span earlier; days and longer keep the time on the wall, hours are hours. `None` if that is
    /// before the calendar.
    pub fn before(&self, moment: Timestamp, span: CalendarSpan) -> Option<Timestamp> {
        Some(Timestamp::from_civil(self.zoned(moment).checked_sub(span.span()?).ok()?.timestamp()))
    }

    /// The moment a span later; `None` if that is beyond the calendar.
    pub fn after(&self, moment: Timestamp, span: CalendarSpan) -> Option<Timestamp> {
        Some(Timestamp::from_civil(self.zoned(moment).checked_add(span.span()?).ok()?.timestamp()))
    }

    /// The moment in a table.
    pub fn show(&self, moment: Timestamp) -> String {
        self.zoned(moment).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Its name, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.iana_name()
    }

    fn zoned(&self, moment: Timestamp) -> jiff::Zoned {
        let civil =
            moment.civil().unwrap_or(if moment.seconds < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX });
        civil.to_zoned(self.0.clone())
    }
}

impl Timestamp {
    /// This many seconds later; stops at the ends of time.
    pub fn later(self, seconds: i64) -> Self {
        Self { seconds: self.seconds.saturating_add(seconds), nanos: self.nanos }
    }

    /// Before 1970 the calendar counts parts of a second backwards, a [`Timestamp`] never.
    fn from_civil(civil: jiff::Timestamp) -> Self {
        let nanos = civil.as_nanosecond();
        // The calendar ends long before the seconds do.
        Self { seconds: nanos.div_euclid(1_000_000_000) as i64, nanos: nanos.rem_euclid(1_000_000_000) as u32 }
    }
}

/// A length of calendar time: `1y6m`, `15d`, `12h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CalendarSpan {
    /// Years.
    pub years: u32,
    /// Months.
    pub months: u32,
    /// Days; a week is seven.
    pub days: u32,
    /// Hours.
    pub hours: u32,
}

impl CalendarSpan {
    /// Some days.
    pub const fn days(days: u32) -> Self {
        Self { years: 0, months: 0, days, hours: 0 }
    }

    /// Some hours.
    pub const fn hours(hours: u32) -> Self {
        Self { years: 0, months: 0, days: 0, hours }
    }

    fn span(self) -> Option<jiff::Span> {
        let sum = jiff::Span::new().try_years(self.years).ok()?.try_months(self.months).ok()?;
        sum.try_days(self.days).ok()?.try_hours(self.hours).ok()
    }
}

/// Largest first, without what is nothing.
impl fmt::Display for CalendarSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')];
        parts.iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

/// Text that is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no length of time; write it like `15d`, `12h`, `6w` or `1y6m` (years, months, weeks, days, hours)")]
pub struct BadSpan(String);

/// Far beyond any history, and far below what overflows.
const NUMBER_MAX: u32 = 1_000_000;

impl FromStr for CalendarSpan {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(text.to_owned());
        let (mut span, mut rest) = (Self::default(), text);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u32 = rest[..digits].parse().map_err(|_| bad())?;
            let unit = rest[digits..].chars().next().ok_or_else(bad)?;
            let (part, number) = match unit {
                'y' => (&mut span.years, number),
                'm' => (&mut span.months, number),
                'w' => (&mut span.days, number.saturating_mul(7)),
                'd' => (&mut span.days, number),
                'h' => (&mut span.hours, number),
                _ => return Err(bad()),
            };
            *part = part.saturating_add(number);
            if *part > NUMBER_MAX {
                return Err(bad());
            }
            rest = &rest[digits + unit.len_utf8()..];
        }
        if span == Self::default() { Err(bad()) } else { Ok(span) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn spans_read_back_from_their_text_and_weeks_are_seven_days() {
        for text in ["1y6m7d12h", "15d", "24h"] {
            assert_eq!(text.parse::<CalendarSpan>().unwrap().to_string(), text);
        }
        assert_eq!("5w".parse(), Ok(CalendarSpan::days(35)));
        for text in ["", "d", "7", "0d", "7x", "-7d", "7 d", "9999999999d", "2000000d", "7é", "1.5d"] {
            assert!(text.parse::<CalendarSpan>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_earlier_is_the_same_time_on_the_wall_and_24_hours_are_not() {
        let paris: Zone = "Europe/Paris".parse().unwrap();
        // Clocks were put forward on 2026-03-29 at two.
        let noon = moment("2026-03-29T12:00:00+02:00");
        assert_eq!(paris.before(noon, CalendarSpan::days(1)), Some(moment("2026-03-28T12:00:00+01:00")));
        assert_eq!(paris.before(noon, CalendarSpan::hours(24)), Some(moment("2026-03-28T11:00:00+01:00")));
    }

    #[test]
    fn a_month_before_the_31st_is_the_last_day_of_a_shorter_month() {
        let utc: Zone = "UTC".parse().unwrap();
        let span = "1m".parse().unwrap();
        assert_eq!(utc.before(moment("2024-03-31T01:00:00Z"), span), Some(moment("2024-02-29T01:00:00Z")));
        assert_eq!(utc.before(moment("0001-01-01T00:00:00Z"), "20000y".parse().unwrap()), None);
    }

    #[test]
    fn moments_beyond_the_calendar_still_read() {
        let utc: Zone = "UTC".parse().unwrap();
        assert_eq!(utc.civil(Timestamp { seconds: i64::MAX, nanos: 0 }).year, 9999);
        assert_eq!(utc.civil(Timestamp { seconds: i64::MIN, nanos: 0 }).year, -9999);
        assert_eq!(utc.civil(Timestamp { seconds: -1, nanos: 0 }).day, -1);
        let half = Timestamp { seconds: -10, nanos: 500_000_000 };
        assert_eq!(utc.before(half, CalendarSpan::hours(1)), Some(half.later(-3600)));
    }
}
