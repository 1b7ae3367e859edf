//! A data directory as DSS makes it, in small: the same kinds of files, with content that compresses and repeats
//! the way theirs does.

use std::path::Path;

use crate::app::AppError;
use crate::app::demo::dice::Dice;
use crate::app::demo::maker::Maker;
use crate::base::cancel::Cancel;

/// How many projects the node has.
pub(super) const PROJECTS: u64 = 12;
/// Objects of each kind in a project.
pub(super) const OBJECTS: u64 = 22;
/// Bytes of a page of the embedded databases.
pub(super) const PAGE_BYTES: usize = 4096;

const PACKAGES: u64 = 42;
const MODULES: u64 = 14;

/// Makes the tree below `root`: about 30 MiB in a few thousand files, the same for the same seed.
pub fn make_data_directory(root: &Path, seed: u64, cancel: &Cancel) -> Result<(), AppError> {
    let mut maker = Maker::new(root, seed, cancel);
    installation(&mut maker)?;
    for project in 0..PROJECTS {
        make_project(&mut maker, &project_key(project))?;
    }
    code_environments(&mut maker)?;
    databases(&mut maker)?;
    logs(&mut maker)?;
    awkward(&mut maker)
}

/// The key of a project.
pub(super) fn project_key(number: u64) -> String {
    format!("PROJECT_{number:02}")
}

