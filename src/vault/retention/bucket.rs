//! Which period a moment lies in: one composite key, so that two moments are of one period or are not.

use crate::base::clock::{Timestamp, Zone};
use crate::vault::retention::policy::{Period, Step};

/// One period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// The snapshot alone.
    Alone(usize),
    /// Day, hour of it, and offset from UTC.
    Hour(i64, i8, i32),
    /// Day.
    Day(i64),
    /// ISO year and week.
    Week(i16, i8),
    /// Year and month, or quarter, or 0 for all of it.
    Part(i16, i8),
    /// Day and part of it.
    Hours(i64, i64),
    /// Step number from the epoch.
    Step(i64),
}

impl Bucket {
    /// The period that snapshot number `at` lies in with its time.
    pub fn of(period: Period, at: usize, moment: Timestamp, zone: &Zone) -> Self {
        if period == Period::Each {
            return Self::Alone(at);
        }
        let civil = zone.civil(moment);
        match period {
            Period::Each => Self::Alone(at),
            Period::Hour => Self::Hour(civil.day, civil.hour, civil.offset),
            Period::Day => Self::Day(civil.day),
            Period::Week => Self::Week(civil.iso_year, civil.iso_week),
            Period::Month => Self::Part(civil.year, civil.month),
            Period::Quarter => Self::Part(civil.year, (civil.month - 1) / 3 + 1),
            Period::Year => Self::Part(civil.year, 0),
            Period::Every(Step::Hours(1)) => Self::Hour(civil.day, civil.hour, civil.offset),
            Period::Every(Step::Hours(hours)) if hours > 0 && 24 % hours == 0 => {
                Self::Hours(civil.day, i64::from(civil.hour) / i64::from(hours))
            }
            Period::Every(Step::Hours(hours)) => {
                Self::Step(moment.seconds.div_euclid(3600).div_euclid(i64::from(hours.max(1))))
            }
            Period::Every(Step::Days(days)) => Self::Step(civil.day.div_euclid(i64::from(days.max(1)))),
            // 1970-01-05 was a Monday.
            Period::Every(Step::Weeks(weeks)) => {
                Self::Step((civil.day - 4).div_euclid(7).div_euclid(i64::from(weeks.max(1))))
            }
        }
    }
}
