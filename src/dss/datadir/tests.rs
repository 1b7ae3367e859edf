//! Data directories good and bad, from their files to their facts.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::base::hint::Hint;
use crate::dss::datadir::concern::ConcernKind;
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::testing::Sample;

fn concerns(sample: &Sample) -> Vec<ConcernKind> {
    sample.facts().concerns.iter().map(|concern| concern.kind).collect()
}

#[test]
fn a_healthy_directory_tells_who_it_is_and_raises_no_concern() {
    let facts = Sample::design().facts();
    assert_eq!((facts.path.as_str(), facts.given_path), ("/data/dss", None));
    assert_eq!((facts.node_type, facts.conf_version), (NodeType::Design, Some(14220)));
    assert_eq!(facts.version.unwrap().to_string(), "14.2.2");
    assert_eq!((facts.install_id.as_deref(), facts.commit_id), (Some("AbCdEf"), None));
    assert_eq!(facts.ports.unwrap().backend, 11001);
    let kit = facts.kit.unwrap();
    assert!(
        kit.exists == Some(true)
            && kit.control_program_works == Some(true)
            && kit.version.unwrap().to_string() == "14.2.2"
    );
    assert_eq!((facts.concerns, facts.gaps), (vec![], vec![]));
}

#[test]
fn facts_survive_being_stored() {
    let sample = Sample::design();
    sample.write("DSS-MIGRATION-IN-PROGRESS.json", "{}");
    sample.settings(r#""graphicsExportsEnabled": true, "internalDatabase": {"connection": {"params": {"host": "h"}}}"#);
    let facts = sample.facts();
    let stored = serde_json::to_vec(&facts).unwrap();
    assert_eq!(serde_json::from_slice::<Facts>(&stored).unwrap(), facts);
}

#[test]
fn a_directory_of_something_else_is_refused_and_the_right_one_below_is_named() {
    let sample = Sample::design();
    let error = sample.open(sample.data("").parent().unwrap()).unwrap_err();
    assert!(matches!(&error, DatadirError::NotDataDir { nearby: Some(_), .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("/data/dss"), "{error:?}");
    let kit = sample.data("").join("../../opt/kit");
    fs::write(kit.join("installer.sh"), "").unwrap();
    assert!(matches!(sample.open(&kit), Err(DatadirError::Kit { .. })));
    assert!(matches!(sample.open(&sample.data("install.ini")), Err(DatadirError::NotADirectory { .. })));
    assert!(matches!(sample.open(&sample.data("nowhere")), Err(DatadirError::NotADirectory { .. })));
}

#[test]
fn half_an_installation_is_refused_by_the_names_of_what_is_missing() {
    let sample = Sample::design();
    fs::remove_file(sample.data("install.ini")).unwrap();
    sample.write("DSS-INITIAL-INSTALL-IN-PROGRESS.txt", "");
    let error = sample.open(&sample.data("")).unwrap_err();
    assert!(error.to_string().ends_with("install.ini missing") && error.hint().unwrap().contains("moves"), "{error}");
    fs::remove_file(sample.data("dss-version.json")).unwrap();
    assert!(matches!(sample.open(&sample.data("")), Err(DatadirError::HalfInstalled { marked: true, .. })));
}

#[test]
fn a_link_given_as_the_directory_is_resolved_and_told() {
    let sample = Sample::design();
    let link = sample.data("").join("../link");
    symlink("dss", &link).unwrap();
    let facts = sample.open(&link).unwrap().facts;
    assert_eq!(facts.path, "/data/dss");
    assert!(facts.given_path.unwrap().ends_with("link"));
}

#[test]
fn what_is_in_the_way_of_a_start_is_told() {
    let sample = Sample::design();
    sample.write("install-support/expected-dip-home.txt", "/data/old\n");
    fs::remove_file(sample.data("bin/dss")).unwrap();
    symlink("/opt/gone/dss", sample.data("bin/dss")).unwrap();
    sample.host("opt/kit/dss-version.json", r#"{"product_version": "13.5.0"}"#);
    sample.ini("port = 12000\n");
    let found = concerns(&sample);
    use ConcernKind::{ControlDangling, KitVersion, Moved, PortEdited};
    assert_eq!(found, [Moved, ControlDangling, KitVersion, PortEdited]);
}

#[test]
fn an_installation_without_its_last_file_is_a_reason_to_stop() {
    let sample = Sample::design();
    fs::remove_file(sample.data("install-support/expected-dip-home.txt")).unwrap();
    assert_eq!(concerns(&sample), [ConcernKind::InstallUnfinished]);
}

#[test]
fn files_that_cannot_be_understood_are_gaps() {
    let sample = Sample::design();
    for (name, content) in [
        ("dss-version.json", "{\"product_version\": 14}"),
        ("install.ini", "[general"),
        ("install-support/expected-dip-home.txt", ""),
        ("config/general-settings.json", "{"),
    ] {
        sample.write(name, content);
    }
    fs::write(sample.data("bin/env-default.sh"), b"\xff\xfe\x00").unwrap();
    let facts = sample.facts();
    assert_eq!((facts.version, facts.ports, facts.kit, facts.install_id), (None, None, None, None));
    let told: Vec<&str> = facts.gaps.iter().map(|gap| gap.path.as_str()).collect();
    assert_eq!(told, ["install.ini", "config/general-settings.json", "dss-version.json"]);
}

#[test]
fn configuration_of_a_size_no_node_has_is_a_gap() {
    let sample = Sample::design();
    sample.write("config/general-settings.json", "");
    fs::File::options()
        .write(true)
        .open(sample.data("config/general-settings.json"))
        .unwrap()
        .set_len(17 << 20)
        .unwrap();
    let gaps = sample.facts().gaps;
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].cause.contains("longer"), "{gaps:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_a_parser_panic(text in "(?s)([\\PC\\n\\[\\]=:;#'\"\\\\/?@%,. -]|jdbc:postgresql://|Command line:|export A=|[0-9]){0,60}") {
        let _ = ini::Ini::parse(&text).map(|ini| ini.flag("a", "b"));
        let _ = properties::parse(text.as_bytes());
        let _ = shell::assignments(&text);
        let _ = install_log::InstallLog::parse(&text).last_arguments("x");
        let _ = crate::postgres::url::JdbcUrl::parse(&text);
        let _ = text.parse::<version::DssVersion>();
        let _ = exclusion::spelled_as_on_disk(&text, &["a-b".to_owned()]);
    }

    #[test]
    fn no_bytes_in_any_file_end_the_inspection(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let sample = Sample::design();
        for name in ["dss-version.json", "install.ini", "bin/env-default.sh", "config/connections.json", "pyenv/pyvenv.cfg",
            "config/general-settings.json", "run/install.log", "DSS-MIGRATION-IN-PROGRESS.json", "bin/env-spark.sh"] {
            sample.write(name, "");
            fs::write(sample.data(name), &bytes).unwrap();
        }
        prop_assert!(sample.open(&sample.data("")).is_ok());
    }
}

#[test]
fn an_unknown_node_type_is_a_concern() {
    assert_eq!(concerns(&Sample::of_type("quantum")), [ConcernKind::UnknownNodeType]);
}
