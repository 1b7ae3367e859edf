//! When an archive was made: by its name, as the documented script writes it, by its file, or as somebody says.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::base::clock::{BadTime, Timestamp, Zone};
use crate::vault::VaultError;

/// Where the time of an archive comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeFrom {
    /// The date in its name if there is one, else its file.
    #[default]
    NameOrFile,
    /// The date in its name.
    Name,
    /// When its file was last changed.
    File,
    /// This time.
    At(Timestamp),
}

impl std::str::FromStr for TimeFrom {
    type Err = BadTime;

    fn from_str(word: &str) -> Result<Self, BadTime> {
        match word {
            "from-name" => Ok(Self::Name),
            "from-mtime" => Ok(Self::File),
            time => time.parse().map(Self::At),
        }
    }
}

/// What told the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToldBy {
    /// The archive's name.
    Name,
    /// The time of its file.
    Mtime,
    /// The user.
    Option,
}

/// The time of an archive, and what told it.
pub fn of(path: &Path, from: TimeFrom, zone: &Zone) -> Result<(Timestamp, ToldBy), VaultError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let by_name = || date_in(&name).and_then(|(year, month, day)| zone.midnight(year, month, day));
    let by_file = || -> Result<Timestamp, VaultError> {
        let meta = path.metadata().map_err(|error| VaultError::local("read", path, error))?;
        Ok(Timestamp { seconds: meta.mtime(), nanos: meta.mtime_nsec().clamp(0, 999_999_999) as u32 })
    };
    match (from, by_name()) {
        (TimeFrom::At(time), _) => Ok((time, ToldBy::Option)),
        (TimeFrom::Name | TimeFrom::NameOrFile, Some(time)) => Ok((time, ToldBy::Name)),
        (TimeFrom::File | TimeFrom::NameOrFile, _) => Ok((by_file()?, ToldBy::Mtime)),
        (TimeFrom::Name, None) => Err(VaultError::Request {
            what: format!("the name of {} has no date in it", path.display()),
            hint: Some("say `--time from-mtime`, or a time: `--time '2025-11-22 02:00:00'`".to_owned()),
        }),
    }
}

/// The last date in a name: `YYYY-MM-DD`, `YYYY_MM_DD` or `YYYYMMDD`, with no digits around it.
fn date_in(name: &str) -> Option<(i16, i8, i8)> {
    let signs = name.as_bytes();
    let starts = (0..signs.len()).rev();
    starts.filter(|&at| at == 0 || !signs[at - 1].is_ascii_digit()).find_map(|at| date_at(&signs[at..]))
}

fn date_at(signs: &[u8]) -> Option<(i16, i8, i8)> {
    let number = |range: std::ops::Range<usize>| {
        let digits = signs.get(range)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |sum, &sign| sum * 10 + i16::from(sign - b'0')))
    };
    let between = *signs.get(4)?;
    let step = if matches!(between, b'-' | b'_' | b'.') { 1 } else { 0 };
    if step == 1 && signs.get(7) != Some(&between) {
        return None;
    }
    let (month, day) = (4 + step, 6 + 2 * step);
    if signs.get(day + 2).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let found = (number(0..4)?, number(month..month + 2)? as i8, number(day..day + 2)? as i8);
    ((1..=12).contains(&found.1) && (1..=31).contains(&found.2)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_the_documented_script_and_of_its_variations_is_found() {
        let expected = Some((2025, 11, 3));
        for name in [
            "backup-dss-data-2025-11-03.tar.gz",
            "2025-11-03.tgz",
            "dss_20251103.tar",
            "dss-2025_11_03-0200.tar.zst",
            "dss-14.2.2-2025-11-03T02.tar.gz",
            "from-2024-01-01-to-2025-11-03.tar",
        ] {
            assert_eq!(date_in(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_date_is_not_taken_for_one() {
        for name in
            ["backup.tar.gz", "dss-2025-13-03.tar", "20251103123.tar", "2025-11.tar", "v12025-11-03", "2025-11_03"]
        {
            assert_eq!(date_in(name), None, "{name}");
        }
    }

    #[test]
    fn a_day_begins_where_the_archive_was_made() {
        let path = Path::new("backup-dss-data-2025-11-03.tar.gz");
        let (time, told_by) = of(path, TimeFrom::default(), &"Europe/Paris".parse().unwrap()).unwrap();
        assert_eq!((time.to_string().as_str(), told_by), ("2025-11-02T23:00:00Z", ToldBy::Name));
        let impossible = of(Path::new("dss-2025-02-30.tar"), TimeFrom::Name, &"UTC".parse().unwrap());
        assert!(impossible.is_err(), "no such day");
    }
}
