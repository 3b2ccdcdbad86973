//! Ranges of bytes.

/// One range, as a request asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// The last so many bytes.
    Last(u64),
    /// All from here on.
    From(u64),
    /// First and last byte.
    Span(u64, u64),
}

impl Range {
    /// Start and length of what there is of the range in `size` bytes; none if nothing is.
    pub fn clipped(self, size: u64) -> Option<(u64, u64)> {
        let (start, end) = match self {
            Range::Last(length) => (size.saturating_sub(length), size),
            Range::From(start) => (start, size),
            Range::Span(start, last) => (start, size.min(last.saturating_add(1))),
        };
        end.checked_sub(start).filter(|length| *length > 0).map(|length| (start, length))
    }

    /// The same, but none as well for a range that names bytes beyond the end.
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        match self {
            Range::Span(_, last) if last >= size => None,
            range => range.clipped(size),
        }
    }
}

/// `bytes=0-9`; several ranges, and what is no range, are none.
pub(super) fn parse_range(text: &str) -> Option<Range> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", last) => Some(Range::Last(last.parse().ok()?)),
        (first, "") => Some(Range::From(first.parse().ok()?)),
        (first, last) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(Range::Span(first, last))
        }
    }
}
