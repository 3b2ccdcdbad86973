use super::*;
use crate::credentials::testing::{ECS_ANSWER, Stub};

const PAIR: [(&str, &str); 2] = [("OSS_ACCESS_KEY_ID", "env-id"), ("OSS_ACCESS_KEY_SECRET", "env-secret")];

fn builder() -> ClientBuilder {
    Client::builder().region("cn-hangzhou")
}

fn in_environment(builder: ClientBuilder, variables: &[(&'static str, &str)]) -> Result<Client> {
    builder.build_in(Environment::of(variables, None))
}

fn signs_as(client: &Client) -> String {
    format!("{:?}", client.signer().unwrap())
}

#[test]
fn explicit_credentials_win_over_the_environment() {
    let client = in_environment(builder().access_key_id("own-id").access_key_secret("s"), &PAIR).unwrap();
    assert!(signs_as(&client).contains("own-id"));
    let provider = || Credentials::new("provided-id", "s");
    let client = in_environment(builder().credentials_provider(provider), &PAIR).unwrap();
    assert!(signs_as(&client).contains("provided-id"));
    let client = in_environment(builder(), &PAIR).unwrap();
    assert!(signs_as(&client).contains("env-id"));
}

#[test]
fn an_option_of_a_source_chooses_that_source() {
    for (builder, chosen) in [
        (builder(), CredentialsSource::Default),
        (builder().profile("p"), CredentialsSource::Profile),
        (builder().ecs_role_name("r"), CredentialsSource::EcsRole),
        (builder().credentials_uri("http://127.0.0.1/"), CredentialsSource::Uri),
        (builder().credentials_source(CredentialsSource::Oidc), CredentialsSource::Oidc),
    ] {
        assert_eq!(builder.chosen_source().unwrap(), chosen);
    }
    // Even though the environment has a pair.
    let error = in_environment(builder().profile("p"), &PAIR).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().contains("~/.aliyun/config.json"), "{error}");
}

#[test]
fn options_that_contradict_one_another_are_refused() {
    let pair = || builder().access_key_id("id").access_key_secret("s");
    for (builder, field) in [
        (builder().profile("p").ecs_role_name("r"), "ecs_role_name"),
        (builder().credentials_source(CredentialsSource::Oidc).profile("p"), "profile"),
        (builder().profile(""), "profile"),
        (builder().credentials_uri("s3cret"), "credentials_uri"),
        (builder().metadata_endpoint("100.100.100.200"), "metadata_endpoint"),
        (builder().sts_endpoint("ftp://sts.aliyuncs.com"), "sts_endpoint"),
        (pair().credentials_provider(|| Credentials::new("id", "s")), "credentials_provider"),
    ] {
        let error = in_environment(builder, &PAIR).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some(field)));
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    builder().sts_endpoint("sts.cn-hangzhou.aliyuncs.com").chosen_source().unwrap();
}

#[test]
fn no_option_that_may_hold_a_secret_is_shown() {
    let builder = builder().credentials_uri("http://127.0.0.1/?token=s3cret").access_key_secret("s3cret");
    let builder = builder.credentials_provider(Credentials::new("id", "s3cret").unwrap());
    let builder = builder.proxy("http://user:s3cret@proxy.example:3128");
    assert!(!format!("{builder:?}").contains("s3cret"));
}

#[test]
fn the_signer_is_there_on_a_thread_that_runs_asynchronous_code() {
    let client = builder().credentials_provider(|| Credentials::new("provided-id", "s")).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(async { signs_as(&client) }).contains("provided-id"));
}

#[test]
fn a_failing_provider_is_told_by_the_call_and_nothing_is_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let client = builder()
        .endpoint(format!("http://{}", listener.local_addr().unwrap()))
        .credentials_provider(|| Err::<Credentials, _>("vault is sealed"))
        .build()
        .unwrap();
    let callback = crate::Callback::builder("http://127.0.0.1/cb").build().unwrap();
    let error = client.put_object_with_callback("bucket", "key", "data", &callback).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Credentials, "vault is sealed"));
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_call_that_waits_for_credentials_can_be_cancelled() {
    let client = builder()
        .credentials_provider(|| {
            std::thread::sleep(Duration::from_secs(5));
            Credentials::new("id", "secret")
        })
        .build()
        .unwrap();
    let callback = crate::Callback::builder("http://127.0.0.1/cb").build().unwrap();
    let cancel = crate::Cancel::new();
    let (done, outcome) = std::sync::mpsc::channel();
    let request = crate::PutRequest::new("bucket", "key", "data", &callback).cancel(&cancel);
    let started = std::time::Instant::now();
    client.start(request, move |result| done.send(result.map(drop)).unwrap());
    cancel.cancel();
    assert_eq!(outcome.recv().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn each_request_is_signed_with_the_credentials_of_the_moment() {
    let oss = Stub::start(|_| (200, r#"{"Status":"OK"}"#.to_owned()));
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let client = builder()
        .endpoint(oss.url())
        .credentials_provider(move || {
            let number = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let lifetime = Duration::from_millis(if number == 0 { 1500 } else { 3_600_000 });
            let credentials = Credentials::new(format!("id-{number}"), "secret")?;
            let credentials = credentials.with_security_token(format!("token-{number}"))?;
            Ok::<_, Error>(credentials.with_expiry(std::time::SystemTime::now() + lifetime))
        })
        .build()
        .unwrap();
    let callback = crate::Callback::builder("http://127.0.0.1/cb").build().unwrap();
    client.put_object_with_callback("bucket", "key", "data", &callback).unwrap();
    std::thread::sleep(Duration::from_millis(1550));
    client.put_object_with_callback("bucket", "key", "data", &callback).unwrap();
    let requests = oss.requests();
    for (number, request) in requests.iter().enumerate() {
        assert!(request.head.contains(&format!("credential=id-{number}/")), "{}", request.head);
        assert!(request.head.contains(&format!("x-oss-security-token: token-{number}\r\n")));
    }
    assert_eq!(requests.len(), 2);
}

#[test]
fn a_client_finds_the_role_of_its_instance() {
    let metadata = Stub::start(|request| match request.method.as_str() {
        "PUT" => (200, "tok".to_owned()),
        _ => (200, ECS_ANSWER.to_owned()),
    });
    let own = builder().ecs_role_name("role").metadata_endpoint(metadata.url()).proxy("http://127.0.0.1:1");
    let client = in_environment(own, &PAIR).unwrap();
    assert!(metadata.requests().is_empty(), "nothing is asked for before it is needed");
    assert!(signs_as(&client).contains("STS.ecs"));
    signs_as(&client);
    assert_eq!(metadata.requests().len(), 2);
}
