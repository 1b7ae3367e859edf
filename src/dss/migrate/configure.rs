//! Changing values of `install.ini`, and nothing else of it: comments and order stay.

use std::io;
use std::path::Path;

use crate::base::random::{Entropy, array};
use crate::dss::datadir::install::INSTALL_INI;
use crate::sys::durable;

/// Length of an install id.
const ID_LENGTH: usize = 24;
/// Longer ones are no `install.ini`.
const BYTES_MAX: u64 = 1 << 20;

/// Sets values in the `install.ini` of a data directory; sections and keys it lacks are added.
pub fn set(data_dir: &Path, settings: &[(String, String, String)]) -> io::Result<()> {
    let path = data_dir.join(INSTALL_INI);
    let mut text = String::from_utf8_lossy(&crate::sys::small_file::read(&path, BYTES_MAX)?).into_owned();
    for (section, key, value) in settings {
        text = with(&text, section, key, value);
    }
    durable::replace_keeping_owner(&path, text.as_bytes())
}

/// The text with one value set.
fn with(text: &str, section: &str, key: &str, value: &str) -> String {
    let wanted = format!("{key} = {value}");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let head = lines.iter().position(|line| section_of(line) == Some(section));
    let Some(head) = head else {
        lines.extend([format!("[{section}]"), wanted]);
        return lines.join("\n") + "\n";
    };
    let body = head + 1;
    let length = lines.iter().skip(body).position(|line| section_of(line).is_some()).unwrap_or(lines.len() - body);
    let there = lines.iter().skip(body).take(length).position(|line| key_of(line) == Some(key.to_owned()));
    match there.and_then(|at| lines.get_mut(body + at)) {
        Some(line) => *line = wanted,
        None => lines.insert(body, wanted),
    }
    lines.join("\n") + "\n"
}

fn section_of(line: &str) -> Option<&str> {
    line.trim_end().strip_prefix('[')?.strip_suffix(']')
}

/// Keys are not sensitive to case; an indented line goes on with the value above.
fn key_of(line: &str) -> Option<String> {
    if line.starts_with([' ', '\t', '#', ';']) {
        return None;
    }
    let end = line.find(['=', ':'])?;
    Some(line.get(..end)?.trim().to_ascii_lowercase())
}

/// A new install id: 24 letters and digits, as the installer draws them.
pub fn new_install_id(entropy: &dyn Entropy) -> String {
    const SIGNS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    array::<ID_LENGTH>(entropy).iter().map(|byte| char::from(SIGNS[usize::from(*byte) % SIGNS.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededEntropy;

    const TEXT: &str =
        "# made by the installer\n[general]\nInstallId = OLD\n[server]\nport=11000\n  more\n# port = 5\n";

    #[test]
    fn only_the_value_changes() {
        let text = with(TEXT, "server", "port", "12000");
        assert_eq!(text, TEXT.replace("port=11000", "port = 12000"));
        let text = with(TEXT, "general", "installid", "NEW");
        assert_eq!(text, TEXT.replace("InstallId = OLD", "installid = NEW"));
    }

    #[test]
    fn what_is_missing_is_added() {
        let text = with(TEXT, "server", "ssl", "true");
        assert!(text.contains("[server]\nssl = true\nport=11000\n"), "{text}");
        assert!(with("", "collectd", "prefix", "x").ends_with("[collectd]\nprefix = x\n"));
    }

    #[test]
    fn install_ids_look_like_those_of_the_installer() {
        let id = new_install_id(&SeededEntropy::new(7));
        assert_eq!(id.len(), 24);
        assert!(id.chars().all(|sign| sign.is_ascii_alphanumeric()));
        assert_ne!(id, new_install_id(&SeededEntropy::new(8)));
    }
}
