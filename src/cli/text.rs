//! Words and figures for people. Whatever comes from file names is made harmless for the terminal.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use crate::base::signs::steers;
use crate::repo::tree::{Entry, EntryKind};

/// A time as `90s`, `15m`, `1h30m` or `7d` (a day has 24 hours), from the command line.
pub fn span(text: &str) -> Result<Duration, String> {
    let parsed: jiff::Span = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    let exact = parsed.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    Duration::try_from(exact).map_err(|_| "it must not be negative".to_owned())
}

/// Bytes as text in which nothing can steer a terminal: control characters, lone bytes and the backslash that
/// announces them are escaped.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                other if steers(other) => push_escaped(&mut text, other),
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A message of several lines in which nothing but its ends of lines can steer a terminal.
pub fn message(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && steers(character) { push_escaped(&mut shown, character) } else { shown.push(character) }
    }
    shown
}

fn push_escaped(text: &mut String, character: char) {
    // Writing to a String cannot fail.
    let _ = if (character as u32) < 0x80 {
        write!(text, "\\x{:02x}", character as u32)
    } else {
        write!(text, "\\u{{{:x}}}", character as u32)
    };
}

/// A path, printable.
pub fn path(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}

/// Seconds as people say them: `0.42 s`, `12 s`, `3:07`, `2:05:09`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..=9 => format!("{seconds:.2} s"),
        10..=59 => format!("{whole} s"),
        60..=3599 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}

/// A span of time as it is written in options: `7 days`, `36 hours`, `90 seconds`.
pub fn time_span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes")];
    match units.iter().find(|(unit, ..)| seconds >= *unit && seconds.is_multiple_of(*unit)) {
        Some((unit, one, many)) => counted(seconds / unit, one, many),
        None => counted(seconds, "second", "seconds"),
    }
}

/// A count with thousands set apart: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 file`, `2 files`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Kind and permissions as `ls -l` writes them.
pub fn mode(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::CharDevice => 'c',
        EntryKind::BlockDevice => 'b',
    };
    let mut text = String::from(kind);
    for (shift, special, letters) in [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => letters[0],
            (true, false) => letters[1],
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable(b"plain \xc3\xa9"), "plain é");
        assert_eq!(printable(b"a\nb\x1b[31m\\"), "a\\nb\\x1b[31m\\\\");
        assert_eq!(printable(b"r\xe9sum\xe9"), "r\\xe9sum\\xe9");
        assert_eq!(printable("exe\u{202e}gpj".as_bytes()), "exe\\u{202e}gpj");
    }

    #[test]
    fn durations_and_counts_read_naturally() {
        let texts = [0.0, 0.418, 9.99, 12.7, 187.0, 7509.0].map(duration);
        assert_eq!(texts, ["0.00 s", "0.42 s", "9.99 s", "12 s", "3:07", "2:05:09"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "file", "files"), "1 file");
    }

    #[test]
    fn modes_look_like_those_of_ls() {
        let entry = |kind, mode| Entry { mode, ..Entry::bare(b"x".to_vec(), kind) };
        assert_eq!(mode(&entry(EntryKind::Directory, 0o755)), "drwxr-xr-x");
        assert_eq!(mode(&entry(EntryKind::File, 0o4750)), "-rwsr-x---");
        assert_eq!(mode(&entry(EntryKind::File, 0o2640)), "-rw-r-S---");
        assert_eq!(mode(&entry(EntryKind::Directory, 0o1777)), "drwxrwxrwt");
    }
}
