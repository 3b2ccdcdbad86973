//! Options by name: each turned into what its option takes.

use std::collections::HashMap;
use std::sync::OnceLock;

use napi::bindgen_prelude::Array;
use napi::{Unknown, ValueType};
use oss_callback::{OptionInfo, OptionType, OptionValue, unknown_option};

use crate::outcome::Failure;
use crate::{convert, names};

/// A group of options by their names in JavaScript.
pub struct Group {
    by_name: OnceLock<HashMap<String, &'static OptionInfo>>,
    options: &'static [OptionInfo],
}

impl Group {
    pub const fn new(options: &'static [OptionInfo]) -> Group {
        Group { by_name: OnceLock::new(), options }
    }

    fn find(&self, name: &str) -> Result<&'static OptionInfo, Failure> {
        let by_name = self
            .by_name
            .get_or_init(|| self.options.iter().map(|option| (names::of_option(option), option)).collect());
        by_name.get(name).copied().ok_or_else(|| {
            let known: Vec<String> = self.options.iter().map(names::of_option).collect();
            unknown(name, &known.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// Hands every option of a flat list that is not `undefined` to `set`. An unknown one is refused even
    /// when it is `undefined`.
    pub fn apply(
        &self,
        list: &Array<'_>,
        mut set: impl FnMut(&str, OptionValue) -> oss_callback::Result<()>,
    ) -> Result<(), Failure> {
        for (name, value) in convert::entries(list)? {
            let option = self.find(&name)?;
            if value.get_type()? != ValueType::Undefined {
                set(option.name, converted(option.ty, &name, &value)?)?;
            }
        }
        Ok(())
    }
}

fn converted(ty: OptionType, field: &str, value: &Unknown<'_>) -> Result<OptionValue, Failure> {
    Ok(match ty {
        OptionType::Bool => OptionValue::Bool(convert::boolean(field, value)?),
        OptionType::Integer => OptionValue::Integer(convert::integer(field, value)?),
        OptionType::Duration => OptionValue::Duration(convert::duration(field, value)?),
        OptionType::List | OptionType::SecretList if value.get_type()? != ValueType::String => {
            OptionValue::List(convert::texts(field, value)?)
        }
        OptionType::Map => OptionValue::Map(convert::pairs(field, value)?),
        // Text, secrets, a list of one, and enums by the value's name.
        _ => OptionValue::Text(convert::text(field, value)?),
    })
}

/// The values of a fixed set of parameters, in the order of `known`.
pub fn parameters<'env, const N: usize>(
    list: &Array<'env>,
    known: [&str; N],
) -> Result<[Option<Unknown<'env>>; N], Failure> {
    let mut values = [None; N];
    for (name, value) in convert::entries(list)? {
        match known.iter().position(|known| *known == name) {
            Some(_) if value.get_type()? == ValueType::Undefined => {}
            Some(index) => values[index] = Some(value),
            None => return Err(unknown(&name, &known)),
        }
    }
    Ok(values)
}

fn unknown(name: &str, known: &[&str]) -> Failure {
    Failure::verbatim(&unknown_option(name, known))
}
