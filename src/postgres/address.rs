//! Where a database is, as libpq is told: through the environment, where names need no quoting and no process list
//! shows them.

use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::postgres::error::PgError;
use crate::postgres::scope::Scope;
use crate::postgres::url::{HostPort, JdbcUrl, PasswordKind, first_schema, listed_schema};

/// Parameters of an address that libpq has a variable for. Those of Java's driver have the same names.
const PARAMETERS: [(&str, &str); 15] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcrl", "PGSSLCRL"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("gssencmode", "PGGSSENCMODE"),
    ("gssEncMode", "PGGSSENCMODE"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("channelBinding", "PGCHANNELBINDING"),
    ("krbsrvname", "PGKRBSRVNAME"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
];

/// What is written with `%` inside of an address: everything but letters, digits and `-._~`.
const RESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Variables that would lead an address elsewhere than it says.
const MISLEADING: [&str; 4] = ["PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGOPTIONS"];

/// Seconds a connection may take, if nobody says otherwise.
const CONNECT_SECONDS: &str = "30";

/// A database on a server. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Address {
    /// Servers, tried in this order; none: what libpq takes by itself, a socket of this machine.
    pub hosts: Vec<HostPort>,
    /// The database; none: the one named like the account.
    pub database: Option<String>,
    /// The account; none: that of the operating system.
    pub user: Option<String>,
    /// Further parameters, by the names libpq or Java's driver has for them.
    pub parameters: Vec<(String, String)>,
}

impl Address {
    /// Takes an address apart that somebody typed: `postgresql://USER@HOST:PORT/DATABASE?…`, or the same with `jdbc:`
    /// in front. `currentSchema` and `tableNamePrefix` say what of the database is meant.
    pub fn parse(text: &str) -> Result<(Self, Scope), PgError> {
        let bad = |why: &str| PgError::Address { address: without_account(text), why: why.to_owned() };
        let url = JdbcUrl::parse(text).ok_or_else(|| bad("it is no address of a PostgreSQL database"))?;
        if url.password != PasswordKind::None {
            return Err(bad("it holds a password, which the process list and the history of the shell would show"));
        }
        let hosts = if url.names_host { url.hosts } else { Vec::new() };
        let hosts = hosts.into_iter().map(|at| HostPort { host: decoded(&at.host), ..at }).collect();
        let mut parameters = url.parameters;
        let prefix = take(&mut parameters, "tableNamePrefix");
        let schema = url.schema.or_else(|| take(&mut parameters, "schema").as_deref().and_then(first_schema));
        let scope = Scope { schema, prefix };
        Ok((Self { hosts, database: url.database, user: url.user, parameters }, scope))
    }

    /// The address as Java's driver writes it, without an account.
    pub fn jdbc(&self, schema: Option<&str>) -> String {
        let shown = |at: &HostPort| {
            if at.host.contains(':') {
                format!("[{}]:{}", at.host, at.port)
            } else {
                format!("{}:{}", at.host, at.port)
            }
        };
        let encoded = |text: &str| percent_encoding::utf8_percent_encode(text, RESERVED).to_string();
        let hosts = self.hosts.iter().map(shown).collect::<Vec<_>>().join(",");
        let schema = schema.map(|schema| ("currentSchema".to_owned(), listed_schema(schema)));
        let all = schema.into_iter().chain(self.parameters.iter().cloned());
        let pairs: Vec<String> = all.map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        format!("jdbc:postgresql://{hosts}/{}{query}", encoded(self.database.as_deref().unwrap_or_default()))
    }

    /// The name of the database for an argument that may also be a whole connection string.
    pub fn database_argument(&self) -> Option<String> {
        let name = self.database.as_ref()?;
        let is_plain = !name.contains('=') && !name.starts_with("postgres");
        Some(if is_plain {
            name.clone()
        } else {
            format!("dbname='{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
        })
    }

    /// Whether it is reached over the network, as Java's driver must.
    pub fn is_far(&self) -> bool {
        !self.hosts.is_empty() && self.hosts.iter().all(|at| !at.host.starts_with('/'))
    }

    /// The same server, another database.
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: Some(database.to_owned()), ..self.clone() }
    }

    /// What names the server, for people: `db1:5432`.
    pub fn server(&self) -> String {
        let shown = |at: &HostPort| format!("{}:{}", at.host, at.port);
        let named = self.parameters.iter().find(|(name, _)| name == "host").map(|(_, host)| host.clone());
        let hosts = self.hosts.iter().map(shown).collect::<Vec<_>>().join(",");
        named.unwrap_or(if hosts.is_empty() { "the local socket".to_owned() } else { hosts })
    }

    /// What names the database, for people: `runtime on db1:5432`.
    pub fn label(&self) -> String {
        let name = self.database.as_deref().or(self.user.as_deref()).unwrap_or("the default database");
        format!("{name} on {}", self.server())
    }

    /// Lets a client program of PostgreSQL connect there, and nowhere else.
    pub fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for name in MISLEADING {
            command.env_remove(name);
        }
        command.env("PGCONNECT_TIMEOUT", CONNECT_SECONDS).env("PGAPPNAME", "dssvault");
        if !self.hosts.is_empty() {
            let list = |part: fn(&HostPort) -> String| self.hosts.iter().map(part).collect::<Vec<_>>().join(",");
            command.env("PGHOST", list(|at| at.host.clone())).env("PGPORT", list(|at| at.port.to_string()));
        }
        let named = [("PGDATABASE", &self.database), ("PGUSER", &self.user)];
        for (variable, value) in named.into_iter().filter_map(|(variable, value)| Some((variable, value.as_ref()?))) {
            command.env(variable, value);
        }
        for (name, value) in &self.parameters {
            if let Some((_, variable)) = PARAMETERS.iter().find(|(known, _)| known == name) {
                command.env(variable, value);
            }
        }
        if let Some(mode) = self.ssl_mode() {
            command.env("PGSSLMODE", mode);
        }
        command
    }

    /// Java's driver knows `ssl=true`, which checks the server's certificate; libpq has one word for both.
    fn ssl_mode(&self) -> Option<&'static str> {
        let value =
            |wanted: &str| self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let unchecked = value("sslfactory").is_some_and(|factory| factory.ends_with("NonValidatingFactory"));
        match (value("sslmode"), value("ssl")) {
            (Some(_), _) | (None, None | Some("false")) => None,
            (None, Some(_)) => Some(if unchecked { "require" } else { "verify-full" }),
        }
    }
}

