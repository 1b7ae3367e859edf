//! What LVM says of its volumes: `lvs` as JSON (LVM 2.02.158 or later).

use std::time::Duration;

use serde::Deserialize;

use crate::fsnap::error::FsnapError;
use crate::fsnap::tool::{Tool, Tools};

const FIELDS: &str =
    "vg_name,lv_name,lv_attr,origin,lv_size,vg_free,vg_extent_size,data_percent,lv_health_status,lv_tags";

/// One logical volume.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Volume {
    /// Its volume group.
    #[serde(rename = "vg_name")]
    pub group: String,
    /// Its name.
    #[serde(rename = "lv_name")]
    pub name: String,
    /// Ten letters, explained in `lvs(8)`.
    #[serde(rename = "lv_attr")]
    pub attributes: String,
    /// Of a snapshot: what it is one of.
    pub origin: String,
    /// Its size.
    #[serde(rename = "lv_size", deserialize_with = "number")]
    pub bytes: u64,
    /// What the group has left.
    #[serde(rename = "vg_free", deserialize_with = "number")]
    pub group_free_bytes: u64,
    /// What the group gives at once.
    #[serde(rename = "vg_extent_size", deserialize_with = "number")]
    pub extent_bytes: u64,
    /// Of a snapshot or thin volume: how full; empty otherwise.
    pub data_percent: String,
    /// Empty is well.
    #[serde(rename = "lv_health_status")]
    pub health: String,
    /// Separated by commas.
    #[serde(rename = "lv_tags")]
    pub tags: String,
}

impl Volume {
    fn letter(&self, at: usize) -> u8 {
        self.attributes.as_bytes().get(at).copied().unwrap_or(b'-')
    }

    /// A classic snapshot.
    pub fn is_snapshot(&self) -> bool {
        matches!(self.letter(0), b's' | b'S')
    }

    /// A volume of a thin pool.
    pub fn is_thin(&self) -> bool {
        self.letter(0) == b'V'
    }

    /// How a snapshot shows that it lost the frozen moment; `None` while it is good. Reads from the page cache still
    /// succeed on a lost one, so this must be asked after the last read.
    pub fn lost(&self) -> Option<String> {
        let percent: f64 = self.data_percent.parse().unwrap_or(0.0);
        if matches!(self.letter(4), b'I' | b'S') {
            return Some(format!("it overflowed: lv_attr is {}", self.attributes));
        }
        if self.is_snapshot() && (percent >= 100.0 || self.data_percent.is_empty()) {
            return Some(format!("it is {} % full", self.data_percent));
        }
        if self.letter(4) != b'a' {
            return Some(format!("it is not active: lv_attr is {}", self.attributes));
        }
        let unwell = !self.health.is_empty();
        unwell.then(|| format!("its health is `{}`", self.health))
    }
}

/// The volumes `chosen` by a selection of `lvmreport(7)`, of one group or of all.
pub(super) fn list(
    tools: &dyn Tools,
    limit: Duration,
    group: Option<&str>,
    chosen: &str,
) -> Result<Vec<Volume>, FsnapError> {
    let tool = Tool::new("lvs", limit)
        .args(["--reportformat", "json", "--units", "b", "--nosuffix", "-o", FIELDS, "-S", chosen])
        .args(group);
    let said = tools.run(&tool)?;
    parse(&said).map_err(|why| FsnapError::BadOutput { command: tool.to_string(), why })
}

fn parse(said: &str) -> Result<Vec<Volume>, String> {
    #[derive(Deserialize)]
    struct Answer {
        report: Vec<Report>,
    }
    #[derive(Deserialize)]
    struct Report {
        #[serde(default)]
        lv: Vec<Volume>,
    }
    let answer: Answer = serde_json::from_str(said).map_err(|why| format!("did not write what was asked: {why}"))?;
    Ok(answer.report.into_iter().flat_map(|report| report.lv).collect())
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is no number of bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(attributes: &str, percent: &str, health: &str) -> Volume {
        Volume {
            attributes: attributes.to_owned(),
            data_percent: percent.to_owned(),
            health: health.to_owned(),
            ..Volume::default()
        }
    }

    #[test]
    fn a_report_is_read() {
        let said = r#"{ "report": [ { "lv": [ {"vg_name":"vg0", "lv_name":"data", "lv_attr":"owi-aos---", "origin":"",
            "lv_size":"209715200", "vg_free":"734003200", "vg_extent_size":"4194304", "data_percent":"",
            "lv_health_status":"", "lv_tags":"a,b"} ] } ] , "log": [ ] }"#;
        let found = parse(said).unwrap();
        assert_eq!(
            (found[0].group.as_str(), found[0].bytes, found[0].group_free_bytes),
            ("vg0", 209_715_200, 734_003_200)
        );
        assert_eq!(parse(r#"{"report":[{"lv":[]}]}"#), Ok(Vec::new()));
        assert_eq!(parse(r#"{"report":[{}]}"#), Ok(Vec::new()));
        for bad in ["", "{}", r#"{"report":[{"lv":[{"vg_name":"x"}]}]}"#, "  WARNING: nothing"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_classic_snapshot_that_overflowed_is_lost() {
        assert_eq!(snapshot("swi-aos---", "12.50", "").lost(), None);
        assert!(snapshot("swi-Ios---", "100.00", "").lost().unwrap().contains("overflowed"));
        assert!(snapshot("swi-Sos---", "100.00", "").lost().is_some());
        assert!(snapshot("swi-aos---", "100.00", "").lost().unwrap().contains("100.00 %"));
        assert!(snapshot("swi-aos---", "", "").lost().is_some(), "a snapshot that cannot say how full it is");
    }

    #[test]
    fn a_thin_snapshot_may_be_full_of_its_own_data_but_must_be_well() {
        assert_eq!(snapshot("Vri-aotz--", "100.00", "").lost(), None);
        assert!(snapshot("Vri-aotzF-", "50.00", "failed").lost().is_some());
        assert!(snapshot("Vri---tz--", "", "").lost().is_some(), "not active");
        assert!(snapshot("", "", "").lost().is_some());
    }
}
