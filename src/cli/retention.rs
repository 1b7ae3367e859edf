//! Options that say what is kept, and what is never dropped.

use clap::{Args, ValueEnum};

use crate::base::clock::{CalendarSpan, Zone};
use crate::cli::error::CliError;
use crate::cli::text;
use crate::repo::Repository;
use crate::vault::retention::{BadRule, Extent, GroupBy, Guards, Period, Policy, Rule, Terms};

/// Policies that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The vendor's advice: hourly for 24 hours, twice a day for 7 days, daily for 15 days
    Dataiku,
    /// Years of history: 7 daily, 5 weekly, 12 monthly, 10 yearly
    Long,
}

/// The time zone the repository names. One this machine does not know must not become another one unsaid.
pub fn usual_zone(repository: &Repository) -> Result<Option<Zone>, CliError> {
    let Some(name) = repository.config.timezone.as_deref() else { return Ok(None) };
    name.parse().map(Some).map_err(|_| {
        CliError::usage(
            format!("the repository names the time zone `{}`, which this machine does not know", text::message(name)),
            "say `--timezone ZONE`, or mend it with `dssvault config --timezone ZONE`",
        )
    })
}

/// A count of periods; `None` for 0.
#[derive(Debug, Clone, Copy)]
pub struct Counted(Option<Extent>);

fn counted(text: &str) -> Result<Counted, BadRule> {
    Rule::counted(Period::Each, text).map(|rule| Counted(rule.map(|rule| rule.extent)))
}

fn within(text: &str) -> Result<Extent, BadRule> {
    Rule::within(Period::Each, text).map(|rule| rule.extent)
}

/// Tags a snapshot must all have.
#[derive(Debug, Clone)]
pub struct TagList(Vec<String>);

/// An empty tag is on no snapshot, and what it should have kept would go.
fn tags(text: &str) -> Result<TagList, String> {
    let tags: Vec<String> = text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    if tags.is_empty() { Err("it names no tag".to_owned()) } else { Ok(TagList(tags)) }
}

/// What is kept: whatever one of these wants.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What is kept")]
pub struct PolicyArgs {
    /// A policy by name; other options add to it
    #[arg(long = "policy", value_name = "NAME", value_enum)]
    presets: Vec<Preset>,
    /// The last N snapshots (or `unlimited`, here and below)
    #[arg(long, short = 'l', value_name = "N", value_parser = counted, allow_hyphen_values = true)]
    keep_last: Option<Counted>,
    /// The newest of each of the last N hours that have one
    #[arg(long, value_name = "N", value_parser = counted, allow_hyphen_values = true)]
    keep_hourly: Option<Counted>,
    /// Of each of the last N days
    #[arg(long, short = 'd', value_name = "N", value_parser = counted, allow_hyphen_values = true)]
    keep_daily: Option<Counted>,
    /// Of each of the last N ISO weeks
    #[arg(long, short = 'w', value_name = "N", value_parser = counted, allow_hyphen_values = true)]
    keep_weekly: Option<Counted>,
    /// Of each of the last N months
    #[arg(long, short = 'm', value_name = "N", value_parser = counted, allow_hyphen_values = true)]
    keep_monthly: Option<Counted>,
    /// Of each of the last N quarters
    #[arg(long, value_name = "N", value_parser = counted, allow_hyphen_values = true)]
    keep_quarterly: Option<Counted>,
    /// Of each of the last N years
    #[arg(long, short = 'y', value_name = "N", value_parser = counted, allow_hyphen_values = true)]
    keep_yearly: Option<Counted>,
    /// All that are younger than this, counted from the newest: `1y6m`, `15d`, `12h`
    #[arg(long, value_name = "SPAN", value_parser = within)]
    keep_within: Option<Extent>,
    /// Hourly ones that are younger than this
    #[arg(long, value_name = "SPAN", value_parser = within)]
    keep_within_hourly: Option<Extent>,
    /// Daily ones
    #[arg(long, value_name = "SPAN", value_parser = within)]
    keep_within_daily: Option<Extent>,
    /// Weekly ones
    #[arg(long, value_name = "SPAN", value_parser = within)]
    keep_within_weekly: Option<Extent>,
    /// Monthly ones
    #[arg(long, value_name = "SPAN", value_parser = within)]
    keep_within_monthly: Option<Extent>,
    /// Quarterly ones
    #[arg(long, value_name = "SPAN", value_parser = within)]
    keep_within_quarterly: Option<Extent>,
    /// Yearly ones
    #[arg(long, value_name = "SPAN", value_parser = within)]
    keep_within_yearly: Option<Extent>,
    /// The newest of each step among those that are younger: `12h:7d`
    #[arg(long, value_name = "STEP:SPAN", value_parser = Rule::every)]
    keep_every: Vec<Rule>,
    /// Those with this tag; with commas: with all of them; given again: or of those
    #[arg(long, value_name = "TAGS", value_parser = tags)]
    keep_tag: Vec<TagList>,
    /// What competes with each other: `node`, `host`, `paths`, `tags` with commas, or `none`
    #[arg(long, value_name = "KEYS", default_value = "node", value_parser = GroupBy::parse)]
    group_by: Option<GroupBy>,
    /// Where days begin and end, like `Europe/Paris` [default: `dssvault config`, or the zone of this machine]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Zone>,
}