fn take(parameters: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let at = parameters.iter().position(|(known, _)| known == name)?;
    Some(parameters.remove(at).1).filter(|value| !value.is_empty())
}

/// Folders of sockets are written with `%2F`.
fn decoded(host: &str) -> String {
    percent_encoding::percent_decode_str(host).decode_utf8_lossy().into_owned()
}

/// An address that may hold a password, fit to be shown: its front, and what stands behind the account.
fn without_account(text: &str) -> String {
    let (front, rest) = text.split_once("//").unwrap_or(("", text));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, behind)| behind);
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    if front.is_empty() { rest.to_owned() } else { format!("{front}//{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(address: &Address) -> Vec<(String, Option<String>)> {
        let mut command = Command::new("true");
        address.apply(&mut command);
        let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
        command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect()
    }

    fn variable(address: &Address, name: &str) -> Option<String> {
        environment(address).into_iter().find(|(known, _)| known == name).and_then(|(_, value)| value)
    }

    #[test]
    fn an_address_becomes_the_variables_of_libpq() {
        let (address, scope) = Address::parse(
            "postgresql://gov@db1:5433,db2/my%20base?sslmode=require&currentSchema=s&tableNamePrefix=p_",
        )
        .unwrap();
        assert_eq!(variable(&address, "PGHOST").as_deref(), Some("db1,db2"));
        assert_eq!(variable(&address, "PGPORT").as_deref(), Some("5433,5432"));
        assert_eq!(variable(&address, "PGDATABASE").as_deref(), Some("my base"));
        assert_eq!(variable(&address, "PGUSER").as_deref(), Some("gov"));
        assert_eq!(variable(&address, "PGSSLMODE").as_deref(), Some("require"));
        assert_eq!(scope, Scope { schema: Some("s".into()), prefix: Some("p_".into()) });
        assert_eq!(address.label(), "my base on db1:5433,db2:5432");
    }

    #[test]
    fn what_would_lead_elsewhere_is_taken_away() {
        let (address, _) = Address::parse("postgresql://h/d").unwrap();
        let taken = environment(&address).into_iter().filter(|(_, value)| value.is_none());
        assert_eq!(
            taken.map(|(name, _)| name).collect::<Vec<_>>(),
            ["PGHOSTADDR", "PGOPTIONS", "PGSERVICE", "PGSERVICEFILE"]
        );
    }

    #[test]
    fn no_host_is_a_socket_and_a_folder_may_be_named() {
        let (address, _) = Address::parse("postgresql:///d").unwrap();
        assert_eq!((variable(&address, "PGHOST"), address.server().as_str()), (None, "the local socket"));
        for text in ["postgresql://%2Frun%2Fpg/d", "postgresql:///d?host=/run/pg"] {
            let (address, _) = Address::parse(text).unwrap();
            assert_eq!(variable(&address, "PGHOST").as_deref(), Some("/run/pg"), "{text}");
        }
    }

    #[test]
    fn javas_word_for_tls_checks_the_certificate() {
        let mode =
            |query: &str| variable(&Address::parse(&format!("jdbc:postgresql://h/d?{query}")).unwrap().0, "PGSSLMODE");
        assert_eq!(mode("ssl=true").as_deref(), Some("verify-full"));
        assert_eq!(mode("ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory").as_deref(), Some("require"));
        assert_eq!(mode("ssl=true&sslmode=prefer").as_deref(), Some("prefer"));
        assert_eq!(mode("ssl=false"), None);
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for text in
            ["postgresql://u:hunter2@h/d", "jdbc:postgresql://h/d?user=u&password=hunter2", "mysql://u:hunter2@h/d"]
        {
            let error = Address::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
