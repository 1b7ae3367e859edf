use std::path::PathBuf;

use super::*;
use crate::dss::datadir::facts::{Java, Python};
use crate::dss::datadir::integrations::Integration;
use crate::dss::datadir::links::LeavingLink;
use crate::dss::datadir::testing::Sample;
use crate::dss::migrate::source::CodeEnv;
use crate::repo::snapshot::NodeRecord;
use crate::sys::names::Account;

fn source() -> Source {
    let mut facts = Sample::design().facts();
    facts.python = Some(Python {
        environment: "pyenv".to_owned(),
        version: None,
        base: Some("/usr/bin/python3.9".to_owned()),
        base_exists: Some(true),
    });
    facts.java = Some(Java { path: "/opt/java/bin/java".to_owned(), exists: Some(true), version: None });
    let record = NodeRecord {
        data_dir: "/data/dss".to_owned(),
        install_dir: Some("/opt/kit".to_owned()),
        owner: Some("dss".to_owned()),
        port: Some(11000),
        ..NodeRecord::default()
    };
    Source {
        host: "here".to_owned(),
        record,
        facts,
        environments: Vec::new(),
        packages: None,
        packages_unknown: None,
        bytes: 1000,
    }
}

fn wish() -> Wish {
    Wish {
        data_dir: "/srv/dss".into(),
        kit: "/opt/kit-2".into(),
        port: Some(11000),
        port_is_new: false,
        user: "dss".to_owned(),
        python: None,
        drill: false,
        start: false,
        install_id: None,
        databases: Vec::new(),
        keep_databases: false,
    }
}

fn ground() -> Ground {
    Ground {
        host: "here".to_owned(),
        is_root: true,
        account: Some(Account { name: "dss".to_owned(), uid: 1000, gid: 1000 }),
        is_account: false,
        kit: "14.3.0".parse().ok(),
        place: Occupancy::Free,
        into: false,
        free: u64::MAX,
        noexec: false,
        acls: true,
        taken_ports: Vec::new(),
        barred: None,
        present: ["/usr/bin/python3.9", "/opt/java/bin/java"].map(PathBuf::from).to_vec(),
        original: None,
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.name.as_str()).collect()
}

fn installed(kind: IntegrationKind) -> Integration {
    Integration { kind, evidence: Vec::new(), arguments: Some(Vec::new()), settings: Vec::new() }
}

