//! What was installed on top of DSS, told from the files that remain, so that a restore elsewhere can do it again.
//! Source of the evidence: contract of the installer scripts and DSS docs of each integration.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dss::datadir::install::Basis;
use crate::dss::datadir::look::{Look, text_at};
use crate::dss::datadir::shell;

/// What can be installed on top, in the order it has to be installed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationKind {
    /// R.
    R,
    /// Hadoop.
    Hadoop,
    /// Spark; after Hadoop.
    Spark,
    /// H2O Sparkling Water; after Spark.
    H2o,
    /// Export of dashboards as pictures.
    GraphicsExport,
    /// Monitoring through collectd.
    Monitoring,
    /// The event server.
    EventServer,
    /// Julia.
    Julia,
    /// User isolation: work runs as the user who asked for it.
    UserIsolation,
}

impl IntegrationKind {
    /// The verb of `bin/dssadmin` that installs it; `None` where there is no such verb.
    pub fn verb(self) -> Option<&'static str> {
        Some(match self {
            Self::R => "install-R-integration",
            Self::Hadoop => "install-hadoop-integration",
            Self::Spark => "install-spark-integration",
            Self::H2o => "install-h2o-integration",
            Self::GraphicsExport => "install-graphics-export",
            Self::Monitoring => "install-monitoring-integration",
            Self::EventServer => "install-event-server",
            Self::UserIsolation => "install-impersonation",
            Self::Julia => return None,
        })
    }

    /// A short name without spaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::R => "r",
            Self::Hadoop => "hadoop",
            Self::Spark => "spark",
            Self::H2o => "h2o",
            Self::GraphicsExport => "graphics-export",
            Self::Monitoring => "monitoring",
            Self::EventServer => "event-server",
            Self::Julia => "julia",
            Self::UserIsolation => "user-isolation",
        }
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::R => "R",
            Self::Hadoop => "Hadoop",
            Self::Spark => "Spark",
            Self::H2o => "H2O Sparkling Water",
            Self::GraphicsExport => "the export of graphics",
            Self::Monitoring => "monitoring",
            Self::EventServer => "the event server",
            Self::Julia => "Julia",
            Self::UserIsolation => "user isolation",
        }
    }

    /// Whether it must be installed as root.
    pub fn needs_root(self) -> bool {
        self == Self::UserIsolation
    }
}

/// Something installed on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// What.
    pub kind: IntegrationKind,
    /// What tells so: files and settings.
    pub evidence: Vec<String>,
    /// With which arguments it was last installed, as the install log has it; `None` if the log does not know.
    pub arguments: Option<Vec<String>>,
    /// Settings that are needed to install it again: `DKU_SPARK_HOME`, `dssKeytabPath`, …
    pub settings: Vec<(String, String)>,
}

/// Everything installed on top of this directory.
pub fn find(look: &Look<'_>, basis: &Basis) -> Vec<Integration> {
    let found = [
        r(look),
        hadoop(look, &basis.settings),
        spark(look),
        files(look, "lib/sparkling-water", IntegrationKind::H2o, |name| name.ends_with(".jar")),
        setting(&basis.settings, &["graphicsExportsEnabled"], IntegrationKind::GraphicsExport),
        monitoring(basis),
        switch(basis, "eventserver", IntegrationKind::EventServer),
        files(look, "bin", IntegrationKind::Julia, |name| name == "julia"),
        user_isolation(basis),
    ];
    let with_arguments = |mut found: Integration| {
        found.arguments = found.kind.verb().and_then(|verb| basis.log.last_arguments(verb));
        found
    };
    found.into_iter().flatten().map(with_arguments).collect()
}

fn integration(kind: IntegrationKind, evidence: Vec<String>) -> Option<Integration> {
    (!evidence.is_empty()).then(|| Integration { kind, evidence, arguments: None, settings: Vec::new() })
}

/// `R.lib` alone is no proof: user isolation makes it empty.
fn r(look: &Look<'_>) -> Option<Integration> {
    const KERNEL: &str = "jupyter-run/jupyter/kernels/ir/kernel.json";
    let mut evidence = Vec::new();
    if look.at("bin/R").symlink_metadata().is_ok() {
        evidence.push("bin/R".to_owned());
    }
    let kernel = look.json(KERNEL);
    if kernel.is_some() {
        evidence.push(KERNEL.to_owned());
    }
    let mut found = integration(IntegrationKind::R, evidence)?;
    let binary = kernel.as_ref().and_then(|kernel| kernel.get("argv")?.get(0)?.as_str());
    found.settings.extend(binary.map(|binary| ("R".to_owned(), binary.to_owned())));
    Some(found)
}

fn hadoop(look: &Look<'_>, settings: &Value) -> Option<Integration> {
    const SCRIPT: &str = "bin/env-hadoop.sh";
    let set = shell::assignments(&look.text(SCRIPT)?);
    let enabled = set.get("DKU_HADOOP_ENABLED").is_some_and(|word| is_true(word));
    let mut found = integration(IntegrationKind::Hadoop, vec![format!("{SCRIPT}: DKU_HADOOP_ENABLED")])?;
    let hadoop = settings.get("hadoopSettings").unwrap_or(&Value::Null);
    for key in ["dssPrincipal", "dssKeytabPath"] {
        found.settings.extend(text_at(hadoop, &[key]).map(|value| (key.to_owned(), value.to_owned())));
    }
    if hadoop.get("kerberosLoginEnabled").and_then(Value::as_bool) == Some(true) {
        found.evidence.push("general-settings.json: hadoopSettings.kerberosLoginEnabled".to_owned());
    }
    enabled.then_some(found)
}

