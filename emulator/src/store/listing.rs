//! Pages of a sorted list of keys, rolled up at a delimiter.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::{Entry, ObjectMeta};

/// What a page is to hold.
#[derive(Debug, Default)]
pub(crate) struct ListQuery<'q> {
    pub prefix: &'q str,
    /// Keys that share what follows the prefix up to the delimiter count as one; empty: none do.
    pub delimiter: &'q str,
    /// Only what sorts after it.
    pub after: &'q str,
    pub limit: usize,
}

/// One page.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub objects: Vec<(String, Arc<ObjectMeta>)>,
    pub common_prefixes: Vec<String>,
    /// Where the next page starts, if there is one: the last key or common prefix of this page.
    pub next: Option<String>,
}

impl ListQuery<'_> {
    pub(super) fn run(&self, objects: &BTreeMap<String, Entry>) -> Listing {
        let mut page = Listing::default();
        let mut last = String::new();
        // After "a/" was rolled up, the next candidate is the first key that does not start with it.
        let mut skipping: Option<String> = None;
        let start =
            if self.after < self.prefix { Bound::Included(self.prefix) } else { Bound::Excluded(self.after) };
        for (key, entry) in objects.range::<str, _>((start, Bound::Unbounded)) {
            if skipping.as_ref().is_some_and(|skipped| key.starts_with(skipped.as_str())) {
                continue;
            }
            let Some(rest) = key.strip_prefix(self.prefix) else { break };
            let rolled_up = self.roll_up(rest);
            if rolled_up.as_deref() == Some(self.after) {
                // The last page ended with this very prefix.
                skipping = rolled_up;
                continue;
            }
            if page.objects.len() + page.common_prefixes.len() == self.limit {
                page.next = Some(last);
                break;
            }
            match rolled_up {
                Some(prefix) => {
                    last.clone_from(&prefix);
                    page.common_prefixes.push(prefix.clone());
                    skipping = Some(prefix);
                }
                None => {
                    last.clone_from(key);
                    page.objects.push((key.clone(), Arc::clone(&entry.meta)));
                }
            }
        }
        page
    }

    fn roll_up(&self, rest: &str) -> Option<String> {
        if self.delimiter.is_empty() {
            return None;
        }
        let (head, _) = rest.split_once(self.delimiter)?;
        Some(format!("{}{head}{}", self.prefix, self.delimiter))
    }
}
