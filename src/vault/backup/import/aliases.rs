//! Where the names that hard links made lead in the end, so that a link to a link is understood. GNU tar makes such
//! only when an archive is added to.

use std::collections::HashMap;

/// What is remembered, at most. A link to a link that is not is told as one to a file that is not there.
const ALIASES_BYTES_MAX: usize = 16 << 20;
/// What one costs besides its paths, about.
const ALIAS_COST: usize = 120;

/// Names made by hard links.
#[derive(Default)]
pub struct Aliases {
    /// The file each leads to, and the number of the member that made it.
    leads_to: HashMap<Vec<u8>, (Vec<u8>, u64)>,
    bytes: usize,
}

impl Aliases {
    /// Remembers a name, as long as there is room.
    pub fn remember(&mut self, path: Vec<u8>, target: Vec<u8>, made: u64) {
        self.forget(&path);
        let bytes = cost(&path, &target);
        if self.bytes + bytes <= ALIASES_BYTES_MAX {
            self.bytes += bytes;
            self.leads_to.insert(path, (target, made));
        }
    }

    /// Something else stands at this path now.
    pub fn forget(&mut self, path: &[u8]) {
        if let Some((target, _)) = self.leads_to.remove(path) {
            self.bytes -= cost(path, &target);
        }
    }

    /// The file a name leads to, and the number of the member that made the name.
    pub fn find(&self, path: &[u8]) -> Option<(Vec<u8>, u64)> {
        self.leads_to.get(path).cloned()
    }
}

fn cost(path: &[u8], target: &[u8]) -> usize {
    ALIAS_COST + path.len() + target.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_fill_the_room_and_what_is_forgotten_frees_it() {
        let mut aliases = Aliases::default();
        let long = vec![b'x'; ALIASES_BYTES_MAX / 3];
        aliases.remember(b"a".to_vec(), long.clone(), 1);
        aliases.remember(b"b".to_vec(), long.clone(), 2);
        aliases.remember(b"c".to_vec(), long.clone(), 3);
        assert!(aliases.find(b"b").is_some() && aliases.find(b"c").is_none());
        aliases.remember(b"a".to_vec(), b"short".to_vec(), 4);
        aliases.remember(b"c".to_vec(), long, 5);
        assert_eq!((aliases.find(b"a"), aliases.find(b"c").unwrap().1), (Some((b"short".to_vec(), 4)), 5));
        [b"a", b"b", b"c"].iter().for_each(|path| aliases.forget(*path));
        assert_eq!(aliases.bytes, 0);
    }
}
