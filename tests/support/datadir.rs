//! DSS data directories of every node type as files alone, on a machine of their own below a temporary folder. No
//! DSS behind them: for what can be told from files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The version of every directory made here.
pub const VERSION: &str = "14.2.2";

/// Where the directory lies on its machine.
pub const DATA_DIR: &str = "/data/dss";

const KIT: &str = "/opt/dataiku-dss-14.2.2";

/// A machine whose root is a folder.
pub struct Machine {
    root: PathBuf,
}

/// What a node is made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Design,
    Automation,
    Deployer,
    Api,
    Govern,
    FleetManager,
}

impl Shape {
    pub const ALL: [Self; 6] =
        [Self::Design, Self::Automation, Self::Deployer, Self::Api, Self::Govern, Self::FleetManager];

    fn nodetype(self) -> &'static str {
        match self {
            Self::Design => "design",
            Self::Automation | Self::Deployer => "automation",
            Self::Api => "api",
            Self::Govern => "govern",
            Self::FleetManager => "fm",
        }
    }

    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Design | Self::Automation | Self::Deployer => &[
                "analysis-data",
                "caches",
                "databases",
                "exports",
                "jobs",
                "jupyter-run",
                "lib/jdbc",
                "local",
                "managed_datasets",
                "managed_folders",
                "plugins",
                "run/nginx",
                "saved_models",
                "scenarios",
                "timelines",
                "tmp",
                "uploads",
            ],
            Self::Api => &["lib", "run", "services", "tmp"],
            Self::Govern => &["lib", "run", "tmp"],
            Self::FleetManager => &["run"],
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Design | Self::Automation | Self::Deployer => &["dss", "dssadmin", "dsscli"],
            Self::Api => &["dss", "dssadmin", "apinode-admin"],
            Self::Govern => &["dss", "govern-admin"],
            Self::FleetManager => &["fm", "fmadmin"],
        }
    }
}

impl Machine {
    /// A machine below `root` with a freshly installed node of this shape.
    pub fn with(root: &Path, shape: Shape) -> Self {
        let machine = Self { root: root.to_owned() };
        machine.kit();
        machine.data(
            "dss-version.json",
            r#"{"conf_version": "14220", "product_version": "14.2.2", "product_commitid": ""}"#,
        );
        let deployer = if shape == Shape::Deployer { "[modules]\nprojects = false\n" } else { "" };
        let ini = format!(
            "[general]\nnodetype = {}\ninstallid = AbCdEfGhIjKlMnOpQrStUvWx\n[server]\nport = 11000\n[git]\nmode = project\n{deployer}",
            shape.nodetype()
        );
        machine.data("install.ini", &ini);
        let exports = format!(
            "export DKUINSTALLDIR=\"{KIT}\"\nexport DKU_NODE_TYPE=\"{}\"\nexport DKU_BASE_PORT=\"11000\"\nexport DKUJAVABIN=\"/usr/lib/jvm/java-17/bin/java\"\n",
            shape.nodetype()
        );
        machine.data("bin/env-default.sh", &exports);
        machine.data("install-support/expected-dip-home.txt", &format!("{DATA_DIR}\n"));
        machine.data("run/install.log", &format!("***\nCommand line: {KIT}/installer.sh -d {DATA_DIR} -p 11000\n"));
        machine.data("pyenv/pyvenv.cfg", "home = /usr/bin\nversion = 3.10.12\n");
        for program in shape.programs() {
            symlink(format!("{KIT}/scripts/linked/{program}"), machine.path(&format!("bin/{program}"))).unwrap();
        }
        for folder in shape.folders() {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.configuration(shape);
        fs::set_permissions(machine.path(""), fs::Permissions::from_mode(0o750)).unwrap();
        machine
    }

    fn kit(&self) {
        let kit = &KIT[1..];
        self.host(
            &format!("{kit}/dss-version.json"),
            &format!("{{\"product_version\": \"{VERSION}\", \"product_commitid\": \"\"}}"),
        );
        self.host(&format!("{kit}/installer.sh"), "#!/bin/sh\n");
        for program in ["dss", "dssadmin", "dsscli", "apinode-admin", "govern-admin", "fm", "fmadmin"] {
            self.host(&format!("{kit}/scripts/linked/{program}"), "#!/bin/sh\n");
        }
        self.host("usr/lib/jvm/java-17/bin/java", "");
        self.host("usr/lib/jvm/java-17/release", "JAVA_VERSION=\"17.0.9\"\n");
        self.host("usr/bin/python3", "");
    }

    fn configuration(&self, shape: Shape) {
        match shape {
            Shape::Design | Shape::Automation | Shape::Deployer => {
                self.data("config/general-settings.json", "{}");
                self.data("config/connections.json", r#"{"connections": {}}"#);
                self.data("databases/jobs.mv.db", "H:2 jobs");
            }
            Shape::Api => self.data("config/server.json", "{}"),
            Shape::Govern => self.data(
                "config/dip.properties",
                "psql.jdbc.url=jdbc:postgresql://db1.corp:5432/govern?currentSchema=gov\npsql.jdbc.user=gov\npsql.jdbc.password=hunter2\n",
            ),
            Shape::FleetManager => self.data(
                "config/settings.json",
                r#"{"databaseSettings": {"dbURL": "postgresql://fm:hunter2@db2.corp/fmdb"}}"#,
            ),
        }
    }

    /// The root of the machine.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the data directory, from here.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(&DATA_DIR[1..]).join(below)
    }

    /// Writes a file below the data directory.
    pub fn data(&self, below: &str, content: &str) {
        self.host(&format!("{}/{below}", &DATA_DIR[1..]), content);
    }

    /// Writes a file of the machine, named without its first slash.
    pub fn host(&self, path: &str, content: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}
