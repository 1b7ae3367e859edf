//! `dssvault check`.

use crate::base::clock::CalendarSpan;
use crate::base::size::ByteCount;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::check::CheckView;
use crate::vault::Context;
use crate::vault::check::{self, CheckReport, Mending, ReadData, Request};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault check                       references and signatures
  dssvault -r /srv/vault check --read-data           and every stored byte
  dssvault -r /srv/vault check --read-data=5%        and a random twentieth
  dssvault -r /srv/vault check --read-data=2/10      and the second of ten parts
  dssvault -r /srv/vault check --read-data=50G       and 50 GiB, the longest due first
  dssvault -r /srv/vault check --max-age 30d         and what is due after 30 days
  dssvault -r /srv/vault check --max-age 30d --read-data=50G    50 GiB of it
  dssvault -r /srv/vault check --storage-only        bytes only, needs no password
  dssvault -r /srv/vault check --storage-only --repair --dry-run
  dssvault -r /srv/vault check --storage-only --repair       mends from parity

Packs that were read and found whole are remembered in the repository, with the time and
the key. Exit status 1: damage was found, or is left after a repair; each line names the
object and what needs it. What to do then: docs/check.md.";

/// Verify that everything the snapshots need is there and undamaged.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Also read stored data: all of it, a share (`5%`), so many bytes (`50G`), or one part of several (`2/10`)
    #[arg(long, alias = "read-data-subset", value_name = "SHARE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "100%", value_parser = read_data)]
    read_data: Option<ReadData>,
    /// Also read stored data that was not verified for so long (`30d`, `6w`), the longest unverified first
    #[arg(long, value_name = "SPAN")]
    max_age: Option<CalendarSpan>,
    /// Compare every stored object with its name or checksum; needs no password
    #[arg(long, conflicts_with_all = ["read_data", "max_age"])]
    storage_only: bool,
    /// Mend damaged and missing packs from parity (`dssvault parity`); needs no password
    #[arg(long, requires = "storage_only")]
    repair: bool,
    /// Only say what would be mended
    #[arg(long, requires = "repair")]
    dry_run: bool,
}

/// Checks.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let report = if args.storage_only {
        storage_only(args.mending(), session)?
    } else {
        let opened = session.open()?;
        let reporter = session.reporter();
        let read = args.read_data.unwrap_or(ReadData::None);
        let request = Request { read, max_age: args.max_age, record: true, marked: false };
        check::run(&opened.repository, request, opened.context(&reporter, &session.cancel))?
    };
    let view = CheckView::new(report);
    if view.is_clean() {
        session.output.report(&view)?
    } else {
        session.output.show(&view)?
    }
    Ok(Outcome::clean_if(view.is_clean()))
}

impl Args {
    fn mending(&self) -> Mending {
        match (self.repair, self.dry_run) {
            (false, _) => Mending::No,
            (true, true) => Mending::DryRun,
            (true, false) => Mending::Do,
        }
    }
}

fn storage_only(mending: Mending, session: &Session) -> Result<CheckReport, CliError> {
    let store = session.location()?.existing_store()?;
    let folders = session.folder_roots()?.unprepared();
    let reporter = session.reporter();
    let context = Context { progress: &reporter, cancel: &session.cancel, folders: &folders };
    Ok(check::storage_only_mending(&store, mending, context)?)
}

/// Reads `all`, `5%`, `50G` or `2/10`.
fn read_data(text: &str) -> Result<ReadData, String> {
    let bad = || format!("`{text}` is no share of the data; write `5%`, `50G` or `2/10`");
    if text == "all" {
        return Ok(ReadData::All);
    }
    if let Some(number) = text.strip_suffix('%') {
        let percent: f64 = number.trim().parse().map_err(|_| bad())?;
        return match percent {
            100.0 => Ok(ReadData::All),
            share if share > 0.0 && share < 100.0 => Ok(ReadData::Percent(share)),
            _ => Err("a share lies above 0 % and not above 100 %".to_owned()),
        };
    }
    if text.ends_with(|last: char| last.is_ascii_alphabetic()) {
        return match text.parse::<ByteCount>() {
            Ok(ByteCount(0)) | Err(_) => Err(bad()),
            Ok(ByteCount(bytes)) => Ok(ReadData::Bytes(bytes)),
        };
    }
    let (part, of) = text.split_once('/').ok_or_else(bad)?;
    let (part, of): (u32, u32) = (part.parse().map_err(|_| bad())?, of.parse().map_err(|_| bad())?);
    if part == 0 || part > of {
        return Err(format!("there is no part {part} of {of}; parts count from 1"));
    }
    Ok(ReadData::Part { part, of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_or_parts() {
        assert_eq!(read_data("5%"), Ok(ReadData::Percent(5.0)));
        assert_eq!(read_data("0.5%"), Ok(ReadData::Percent(0.5)));
        assert_eq!(read_data("100%"), Ok(ReadData::All));
        assert_eq!(read_data("50G"), Ok(ReadData::Bytes(50 << 30)));
        assert_eq!(read_data("1.5MiB"), Ok(ReadData::Bytes(3 << 19)));
        assert_eq!(read_data("2/10"), Ok(ReadData::Part { part: 2, of: 10 }));
    }

    #[test]
    fn impossible_shares_are_refused() {
        for text in [
            "",
            "0%",
            "101%",
            "-5%",
            "NaN%",
            "inf%",
            "0/10",
            "11/10",
            "1/",
            "x/2",
            "5",
            "0G",
            "5X",
            "-5G",
            "G",
            "99999999999999999999T",
        ] {
            assert!(read_data(text).is_err(), "{text}");
        }
    }
}
