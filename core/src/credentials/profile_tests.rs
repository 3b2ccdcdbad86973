use super::*;
use crate::credentials::Environment;
use crate::credentials::testing::{ECS_ANSWER, STS_ANSWER, Stub, TempDir, settings};

struct Home {
    folder: TempDir,
    settings: Settings,
}

fn home(profiles: &str) -> Home {
    let folder = TempDir::new();
    folder.write(
        ".aliyun/config.json",
        &format!(r#"{{"current":"a","profiles":[{profiles}],"meta_path":""}}"#),
    );
    let settings = settings(Environment::of(&[], Some(folder.path())));
    Home { folder, settings }
}

impl Home {
    fn provide(&self) -> Result<Credentials> {
        match locate(&self.settings) {
            Ok(found) => found.ask().map_err(|miss| miss.into_error()),
            Err(miss) => Err(miss.into_error()),
        }
    }
}

#[test]
fn pairs_and_tokens_are_taken_as_they_stand() {
    let both = r#"{"name":"b","mode":"AK","access_key_id":"id-b","access_key_secret":"s"},
        {"name":"a","mode":"StsToken","access_key_id":"id-a","access_key_secret":"s","sts_token":"t",
        "sts_expiration":32472144000}"#;
    let mut home = home(both);
    let credentials = home.provide().unwrap();
    assert_eq!(credentials.access_key_id(), "id-a");
    assert_eq!(credentials.security_token().unwrap().expose(), "t");
    assert!(credentials.expires_at().is_some());
    home.settings.profile = Some("b".to_owned());
    assert_eq!(home.provide().unwrap().access_key_id(), "id-b");
    let by_variable = Environment::of(&[("ALIBABA_CLOUD_PROFILE", "b")], Some(home.folder.path()));
    home.settings = settings(by_variable);
    assert_eq!(home.provide().unwrap().access_key_id(), "id-b");
}

#[test]
fn a_role_is_assumed_with_the_profiles_pair() {
    let stub = Stub::start(|_| (200, STS_ANSWER.to_owned()));
    let mut home = home(
        r#"{"name":"a","mode":"RamRoleArn","access_key_id":"base","access_key_secret":"s",
        "ram_role_arn":"acs:ram::1:role/r","ram_session_name":"me","expired_seconds":1000,
        "sts_region":"cn-hangzhou"}"#,
    );
    home.settings.sts_endpoint = Some(stub.url());
    assert_eq!(home.provide().unwrap().access_key_id(), "STS.id");
    let request = stub.requests().remove(0);
    assert!(request.body.contains("RoleSessionName=me&DurationSeconds=1000"), "{}", request.body);
}

#[test]
fn a_role_can_build_upon_another_profile_but_not_in_a_circle() {
    let stub = Stub::start(|_| (200, STS_ANSWER.to_owned()));
    let chain = |last: &str| {
        format!(
            r#"{{"name":"a","mode":"ChainableRamRoleArn","ram_role_arn":"acs:ram::1:role/outer",
            "source_profile":"b"}},{{"name":"b","mode":"ChainableRamRoleArn",
            "ram_role_arn":"acs:ram::1:role/inner","source_profile":"{last}"}},
            {{"name":"c","mode":"AK","access_key_id":"base","access_key_secret":"s"}}"#
        )
    };
    let mut good = home(&chain("c"));
    good.settings.sts_endpoint = Some(stub.url());
    good.provide().unwrap();
    let requests = stub.requests();
    assert!(requests[0].body.contains("inner") && requests[0].target.contains("AccessKeyId=base"));
    assert!(requests[1].body.contains("outer") && requests[1].target.contains("AccessKeyId=STS.id"));
    let error = home(&chain("a")).provide().unwrap_err();
    assert!(error.message().contains("circle"), "{error}");
    let error = home(&chain("none")).provide().unwrap_err();
    assert!(error.message().contains("no source profile `none`"), "{error}");
}

#[test]
fn an_ecs_role_is_asked_of_the_metadata_service() {
    let stub = Stub::start(|request| match request.method.as_str() {
        "PUT" => (200, "tok".to_owned()),
        _ => (200, ECS_ANSWER.to_owned()),
    });
    let mut home = home(r#"{"name":"a","mode":"EcsRamRole","ram_role_name":"r"}"#);
    home.settings.metadata_endpoint = Some(stub.url());
    assert_eq!(home.provide().unwrap().access_key_id(), "STS.ecs");
    assert!(stub.requests()[1].target.ends_with("/security-credentials/r"));
}

#[test]
fn an_oidc_token_is_swapped() {
    let stub = Stub::start(|_| (200, STS_ANSWER.to_owned()));
    let folder = TempDir::new();
    let token = folder.write("token", "tok");
    let mut home = home(&format!(
        r#"{{"name":"a","mode":"OIDC","ram_role_arn":"acs:ram::1:role/r","oidc_provider_arn":"p",
        "oidc_token_file":{}}}"#,
        serde_json::to_string(&token).unwrap()
    ));
    home.settings.sts_endpoint = Some(stub.url());
    assert_eq!(home.provide().unwrap().access_key_id(), "STS.id");
    assert!(stub.requests()[0].body.contains("OIDCToken=tok"));
}

#[cfg(unix)]
#[test]
fn an_external_program_is_run() {
    let home = home(
        r#"{"name":"a","mode":"External",
        "process_command":"echo '{\"mode\":\"AK\",\"access_key_id\":\"ext\",\"access_key_secret\":\"s\"}'"}"#,
    );
    assert_eq!(home.provide().unwrap().access_key_id(), "ext");
}

#[test]
fn what_gives_nothing_says_why() {
    for (profiles, why) in [
        (r#"{"name":"a","mode":"CloudSSO"}"#, "mode `CloudSSO`, which is not supported"),
        (r#"{"name":"b","mode":"AK"}"#, "it has no profile `a`"),
        (r#"{"name":"a","mode":"AK"}"#, "its profile `a` is empty"),
        (
            r#"{"name":"a","mode":"AK","access_key_id":"id"}"#,
            "profile `a`: access_key_secret: must not be empty",
        ),
        (r#"{"name":"a","mode":"OIDC","ram_role_arn":"r"}"#, "oidc_provider_arn is missing"),
        (r#"{"name":"a","mode":"AK","access_key_secret":{"s3cret":1}}"#, "not of the expected form"),
        ("s3cret", "is not valid JSON"),
    ] {
        let error = home(profiles).provide().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
    }
    let off = Environment::of(&[("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true")], None);
    assert!(matches!(locate(&settings(off)), Err(Miss::Absent(why)) if why.contains("DISABLED")));
}
