//! Leading a restored node to another database than it had: its configuration names the new one, and nothing else of
//! it changes. Passwords stay as they are: DSS encrypts them with a key of its own.

use std::io;
use std::path::Path;

use serde_json::Value;

use crate::dss::datadir::databases::{FM_SETTINGS, PROPERTIES, SETTINGS};
use crate::dss::datadir::properties;
use crate::postgres::address::Address;
use crate::postgres::url;
use crate::sys::{durable, small_file};

/// Longer configuration is not read.
const BYTES_MAX: u64 = 16 << 20;

/// A database in the words of [`DatabaseKind::word`](crate::dss::datadir::databases::DatabaseKind::word), and where it
/// is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repoint {
    /// `govern`, `runtime` or `fleet_manager`.
    pub kind: String,
    /// Where it is now.
    pub address: Address,
    /// The schema in it.
    pub schema: Option<String>,
}

impl Repoint {
    /// Writes it into the configuration of the data directory `root`.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        match self.kind.as_str() {
            "govern" => rewrite(&root.join(PROPERTIES), |bytes| Ok(self.in_properties(&bytes))),
            "runtime" => rewrite(&root.join(SETTINGS), |bytes| in_json(&bytes, |json| self.in_settings(json))),
            "fleet_manager" => rewrite(&root.join(FM_SETTINGS), |bytes| in_json(&bytes, |json| self.in_fleet(json))),
            _ => Ok(()),
        }
    }

    fn in_properties(&self, bytes: &[u8]) -> Vec<u8> {
        let old = properties::parse(bytes).ok().and_then(|mut read| read.remove("psql.jdbc.url"));
        let mut values = vec![("psql.jdbc.url", self.jdbc(old.as_deref()))];
        values.extend(self.address.user.clone().map(|user| ("psql.jdbc.user", user)));
        properties::changed(bytes, &values)
    }

    /// The address for Java's driver, which may hold user and password too.
    fn jdbc(&self, old: Option<&str>) -> String {
        let new = self.address.jdbc(self.schema.as_deref());
        url::with_account_of(&new, old.unwrap_or_default(), self.address.user.is_none())
    }

    fn in_settings(&self, settings: &mut Value) -> Option<()> {
        let internal = settings.get_mut("internalDatabase")?;
        if let (Some(schema), Some(internal)) = (&self.schema, internal.as_object_mut()) {
            internal.insert("schema".to_owned(), schema.clone().into());
        }
        let params = internal.get_mut("connection")?.get_mut("params")?.as_object_mut()?;
        let by_url = params.get("useURL").and_then(Value::as_bool).unwrap_or(!params.contains_key("host"));
        if by_url {
            let url = self.jdbc(params.get("url").and_then(Value::as_str));
            params.insert("url".to_owned(), url.into());
        } else {
            let first = self.address.hosts.first()?;
            params.insert("host".to_owned(), first.host.clone().into());
            params.insert("port".to_owned(), first.port.into());
            params.insert("db".to_owned(), self.address.database.clone()?.into());
        }
        if let Some(user) = &self.address.user {
            params.insert("user".to_owned(), user.clone().into());
        }
        Some(())
    }

    /// User and password stand inside the address.
    fn in_fleet(&self, settings: &mut Value) -> Option<()> {
        let url = settings.get_mut("databaseSettings")?.get_mut("dbURL")?;
        let jdbc = self.address.jdbc(self.schema.as_deref());
        let bare = jdbc.strip_prefix("jdbc:")?.strip_prefix("postgresql://")?;
        // Of what may stand behind the host, anything may hold an `@`.
        let authority = url.as_str()?.split_once("//").and_then(|(_, rest)| rest.split(['/', '?']).next());
        let account = authority.and_then(|text| text.rsplit_once('@')).map(|(account, _)| account);
        *url = match account {
            Some(account) => format!("postgresql://{account}@{bare}"),
            None => format!("postgresql://{bare}"),
        }
        .into();
        Some(())
    }
}

fn rewrite(path: &Path, change: impl FnOnce(Vec<u8>) -> io::Result<Vec<u8>>) -> io::Result<()> {
    durable::replace_keeping_owner(path, &change(small_file::read(path, BYTES_MAX)?)?)
}