fn spark(look: &Look<'_>) -> Option<Integration> {
    const SCRIPT: &str = "bin/env-spark.sh";
    let set = shell::assignments(&look.text(SCRIPT)?);
    let known = |name: &str| set.get(name).filter(|value| !value.is_empty());
    known("DKU_SPARK_HOME")?;
    let mut found = integration(IntegrationKind::Spark, vec![format!("{SCRIPT}: DKU_SPARK_HOME")])?;
    for name in ["DKU_SPARK_HOME", "DKU_SPARK_VERSION", "PYSPARK_PYTHON"] {
        found.settings.extend(known(name).map(|value| (name.to_owned(), value.clone())));
    }
    Some(found)
}

fn files(look: &Look<'_>, folder: &str, kind: IntegrationKind, fits: fn(&str) -> bool) -> Option<Integration> {
    let names = look.list(folder).into_iter().filter(|(name, _)| fits(name));
    integration(kind, names.map(|(name, _)| format!("{folder}/{name}")).take(20).collect())
}

fn setting(settings: &Value, keys: &[&str], kind: IntegrationKind) -> Option<Integration> {
    let value = keys.iter().try_fold(settings, |value, key| value.get(key))?;
    let evidence = format!("general-settings.json: {}", keys.join("."));
    (value.as_bool() == Some(true)).then(|| integration(kind, vec![evidence])).flatten()
}

fn switch(basis: &Basis, section: &str, kind: IntegrationKind) -> Option<Integration> {
    let on = basis.ini.flag(section, "enabled") == Some(true);
    on.then(|| integration(kind, vec![format!("install.ini: [{section}] enabled")])).flatten()
}

fn monitoring(basis: &Basis) -> Option<Integration> {
    let mut found = switch(basis, "collectd", IntegrationKind::Monitoring)?;
    for key in ["graphite_server", "prefix"] {
        found.settings.extend(basis.ini.get("collectd", key).map(|value| (key.to_owned(), value.to_owned())));
    }
    Some(found)
}

fn user_isolation(basis: &Basis) -> Option<Integration> {
    let mut evidence = Vec::new();
    if basis.ini.get("mus", "exec_wrapper_location").is_some() {
        evidence.push("install.ini: [mus] exec_wrapper_location".to_owned());
    }
    let by_setting = setting(&basis.settings, &["impersonation", "enabled"], IntegrationKind::UserIsolation);
    evidence.extend(by_setting.into_iter().flat_map(|found| found.evidence));
    integration(IntegrationKind::UserIsolation, evidence)
}

fn is_true(word: &str) -> bool {
    matches!(word.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::testing::Sample;

    fn kinds(sample: &Sample) -> Vec<IntegrationKind> {
        sample.facts().integrations.iter().map(|found| found.kind).collect()
    }

    #[test]
    fn a_bare_node_has_none_even_with_an_empty_r_library() {
        let sample = Sample::design();
        sample.folder("R.lib");
        sample.write("bin/env-hadoop.sh", "export DKU_HADOOP_ENABLED=false\n");
        sample.write("bin/env-spark.sh", "export DKU_SPARK_HOME=\"\"\n");
        assert_eq!(kinds(&sample), []);
    }

    #[test]
    fn each_is_found_by_its_own_evidence_in_the_order_of_installing() {
        let sample = Sample::design();
        sample.write("bin/R", "");
        sample.write("jupyter-run/jupyter/kernels/ir/kernel.json", r#"{"argv": ["/usr/bin/R", "--slave"]}"#);
        sample.write("bin/env-hadoop.sh", "export DKU_HADOOP_ENABLED=true\n");
        sample.write("bin/env-spark.sh", "export DKU_SPARK_HOME=\"/opt/spark\"\nexport DKU_SPARK_VERSION=\"3.4\"\n");
        sample.write("lib/sparkling-water/h2o.jar", "");
        sample.write("bin/julia", "");
        sample.settings(r#""graphicsExportsEnabled": true, "impersonation": {"enabled": true},
            "hadoopSettings": {"kerberosLoginEnabled": true, "dssPrincipal": "dss@CORP", "dssKeytabPath": "/etc/dss.keytab"}"#);
        sample.ini("[mus]\nexec_wrapper_location = /x\n[collectd]\nenabled = true\nprefix = dss.prod\n[eventserver]\nenabled = yes\n");
        sample
            .write("run/install.log", "Command line: ./bin/dssadmin install-spark-integration -sparkHome /opt/spark\n");
        let facts = sample.facts();
        let kinds: Vec<_> = facts.integrations.iter().map(|found| found.kind).collect();
        use IntegrationKind::*;
        assert_eq!(kinds, [R, Hadoop, Spark, H2o, GraphicsExport, Monitoring, EventServer, Julia, UserIsolation]);
        assert_eq!(
            facts.integrations[2].arguments.as_deref(),
            Some(&["-sparkHome".to_owned(), "/opt/spark".to_owned()][..])
        );
        assert_eq!(facts.integrations[1].settings[1], ("dssKeytabPath".to_owned(), "/etc/dss.keytab".to_owned()));
        assert_eq!(facts.integrations[0].settings, [("R".to_owned(), "/usr/bin/R".to_owned())]);
    }

    #[test]
    fn settings_of_the_wrong_type_prove_nothing() {
        let sample = Sample::design();
        sample.settings(r#""graphicsExportsEnabled": "true", "impersonation": [], "hadoopSettings": 7"#);
        sample.write("jupyter-run/jupyter/kernels/ir/kernel.json", "7");
        sample.write("bin/env-hadoop.sh", "export DKU_HADOOP_ENABLED=true\n");
        assert_eq!(kinds(&sample), [IntegrationKind::R, IntegrationKind::Hadoop]);
    }
}
