use super::*;

const NONCE_TEXT: &str = "0123456789abcdef";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.repeat(16))
}

fn vars<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    pairs.to_vec()
}

fn reason(result: Result<Seal>) -> &'static str {
    result.unwrap_err().reason().map_or("none", VerificationReason::name)
}

/// Computed apart from this code, with Python's hmac, from the format in the module's head.
#[test]
fn the_format_is_as_documented() {
    let made =
        seal(&secret("k"), "photos", "a/b", [("x:order", "42"), ("n", "")], NONCE_TEXT, at(1_800_000_000));
    assert_eq!(made.unwrap(), EXPECTED);
}
const EXPECTED: &str = "1.1800000000.0123456789abcdef.h83UvjAlNiwvY59QZb__d7813WokCdHgICoFE-M3PuM";

#[test]
fn a_seal_verifies_under_any_of_the_secrets_until_it_expires() {
    let variables = vars(&[("x:order", "42"), ("who", "me")]);
    let made = seal(&secret("new"), "b", "k", variables.clone(), NONCE_TEXT, at(1000)).unwrap();
    let check =
        |secrets: &[Secret], now| verify(secrets, "b", "k", variables.iter().rev().copied(), &made, at(now));
    let seal = check(&[secret("old"), secret("new")], 999).unwrap();
    assert_eq!((seal.nonce.as_str(), seal.expires_at), (NONCE_TEXT, at(1000)));
    assert_eq!(reason(check(&[secret("new")], 1000)), "seal_expired");
    assert_eq!(reason(check(&[secret("old")], 999)), "seal_wrong");
    assert_eq!(reason(check(&[secret("old")], 5000)), "seal_wrong", "expiry is told of right seals only");
    assert_eq!(reason(check(&[], 999)), "seal_wrong");
}

#[test]
fn whatever_differs_breaks_the_seal() {
    let (secrets, now) = ([secret("k")], at(1));
    let variables = [("a", "1"), ("b", "2")];
    let made = seal(&secrets[0], "bucket", "key", variables, NONCE_TEXT, at(1000)).unwrap();
    assert!(verify(&secrets, "bucket", "key", variables, &made, now).is_ok());
    for (bucket, key, claimed) in [
        ("bucket2", "key", vars(&variables)),
        ("bucketk", "ey", vars(&variables)),
        ("bucket", "key2", vars(&variables)),
        ("bucket", "key", vars(&[("a", "1")])),
        ("bucket", "key", vars(&[("a", "1"), ("b", "3")])),
        ("bucket", "key", vars(&[("a", "2"), ("b", "1")])),
        ("bucket", "key", vars(&[("a", "1"), ("b", "2"), ("role", "admin")])),
        ("bucket", "key", vars(&[("a", "1"), ("b", "2"), ("b", "2")])),
        ("bucket", "key", vars(&[("a1", ""), ("b", "2")])),
        ("bucket", "key", vars(&[])),
    ] {
        let outcome = verify(&secrets, bucket, key, claimed.clone(), &made, now);
        assert_eq!(reason(outcome), "seal_wrong", "{bucket} {key} {claimed:?}");
    }
    let parts: Vec<&str> = made.split('.').collect();
    for forged in [
        made.replace(".1000.", ".2000."),
        made.replace(".1000.", ".+1000."),
        made.replace(".1000.", ".01000."),
        made.replace(NONCE_TEXT, "0123456789abcdeg"),
        made.replacen('1', "2", 1),
        format!("{}.{}.{}.", parts[0], parts[1], parts[2]),
        format!("{made}."),
        format!("{made}="),
        format!("{}.{}.{}", parts[0], parts[1], parts[2]),
        made[..made.len() - 4].to_owned(),
        "1.18446744073709551616.0123456789abcdef.AAAA".to_owned(),
        String::new(),
        "1".repeat(100_000),
    ] {
        assert_eq!(
            reason(verify(&secrets, "bucket", "key", variables, &forged, now)),
            "seal_wrong",
            "{forged:.80}"
        );
    }
}

#[test]
fn no_boundary_between_parts_can_be_moved() {
    let nonces = (NONCE_TEXT, 1000);
    let empty = BTreeMap::new();
    let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let messages = [
        message("ab", "c", &empty, nonces.0, nonces.1),
        message("a", "bc", &empty, nonces.0, nonces.1),
        message("abc", "", &empty, nonces.0, nonces.1),
        message("ab", "c", &one("", ""), nonces.0, nonces.1),
        message("ab", "c", &one("x", "y"), nonces.0, nonces.1),
        message("ab", "c", &one("xy", ""), nonces.0, nonces.1),
        message(
            "ab",
            "c",
            &BTreeMap::from([("x".into(), "".into()), ("y".into(), "".into())]),
            nonces.0,
            nonces.1,
        ),
    ];
    for (index, message) in messages.iter().enumerate() {
        assert!(!messages[..index].contains(message), "{index}");
    }
}

#[test]
fn unfit_arguments_are_refused_by_name() {
    let make = |secret: &str, bucket, key, variables: &[(&str, &str)], nonce: &str| {
        let error = seal(&Secret::new(secret), bucket, key, vars(variables), nonce, at(1)).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
        assert!(!error.to_string().contains("s3cret"), "{error}");
        error.field().unwrap().to_owned()
    };
    let good = "s3cret-s3cret-s3cret";
    assert_eq!(make("s3cret", "b", "k", &[], NONCE_TEXT), "seal_secret");
    assert_eq!(make(good, "", "k", &[], NONCE_TEXT), "bucket");
    assert_eq!(make(good, "b", "", &[], NONCE_TEXT), "key");
    assert_eq!(make(good, "b", "k", &[], "short"), "nonce");
    assert_eq!(make(good, "b", "k", &[], "0123456789abcde."), "nonce");
    assert_eq!(make(good, "b", "k", &[("x:a", "1"), ("a", "2")], NONCE_TEXT), "vars");
    assert_eq!(make(good, "b", "k", &[("seal", "1")], NONCE_TEXT), "vars");
    let early =
        seal(&Secret::new(good), "b", "k", vars(&[]), NONCE_TEXT, UNIX_EPOCH - Duration::from_secs(1));
    assert_eq!(early.unwrap_err().field(), Some("expires_at"));
}

#[test]
fn nonces_differ_and_fit() {
    let (one, other) = (new_nonce().unwrap(), new_nonce().unwrap());
    assert!(is_nonce(&one) && is_nonce(&other) && one != other);
}
