//! Which snapshots are wanted: rules of a period and an extent, and the policies that have a name.

use std::fmt;
use std::str::FromStr;

use crate::base::clock::{BadSpan, CalendarSpan};

/// Of each of these, the newest snapshot is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Every snapshot is a period of its own.
    Each,
    /// Hours of the day; the hour that comes twice when clocks are put back is two.
    Hour,
    /// Days of the calendar.
    Day,
    /// ISO weeks: Monday to Sunday.
    Week,
    /// Months.
    Month,
    /// Quarters, from January, April, July and October.
    Quarter,
    /// Years.
    Year,
    /// So many hours, days or weeks.
    Every(Step),
}

/// How far a rule reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The newest so many periods in which there is a snapshot.
    Count(u32),
    /// All that are younger than this, counted from the newest snapshot of the group.
    Within(CalendarSpan),
    /// All there are.
    Unlimited,
}

/// One rule: of each period the newest, as far as the extent reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Of each of these.
    pub period: Period,
    /// So far back.
    pub extent: Extent,
}

/// What is wanted: whatever any rule wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Rules of periods.
    pub rules: Vec<Rule>,
    /// Lists of tags: who has all tags of a list is wanted.
    pub tags: Vec<Vec<String>>,
}

impl Policy {
    /// Whether it wants nothing at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.tags.is_empty()
    }

    /// This and the other.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.tags.extend(other.tags);
        self
    }

    /// What the vendor advises: hourly for 24 hours, twice a day for 7 days, daily for 15 days.
    pub fn dataiku() -> Self {
        let within = |period, span| Rule { period, extent: Extent::Within(span) };
        let rules = vec![
            within(Period::Hour, CalendarSpan::hours(24)),
            within(Period::Every(Step::Hours(12)), CalendarSpan::days(7)),
            within(Period::Day, CalendarSpan::days(15)),
        ];
        Self { rules, tags: Vec::new() }
    }

    /// Years of history: 7 daily, 5 weekly, 12 monthly, 10 yearly.
    pub fn long() -> Self {
        let counts = [(Period::Day, 7), (Period::Week, 5), (Period::Month, 12), (Period::Year, 10)];
        let rules = counts.map(|(period, count)| Rule { period, extent: Extent::Count(count) }).to_vec();
        Self { rules, tags: Vec::new() }
    }
}

/// The length of a period that has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hours: from midnight if they divide a day, else from the epoch.
    Hours(u32),
    /// Days, from 1970-01-01.
    Days(u32),
    /// Weeks, from Monday 1970-01-05.
    Weeks(u32),
}

/// Text that is no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// The span.
    #[error(transparent)]
    Span(#[from] BadSpan),
    /// Months and years have options of their own; mixtures have no beginning.
    #[error("`{0}` is no step; write hours, days or weeks, like `12h`, `2d` or `2w`")]
    Step(String),
    /// A step and how far it goes.
    #[error("`{0}` has no colon; write step and reach, like `12h:7d`")]
    Colon(String),
    /// A number of periods.
    #[error("`{0}` is no count; write a number, or `unlimited`")]
    Count(String),
}

impl FromStr for Step {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        match text.parse()? {
            CalendarSpan { years: 0, months: 0, days: 0, hours } if hours % 24 == 0 => Ok(Self::Days(hours / 24)),
            CalendarSpan { years: 0, months: 0, days: 0, hours } => Ok(Self::Hours(hours)),
            CalendarSpan { years: 0, months: 0, days, hours: 0 } if text.ends_with('w') && days % 7 == 0 => {
                Ok(Self::Weeks(days / 7))
            }
            CalendarSpan { years: 0, months: 0, days, hours: 0 } => Ok(Self::Days(days)),
            _ => Err(BadRule::Step(text.to_owned())),
        }
    }
}

impl Rule {
    /// `N` or `unlimited` (as restic has it, also `-1`) of a period. Nothing for 0.
    pub fn counted(period: Period, text: &str) -> Result<Option<Self>, BadRule> {
        let extent = match text {
            "unlimited" | "-1" => Extent::Unlimited,
            number => match number.parse().map_err(|_| BadRule::Count(text.to_owned()))? {
                0 => return Ok(None),
                count => Extent::Count(count),
            },
        };
        Ok(Some(Self { period, extent }))
    }

    /// A span, or `unlimited`, of a period.
    pub fn within(period: Period, text: &str) -> Result<Self, BadRule> {
        let extent = if text == "unlimited" { Extent::Unlimited } else { Extent::Within(text.parse()?) };
        Ok(Self { period, extent })
    }

    /// `STEP:REACH`.
    pub fn every(text: &str) -> Result<Self, BadRule> {
        let (step, reach) = text.split_once(':').ok_or_else(|| BadRule::Colon(text.to_owned()))?;
        Self::within(Period::Every(step.parse()?), reach)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each => f.write_str("last"),
            Self::Hour => f.write_str("hourly"),
            Self::Day => f.write_str("daily"),
            Self::Week => f.write_str("weekly"),
            Self::Month => f.write_str("monthly"),
            Self::Quarter => f.write_str("quarterly"),
            Self::Year => f.write_str("yearly"),
            Self::Every(Step::Hours(count)) => write!(f, "every {count}h"),
            Self::Every(Step::Days(count)) => write!(f, "every {count}d"),
            Self::Every(Step::Weeks(count)) => write!(f, "every {count}w"),
        }
    }
}

/// `daily 7`, `hourly within 24h`, `all within 7d`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.period, self.extent) {
            (Period::Each, Extent::Within(span)) => write!(f, "all within {span}"),
            (Period::Each, Extent::Unlimited) => f.write_str("all"),
            (period, Extent::Count(count)) => write!(f, "{period} {count}"),
            (period, Extent::Within(span)) => write!(f, "{period} within {span}"),
            (period, Extent::Unlimited) => write!(f, "{period}, all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_say_what_was_asked_for() {
        let shown = |rule: Result<Rule, BadRule>| rule.unwrap().to_string();
        assert_eq!(shown(Rule::every("12h:7d")), "every 12h within 7d");
        assert_eq!(shown(Rule::every("48h:1y")), "every 2d within 1y");
        assert_eq!(shown(Rule::every("2w:unlimited")), "every 2w, all");
        assert_eq!(shown(Rule::within(Period::Each, "5w")), "all within 35d");
        assert_eq!(Rule::counted(Period::Day, "7").unwrap().unwrap().to_string(), "daily 7");
        assert_eq!(Rule::counted(Period::Day, "-1").unwrap().unwrap().to_string(), "daily, all");
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(Rule::counted(Period::Day, "0"), Ok(None));
        for text in ["", "seven", "-2", "1.5", "4294967296"] {
            assert!(Rule::counted(Period::Day, text).is_err(), "{text}");
        }
        for text in ["12h", "1m:7d", "1d12h:7d", "0h:7d", ":7d", "12h:", "12h:x"] {
            assert!(Rule::every(text).is_err(), "{text}");
        }
    }
}
