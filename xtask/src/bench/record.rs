//! The table as a file: a head, and a section for each workload; written anew, or section by section.

use std::fmt::Write;

const AGAIN: &str = "Measured again afterwards, ";

/// The record with these sections in place of those of the same name, or behind the others. `later` says in the
/// head how they were measured, as they are not of the call that it tells of.
pub fn updated(record: &str, sections: &[(String, String)], later: &str) -> String {
    let mut pieces = record.split("\n### ");
    let names: Vec<&str> = sections.iter().map(|(name, _)| name.as_str()).collect();
    let head = pieces.next().unwrap_or_default().trim_end();
    let mut text: Vec<String> = head.split("\n\n").filter_map(|line| without(line, &names)).collect();
    text.push(format!("{AGAIN}{later}: {}.\n", names.join(", ")));
    let mut text = text.join("\n\n");
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

/// A paragraph of the head that no longer tells of these; `None` if nothing is left that it could tell of.
fn without(paragraph: &str, names: &[&str]) -> Option<String> {
    let told = paragraph.strip_prefix(AGAIN).and_then(|rest| rest.strip_suffix('.')?.split_once(": "));
    let Some((how, told)) = told else { return Some(paragraph.to_owned()) };
    let left: Vec<&str> = told.split(", ").filter(|name| !names.contains(name)).collect();
    (!left.is_empty()).then(|| format!("{AGAIN}{how}: {}.", left.join(", ")))
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

    #[test]
    fn the_head_tells_of_the_last_time_that_something_was_measured() {
        let section = |name: &str| (name.to_owned(), format!("### {name}: title\n"));
        let head = |record: &str| record.split("\n\n### ").next().unwrap().to_owned();
        let once = updated("head\n\n### a: first\n", &[section("a"), section("b")], "5 rounds");
        let twice = updated(&once, &[section("a")], "7 rounds");
        let again =
            "head\n\nMeasured again afterwards, 5 rounds: b.\n\nMeasured again afterwards, 7 rounds: a.";
        assert_eq!(head(&twice), again);
        let thrice = updated(&twice, &[section("b")], "9 rounds");
        let again =
            "head\n\nMeasured again afterwards, 7 rounds: a.\n\nMeasured again afterwards, 9 rounds: b.";
        assert_eq!(head(&thrice), again);
    }
}
