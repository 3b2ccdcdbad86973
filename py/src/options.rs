//! Options by name: one pass over the keywords, each turned into what its option takes.

use oss_callback::{OptionInfo, OptionType, OptionValue, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert;
use crate::errors::{raised, unknown_keyword};

/// Hands every keyword that is not `None` to `set`. An unknown one is refused even when it is `None`.
pub(crate) fn apply(
    keywords: &Bound<'_, PyDict>,
    known: &'static [OptionInfo],
    mut set: impl FnMut(&str, OptionValue) -> Result<()>,
) -> PyResult<()> {
    let py = keywords.py();
    for (place, (name, value)) in keywords.iter().enumerate() {
        let name = convert::text("option", &name)?;
        // Our own callers name all of them, in the list's order.
        let expected = known.get(place).filter(|option| option.name == name);
        let Some(option) = expected.or_else(|| known.iter().find(|option| option.name == name)) else {
            // Any value will do to have the core name the nearest option.
            return match set(name, OptionValue::Bool(true)) {
                Err(error) => Err(unknown_keyword(py, &error)),
                Ok(()) => Ok(()),
            };
        };
        if !value.is_none() {
            set(name, converted(option, &value)?).map_err(|error| raised(py, &error))?;
        }
    }
    Ok(())
}

fn converted(option: &OptionInfo, value: &Bound<'_, PyAny>) -> PyResult<OptionValue> {
    let field = option.name;
    Ok(match option.ty {
        OptionType::Bool => OptionValue::Bool(convert::boolean(field, value)?),
        OptionType::Integer => OptionValue::Integer(convert::integer(field, value)?),
        OptionType::Duration => OptionValue::Duration(convert::duration(field, value)?),
        OptionType::List | OptionType::SecretList if !convert::is_one_text(value) => {
            OptionValue::List(convert::texts(field, value)?)
        }
        OptionType::Map => OptionValue::Map(convert::pairs(field, value)?),
        OptionType::Text if field == "checkpoint" && value.hasattr("__fspath__")? => {
            let path = value.py().import("os")?.call_method1("fsdecode", (value,))?;
            OptionValue::Text(convert::text(field, &path)?.to_owned())
        }
        // Text, secrets, a list of one, and enums by the value's name.
        _ => OptionValue::Text(convert::text(field, value)?.to_owned()),
    })
}