fn refusal(source: &Source, wish: &Wish, ground: &Ground) -> String {
    match plan(source, wish, ground) {
        Err(MigrateError::Refused { what, hint }) => {
            assert!(!hint.is_empty(), "{what}");
            what
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_is_done_in_the_order_dss_documents() {
    use IntegrationKind::{EventServer, GraphicsExport, H2o, Hadoop, Monitoring, R, Spark, UserIsolation};
    let mut source = source();
    source.facts.integrations =
        [R, Hadoop, Spark, H2o, GraphicsExport, Monitoring, EventServer, UserIsolation].map(installed).to_vec();
    source.packages = Some("numpy==2\n".to_owned());
    source.environments = vec![CodeEnv { language: "python".to_owned(), name: "ml".to_owned() }];
    source.facts.service.manager = Manager::Systemd;
    source.facts.service.units = vec!["dataiku.prod.service".to_owned()];
    let wish = Wish { port: Some(12000), port_is_new: true, start: true, ..wish() };
    let made = plan(&source, &wish, &Ground { host: "other".to_owned(), ..ground() }).unwrap();
    let expected = [
        "packages-of-the-system",
        "restore",
        "configure",
        "python-aside",
        "attach",
        "python-packages",
        "r",
        "hadoop",
        "spark",
        "h2o",
        "graphics-export",
        "monitoring",
        "event-server",
        "user-isolation",
        "user-isolation-path",
        "start",
        "code-env-python-ml",
        "boot",
    ];
    assert_eq!(names(&made), expected);
    let command = |name: &str| made.step(name).unwrap().command().unwrap().join(" ");
    assert_eq!(
        command("attach"),
        "/usr/bin/env DKUJAVABIN=/opt/java/bin/java /opt/kit-2/installer.sh -d /srv/dss -u -y -P /usr/bin/python3.9"
    );
    assert_eq!(command("user-isolation"), "/srv/dss/bin/dssadmin install-impersonation dss");
    assert_eq!(command("boot"), "/opt/kit-2/scripts/install/install-boot.sh -n prod /srv/dss dss");
    assert_eq!(made.step("boot").unwrap().offered, Some(Offered::Root));
    assert_eq!(made.step("hadoop").unwrap().offered, None);
}

#[test]
fn a_newer_kit_in_the_same_place_keeps_the_python_environment() {
    let wish = Wish { data_dir: "/data/dss".into(), ..wish() };
    let ground = Ground { place: Occupancy::Same(Running::Stopped), ..ground() };
    let made = plan(&source(), &wish, &ground).unwrap();
    assert_eq!(names(&made), ["restore", "attach", "start"]);
    assert!(made.replaces && made.step("start").unwrap().offered == Some(Offered::Hand));
    // Its interpreter is gone: the installer would fail.
    let gone = Ground { present: Vec::new(), ..ground };
    let made = plan(&source(), &wish, &gone).unwrap();
    assert_eq!(names(&made), ["restore", "python-aside", "attach", "start"]);
    let attach = made.step("attach").unwrap().command().unwrap().join(" ");
    assert_eq!(attach, "/opt/kit-2/installer.sh -d /data/dss -u -y");
}

#[test]
fn a_copy_for_a_drill_is_another_installation_and_touches_nothing_outside() {
    let mut source = source();
    source.facts.integrations =
        [IntegrationKind::GraphicsExport, IntegrationKind::UserIsolation].map(installed).to_vec();
    let mut monitoring = installed(IntegrationKind::Monitoring);
    monitoring.settings = vec![("prefix".to_owned(), "prod.".to_owned())];
    source.facts.integrations.push(monitoring);
    let wish = Wish {
        drill: true,
        start: true,
        port: Some(11010),
        port_is_new: true,
        install_id: Some("NEW".to_owned()),
        ..wish()
    };
    let running = Ground { original: Some(Running::Running), ..ground() };
    let made = plan(&source, &wish, &running).unwrap();
    assert_eq!(names(&made), ["restore", "configure", "scenarios-off", "python-aside", "attach", "start", "stop"]);
    let Act::Configure { settings } = &made.step("configure").unwrap().act else { panic!() };
    let told: Vec<String> = settings.iter().map(|(section, key, value)| format!("{section}.{key}={value}")).collect();
    assert_eq!(told, ["server.port=11010", "general.installid=NEW", "collectd.prefix=prod.drill"]);
    assert!(made.steps.iter().all(|step| step.offered.is_none()));
}

#[test]
fn software_that_is_older_is_refused_with_both_versions_and_unknown_software_too() {
    let older = Ground { kit: "14.2.1".parse().ok(), ..ground() };
    let what = refusal(&source(), &wish(), &older);
    assert!(what.contains("14.2.1") && what.contains("14.2.2"), "{what}");
    assert!(refusal(&source(), &wish(), &Ground { kit: None, ..ground() }).contains("no DSS kit"));
    plan(&source(), &wish(), &Ground { kit: "14.2.2".parse().ok(), ..ground() }).unwrap();
}

#[test]
fn no_place_is_taken_from_anybody() {
    let places = [
        (Occupancy::Other("it is full".to_owned()), "not empty"),
        (Occupancy::Same(Running::Running), "runs"),
        (Occupancy::Same(Running::Unknown), "cannot be told"),
    ];
    for (place, expected) in places {
        let what = refusal(&source(), &wish(), &Ground { place, ..ground() });
        assert!(what.contains(expected), "{what}");
    }
    let little = Ground { free: 1000, ..ground() };
    assert!(refusal(&source(), &wish(), &little).contains("are free"));
    assert!(refusal(&source(), &wish(), &Ground { noexec: true, ..ground() }).contains("noexec"));
    let mut isolated = source();
    isolated.facts.integrations = vec![installed(IntegrationKind::UserIsolation)];
    assert!(refusal(&isolated, &wish(), &Ground { acls: false, ..ground() }).contains("ACLs"));
    let mount = Ground { place: Occupancy::Same(Running::Stopped), into: true, ..ground() };
    assert!(refusal(&source(), &wish(), &mount).contains("cannot be renamed"));
}

#[test]
fn only_root_or_the_account_itself_may() {
    let nobody = Ground { is_root: false, ..ground() };
    assert!(refusal(&source(), &wish(), &nobody).contains("only root"));
    plan(&source(), &wish(), &Ground { is_account: true, ..nobody }).unwrap();
}

#[test]
fn a_busy_port_hinders_a_start_and_is_a_warning_otherwise() {
    let busy = Ground { taken_ports: vec![11001], ..ground() };
    assert!(refusal(&source(), &Wish { start: true, ..wish() }, &busy).contains("11001"));
    let made = plan(&source(), &wish(), &busy).unwrap();
    assert!(made.warnings.iter().any(|warning| warning.contains("11001")), "{:?}", made.warnings);
}

#[test]
fn code_environments_are_rebuilt_by_a_node_that_runs() {
    let mut source = source();
    source.environments = vec![CodeEnv { language: "python".to_owned(), name: "ml".to_owned() }];
    for (start, offered) in [(true, Offered::Internet), (false, Offered::Hand)] {
        let made = plan(&source, &Wish { start, ..wish() }, &ground()).unwrap();
        let step = made.step("code-env-python-ml").unwrap();
        assert!(step.needs_node && step.offered == Some(offered), "{step:?}");
    }
}

#[test]
fn a_copy_that_would_work_on_something_of_production_is_not_drilled() {
    let link = |path: &str, target: &str, leads_to: &str| LeavingLink {
        path: path.to_owned(),
        target: target.to_owned(),
        leads_to: leads_to.to_owned(),
        exists: Some(true),
        is_directory: true,
    };
    let mut source = source();
    source.facts.links = vec![link("jobs", "/big/jobs", "/big/jobs"), link("uploads", "../up", "/data/up")];
    let drill = Wish { drill: true, start: true, install_id: Some("NEW".to_owned()), ..wish() };
    plan(&source, &drill, &ground()).unwrap();
    for there in ["/big/jobs", "/srv/up"] {
        let mut ground = ground();
        ground.present.push(there.into());
        assert!(refusal(&source, &drill, &ground).contains("is a link to"));
        plan(&source, &wish(), &ground).unwrap();
    }
}

#[test]
fn who_may_not_start_it_is_told_before_anything_is_replaced() {
    let barred = Some(("this account may not".to_owned(), "run as root".to_owned()));
    let ground = Ground { place: Occupancy::Same(Running::Stopped), barred, ..ground() };
    let here = Wish { data_dir: "/data/dss".into(), ..wish() };
    assert!(refusal(&source(), &Wish { start: true, ..here.clone() }, &ground).contains("may not"));
    plan(&source(), &here, &ground).unwrap();
}

#[test]
fn what_the_snapshot_says_of_itself_is_said_again_and_once() {
    let mut source = source();
    let marker = Marker::MigrationInProgress { timestamp: None, entries: Vec::new() };
    let concern = marker.concern();
    source.facts.node_type = NodeType::Api;
    source.facts.markers = vec![marker];
    source.packages_unknown = Some("no pip".to_owned());
    let warnings = |source: &Source| plan(source, &wish(), &ground()).unwrap().warnings;
    let expected = format!("of the snapshot: {}: {}", concern.message, concern.next);
    let told = warnings(&source);
    assert!(told.contains(&expected) && told.iter().any(|warning| warning.contains("no pip")), "{told:?}");
    assert!(!told.iter().any(|warning| warning.contains("apinode")), "{told:?}");
    source.record.caveats = vec![format!("{}: {}", concern.message, concern.next), "torn".to_owned()];
    let told = warnings(&source);
    assert_eq!(told.iter().filter(|warning| **warning == expected).count(), 1, "{told:?}");
    assert!(told.contains(&"of the snapshot: torn".to_owned()));
    source.facts.markers = vec![Marker::ApiNodeNotAlive];
    assert!(warnings(&source).iter().any(|warning| warning.contains("apinode-not-alive")));
}

#[test]
fn before_the_start_the_original_and_the_ports_are_looked_at_again() {
    let made = plan(&source(), &Wish { start: true, ..wish() }, &ground()).unwrap();
    let may_start = |plan: &Plan, original, taken: &[u16]| conditions::may_start(&source(), plan, original, taken);
    may_start(&made, Some(Running::Stopped), &[]).unwrap();
    may_start(&made, None, &[]).unwrap();
    assert!(may_start(&made, Some(Running::Running), &[]).unwrap_err().contains("twice"));
    assert!(may_start(&made, None, &[11002]).unwrap_err().contains("11002"));
    let drill = Plan { drill: true, ..made };
    may_start(&drill, Some(Running::Running), &[]).unwrap();
}

#[test]
fn names_of_services_are_taken_apart() {
    assert_eq!(instance_of("dataiku.prod.service").as_deref(), Some("prod"));
    assert_eq!(instance_of("dataiku.service"), None);
    assert_eq!(instance_of("dataiku.prod").as_deref(), Some("prod"));
}
