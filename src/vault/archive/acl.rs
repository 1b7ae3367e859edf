//! POSIX ACLs as text, the way GNU tar and star keep them in pax records, and as the kernel keeps them: an extended
//! attribute (`linux/posix_acl_xattr.h`).

use crate::sys::names::Names;

/// The attribute of an access ACL.
pub const ACCESS: &[u8] = b"system.posix_acl_access";
/// The attribute of a directory's default ACL.
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

const VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;
/// More entries than the kernel takes.
const ENTRIES_MAX: usize = 8000;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// An ACL that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl {
    /// The kernel's form; `None` for an empty one.
    pub stored: Option<Vec<u8>>,
    /// Whether entries of accounts this machine does not know were left out. The others are kept: without them the
    /// bits of the mode, which are the mask where there is an ACL, would give the group what the mask allowed others.
    pub lacks_strangers: bool,
}

/// Reads an ACL's text. Entries stand between commas or line breaks, each `tag:who:permissions`, maybe with the number
/// of `who` behind it.
pub fn read(text: &[u8], names: &Names) -> Result<Acl, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "an ACL is no text")?;
    let lines = text.split([',', '\n']).map(|line| line.split('#').next().unwrap_or_default().trim());
    let (mut entries, mut lacks_strangers) = (Vec::new(), false);
    for (count, line) in lines.filter(|line| !line.is_empty()).enumerate() {
        if count == ENTRIES_MAX {
            return Err("an ACL has too many entries");
        }
        match entry(line, names)? {
            Some(entry) => entries.push(entry),
            None => lacks_strangers = true,
        }
    }
    if entries.is_empty() {
        return Ok(Acl { stored: None, lacks_strangers });
    }
    entries.sort_unstable();
    let mut stored = VERSION.to_le_bytes().to_vec();
    for (tag, id, permissions) in entries {
        stored.extend_from_slice(&tag.to_le_bytes());
        stored.extend_from_slice(&permissions.to_le_bytes());
        stored.extend_from_slice(&id.to_le_bytes());
    }
    Ok(Acl { stored: Some(stored), lacks_strangers })
}

/// The text of an ACL in the kernel's form, accounts by their numbers; `None` for what is none.
pub fn text(stored: &[u8]) -> Option<String> {
    let (version, entries) = stored.split_first_chunk()?;
    let (entries, rest) = entries.as_chunks::<8>();
    if u32::from_le_bytes(*version) != VERSION || !rest.is_empty() {
        return None;
    }
    let lines: Option<Vec<String>> = entries.iter().map(line).collect();
    lines.map(|lines| lines.join(","))
}

fn line(entry: &[u8; 8]) -> Option<String> {
    let [tag, tag_high, permissions, _, id @ ..] = *entry;
    let id = u32::from_le_bytes(id);
    let who = match u16::from_le_bytes([tag, tag_high]) {
        USER_OBJ => "user:".to_owned(),
        USER => format!("user:{id}"),
        GROUP_OBJ => "group:".to_owned(),
        GROUP => format!("group:{id}"),
        MASK => "mask:".to_owned(),
        OTHER => "other:".to_owned(),
        _ => return None,
    };
    let sign = |bit, sign| if permissions & bit == 0 { '-' } else { sign };
    Some(format!("{who}:{}{}{}", sign(4, 'r'), sign(2, 'w'), sign(1, 'x')))
}

/// Tag, number and permissions; `None` for an account this machine does not know.
fn entry(line: &str, names: &Names) -> Result<Option<(u16, u32, u16)>, &'static str> {
    let bad = "an ACL has an entry that is none";
    let parts: Vec<&str> = line.split(':').map(str::trim).collect();
    let [tag, who, permissions, rest @ ..] = parts.as_slice() else { return Err(bad) };
    let permissions = permissions.chars().try_fold(0, |bits, sign| match sign {
        'r' => Ok(bits | 4),
        'w' => Ok(bits | 2),
        'x' => Ok(bits | 1),
        '-' => Ok(bits),
        _ => Err(bad),
    })?;
    // The number in the last place, else `who` as a number, else what this machine knows the name as.
    let number = |known: fn(&Names, &str) -> Option<u32>| {
        let told = rest.first().and_then(|number| number.parse().ok()).or_else(|| who.parse().ok());
        told.or_else(|| known(names, who))
    };
    let (tag, id) = match (*tag, !who.is_empty()) {
        ("user" | "u", false) => (USER_OBJ, Some(NO_ID)),
        ("user" | "u", true) => (USER, number(Names::uid)),
        ("group" | "g", false) => (GROUP_OBJ, Some(NO_ID)),
        ("group" | "g", true) => (GROUP, number(Names::gid)),
        ("mask" | "m", false) => (MASK, Some(NO_ID)),
        ("other" | "o", false) => (OTHER, Some(NO_ID)),
        _ => return Err(bad),
    };
    Ok(id.map(|id| (tag, id, permissions)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        read(text, &Names::default()).map(|acl| acl.stored)
    }

    #[test]
    fn an_entry_of_a_stranger_is_left_out_and_the_others_stay() {
        let acl =
            read(b"user::rw-,user:no such account:rwx,group::---,mask::rw-,other::---", &Names::default()).unwrap();
        assert!(acl.lacks_strangers);
        assert_eq!(text(&acl.stored.unwrap()).unwrap(), "user::rw-,group::---,mask::rw-,other::---");
    }

    #[test]
    fn text_becomes_what_the_kernel_would_hand_out() {
        let text = b"user::rw-\nuser:somebody:r--:1000,group::r-x,group:77:-w-\nmask::rwx,other::---\n";
        let mut expected = vec![2, 0, 0, 0];
        let entries = [
            (USER_OBJ, 6u16, NO_ID),
            (USER, 4, 1000),
            (GROUP_OBJ, 5, NO_ID),
            (GROUP, 2, 77),
            (MASK, 7, NO_ID),
            (OTHER, 0, NO_ID),
        ];
        for (tag, permissions, id) in entries {
            expected.extend_from_slice(&tag.to_le_bytes());
            expected.extend_from_slice(&permissions.to_le_bytes());
            expected.extend_from_slice(&id.to_le_bytes());
        }
        assert_eq!(stored(text).unwrap().unwrap(), expected);
        assert_eq!(stored(b"user:root:r--").unwrap().unwrap()[8..], [0; 4], "a name this machine knows");
        assert_eq!(stored(b"\n").unwrap(), None);
    }

    #[test]
    fn what_the_kernel_hands_out_becomes_text_and_comes_back() {
        let written = "user::rw-,user:1000:r--,group::r-x,group:77:-w-,mask::rwx,other::---";
        let kernel = stored(written.as_bytes()).unwrap().unwrap();
        assert_eq!(text(&kernel).unwrap(), written);
        assert!(text(&kernel[..kernel.len() - 1]).is_none() && text(&[9; 12]).is_none() && text(b"").is_none());
    }

    #[test]
    fn what_is_no_acl_is_refused() {
        for text in ["user", "user::rq-", "owner::rwx", "other:1:rwx", "a:b", ":::"] {
            assert!(stored(text.as_bytes()).is_err(), "{text}");
        }
        assert!(stored(b"\xff").is_err());
        assert!(stored("u:1:rwx,".repeat(9000).as_bytes()).is_err());
    }
}