fn in_json(bytes: &[u8], change: impl FnOnce(&mut Value) -> Option<()>) -> io::Result<Vec<u8>> {
    let mut json: Value = serde_json::from_slice(bytes)?;
    change(&mut json).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it names no database"))?;
    Ok(serde_json::to_vec_pretty(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::databases::Server;
    use crate::dss::datadir::testing::Sample;

    fn repoint(kind: &str) -> Repoint {
        let (address, scope) = Address::parse("postgresql://copy@127.0.0.1:6000/my%20base?currentSchema=s").unwrap();
        Repoint { kind: kind.to_owned(), address, schema: scope.schema }
    }

    fn found(sample: &Sample) -> Server {
        sample.facts().databases.into_iter().find_map(|database| database.server).unwrap()
    }

    fn assert_led(server: &Server) {
        assert_eq!((server.hosts[0].host.as_str(), server.hosts[0].port), ("127.0.0.1", 6000));
        assert_eq!((server.database.as_deref(), server.schema.as_deref()), (Some("my base"), Some("s")));
    }

    #[test]
    fn govern_is_led_elsewhere_and_everything_else_stays() {
        let sample = Sample::of_type("gh");
        let text = "# a comment\nother.key = x\\\n  y\npsql.jdbc.url = jdbc:postgresql://prod\\\n  :5432/gov\npsql.jdbc.user: gov\npsql.jdbc.password=e:AES:x\n";
        sample.write(PROPERTIES, text);
        repoint("govern").write(&sample.data("")).unwrap();
        let server = found(&sample);
        assert_led(&server);
        assert_eq!(server.user.as_deref(), Some("copy"));
        let now = std::fs::read_to_string(sample.data(PROPERTIES)).unwrap();
        assert!(now.starts_with("# a comment\nother.key = x\\\n  y\npsql.jdbc.password=e:AES:x\n"), "{now}");
        assert!(!now.contains("prod"));
    }

    #[test]
    fn a_runtime_database_is_led_elsewhere_in_both_its_forms() {
        for params in [
            r#""host": "prod", "port": 1, "db": "d", "user": "u""#,
            r#""useURL": true, "url": "jdbc:postgresql://prod/d", "user": "u""#,
        ] {
            let sample = Sample::design();
            sample.settings(&format!(r#""internalDatabase": {{"connection": {{"type": "PostgreSQL", "params": {{{params}}}}}, "tableNamePrefix": "p_"}}"#));
            repoint("runtime").write(&sample.data("")).unwrap();
            let server = found(&sample);
            assert_led(&server);
            assert_eq!((server.user.as_deref(), server.table_prefix.as_deref()), (Some("copy"), Some("p_")));
        }
    }

    #[test]
    fn a_password_inside_of_the_address_goes_along() {
        let sample = Sample::of_type("gh");
        sample.write(PROPERTIES, "psql.jdbc.url=jdbc:postgresql://prod/gov?user=gov&password=a%26b&ssl=true\n");
        repoint("govern").write(&sample.data("")).unwrap();
        let now = std::fs::read_to_string(sample.data(PROPERTIES)).unwrap();
        let read = properties::parse(now.as_bytes()).unwrap();
        assert!(read["psql.jdbc.url"].ends_with("?currentSchema=s&password=a%26b"), "{now}");
        assert_eq!(read["psql.jdbc.user"], "copy");
        let sample = Sample::design();
        let url = r#""useURL": true, "url": "jdbc:postgresql://prod/d?password=pw""#;
        sample.settings(&format!(
            r#""internalDatabase": {{"connection": {{"type": "PostgreSQL", "params": {{{url}}}}}}}"#
        ));
        repoint("runtime").write(&sample.data("")).unwrap();
        let now = std::fs::read_to_string(sample.data(SETTINGS)).unwrap();
        assert!(now.contains("/my%20base?currentSchema=s&password=pw"), "{now}");
    }

    #[test]
    fn an_at_sign_behind_the_host_is_no_account() {
        let sample = Sample::of_type("fm");
        let url = "postgresql://prod:5432/fmdb?application_name=fm@prod";
        sample.write(FM_SETTINGS, &format!(r#"{{"databaseSettings": {{"dbURL": "{url}"}}}}"#));
        repoint("fleet_manager").write(&sample.data("")).unwrap();
        let now = std::fs::read_to_string(sample.data(FM_SETTINGS)).unwrap();
        assert!(now.contains("postgresql://127.0.0.1:6000/my%20base?currentSchema=s"), "{now}");
    }

    #[test]
    fn a_fleet_manager_keeps_its_account() {
        let sample = Sample::of_type("fm");
        sample.write(FM_SETTINGS, r#"{"databaseSettings": {"dbURL": "postgresql://fm:pw@prod:5432/fmdb"}}"#);
        repoint("fleet_manager").write(&sample.data("")).unwrap();
        assert_led(&found(&sample));
        let now = std::fs::read_to_string(sample.data(FM_SETTINGS)).unwrap();
        assert!(now.contains("postgresql://fm:pw@127.0.0.1:6000/my%20base?currentSchema=s"), "{now}");
    }
}
