//! How a source is cut into parts: pure arithmetic under OSS's limits.

use crate::error::{Error, Result};

/// Parts are numbered from 1 to this (OSS, "Multipart upload").
pub(super) const PARTS_MAX: u32 = 10_000;
/// Every part but the last (OSS, "Multipart upload").
const PART_BYTES_MIN: u64 = 100 * 1024;
const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// 10,000 parts of 5 GiB: the 48.8 TB of OSS's documents.
pub(super) const OBJECT_BYTES_MAX: u64 = PARTS_MAX as u64 * PART_BYTES_MAX;
/// Small enough to send again without regret, large enough that the requests do not show.
const PART_BYTES_DEFAULT: u64 = 8 * 1024 * 1024;
/// Chosen sizes are whole multiples.
const STEP: u64 = 1024 * 1024;
/// A source of unknown length doubles its parts after so many: with 8 MiB to begin with, 10,000 parts then
/// hold about 8 TiB.
const PARTS_OF_ONE_SIZE: u32 = 1_000;

/// Where the parts begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub part_size: u64,
    pub length: Option<u64>,
}

impl Layout {
    /// Checks the wish for a part size, or finds a good one.
    pub fn choose(length: Option<u64>, wanted: Option<u64>) -> Result<Layout> {
        if let Some(length) = length.filter(|length| *length > OBJECT_BYTES_MAX) {
            return Err(Error::invalid_argument(
                "data",
                format!("is {length} bytes long, but an object has at most {OBJECT_BYTES_MAX}"),
            ));
        }
        let least = length.unwrap_or(0).div_ceil(PARTS_MAX.into());
        let part_size = match wanted {
            None => PART_BYTES_DEFAULT.max(least.next_multiple_of(STEP)).min(PART_BYTES_MAX),
            Some(wanted) if !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&wanted) => {
                let message =
                    format!("is {wanted}, but must be from {PART_BYTES_MIN} to {PART_BYTES_MAX} bytes");
                return Err(Error::invalid_argument("part_size", message));
            }
            Some(wanted) if wanted < least => {
                let message =
                    format!("is {wanted}, but {PARTS_MAX} parts of that size do not hold the source");
                return Err(Error::invalid_argument("part_size", message)
                    .with_hint(format!("Make it at least {least}, or leave it out.")));
            }
            Some(wanted) => wanted,
        };
        Ok(Layout { part_size, length })
    }

    /// Number of parts, if the length is known. An empty source makes one empty part.
    pub fn count(&self) -> Option<u32> {
        let parts = self.length?.div_ceil(self.part_size).max(1);
        Some(u32::try_from(parts).unwrap_or(u32::MAX))
    }

    /// Offset and length of a part of a source of known length.
    pub fn part(&self, number: u32) -> Option<(u64, u64)> {
        if number == 0 || number > self.count()? {
            return None;
        }
        let offset = u64::from(number - 1) * self.part_size;
        Some((offset, self.length?.saturating_sub(offset).min(self.part_size)))
    }

    /// How large a part may become when nobody knows how many there will be.
    pub fn grown(&self, number: u32) -> u64 {
        let doublings = number.saturating_sub(1) / PARTS_OF_ONE_SIZE;
        self.part_size.saturating_mul(1 << doublings.min(32)).min(PART_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn parts_cover_the_source_without_gap_or_overlap() {
        for (length, wanted) in [(1, None), (8 * MIB, None), (8 * MIB + 1, None), (1_000_000, Some(102_400))]
        {
            let layout = Layout::choose(Some(length), wanted).unwrap();
            let mut at = 0;
            for number in 1..=layout.count().unwrap() {
                let (offset, part) = layout.part(number).unwrap();
                assert_eq!(offset, at);
                assert!(part > 0 && part <= layout.part_size);
                at += part;
            }
            assert_eq!(at, length);
            assert_eq!(layout.part(layout.count().unwrap() + 1), None);
            assert_eq!(layout.part(0), None);
        }
    }

    #[test]
    fn large_sources_get_parts_large_enough_and_no_more_than_ten_thousand() {
        for length in [80_000 * MIB, 80_000 * MIB + 1, 1 << 40, OBJECT_BYTES_MAX] {
            let layout = Layout::choose(Some(length), None).unwrap();
            assert!(layout.count().unwrap() <= PARTS_MAX && layout.part_size <= PART_BYTES_MAX, "{layout:?}");
        }
        assert_eq!(Layout::choose(Some(80_000 * MIB), None).unwrap().part_size, 8 * MIB);
        let error = Layout::choose(Some(OBJECT_BYTES_MAX + 1), None).unwrap_err();
        assert_eq!(error.field(), Some("data"));
    }

    #[test]
    fn sizes_that_oss_would_refuse_are_refused() {
        for (length, wanted) in [(Some(1), PART_BYTES_MIN - 1), (None, PART_BYTES_MAX + 1)] {
            assert_eq!(Layout::choose(length, Some(wanted)).unwrap_err().field(), Some("part_size"));
        }
        let error = Layout::choose(Some(10_000 * MIB + 1), Some(MIB)).unwrap_err();
        assert!(error.hint().unwrap().contains("1048577"), "{error}");
    }

    #[test]
    fn parts_of_an_endless_source_grow_and_never_too_far() {
        let layout = Layout::choose(None, None).unwrap();
        assert_eq!((layout.grown(1), layout.grown(1_000), layout.grown(1_001)), (8 * MIB, 8 * MIB, 16 * MIB));
        let total: u64 = (1..=PARTS_MAX).map(|number| layout.grown(number)).sum();
        assert!(total > 7 << 40 && layout.grown(PARTS_MAX) <= PART_BYTES_MAX);
        let largest = Layout::choose(None, Some(PART_BYTES_MAX)).unwrap();
        assert_eq!(largest.grown(PARTS_MAX), PART_BYTES_MAX);
    }
}
