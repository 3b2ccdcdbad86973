//! The code blocks of a Markdown file, each with the comment that says how it is held true.

/// What the HTML comment above a block says.
#[derive(Debug, PartialEq, Eq)]
pub enum Mark {
    /// `<!-- run: NAME -->`: bash, in an empty folder, with the emulator's environment.
    Run(String),
    /// `<!-- run at the root: NAME -->`: bash, in the root of the tree.
    RunAtRoot(String),
    /// `<!-- output: NAME -->`: what the block or the file of that name prints.
    Output(String),
    /// `<!-- file: PATH -->`: equal to that file, but for the comments at its head.
    File(String),
    /// `<!-- not run: REASON -->`
    NotRun,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Where the block begins, counted from 1.
    pub line: usize,
    pub text: String,
    pub mark: Mark,
}

/// All fenced blocks, in order. A block without a mark is an error: nobody would notice it rot.
pub fn blocks(markdown: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut above = "";
    let mut lines = markdown.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if !line.starts_with("```") {
            if !line.trim().is_empty() {
                above = line;
            }
            continue;
        }
        let number = index + 1;
        let mark = mark(above).ok_or(format!(
            "line {number}: the code block lacks a comment above it that says how it is tested"
        ))?;
        let mut text = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => text = text + line + "\n",
                None => return Err(format!("line {number}: the code block has no end")),
            }
        }
        found.push(Block { line: number, text, mark });
        above = "";
    }
    Ok(found)
}

fn mark(line: &str) -> Option<Mark> {
    let (word, rest) = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim().split_once(": ")?;
    let rest = rest.trim().to_owned();
    match word {
        _ if rest.is_empty() => None,
        "run" => Some(Mark::Run(rest)),
        "run at the root" => Some(Mark::RunAtRoot(rest)),
        "output" => Some(Mark::Output(rest)),
        "file" => Some(Mark::File(rest)),
        "not run" => Some(Mark::NotRun),
        _ => None,
    }
}

/// A source file without the comments and blank lines at its head, which say to the reader of the file
/// what the text around the block says to the reader of the page.
pub fn without_head(source: &str) -> String {
    let is_head = |line: &&str| line.trim().is_empty() || line.starts_with("//") || line.starts_with('#');
    source.lines().skip_while(is_head).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_carry_their_mark_text_and_line() {
        let page = "# T\n\n<!-- run: put -->\n```bash\necho 1\n\necho 2\n```\n\ntext\n<!-- output: put -->\n\n```\n1\n```\n";
        let found = blocks(page).unwrap();
        assert_eq!(
            found,
            [
                Block { line: 4, text: "echo 1\n\necho 2\n".into(), mark: Mark::Run("put".into()) },
                Block { line: 13, text: "1\n".into(), mark: Mark::Output("put".into()) },
            ]
        );
    }

    #[test]
    fn a_block_without_a_mark_is_an_error() {
        assert!(blocks("text\n```bash\nrm x\n```\n").unwrap_err().contains("line 2"));
        assert!(blocks("<!-- run: a -->\n```\na\n```\n```\nb\n```\n").unwrap_err().contains("line 5"));
        assert!(blocks("<!-- run: -->\n```\na\n```\n").is_err());
        assert!(blocks("<!-- runs: a -->\n```\na\n```\n").is_err());
        assert!(blocks("<!-- run: a -->\n```\na\n").unwrap_err().contains("no end"));
    }

    #[test]
    fn the_head_of_a_source_file_is_left_out() {
        assert_eq!(
            without_head("//! What it is.\n\n// Why.\nuse a;\n\n// b\nfn main() {}\n"),
            "use a;\n\n// b\nfn main() {}\n"
        );
    }
}
