//! Archives that are damaged, or made to do harm: no snapshot of a damaged one, nothing outside of the target, no panic.

use std::fs;

use crate::cli_fixture::Desk;
use crate::import_tar::{import, ok};

/// One member by hand.
fn member(name: &[u8], flag: u8, link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name[..name.len().min(100)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"14000000000\0");
    put(148, b"        ");
    put(156, &[flag]);
    put(157, &link[..link.len().min(100)]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [block.as_slice(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// An archive of these members.
fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn problems(desk: &Desk, bytes: &[u8], code: i32) -> Vec<String> {
    desk.write("2025-01-01.tar", bytes);
    let done = import(desk, &["2025-01-01.tar"]).expect_code(code);
    let problems = done.json()["summary"]["problems"].as_array().unwrap().clone();
    problems
        .iter()
        .map(|problem| format!("{}: {}", problem["path"].as_str().unwrap(), problem["cause"].as_str().unwrap()))
        .collect()
}

#[test]
fn names_that_lead_out_are_left_out_or_stripped_as_tar_does() {
    let desk = Desk::with_repository();
    let bytes = archive(&[
        member(b"../outside", b'0', b"", b"x"),
        member(b"a/../../outside", b'0', b"", b"x"),
        member(b"/etc/absolute", b'0', b"", b"x"),
        member(b"fine", b'0', b"", b"x"),
    ]);
    let told = problems(&desk, &bytes, 3);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|line| line.contains("leads out")), "{told:?}");
    let listed = desk.run(&["ls", "latest"]).expect_code(0).out;
    assert_eq!(listed.lines().filter(|line| line.contains("outside")).count(), 0);
    assert!(listed.contains("/etc/absolute") && listed.contains("/fine"), "{listed}");
}

#[test]
fn files_below_a_link_are_kept_below_a_directory_in_its_place() {
    let desk = Desk::with_repository();
    let bytes = archive(&[member(b"a", b'2', b"/etc", b""), member(b"a/passwd", b'0', b"", b"x")]);
    let told = problems(&desk, &bytes, 3);
    assert_eq!(told.len(), 1, "{told:?}");
    desk.run(&["restore", "-q", "latest", "--target", &desk.text("us")]).expect_code(0);
    assert_eq!(fs::read(desk.path("us/a/passwd")).unwrap(), b"x");
    assert!(desk.path("us/a").symlink_metadata().unwrap().is_dir());
}

#[test]
fn links_to_what_is_not_there_to_themselves_and_to_other_links_are_understood() {
    let desk = Desk::with_repository();
    let bytes = archive(&[
        member(b"file", b'0', b"", b"content"),
        member(b"second", b'1', b"file", b""),
        member(b"third", b'1', b"second", b""),
        member(b"itself", b'0', b"", b"self"),
        member(b"itself", b'1', b"itself", b""),
        member(b"dangling", b'1', b"later", b""),
        member(b"later", b'0', b"", b"too late"),
        member(b"dir/", b'5', b"", b""),
        member(b"to-dir", b'1', b"dir", b""),
        member(b"nowhere", b'2', b"", b""),
    ]);
    let told = problems(&desk, &bytes, 3);
    assert_eq!(told.len(), 3, "{told:?}");
    for (name, content) in
        [("file", "content"), ("second", "content"), ("third", "content"), ("itself", "self"), ("later", "too late")]
    {
        assert_eq!(desk.run(&["dump", &format!("latest:{name}")]).expect_code(0).out, content, "{name}");
    }
    desk.run(&["restore", "-q", "latest", "--target", &desk.text("us")]).expect_code(0);
    let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(desk.path("us").join(name)).unwrap());
    assert_eq!((inode("file"), inode("file")), (inode("second"), inode("third")));
    desk.run(&["check", "--read-data", "-q"]).expect_code(0);
}

#[test]
fn an_archive_cut_short_becomes_no_snapshot_and_says_where_it_ends() {
    let desk = Desk::with_repository();
    for number in 0..50u32 {
        desk.write(&format!("src/file-{number:02}"), &number.to_be_bytes().repeat(3000));
    }
    ok(
        &desk.path("."),
        "sh",
        &["-c", "tar --sort=name -cf whole.tar src; gzip -k whole.tar; zstd -q whole.tar -o whole.zst"],
    );
    for whole in ["whole.tar", "whole.tar.gz", "whole.zst"] {
        let bytes = fs::read(desk.path(whole)).unwrap();
        for part in [1, 3, 9] {
            desk.write("2025-01-01.tar", &bytes[..bytes.len() * part / 10]);
            let done = import(&desk, &["2025-01-01.tar"]).expect_code(1);
            assert!(done.err.contains("2025-01-01.tar") && done.err.contains("damaged"), "{}", done.err);
            assert!(done.err.contains("another copy"), "{}", done.err);
        }
        if whole == "whole.tar" {
            desk.write("2025-01-01.tar", &bytes[..bytes.len() / 2]);
            assert!(import(&desk, &["2025-01-01.tar"]).err.contains("src/file-"), "the member is named");
        }
    }
    let listed = desk.run(&["snapshots", "--json"]).expect_code(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 0);
}

#[test]
fn a_flipped_byte_is_seen_and_never_a_panic() {
    let desk = Desk::with_repository();
    for number in 0..20u32 {
        desk.write(&format!("src/file-{number:02}"), &number.to_be_bytes().repeat(500));
    }
    ok(&desk.path("."), "sh", &["-c", "tar -cf whole.tar src; gzip -nk whole.tar"]);
    let packed = fs::read(desk.path("whole.tar.gz")).unwrap();
    // The first ten bytes hold flags and a time that no checksum covers.
    for at in (10..packed.len()).step_by(packed.len() / 12) {
        let mut bytes = packed.clone();
        bytes[at] ^= 0x55;
        desk.write("2025-01-01.tar", &bytes);
        let done = import(&desk, &["2025-01-01.tar"]);
        assert_eq!(done.code, Some(1), "byte {at}: {}", done.err);
    }
    let plain = fs::read(desk.path("whole.tar")).unwrap();
    for at in [0, 100, 124, 148, 156, 512 + 3, 512 + 130] {
        let mut bytes = plain.clone();
        bytes[at] ^= 0x55;
        desk.write("2025-01-01.tar", &bytes);
        let done = import(&desk, &["2025-01-01.tar"]);
        assert_eq!(done.code, Some(1), "byte {at}: {}", done.err);
    }
    assert_eq!(desk.run(&["snapshots", "--json"]).json().as_array().unwrap().len(), 0);
}

#[test]
fn what_is_no_archive_is_refused() {
    let desk = Desk::with_repository();
    let cases: [(&str, &[u8]); 4] =
        [("empty", b""), ("text", &[b'x'; 2000]), ("gzip of nothing", b"\x1f\x8b"), ("one block", &[0; 100])];
    for (what, bytes) in cases {
        desk.write("2025-01-01.tar", bytes);
        let done = import(&desk, &["2025-01-01.tar"]).expect_code(1);
        assert!(done.err.contains("2025-01-01.tar"), "{what}: {}", done.err);
    }
    import(&desk, &["absent-2025-01-01.tar"]).expect_code(1);
    fs::create_dir(desk.path("2025-01-01")).unwrap();
    import(&desk, &["2025-01-01"]).expect_code(2);
}

#[test]
fn a_later_part_of_an_archive_in_volumes_and_headers_too_large_are_refused() {
    let desk = Desk::with_repository();
    let mut huge = member(b"./PaxHeaders/x", b'x', b"", b"");
    huge[124..136].copy_from_slice(b"77777777777\0");
    huge[148..156].copy_from_slice(b"        ");
    let sum: u32 = huge[..512].iter().map(|&byte| u32::from(byte)).sum();
    huge[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    for (first, why) in [(member(b"rest", b'M', b"", b"x"), "join all parts"), (huge, "larger than any real one")] {
        desk.write("2025-01-01.tar", &archive(&[first]));
        let done = import(&desk, &["2025-01-01.tar"]).expect_code(1);
        assert!(done.err.contains(why), "{}", done.err);
    }
}

/// The extended header of the next member.
fn extended(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap();
        content.extend_from_slice(format!("{length} {key}=").as_bytes());
        content.extend_from_slice(value);
        content.push(b'\n');
    }
    member(b"PaxHeaders/x", b'x', b"", &content)
}

#[test]
fn what_of_a_member_cannot_be_kept_is_told_and_everything_else_is_imported() {
    let desk = Desk::with_repository();
    let cases: [(&str, &[u8]); 5] = [
        ("SCHILY.acl.access", b"user::rw-,user:no such account:rwx,group::r--,mask::rw-,other::---"),
        ("uid", b"5000000000"),
        ("SCHILY.xattr.user.large", &[b'x'; 70_000]),
        ("ctime", b"yesterday"),
        // Five of these and a directory could not be read back.
        ("uname", &[b'x'; 3 << 20]),
    ];
    let mut members = vec![member(b"first", b'0', b"", b"content")];
    for (number, case) in cases.iter().chain(&cases[4..]).chain(&cases[4..]).chain(&cases[4..]).enumerate() {
        members.push(extended(&[*case]));
        members.push(member(format!("file-{number}").as_bytes(), b'0', b"", b"content"));
    }
    let told = problems(&desk, &archive(&members), 3);
    assert_eq!(told.len(), 8, "{told:?}");
    for (line, why) in told.iter().zip(["accounts this machine", "too large", "attribute", "a time", "longer than any"])
    {
        assert!(line.starts_with("/file-") && line.contains(why), "{line}");
    }
    assert_eq!(desk.run(&["ls", "latest"]).expect_code(0).out.lines().count(), 9);
    assert_eq!(desk.run(&["dump", "latest:file-7"]).expect_code(0).out, "content");
    desk.run(&["check", "--read-data", "-q"]).expect_code(0);
}
