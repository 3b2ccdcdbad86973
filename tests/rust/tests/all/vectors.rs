//! Reads `tests/vectors/*.json`.

use std::path::Path;

use serde_json::Value;

/// The vectors of a family. Its file says how many there are; a file cut short is an error.
pub fn read(family: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(format!("{family}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{family}: {error}"));
    let count = file["count"].as_u64();
    let Value::Array(vectors) = file["vectors"].take() else { panic!("{family}: no list of vectors") };
    assert_eq!(Some(vectors.len() as u64), count, "{family}: count");
    vectors
}

/// A member that must be text.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("`{name}` is no text in {value}"))
}

/// Runs `check` on every vector and reports all that fail, each with its id and the first stage that
/// diverges.
pub fn assert_all(vectors: &[Value], check: impl Fn(&Value) -> Result<(), String>) {
    let failures: Vec<String> = vectors
        .iter()
        .filter_map(|vector| check(vector).err().map(|failure| format!("{}: {failure}", text(vector, "id"))))
        .collect();
    assert!(failures.is_empty(), "{} of {} fail\n{}", failures.len(), vectors.len(), failures.join("\n"));
}

/// Ours and the vector's, at one stage.
pub fn same<T: PartialEq + std::fmt::Debug>(stage: &str, ours: T, expected: T) -> Result<(), String> {
    if ours == expected {
        Ok(())
    } else {
        Err(format!("{stage}\n     ours {ours:?}\n expected {expected:?}"))
    }
}