fn installation(maker: &mut Maker<'_>) -> Result<(), AppError> {
    maker.file(
        "dss-version.json",
        br#"{"conf_version": "14220", "product_version": "14.2.2", "product_commitid": ""}"#,
    )?;
    maker.file(
        "install.ini",
        b"[general]\nnodetype = design\ninstallid = AbCdEfGhIjKlMnOpQrStUvWx\n[server]\nport = 11000\n",
    )?;
    maker.file(
        "bin/env-default.sh",
        b"export DKUINSTALLDIR=\"/opt/dataiku-dss-14.2.2\"\nexport DKU_BASE_PORT=\"11000\"\n",
    )?;
    maker.symlink("bin/dss", "/opt/dataiku-dss-14.2.2/scripts/linked/dss")?;
    maker.file("config/license.json", br#"{"content": {"licensee": {"company": "Example"}}}"#)?;
    maker.file("config/users.json", br#"{"users": [{"login": "admin", "groups": ["administrators"]}]}"#)?;
    maker.mode("config/users.json", 0o600)?;
    maker.directory("tmp")
}

/// The files of one project: settings, datasets, recipes and data.
pub(super) fn make_project(maker: &mut Maker<'_>, key: &str) -> Result<(), AppError> {
    let folder = format!("config/projects/{key}");
    let params = object_json(&mut maker.dice, "project", key);
    maker.file(format!("{folder}/params.json"), params.as_bytes())?;
    for number in 0..OBJECTS {
        let name = format!("{}_{number}", maker.dice.name());
        let dataset = object_json(&mut maker.dice, "dataset", &name);
        maker.file(format!("{folder}/datasets/{name}.json"), dataset.as_bytes())?;
        let recipe = object_json(&mut maker.dice, "recipe", &name);
        maker.file(format!("{folder}/recipes/compute_{name}.json"), recipe.as_bytes())?;
        let code = python(&mut maker.dice, 30);
        maker.file(format!("{folder}/recipes/compute_{name}.py"), code.as_bytes())?;
    }
    for number in 0..3 {
        for part in 0..2 {
            let rows = csv(&mut maker.dice, 3_000);
            maker.file(format!("managed_datasets/{key}/dataset_{number}/part-{part:05}.csv"), rows.as_bytes())?;
        }
    }
    Ok(())
}

/// Two environments that share nearly all their packages, as those of one team do.
fn code_environments(maker: &mut Maker<'_>) -> Result<(), AppError> {
    for environment in ["forecast_py311", "reporting_py311"] {
        let base = format!("code-envs/python/{environment}");
        for package in 0..PACKAGES {
            for module in 0..MODULES {
                // A few packages are of another version in the second environment.
                let version = u64::from(package % 12 == 0 && environment.starts_with('r'));
                let mut code = Dice::new(package * 1_000 + module * 10 + version);
                let lines = 20 + code.below(160);
                let text = python(&mut code, lines);
                let path = format!("{base}/lib/python3.11/site-packages/package_{package:02}/module_{module:02}.py");
                maker.file(path, text.as_bytes())?;
            }
        }
        let program = Dice::new(311).noise(700_000);
        maker.file(format!("{base}/bin/python3.11"), &program)?;
        maker.mode(&format!("{base}/bin/python3.11"), 0o755)?;
        maker.hard_link(&format!("{base}/bin/python3"), &format!("{base}/bin/python3.11"))?;
        maker.symlink(&format!("{base}/bin/python"), "python3.11")?;
        maker.symlink(&format!("{base}/lib64"), "lib")?;
    }
    Ok(())
}

/// Files like those of H2: pages of records, some of them full, some free.
fn databases(maker: &mut Maker<'_>) -> Result<(), AppError> {
    for (name, pages) in [("jobs", 700), ("flow_state", 500), ("user_offline_queues", 60)] {
        let mut bytes = Vec::with_capacity(pages * PAGE_BYTES);
        for _ in 0..pages {
            bytes.extend_from_slice(&page(&mut maker.dice));
        }
        maker.file(format!("databases/{name}.mv.db"), &bytes)?;
    }
    Ok(())
}

/// One page: a head, records of text and numbers, and what is left free.
pub(super) fn page(dice: &mut Dice) -> Vec<u8> {
    let mut page =
        format!("chunk:{:x},block:{:x},version:{:x}\n", dice.below(512), dice.next(), dice.below(9_999)).into_bytes();
    let full = PAGE_BYTES - dice.below(1_200) as usize;
    while page.len() + 64 < full {
        page.extend_from_slice(dice.name().as_bytes());
        page.extend_from_slice(&dice.next().to_be_bytes());
        page.extend_from_slice(&dice.below(100_000).to_be_bytes());
    }
    page.resize(PAGE_BYTES, 0);
    page
}

fn logs(maker: &mut Maker<'_>) -> Result<(), AppError> {
    let backend = log_lines(&mut maker.dice, 20_000);
    maker.file("run/backend.log", backend.as_bytes())?;
    for number in 0..6 {
        let audit = log_lines(&mut maker.dice, 2_500);
        maker.file(format!("run/audit/audit.log.{number}"), audit.as_bytes())?;
    }
    Ok(())
}

/// What backup tools like to get wrong.
fn awkward(maker: &mut Maker<'_>) -> Result<(), AppError> {
    let picture = maker.dice.noise(300_000);
    maker.file("managed_folders/PROJECT_00/images/plan.png", &picture)?;
    maker.odd_file(
        "managed_folders/PROJECT_00/uploads",
        b"r\xe9sum\xe9 (final)\n2.txt",
        b"a name that is not UTF-8\n",
    )?;
    maker.file("managed_folders/PROJECT_00/uploads/empty.csv", b"")?;
    maker.file("managed_folders/PROJECT_00/uploads/read-only.csv", b"a,b\n1,2\n")?;
    maker.mode("managed_folders/PROJECT_00/uploads/read-only.csv", 0o400)?;
    maker.directory("jupyter-run/jupyter/nobody-was-here")?;
    maker.mode("jupyter-run/jupyter", 0o2770)?;
    maker.symlink("jupyter-run/dangling", "../gone/for/good")?;
    maker.pipe("run/supervisor.pipe")?;
    maker.sparse("saved_models/PROJECT_01/weights.bin", 64 << 20, &[0, 10 << 20, 40 << 20])
}

fn object_json(dice: &mut Dice, kind: &str, name: &str) -> String {
    let mut text = format!(
        "{{\n  \"type\": \"{kind}\",\n  \"name\": \"{name}\",\n  \"versionTag\": {{\n    \"versionNumber\": {},\n    \"lastModifiedBy\": {{\"login\": \"{}\"}},\n    \"lastModifiedOn\": {}\n  }},\n  \"schema\": {{\n    \"columns\": [\n",
        dice.below(90),
        dice.word(),
        1_700_000_000_000 + dice.below(60_000_000_000)
    );
    let columns = 4 + dice.below(20);
    for column in 0..columns {
        let comma = if column + 1 < columns { "," } else { "" };
        text.push_str(&format!(
            "      {{\"name\": \"{}\", \"type\": \"string\", \"comment\": \"{} {}\"}}{comma}\n",
            dice.name(),
            dice.word(),
            dice.word()
        ));
    }
    text.push_str("    ],\n    \"userModified\": false\n  },\n  \"tags\": []\n}\n");
    text
}

fn python(dice: &mut Dice, lines: u64) -> String {
    let mut text = String::from("import dataiku\nimport pandas as pd\n\n");
    for _ in 0..lines {
        let line = match dice.below(4) {
            0 => format!("\ndef {}({}, {}=None):\n", dice.name(), dice.word(), dice.word()),
            1 => format!(
                "    {} = {}.{}(\"{}\", {})\n",
                dice.word(),
                dice.word(),
                dice.name(),
                dice.word(),
                dice.below(1000)
            ),
            2 => format!(
                "    if {} is not None and {} > {}:\n        return {}\n",
                dice.word(),
                dice.word(),
                dice.below(100),
                dice.word()
            ),
            _ => format!("    # {} {} {}\n", dice.word(), dice.word(), dice.word()),
        };
        text.push_str(&line);
    }
    text
}

/// Rows as datasets on the server's file system have them.
pub(super) fn csv(dice: &mut Dice, rows: u64) -> String {
    let mut text = String::with_capacity(rows as usize * 60);
    for row in 0..rows {
        let (id, amount, day) = (dice.below(10_000_000), dice.below(1_000_000), 1 + dice.below(28));
        text.push_str(&format!(
            "{row},{id},{},{},{}.{:02},2025-10-{day:02}\n",
            dice.word(),
            dice.name(),
            amount / 100,
            amount % 100
        ));
    }
    text
}

/// Lines as the back end writes them.
pub(super) fn log_lines(dice: &mut Dice, lines: u64) -> String {
    let mut text = String::with_capacity(lines as usize * 110);
    for line in 0..lines {
        let (hour, minute, second) = (line / 3600 % 24, line / 60 % 60, line % 60);
        text.push_str(&format!(
            "[2025/10/{:02}-{hour:02}:{minute:02}:{second:02}.{:03}] [qtp{}-{}] [INFO] [dku.{}] - [ct: {}] {} {}\n",
            1 + dice.below(28),
            dice.below(1000),
            dice.below(9_999),
            dice.below(400),
            dice.name(),
            dice.below(5_000),
            dice.word(),
            dice.name()
        ));
    }
    text
}
