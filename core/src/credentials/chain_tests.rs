use super::*;
use crate::ErrorKind;
use crate::credentials::testing::{ECS_ANSWER, STS_ANSWER, Stub, TempDir, settings};

const OSS: [(&str, &str); 2] = [("OSS_ACCESS_KEY_ID", "oss-id"), ("OSS_ACCESS_KEY_SECRET", "s")];
const CLOUD: [(&str, &str); 3] = [
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "cloud-id"),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s"),
    ("ALIBABA_CLOUD_SECURITY_TOKEN", "t"),
];

fn metadata() -> Stub {
    Stub::start(|request| match (request.method.as_str(), request.target.ends_with('/')) {
        ("PUT", _) => (200, "tok".to_owned()),
        (_, true) => (200, "role".to_owned()),
        _ => (200, ECS_ANSWER.to_owned()),
    })
}

fn chain(settings: Settings) -> Chain {
    Chain::new(settings, CredentialsSource::Default)
}

#[test]
fn the_documented_order_holds() {
    let (sts, imds) = (Stub::start(|_| (200, STS_ANSWER.to_owned())), metadata());
    let uri = Stub::start(|_| (200, ECS_ANSWER.replace("STS.ecs", "STS.uri")));
    let home = TempDir::new();
    let token = home.write("token", "tok");
    let oidc = [
        ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/r"),
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p"),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token.to_str().unwrap()),
    ];
    let uri_url = uri.url();
    let uri_variable = [("ALIBABA_CLOUD_CREDENTIALS_URI", uri_url.as_str())];
    let json = r#"{"current":"d","profiles":[{"name":"d","mode":"AK","access_key_id":"cli","access_key_secret":"s"}]}"#;
    let ini = "[default]\ntype=access_key\naccess_key_id=ini\naccess_key_secret=s\n";
    home.write(".aliyun/config.json", json);
    home.write(".alibabacloud/credentials.ini", ini);
    home.write(".ossutilconfig", "[Credentials]\naccessKeyID=ossutil\naccessKeySecret=s\n");
    let no_ecs = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
    let provide = |variables: &[&[(&'static str, &str)]]| {
        let environment = Environment::of(&variables.concat(), Some(home.path()));
        let settings = Settings {
            sts_endpoint: Some(sts.url()),
            metadata_endpoint: Some(imds.url()),
            ..settings(environment)
        };
        chain(settings).provide().unwrap().access_key_id().to_owned()
    };
    assert_eq!(provide(&[&OSS, &CLOUD, &oidc, &uri_variable]), "oss-id");
    assert_eq!(provide(&[&CLOUD, &oidc, &uri_variable]), "cloud-id");
    assert_eq!(provide(&[&oidc, &uri_variable]), "STS.id");
    assert_eq!(provide(&[&uri_variable]), "cli");
    std::fs::remove_file(home.path().join(".aliyun/config.json")).unwrap();
    assert_eq!(provide(&[&uri_variable]), "ini");
    std::fs::remove_file(home.path().join(".alibabacloud/credentials.ini")).unwrap();
    assert_eq!(provide(&[&uri_variable]), "STS.ecs");
    assert_eq!(provide(&[&uri_variable, &no_ecs]), "STS.uri");
    assert_eq!(provide(&[&no_ecs]), "ossutil");
}

#[test]
fn when_nothing_is_found_every_source_and_its_reason_is_named() {
    let folder = TempDir::new();
    let environment = Environment::of(&[], Some(folder.path()));
    let closed = Settings { metadata_endpoint: Some(Stub::closed_url()), ..settings(environment) };
    let host = closed.metadata_endpoint.clone().unwrap().replace("http://", "");
    let error = chain(closed).provide().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    let (before, after) = error.message().split_once(&host).unwrap();
    assert_eq!(
        before,
        "no credentials found; tried environment variables (neither OSS_ACCESS_KEY_ID nor \
         ALIBABA_CLOUD_ACCESS_KEY_ID is set), OIDC (ALIBABA_CLOUD_ROLE_ARN, \
         ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE are not set), \
         ~/.aliyun/config.json (there is no such file), ~/.alibabacloud/credentials.ini (there is no such \
         file), ECS RAM role (the metadata service at "
    );
    assert!(after.starts_with(" cannot be reached: "), "{after}");
    assert!(after.ends_with(
        "credentials URI (ALIBABA_CLOUD_CREDENTIALS_URI is not set), ~/.ossutilconfig (there is no such file)"
    ));
    assert_eq!(error.hint(), Some(HINT));
}

#[test]
fn a_source_that_is_set_up_and_fails_ends_the_search() {
    let imds = metadata();
    let home = TempDir::new();
    home.write(".aliyun/config.json", "{");
    let environment = Environment::of(&[], Some(home.path()));
    let settings = Settings { metadata_endpoint: Some(imds.url()), ..settings(environment) };
    let error = chain(settings).provide().unwrap_err();
    assert!(error.message().starts_with("~/.aliyun/config.json: is not valid JSON"), "{error}");
    assert!(error.message().contains("tried before: environment variables ("), "{error}");
    assert!(imds.requests().is_empty());
}

#[test]
fn no_other_source_takes_the_place_of_one_that_gave_credentials() {
    let home = TempDir::new();
    home.write(".ossutilconfig", "[Credentials]\naccessKeyID=ossutil\naccessKeySecret=s\n");
    let imds = metadata();
    let environment = Environment::of(&[], Some(home.path()));
    let chain = chain(Settings { metadata_endpoint: Some(imds.url()), ..settings(environment) });
    assert_eq!(chain.provide().unwrap().access_key_id(), "STS.ecs");
    drop(imds);
    for _ in 0..2 {
        let error = chain.provide().unwrap_err();
        assert!(error.message().starts_with("ECS RAM role: gave credentials before"), "{error}");
        assert!(error.hint().unwrap().contains("new client"), "{error}");
    }
}

#[test]
fn a_source_that_comes_back_is_taken_again() {
    let home = TempDir::new();
    let ini = "[Credentials]\naccessKeyID=ossutil\naccessKeySecret=s\n";
    let file = home.write(".ossutilconfig", ini);
    let no_ecs = ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    let chain = chain(settings(Environment::of(&[no_ecs], Some(home.path()))));
    assert!(chain.provide().is_ok());
    std::fs::remove_file(&file).unwrap();
    assert!(chain.provide().is_err());
    home.write(".ossutilconfig", ini);
    assert_eq!(chain.provide().unwrap().access_key_id(), "ossutil");
}

#[test]
fn half_a_pair_is_told_when_the_client_is_made() {
    for (given, missing) in [(OSS[0], OSS[1]), (OSS[1], OSS[0]), (CLOUD[0], CLOUD[1])] {
        let error = chain(settings(Environment::of(&[given], None))).settle().unwrap_err();
        let expected = format!("environment variables: {} is set, but {} is not", given.0, missing.0);
        assert_eq!(error.message(), expected);
    }
    let broken = Environment::of(&[OSS[0], ("OSS_ACCESS_KEY_SECRET", "s3cret\n")], None);
    let error = chain(settings(broken)).settle().unwrap_err().to_string();
    assert!(error.contains("visible ASCII") && !error.contains("s3cret"), "{error}");
}

#[test]
fn what_cannot_change_is_settled_at_once_and_the_rest_is_asked() {
    let settle =
        |variables: &[(&'static str, &str)]| chain(settings(Environment::of(variables, None))).settle();
    assert!(matches!(settle(&OSS), Ok(Settled::Fixed(found)) if found.access_key_id() == "oss-id"));
    assert!(matches!(settle(&CLOUD), Ok(Settled::Fixed(_))));
    assert!(matches!(settle(&[]), Ok(Settled::Ask)), "there may be an ECS role");
    let nowhere = settle(&[("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")]);
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::Credentials);
}

#[test]
fn a_chosen_source_is_the_only_one() {
    let environment = Environment::of(&OSS, None);
    let error = Chain::new(settings(environment), CredentialsSource::Oidc).settle().unwrap_err();
    assert!(error.message().starts_with("no credentials found; tried OIDC ("), "{error}");
    assert!(!error.message().contains("environment variables"), "{error}");
}
