//! Small text files the command line names: lists of patterns and owner maps.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::error::CliError;
use crate::vault::restore::OwnerRule;

/// More than any list a person writes.
const LIST_BYTES_MAX: u64 = 16 << 20;

/// Patterns, one to a line; empty lines and lines that begin with `#` do not count. `-` reads standard input.
pub fn patterns(path: &Path) -> Result<Vec<String>, CliError> {
    Ok(lines(&read(path, "the list of patterns")?).map(|(_, line)| line.to_owned()).collect())
}

/// Owner rules, one to a line: `user:OLD:NEW` or `group:OLD:NEW`.
pub fn owner_map(path: &Path) -> Result<Vec<OwnerRule>, CliError> {
    let text = read(path, "the owner map")?;
    owner_rules(&text)
        .map(|(number, line, rule)| {
            rule.ok_or_else(|| {
                CliError::usage(
                    format!("line {number} of the owner map {} is `{line}`", path.display()),
                    "write `user:OLD:NEW` or `group:OLD:NEW`, each a name or a number",
                )
            })
        })
        .collect()
}

/// The lines of an owner map that count, with their numbers from 1, and the rule each is, if it is one.
pub fn owner_rules(text: &str) -> impl Iterator<Item = (usize, &str, Option<OwnerRule>)> {
    lines(text).map(|(number, line)| (number, line, owner_rule(line)))
}

fn owner_rule(line: &str) -> Option<OwnerRule> {
    let mut parts = line.split(':').map(str::trim);
    let group = match parts.next()? {
        "user" => false,
        "group" => true,
        _ => return None,
    };
    let (from, to) = (parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && !from.is_empty() && !to.is_empty();
    whole.then(|| OwnerRule { group, from: from.to_owned(), to: to.to_owned() })
}

/// Lines that count, with their numbers from 1. Blanks at the end belong to no pattern; those in front may.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim_end()))
        .filter(|(_, line)| !line.trim_start().is_empty() && !line.trim_start().starts_with('#'))
}

fn read(path: &Path, what: &'static str) -> Result<String, CliError> {
    let failed = |source| CliError::File { action: "read", what: format!("{what} {}", path.display()), source };
    let mut text = String::new();
    let mut read_from = |from: &mut dyn Read| from.take(LIST_BYTES_MAX + 1).read_to_string(&mut text);
    let bytes = if path.as_os_str() == "-" {
        read_from(&mut io::stdin().lock())
    } else {
        fs::File::open(path).and_then(|mut file| read_from(&mut file))
    }
    .map_err(failed)?;
    if bytes as u64 > LIST_BYTES_MAX {
        return Err(failed(io::Error::other("it is longer than 16 MiB")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        fs::write(&path, content).unwrap();
        (dir, path)
    }

    #[test]
    fn comments_and_empty_lines_are_no_patterns() {
        let (_dir, path) = file("# caches\n\n*.tmp\n  # more\n/data/with blank  \n!keep.tmp");
        assert_eq!(patterns(&path).unwrap(), ["*.tmp", "/data/with blank", "!keep.tmp"]);
    }

    #[test]
    fn an_owner_map_speaks_of_users_and_groups_by_name_or_number() {
        let (_dir, path) = file("# moved\nuser:1000:dataiku\ngroup:old : new\n");
        let rule = |group, from: &str, to: &str| OwnerRule { group, from: from.into(), to: to.into() };
        assert_eq!(owner_map(&path).unwrap(), [rule(false, "1000", "dataiku"), rule(true, "old", "new")]);
    }

    #[test]
    fn a_bad_line_of_an_owner_map_is_named() {
        for bad in ["user:a", "user:a:b:c", "owner:a:b", "user::b"] {
            let (_dir, path) = file(&format!("# map\n{bad}\n"));
            let error = owner_map(&path).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(bad), "{error}");
        }
    }
}
