//! The stand-in for DSS behaves as was measured on the real scripts. What is held against it, row by row, is
//! `tests/support/kit/selftest`; every other test of DSS rests on this one.

use std::path::Path;
use std::process::Command;

use crate::skip::skip;

#[test]
fn the_stand_in_kit_behaves_as_the_measured_one() {
    let me = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&me.stdout).trim() != "0" {
        let test = "the_stand_in_kit_behaves_as_the_measured_one";
        return skip(&format!("kit_contract::{test}"), "the kit refuses root, so root must change accounts to use it");
    }
    let selftest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/kit/selftest");
    let done = Command::new(selftest).output().unwrap();
    let rows = String::from_utf8_lossy(&done.stdout);
    let missed: Vec<&str> = rows.lines().filter(|row| !row.starts_with("ok ")).collect();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}\n{said}", missed.join("\n"));
}
