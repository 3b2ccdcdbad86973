//! Names of variables and fields: completed, added, and the known one that is nearest to a mistyped one.

use crate::error::{Error, Result};
use crate::options::distance;

/// The nearest of `known`, unless all are far off.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|known| (distance(name, known), *known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .map(|(_, known)| known)
}

/// The name of a custom variable, with `x:`.
pub(super) fn prefixed(name: String) -> String {
    if name.starts_with("x:") || name.starts_with("X:") { name } else { format!("x:{name}") }
}

/// The fields of a body with that of a variable which is added for every upload, unless there are none or
/// one of them has it. `what` is what the variable carries.
pub(super) fn with_field(
    mut fields: Vec<(String, String)>,
    variable: &str,
    what: &str,
) -> Result<Vec<(String, String)>> {
    let placed = format!("${{x:{variable}}}");
    if fields.is_empty() || fields.iter().any(|(_, value)| *value == placed) {
        return Ok(fields);
    }
    if fields.iter().any(|(name, _)| name == variable) {
        let message = format!("hold a field `{variable}`, which is the {what}'s");
        return Err(Error::invalid_argument("callback.fields", message).with_hint(format!(
            "Rename it, or give the {what} a field of another name with the value `{placed}`."
        )));
    }
    fields.push((variable.to_owned(), placed));
    Ok(fields)
}
