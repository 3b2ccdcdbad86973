//! CRC-64 as OSS computes it, against `crc64.json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oss_callback::checksum::{Combiner, Crc64, combine, crc64};
use serde_json::Value;

use crate::vectors::{assert_all, read, same, text};

fn decimal(vector: &Value, name: &str) -> u64 {
    text(vector, name).parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn data(vector: &Value) -> Vec<u8> {
    STANDARD.decode(text(vector, "data_base64")).unwrap()
}

fn of_op(op: &str) -> Vec<Value> {
    read("crc64").into_iter().filter(|vector| text(vector, "op") == op).collect()
}

#[test]
fn every_crc_vector_is_of_a_known_kind() {
    let counts = ["crc64", "combine", "continue"].map(|op| of_op(op).len());
    assert_eq!(counts.iter().sum::<usize>(), read("crc64").len());
    assert_eq!(counts, [15, 12, 1]);
}

#[test]
fn checksums_of_data_match_the_sdks() {
    assert_all(&of_op("crc64"), |vector| {
        let (bytes, expected) = (data(vector), decimal(vector, "crc64_decimal"));
        same("length", bytes.len() as u64, vector["length"].as_u64().unwrap())?;
        same("whole", crc64(&bytes), expected)?;
        same("hex", format!("{expected:016x}").as_str(), text(vector, "crc64_hex"))?;
        let mut pieces = Crc64::new();
        bytes.chunks(7).for_each(|piece| pieces.update(piece));
        same("in pieces of 7", pieces.value(), expected)
    });
}

#[test]
fn combined_checksums_match_the_sdks() {
    assert_all(&of_op("combine"), |vector| {
        let (a, b) = (decimal(vector, "crc1_decimal"), decimal(vector, "crc2_decimal"));
        let length = vector["len2"].as_u64().unwrap();
        same("combine", combine(a, b, length), decimal(vector, "crc64_decimal"))?;
        same("combiner", Combiner::new(length).combine(a, b), decimal(vector, "crc64_decimal"))
    });
}

#[test]
fn resumed_checksums_match_the_sdks() {
    assert_all(&of_op("continue"), |vector| {
        let mut crc = Crc64::resume(decimal(vector, "start_crc_decimal"));
        crc.update(&data(vector));
        same("continue", crc.value(), decimal(vector, "crc64_decimal"))
    });
}
