//! Where the bytes of a sparse file lie: its chunks hold the data back to back, the file has holes between.

use std::io;

use crate::repo::tree::Extent;

/// Called with the place in the file and which of the bytes go there.
pub(super) type Visit<'a> = &'a mut dyn FnMut(u64, std::ops::Range<usize>) -> io::Result<()>;

/// Where the data of a sparse file lies.
pub(super) struct Layout {
    runs: Vec<Run>,
}

struct Run {
    /// First byte among the data.
    data: u64,
    /// First byte in the file.
    offset: u64,
    length: u64,
}

impl Layout {
    /// Extents as a tree gives them: in order, apart, not empty.
    pub fn new(extents: &[Extent]) -> Self {
        let mut data = 0;
        let run = |extent: &Extent| {
            let run = Run { data, offset: extent.offset, length: extent.length };
            data += extent.length;
            run
        };
        Self { runs: extents.iter().map(run).collect() }
    }

    pub fn data_bytes(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.data + run.length)
    }

    /// Splits data into what is neighbouring in the file. What lies beyond the last run is an error.
    pub fn each_run(&self, at: u64, length: usize, visit: Visit<'_>) -> io::Result<()> {
        let mut done = 0usize;
        let mut index = self.runs.partition_point(|run| run.data + run.length <= at);
        while done < length {
            let run = self.runs.get(index).ok_or(io::ErrorKind::InvalidData)?;
            let skip = (at + done as u64) - run.data;
            let here = (run.length - skip).min((length - done) as u64) as usize;
            visit(run.offset + skip, done..done + here)?;
            done += here;
            index += 1;
        }
        Ok(())
    }

    /// Start and end of each hole in a file of this length.
    pub fn holes(&self, size: u64) -> Vec<(u64, u64)> {
        let mut at = 0;
        let mut holes = Vec::new();
        for run in &self.runs {
            holes.push((at, run.offset));
            at = run.offset + run.length;
        }
        holes.push((at, size));
        holes.retain(|(start, end)| start < end);
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_across_a_hole_is_split_and_one_beyond_the_end_refused() {
        let layout = Layout::new(&[Extent { offset: 10, length: 5 }, Extent { offset: 100, length: 50 }]);
        let mut seen = Vec::new();
        let mut visit = |offset, range| {
            seen.push((offset, range));
            Ok(())
        };
        layout.each_run(3, 10, &mut visit).unwrap();
        assert_eq!(seen, [(13, 0..2), (100, 2..10)]);
        assert!(layout.each_run(50, 6, &mut |_, _| Ok(())).is_err());
        assert_eq!(layout.holes(200), [(0, 10), (15, 100), (150, 200)]);
        assert_eq!((layout.data_bytes(), Layout::new(&[]).data_bytes()), (55, 0));
    }
}
