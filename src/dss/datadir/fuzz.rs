//! Parsers of what DSS and its administrators wrote, for the fuzzer: none may panic, and none may take forever.

use crate::dss::datadir::exclusion::spelled_as_on_disk;
use crate::dss::datadir::ini::Ini;
use crate::dss::datadir::install_log::InstallLog;
use crate::dss::datadir::version::DssVersion;
use crate::dss::datadir::{properties, shell};
use crate::postgres::url::JdbcUrl;

/// Every parser of a file that is not JSON.
pub fn files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(ini) = Ini::parse(&text) {
        let _ = (ini.get("general", "nodetype"), ini.flag("modules", "projects"));
    }
    let _ = properties::parse(data);
    let set = shell::assignments(&text);
    assert!(set.keys().all(|name| !name.is_empty() && !name.contains('=')), "a name is a name");
    let _ = InstallLog::parse(&text).last_arguments("installer.sh");
    if let Some(url) = JdbcUrl::parse(&text) {
        assert!(url.hosts.iter().all(|at| !at.host.is_empty()), "a server has a name");
    }
    if let Ok(version) = text.parse::<DssVersion>() {
        assert!(
            version.to_string().parse().is_ok_and(|again: DssVersion| again == version),
            "a version keeps its text"
        );
    }
    let spelled = spelled_as_on_disk(&text, &["a-b".to_owned()]);
    assert!(spelled.len() >= text.len(), "spelling removes nothing");
}

/// One of each.
pub fn seeds() -> Vec<Vec<u8>> {
    [
        b"# installed\n[general]\nnodetype = design\n[javaopts]\nbackend.xmx = 8g\n  more\n[DEFAULT]\nx: y\n".as_slice(),
        b"psql.jdbc.url=jdbc\\:postgresql://db1\npsql.jdbc.password : \\u00e4 \\\n  x\n",
        b"export DKUINSTALLDIR=\"/opt/kit\"\nDKU_BASE_PORT='11000' X=$Y\n",
        b"***\nCommand line: /opt/kit/installer.sh -d '/data/my dss' -password x --token=y\nCommand line:\n a \\\n b\n\n",
        b"jdbc:postgresql://u:p@[::1]:5432,b/d%20b?currentSchema=a,b&password=x&ssl=true",
        b"14.0.0-beta1",
        b"!/a_b/*",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}
