//! The built-in Python environment of a moved node. It holds absolute paths, and the installer does not mend them while
//! it is there (measured); so it is put aside, and the installer makes a new one.

use std::io;
use std::path::Path;

use crate::dss::migrate::note;

/// The environment, and what it is called aside. DSS docs, installation/custom/migrations.
const ENVIRONMENTS: [(&str, &str); 2] = [("pyenv", "pyenv.backup"), ("condaenv", "condaenv.backup")];
/// Where the packages it had are listed then.
pub const PACKAGES: &str = "install-support/dssvault-python-packages.txt";

/// Puts it aside, once: a second call finds what the first did, and leaves a new environment alone.
pub fn set_aside(data_dir: &Path, packages: Option<&str>) -> io::Result<()> {
    for (name, aside) in ENVIRONMENTS {
        let (environment, aside) = (data_dir.join(name), data_dir.join(aside));
        if environment.symlink_metadata().is_ok() && aside.symlink_metadata().is_err() {
            std::fs::rename(&environment, &aside)?;
        }
    }
    match packages {
        Some(packages) => note::leave(data_dir, PACKAGES, packages),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_moved_once_and_a_new_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        std::fs::create_dir(data.join("install-support")).unwrap();
        std::fs::create_dir(data.join("pyenv")).unwrap();
        std::fs::write(data.join("pyenv/old"), "").unwrap();
        set_aside(data, Some("numpy==2\n")).unwrap();
        assert!(data.join("pyenv.backup/old").exists() && !data.join("pyenv").exists());
        std::fs::create_dir(data.join("pyenv")).unwrap();
        set_aside(data, None).unwrap();
        assert!(data.join("pyenv.backup/old").exists() && data.join("pyenv").exists());
        assert_eq!(std::fs::read_to_string(data.join(PACKAGES)).unwrap(), "numpy==2\n");
    }
}
