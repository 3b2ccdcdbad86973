//! The table as a file: a head, and a section for each workload; written anew, or section by section.

use std::fmt::Write;

/// The record with these sections in place of those of the same name, or behind the others. `later` says of the
/// head what is no longer of one call.
pub fn updated(record: &str, sections: &[(String, String)], later: &str) -> String {
    let mut pieces = record.split("\n### ");
    let mut text = pieces.next().unwrap_or_default().trim_end().to_owned();
    let names: Vec<&str> = sections.iter().map(|(name, _)| name.as_str()).collect();
    let _ = write!(text, "\n\nMeasured again afterwards, {later}: {}.\n", names.join(", "));
    let mut left: Vec<&(String, String)> = sections.iter().collect();
    for piece in pieces {
        let name = piece.split(':').next().unwrap_or_default();
        match left.iter().position(|(known, _)| known == name) {
            Some(found) => {
                let (_, section) = left.remove(found);
                let _ = write!(text, "\n{}\n", section.trim_end());
            }
            None => {
                let _ = write!(text, "\n### {}\n", piece.trim_end());
            }
        }
    }
    for (_, section) in left {
        let _ = write!(text, "\n{}\n", section.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_take_the_place_of_those_of_their_name() {
        let record = "head\n\n### a: first\n\n1\n\n### b: second\n\n2\n";
        let sections = [
            ("b".to_owned(), "### b: second\n\n3\n\n".to_owned()),
            ("c".to_owned(), "### c: third\n\n4\n".to_owned()),
        ];
        let expected = "head\n\nMeasured again afterwards, 9 rounds: b, c.\n\n### a: first\n\n1\n\n### b: second\n\n3\n\n### c: third\n\n4\n";
        assert_eq!(updated(record, &sections, "9 rounds"), expected);
    }
}
