//! Files whose content defeats deduplication, told by their first bytes.

/// What every archive of `pg_dump` in its custom form begins with. Source: PostgreSQL, `pg_backup_archiver.c`.
const MAGIC: &[u8] = b"PGDMP";
/// The first version of that form in which a byte names the way of compression; before it a number tells the level.
const NAMED: (u8, u8) = (1, 15);

/// A sentence for whoever backs up a file that begins like this, if there is something to say.
pub fn on_content(front: &[u8]) -> Option<&'static str> {
    is_compressed_dump(front).then_some(
        "it is a compressed dump of a database, of which nearly everything is new each time: let `--database` make the \
         dump, or `pg_dump --compress=0`",
    )
}

/// Magic, three bytes of version, the width of numbers and of offsets, the form, and then compression: a byte, or a
/// number with its sign in front and its lowest byte next.
fn is_compressed_dump(front: &[u8]) -> bool {
    let Some(rest) = front.strip_prefix(MAGIC) else { return false };
    let [major, minor, _, _, _, _, behind @ ..] = rest else { return false };
    if (*major, *minor) >= NAMED {
        return behind.first().is_some_and(|way| *way != 0);
    }
    behind.get(1).is_some_and(|lowest| *lowest != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compressed_dumps_are_advised_on() {
        // As pg_dump 15 wrote them: level -1 and level 0.
        assert!(on_content(b"PGDMP\x01\x0e\x00\x04\x08\x01\x01\x01\x00\x00\x00").is_some());
        assert!(on_content(b"PGDMP\x01\x0e\x00\x04\x08\x01\x00\x00\x00\x00\x00").is_none());
        // As the form of later versions has it: gzip, and none.
        assert!(on_content(b"PGDMP\x01\x10\x00\x04\x08\x01\x01\x00").is_some());
        assert!(on_content(b"PGDMP\x01\x10\x00\x04\x08\x01\x00\x00").is_none());
        for other in [b"".as_slice(), b"PGDMP", b"PGDMP\x01\x0e", b"-- PostgreSQL database dump"] {
            assert!(on_content(other).is_none());
        }
    }
}
