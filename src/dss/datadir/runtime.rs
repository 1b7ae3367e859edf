//! The Python and the Java a DSS installation runs on.

use std::path::{Path, PathBuf};

use crate::dss::datadir::facts::{Java, Python};
use crate::dss::datadir::ini::Ini;
use crate::dss::datadir::install::{Basis, shown};
use crate::dss::datadir::look::Look;
use crate::dss::datadir::shell;

/// Places of the built-in environment; the second is that of old versions.
const ENVIRONMENTS: [&str; 2] = ["pyenv", "condaenv"];

/// Links followed from the environment's own interpreter to that of the machine.
const LINKS_MAX: usize = 8;

/// The built-in Python environment.
pub fn python(look: &Look<'_>) -> Option<Python> {
    let environment = ENVIRONMENTS.into_iter().find(|name| look.at(name).is_dir())?;
    // `pyvenv.cfg` has no sections; a heading makes it the INI it otherwise is.
    let config = look.text(&format!("{environment}/pyvenv.cfg")).map(|text| format!("[venv]\n{text}"));
    let config = config.and_then(|text| Ini::parse(&text).ok()).unwrap_or_default();
    let folders = look.list(&format!("{environment}/lib"));
    let of_folder = folders.iter().find_map(|(name, _)| name.strip_prefix("python")).map(str::to_owned);
    let version = config.get("venv", "version").or(config.get("venv", "version_info")).map(str::to_owned);
    let base = base_interpreter(look, environment)
        .or_else(|| config.get("venv", "home").map(|home| Path::new(home).join("python3")));
    Some(Python {
        environment: environment.to_owned(),
        version: version.or(of_folder),
        base_exists: base.as_ref().and_then(|base| look.host.exists(base)),
        base: base.as_deref().map(shown),
    })
}

/// The first interpreter outside of the environment its `bin/python` leads to.
fn base_interpreter(look: &Look<'_>, environment: &str) -> Option<PathBuf> {
    let mut name = "python".to_owned();
    for _ in 0..LINKS_MAX {
        let target = look.link(&format!("{environment}/bin/{name}"))?;
        if target.is_absolute() {
            return Some(target);
        }
        name = target.file_name()?.to_str()?.to_owned();
    }
    None
}

/// The Java the generated scripts name.
pub fn java(look: &Look<'_>, basis: &Basis) -> Option<Java> {
    let path = basis.environment.get("DKUJAVABIN")?.clone();
    let exists = if path.starts_with('/') { look.host.exists(&path) } else { Some(false) };
    let home = Path::new(&path).parent().and_then(Path::parent).filter(|_| path.starts_with('/'));
    let release = home.and_then(|home| look.host_text(&home.join("release")));
    let version = release.and_then(|text| shell::assignments(&text).remove("JAVA_VERSION"));
    Some(Java { path, exists, version })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::dss::datadir::host::Host;

    #[test]
    fn the_interpreter_behind_the_environment_is_found_through_its_links() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("pyenv/bin")).unwrap();
        fs::create_dir_all(dir.path().join("pyenv/lib/python3.10")).unwrap();
        symlink("python3", dir.path().join("pyenv/bin/python")).unwrap();
        symlink("/no/such/python3.10", dir.path().join("pyenv/bin/python3")).unwrap();
        let host = Host::default();
        let look = Look::new(dir.path().to_owned(), &host);
        let python = python(&look).unwrap();
        assert_eq!((python.version.as_deref(), python.base.as_deref()), (Some("3.10"), Some("/no/such/python3.10")));
        assert_eq!(python.base_exists, Some(false));
    }

    #[test]
    fn the_environments_own_words_count_where_it_is_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("pyenv")).unwrap();
        fs::write(dir.path().join("pyenv/pyvenv.cfg"), "home = /usr/bin\nversion = 3.9.18\n").unwrap();
        let host = Host::default();
        let python = python(&Look::new(dir.path().to_owned(), &host)).unwrap();
        assert_eq!((python.version.as_deref(), python.base.as_deref()), (Some("3.9.18"), Some("/usr/bin/python3")));
    }

    #[test]
    fn links_that_turn_in_circles_lead_to_no_interpreter() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("pyenv/bin")).unwrap();
        symlink("python", dir.path().join("pyenv/bin/python")).unwrap();
        let host = Host::default();
        assert_eq!(python(&Look::new(dir.path().to_owned(), &host)).unwrap().base, None);
    }
}