impl PolicyArgs {
    /// What is wanted.
    pub fn policy(&self) -> Policy {
        let named = self.presets.iter().map(|preset| match preset {
            Preset::Dataiku => Policy::dataiku(),
            Preset::Long => Policy::long(),
        });
        let tags = self.keep_tag.iter().map(|list| list.0.clone()).collect();
        let own = Policy { rules: self.rules(), tags };
        named.fold(Policy::default(), Policy::and).and(own)
    }

    fn rules(&self) -> Vec<Rule> {
        let counts = [
            (Period::Each, self.keep_last),
            (Period::Hour, self.keep_hourly),
            (Period::Day, self.keep_daily),
            (Period::Week, self.keep_weekly),
            (Period::Month, self.keep_monthly),
            (Period::Quarter, self.keep_quarterly),
            (Period::Year, self.keep_yearly),
        ];
        let spans = [
            (Period::Each, self.keep_within),
            (Period::Hour, self.keep_within_hourly),
            (Period::Day, self.keep_within_daily),
            (Period::Week, self.keep_within_weekly),
            (Period::Month, self.keep_within_monthly),
            (Period::Quarter, self.keep_within_quarterly),
            (Period::Year, self.keep_within_yearly),
        ];
        let counts = counts.map(|(period, count)| (period, count.and_then(|Counted(extent)| extent)));
        let rule = |(period, extent): (Period, Option<Extent>)| extent.map(|extent| Rule { period, extent });
        let rules = counts.into_iter().chain(spans).filter_map(rule);
        rules.chain(self.keep_every.iter().copied()).collect()
    }

    /// Whether nodes never compete with each other.
    pub fn groups_by_node(&self) -> bool {
        self.group_by.unwrap_or_default().node
    }

    /// Everything that decides.
    ///
    /// `usual` is the time zone the repository names.
    pub fn terms(&self, guards: Guards, usual: Option<&Zone>) -> Terms {
        Terms {
            policy: self.policy(),
            guards,
            group_by: self.group_by.unwrap_or_default(),
            zone: self.timezone.as_ref().or(usual).cloned().unwrap_or_default(),
        }
    }
}

/// Seconds, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift(Option<i64>);

fn drift(text: &str) -> Result<Drift, String> {
    if text == "none" {
        return Ok(Drift(None));
    }
    match text.parse::<CalendarSpan>() {
        Ok(CalendarSpan { years: 0, months: 0, days, hours }) => {
            Ok(Drift(Some(i64::from(days) * 86_400 + i64::from(hours) * 3_600)))
        }
        Ok(_) => Err("write days or hours, like `1d`, or `none`".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn share(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|share| *share <= 100).ok_or_else(|| "write a share of a hundred, like `50%`".to_owned())
}

/// What is never done, whatever is wanted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Guards")]
pub struct GuardArgs {
    /// Leave each node at least this many; incomplete ones do not count
    #[arg(long, value_name = "N", default_value_t = Guards::default().min_snapshots)]
    min_snapshots: u32,
    /// Refuse a policy that would drop a larger share
    #[arg(long, value_name = "SHARE", default_value = "50%", value_parser = share)]
    max_drop: u32,
    /// A snapshot whose time is further from when the store received it takes nobody's place; `none`: believe all
    #[arg(long, value_name = "SPAN", default_value = "1d", value_parser = drift)]
    max_drift: Drift,
}

impl GuardArgs {
    /// The library's form.
    pub fn guards(&self) -> Guards {
        Guards { min_snapshots: self.min_snapshots, max_drop: self.max_drop, max_drift: self.max_drift.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_go_down_to_nothing_and_no_further() {
        assert_eq!((share("50%"), share("0"), share("100%")), (Ok(50), Ok(0), Ok(100)));
        assert_eq!((drift("none"), drift("36h")), (Ok(Drift(None)), Ok(Drift(Some(36 * 3600)))));
        for text in ["101%", "-1", "half", "%"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(drift("1m").is_err() && drift("").is_err());
    }
}
