//! The INI files of the Alibaba Cloud tools: sections, and `name = value`.

use zeroize::Zeroizing;

use super::Secret;

/// An INI file. Names are compared without regard to case, `-` and `_`, as the tools spell theirs in
/// several ways.
#[derive(Default)]
pub(super) struct Ini(Vec<(String, Vec<(String, Secret)>)>);

impl Ini {
    /// Reads what is there; lines that are neither section nor pair are passed over, as the tools do.
    pub fn parse(text: &str) -> Ini {
        let mut sections = vec![(String::new(), Vec::new())];
        for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                sections.push((plain(name), Vec::new()));
            } else if let Some((name, value)) = line.split_once('=')
                && let Some((_, pairs)) = sections.last_mut()
            {
                pairs.push((plain(name), Secret::new(unquoted(value.trim()))));
            }
        }
        Ini(sections)
    }

    /// Reads a file, and wipes its text.
    pub fn read(path: &std::path::Path) -> std::io::Result<Ini> {
        Ok(Ini::parse(&Zeroizing::new(std::fs::read_to_string(path)?)))
    }

    pub fn has(&self, section: &str) -> bool {
        self.0.iter().any(|(name, _)| *name == plain(section))
    }

    /// A value; none if it is missing or empty.
    pub fn get(&self, section: &str, name: &str) -> Option<&str> {
        let (section, name) = (plain(section), plain(name));
        let mut pairs = self.0.iter().filter(|(found, _)| *found == section).flat_map(|(_, pairs)| pairs);
        let (_, value) = pairs.find(|(found, _)| *found == name)?;
        Some(value.expose()).filter(|value| !value.is_empty())
    }
}

fn plain(name: &str) -> String {
    name.trim().chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_pairs_and_comments_are_told_apart() {
        let ini = Ini::parse(
            "\u{feff}x=0\r\n[Credentials]\r\n# c=1\n; d=2\naccessKeyID = i=d \nempty=\nq=\"v \"\n",
        );
        assert_eq!(ini.get("credentials", "access-key-id"), Some("i=d"));
        assert_eq!(ini.get("Credentials", "q"), Some("v "));
        assert_eq!((ini.get("Credentials", "empty"), ini.get("Credentials", "c")), (None, None));
        assert_eq!((ini.get("", "x"), ini.get("Credentials", "x")), (Some("0"), None));
        assert!(ini.has("CREDENTIALS") && !ini.has("other"));
    }
}
