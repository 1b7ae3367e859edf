//! A machine with one small data directory, for unit tests: `/data/dss` and `/opt/kit` below a temporary root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::dss::datadir::DataDir;
use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::facts::Facts;
use crate::dss::datadir::host::Host;

/// The machine.
pub struct Sample {
    dir: TempDir,
}

impl Sample {
    pub fn design() -> Self {
        Self::of_type("design")
    }

    pub fn of_type(nodetype: &str) -> Self {
        let sample = Self { dir: tempfile::tempdir().unwrap() };
        sample.host("opt/kit/dss-version.json", r#"{"product_version": "14.2.2", "product_commitid": ""}"#);
        sample.host("opt/kit/scripts/linked/dss", "");
        sample.write(
            "dss-version.json",
            r#"{"conf_version": "14220", "product_version": "14.2.2", "product_commitid": ""}"#,
        );
        sample.write(
            "install.ini",
            &format!("[general]\nnodetype = {nodetype}\ninstallid = AbCdEf\n[server]\nport = 11000\n"),
        );
        sample.write("bin/env-default.sh", "export DKUINSTALLDIR=\"/opt/kit\"\nexport DKU_BASE_PORT=\"11000\"\n");
        sample.write("install-support/expected-dip-home.txt", "/data/dss\n");
        let program = if nodetype == "fm" { "bin/fm" } else { "bin/dss" };
        symlink("/opt/kit/scripts/linked/dss", sample.data(program)).unwrap();
        sample
    }

    /// The directory's name on its machine.
    pub fn path(&self) -> &'static str {
        "/data/dss"
    }

    /// Something in the data directory, from here.
    pub fn data(&self, below: &str) -> PathBuf {
        self.dir.path().join("data/dss").join(below)
    }

    pub fn write(&self, below: &str, content: &str) {
        self.host(&format!("data/dss/{below}"), content);
    }

    pub fn folder(&self, below: &str) {
        fs::create_dir_all(self.data(below)).unwrap();
    }

    /// A file of the machine, named without its first slash.
    pub fn host(&self, path: &str, content: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// `general-settings.json` with this inside its braces.
    pub fn settings(&self, inside: &str) {
        self.write("config/general-settings.json", &format!("{{{inside}}}"));
    }

    /// More of `install.ini`.
    pub fn ini(&self, more: &str) {
        let old = fs::read_to_string(self.data("install.ini")).unwrap();
        self.write("install.ini", &format!("{old}{more}"));
    }

    pub fn open(&self, path: &Path) -> Result<DataDir, DatadirError> {
        DataDir::open(path, &Host::new(Some(self.dir.path().to_owned())))
    }

    pub fn facts(&self) -> Facts {
        self.open(&self.data("")).unwrap().facts
    }
}
