//! Looking into a data directory: small files are read whole within a bound, what cannot be read is noted and does
//! not end the inspection.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dss::datadir::facts::Gap;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::ini::Ini;
use crate::dss::datadir::properties::{self, Properties};
use crate::sys::small_file;

/// Longer configuration is not read. Connections and settings of the largest nodes have a few MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A data directory that is being looked at.
pub struct Look<'a> {
    /// The directory, links resolved.
    pub root: PathBuf,
    /// The machine it belongs to.
    pub host: &'a Host,
    gaps: RefCell<Vec<Gap>>,
}

impl<'a> Look<'a> {
    /// Begins to look.
    pub fn new(root: PathBuf, host: &'a Host) -> Self {
        Self { root, host, gaps: RefCell::default() }
    }

    /// Where something below the directory is.
    pub fn at(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// Notes that something could not be found out.
    pub fn gap(&self, path: impl Into<String>, cause: impl Into<String>) {
        self.gaps.borrow_mut().push(Gap { path: path.into(), cause: cause.into() });
    }

    /// What could not be found out, each once.
    pub fn into_gaps(self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for gap in self.gaps.into_inner() {
            if !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        gaps
    }

    /// A file, or `None` if it is not there or could not be read.
    pub fn bytes(&self, below: &str) -> Option<Vec<u8>> {
        self.noted(below, small_file::read(&self.at(below), FILE_BYTES_MAX))
    }

    /// Text; bytes that are no UTF-8 are shown as such.
    pub fn text(&self, below: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.bytes(below)?).into_owned())
    }

    /// Text of a file of the machine.
    pub fn host_text(&self, on_host: &Path) -> Option<String> {
        let read = small_file::read(&self.host.path(on_host), FILE_BYTES_MAX);
        Some(String::from_utf8_lossy(&self.noted(&on_host.to_string_lossy(), read)?).into_owned())
    }

    /// Entries of a directory of the machine whose names fit, sorted, as paths on that machine.
    pub fn host_list(&self, folder: &str, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        self.noted(folder, self.host.list(folder, fits)).unwrap_or_default()
    }

    /// JSON. Errors name a line and nothing of the content.
    pub fn json(&self, below: &str) -> Option<Value> {
        let bytes = self.bytes(below)?;
        let read = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
        read.map_err(|why| {
            let cause = format!("it is no JSON (line {}, column {})", why.line(), why.column());
            self.gap(below, cause);
        })
        .ok()
    }

    /// An INI file.
    pub fn ini(&self, below: &str) -> Option<Ini> {
        Ini::parse(&self.text(below)?).map_err(|why| self.gap(below, why)).ok()
    }

    /// A Java properties file.
    pub fn properties(&self, below: &str) -> Option<Properties> {
        properties::parse(&self.bytes(below)?).map_err(|why| self.gap(below, why)).ok()
    }

    /// Names and kinds of the entries of a directory, sorted; none if it is not there.
    pub fn list(&self, below: &str) -> Vec<(String, std::fs::FileType)> {
        let read = std::fs::read_dir(self.at(below)).and_then(|entries| {
            let named = entries.map(|entry| {
                let entry = entry?;
                Ok((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?))
            });
            named.collect::<io::Result<Vec<_>>>()
        });
        let mut names = self.noted(below, read).unwrap_or_default();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }

    /// A link's target as stored; `None` if it is no link.
    pub fn link(&self, below: &str) -> Option<PathBuf> {
        std::fs::read_link(self.at(below)).ok()
    }

    fn noted<T>(&self, path: &str, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            Err(why) => {
                self.gap(path, why.to_string());
                None
            }
        }
    }
}

/// A text in JSON at a path of keys; anything else there is nothing.
pub fn text_at<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v str> {
    let found = keys.iter().try_fold(value, |value, key| value.get(key))?;
    found.as_str().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_nothing_and_what_is_broken_is_noted_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("broken.json"), b"{\"password\": \"hunter2\", }").unwrap();
        std::fs::write(dir.path().join("deep.json"), "[".repeat(100_000)).unwrap();
        std::fs::write(dir.path().join("bytes.json"), b"\"\xff\xfe\"").unwrap();
        let host = Host::default();
        let look = Look::new(dir.path().to_owned(), &host);
        assert!(look.json("absent.json").is_none() && look.list("absent").is_empty());
        for name in ["broken.json", "deep.json", "bytes.json"] {
            assert!(look.json(name).is_none(), "{name}");
        }
        let gaps = look.into_gaps();
        assert_eq!(
            gaps.iter().map(|gap| gap.path.as_str()).collect::<Vec<_>>(),
            ["broken.json", "deep.json", "bytes.json"]
        );
        assert!(gaps.iter().all(|gap| !gap.cause.contains("hunter2")), "{gaps:?}");
    }

    #[test]
    fn a_pipe_in_place_of_a_file_is_noted_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("install.ini");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let host = Host::default();
        let look = Look::new(dir.path().to_owned(), &host);
        assert!(look.ini("install.ini").is_none());
        assert_eq!(look.into_gaps().len(), 1);
    }

    #[test]
    fn values_of_the_wrong_type_are_nothing() {
        let value = serde_json::json!({"a": {"b": 7, "c": " x ", "d": ""}, "e": []});
        assert_eq!(text_at(&value, &["a", "c"]), Some("x"));
        for keys in [&["a", "b"][..], &["a", "d"], &["a"], &["e", "b"], &["z"]] {
            assert_eq!(text_at(&value, keys), None, "{keys:?}");
        }
    }
}
