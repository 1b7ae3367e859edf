//! With which arguments what was installed on top is installed again: those it was installed with, at the new place.

use std::path::Path;

use crate::dss::datadir::integrations::{Integration, IntegrationKind};
use crate::dss::migrate::step::{Offered, word};

/// What changes in recorded arguments.
#[derive(Debug)]
pub struct Moves<'m> {
    /// Old and new paths: of the data directory, of the kit.
    pub paths: Vec<(&'m Path, &'m Path)>,
    /// Old and new account.
    pub account: (&'m str, &'m str),
}

impl Moves<'_> {
    /// An argument where paths and account have changed.
    pub fn apply(&self, argument: &str) -> String {
        for (old, new) in &self.paths {
            if let Ok(below) = Path::new(argument).strip_prefix(old) {
                return word(&if below.as_os_str().is_empty() { new.to_path_buf() } else { new.join(below) });
            }
        }
        argument.to_owned()
    }
}

/// The arguments of an integration at the new place; `None` if nobody knows them, for they held a secret.
pub fn of(integration: &Integration, moves: &Moves<'_>) -> Option<Vec<String>> {
    let recorded = match &integration.arguments {
        Some(recorded) => recorded.clone(),
        None => from_settings(integration, moves),
    };
    if recorded.iter().any(|argument| argument.contains("***")) {
        return None;
    }
    let mut arguments: Vec<String> = recorded.iter().map(|argument| moves.apply(argument)).collect();
    if integration.kind == IntegrationKind::UserIsolation {
        // Its last argument is the account DSS runs as.
        let (old, new) = moves.account;
        match arguments.last_mut() {
            Some(last) if last == old => new.clone_into(last),
            Some(last) if !last.starts_with('-') => {}
            _ => arguments.push(new.to_owned()),
        }
    }
    Some(arguments)
}

/// Where the log of the installation knows nothing, what is set tells enough for some.
fn from_settings(integration: &Integration, moves: &Moves<'_>) -> Vec<String> {
    let pairs: &[(&str, &str)] = match integration.kind {
        IntegrationKind::Spark => &[("DKU_SPARK_HOME", "-sparkHome"), ("PYSPARK_PYTHON", "-pysparkPython")],
        IntegrationKind::Hadoop => &[("dssKeytabPath", "-keytab"), ("dssPrincipal", "-principal")],
        IntegrationKind::UserIsolation => return vec![moves.account.1.to_owned()],
        _ => &[],
    };
    let value = |key: &str| integration.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let known = pairs.iter().filter_map(|(key, option)| Some([(*option).to_owned(), value(key)?]));
    known.flatten().collect()
}

/// Why installing it again is only offered.
pub fn offered(kind: IntegrationKind, arguments: Option<&[String]>) -> Option<Offered> {
    let given = |option: &str| arguments.is_some_and(|arguments| arguments.iter().any(|word| word == option));
    match kind {
        IntegrationKind::UserIsolation => Some(Offered::Root),
        IntegrationKind::R if given("-noDeps") || given("-pkgDir") => None,
        IntegrationKind::R | IntegrationKind::H2o | IntegrationKind::GraphicsExport => Some(Offered::Internet),
        IntegrationKind::Julia => Some(Offered::Hand),
        _ if arguments.is_none() => Some(Offered::Hand),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integration(kind: IntegrationKind, arguments: Option<&[&str]>) -> Integration {
        let arguments = arguments.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        Integration { kind, evidence: Vec::new(), arguments, settings: Vec::new() }
    }

    fn moves() -> Moves<'static> {
        Moves {
            paths: vec![
                (Path::new("/data/dss"), Path::new("/srv/dss")),
                (Path::new("/opt/kit-1"), Path::new("/opt/kit-2")),
            ],
            account: ("dss", "dataiku"),
        }
    }

    #[test]
    fn paths_in_the_old_places_are_moved_and_others_stay() {
        let found = integration(
            IntegrationKind::Spark,
            Some(&["-sparkHome", "/opt/kit-1/spark", "-x", "/data/dss", "/data/dss-other", "/opt/spark"]),
        );
        let expected = ["-sparkHome", "/opt/kit-2/spark", "-x", "/srv/dss", "/data/dss-other", "/opt/spark"];
        assert_eq!(of(&found, &moves()).unwrap(), expected);
    }

    #[test]
    fn what_the_log_does_not_know_is_taken_from_settings() {
        let mut found = integration(IntegrationKind::Hadoop, None);
        found.settings = vec![
            ("dssPrincipal".to_owned(), "dss@CORP".to_owned()),
            ("dssKeytabPath".to_owned(), "/data/dss/k.keytab".to_owned()),
        ];
        assert_eq!(of(&found, &moves()).unwrap(), ["-keytab", "/srv/dss/k.keytab", "-principal", "dss@CORP"]);
    }

    #[test]
    fn user_isolation_is_for_the_new_account() {
        for recorded in [None, Some(&["dss"][..]), Some(&["-securityDir", "/etc/x", "dss"][..])] {
            let found = integration(IntegrationKind::UserIsolation, recorded);
            assert_eq!(of(&found, &moves()).unwrap().last().unwrap(), "dataiku");
        }
    }

    #[test]
    fn a_secret_that_was_not_kept_is_left_to_a_person() {
        let found = integration(IntegrationKind::Spark, Some(&["-password", "***"]));
        assert_eq!(of(&found, &moves()), None);
        assert_eq!(offered(IntegrationKind::Spark, None), Some(Offered::Hand));
    }

    #[test]
    fn what_loads_from_elsewhere_is_only_offered() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(offered(IntegrationKind::R, Some(&words(&[]))), Some(Offered::Internet));
        assert_eq!(offered(IntegrationKind::R, Some(&words(&["-noDeps"]))), None);
        assert_eq!(offered(IntegrationKind::Hadoop, Some(&words(&["-keytab", "/k"]))), None);
    }
}
