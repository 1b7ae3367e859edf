//! The password of a database where the configuration holds it in clear. It is read only when it is needed, and never
//! becomes part of what is known of a node.

use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::dss::datadir::databases::{DatabaseKind, FM_SETTINGS, PROPERTIES, SETTINGS};
use crate::dss::datadir::host::Host;
use crate::dss::datadir::look::{Look, text_at};
use crate::postgres::url::{self, PasswordKind};

/// The password of the database of this kind; `None` if there is none, or DSS has encrypted it.
pub fn read(root: &Path, kind: DatabaseKind) -> Option<Zeroizing<String>> {
    let host = Host::new(None);
    let look = Look::new(root.to_owned(), &host);
    let found = match kind {
        DatabaseKind::Embedded => None,
        DatabaseKind::Govern => {
            let properties = look.properties(PROPERTIES)?;
            let own = properties.get("psql.jdbc.password").filter(|text| !text.is_empty()).cloned();
            own.map(Zeroizing::new).or_else(|| url::password_in(properties.get("psql.jdbc.url")?))
        }
        DatabaseKind::FleetManager => {
            url::password_in(text_at(&look.json(FM_SETTINGS)?, &["databaseSettings", "dbURL"])?)
        }
        DatabaseKind::Runtime => {
            let settings = look.json(SETTINGS)?;
            let params = settings.get("internalDatabase")?.get("connection")?.get("params")?;
            let own = params.get("password").and_then(Value::as_str).filter(|text| !text.is_empty());
            let own = own.map(|text| Zeroizing::new(text.to_owned()));
            own.or_else(|| url::password_in(text_at(params, &["url"])?))
        }
    };
    found.filter(|text| PasswordKind::of(Some(text)) == PasswordKind::Clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(file: &str, text: &str, kind: DatabaseKind) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        read(dir.path(), kind).map(|text| text.to_string())
    }

    #[test]
    fn it_is_found_in_every_form_in_which_it_may_stand_in_clear() {
        let found =
            |file: &str, text: &str, kind| assert_eq!(read_in(file, text, kind).as_deref(), Some("p w@d"), "{text}");
        let runtime = |params: &str| format!(r#"{{"internalDatabase": {{"connection": {{"params": {{{params}}}}}}}}}"#);
        for params in [r#""host": "h", "password": "p w@d""#, r#""url": "jdbc:postgresql://h/d?password=p+w%40d""#] {
            found(SETTINGS, &runtime(params), DatabaseKind::Runtime);
        }
        let govern = "psql.jdbc.url=jdbc:postgresql://h/d\npsql.jdbc.password=p w@d\n";
        found(PROPERTIES, govern, DatabaseKind::Govern);
        found(
            FM_SETTINGS,
            r#"{"databaseSettings": {"dbURL": "postgresql://u:p%20w%40d@h/d"}}"#,
            DatabaseKind::FleetManager,
        );
    }

    #[test]
    fn what_dss_has_encrypted_is_none() {
        let govern = "psql.jdbc.url=jdbc:postgresql://h/d\npsql.jdbc.password=e:AES:abc\n";
        assert_eq!(read_in(PROPERTIES, govern, DatabaseKind::Govern), None);
        assert_eq!(read_in(PROPERTIES, "", DatabaseKind::Govern), None);
        assert_eq!(read_in(SETTINGS, "[]", DatabaseKind::Runtime), None);
    }
}
