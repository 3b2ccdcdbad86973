//! What is refused before anything is stored.

use super::*;

async fn refused(config: &CallbackConfig, callback: &str, vars: Option<&str>) -> OssError {
    let error = prepare(config, Some(callback), vars).await.unwrap_err();
    assert_eq!((error.status, &*error.code), (400, "InvalidArgument"));
    error
}

fn member<'e>(error: &'e OssError, name: &str) -> &'e str {
    &error.members.iter().find(|(n, _)| n == name).unwrap().1
}

#[tokio::test]
async fn without_a_callback_there_is_nothing_to_fire() {
    assert!(prepare(&config(), None, None).await.unwrap().is_none());
    assert!(prepare(&config(), None, Some("e30=")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_rules_of_the_core_come_out_as_oss_answers() {
    let error = refused(&config(), "{}", None).await;
    assert_eq!(error.ec.as_deref(), Some("0007-00000002"));
    assert_eq!(error.message, "The callback configuration is not base64 encoded.");

    let error = refused(&config(), &STANDARD.encode("callbackUrl"), None).await;
    assert_eq!(error.ec.as_deref(), Some("0007-00000003"));
    assert_eq!(error.message, "The callback configuration is not json format.");
    assert_eq!(
        (member(&error, "ArgumentName"), member(&error, "ArgumentValue")),
        ("callback", "callbackUrl")
    );

    let callback = encode(&simple("http://127.0.0.1/"));
    let error = refused(&config(), &callback, Some(&encode(&json!({"x:a": 1})))).await;
    assert_eq!(error.ec.as_deref(), Some("0007-00000104"));
    assert_eq!(member(&error, "ArgumentName"), "callback-var");

    let callback = json!({"callbackUrl": "http://127.0.0.1/", "callbackBody": "a=$x:my_var}"});
    let error = refused(&config(), &encode(&callback), None).await;
    assert_eq!(error.ec.as_deref(), Some("0007-00000105"));
    assert_eq!(error.message, "Left brace must be adjacent to dollar sign.");
    assert_eq!(member(&error, "ArgumentName"), "ReplaceKeyPrefix");
}

#[tokio::test]
async fn a_stored_policy_is_not_to_be_had() {
    let error = refused(&config(), &encode(&json!({"callbackPolicy": "first"})), None).await;
    assert_eq!(
        (member(&error, "ArgumentName"), member(&error, "ArgumentValue")),
        ("callbackPolicy", "first")
    );
}

#[tokio::test]
async fn strict_refuses_private_addresses_and_hosts_without_any() {
    let strict = CallbackConfig { strict: true, ..config() };
    for host in [
        "127.0.0.1:8080",
        "localhost",
        "app.localhost",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
    ] {
        let url = format!("http://{host}/cb");
        let callback = encode(&simple(&url));
        let error = refused(&strict, &callback, None).await;
        assert_eq!(error.ec.as_deref(), Some("0007-00000008"), "{host}");
        assert_eq!(error.message, "Private address is forbidden to callback.");
        assert_eq!((member(&error, "ArgumentName"), member(&error, "ArgumentValue")), ("callbackUrl", &*url));
        assert!(prepare(&config(), Some(&callback), None).await.is_ok(), "{host} is fine unless strict");
    }
    let error = refused(&strict, &encode(&simple("http://app.invalid/cb")), None).await;
    assert_eq!(error.ec.as_deref(), Some("0007-00000007"));
    assert_eq!(error.message, "Can not get ip by this host.");
    let error = refused(&strict, &encode(&simple("http://8.8.8.8/;http://127.0.0.1/")), None).await;
    assert_eq!(error.ec.as_deref(), Some("0007-00000008"), "every URL is looked at");
    assert!(prepare(&strict, Some(&encode(&simple("http://8.8.8.8/"))), None).await.is_ok());
}

#[tokio::test]
async fn strict_also_refuses_to_connect_when_a_name_changes_its_address_later() {
    let server = server::Server::answering(GOOD);
    let prepared = prepared(&config(), &simple(&server.url("/"))).await;
    let strict = CallbackConfig { strict: true, ..config() };
    let (ec, _) = failure(fire(&strict, &prepared, &facts(), None).await);
    assert_eq!(ec, "0007-00000203");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn unreadable_roots_show_before_anything_is_stored() {
    let broken = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".to_vec();
    let config = CallbackConfig { extra_roots_pem: vec![broken], ..config() };
    let error = prepare(&config, Some(&encode(&simple("https://127.0.0.1/"))), None).await.unwrap_err();
    assert_eq!((error.status, &*error.code), (500, "InternalError"));
    assert!(error.message.contains("an extra root is not PEM"), "{}", error.message);
    assert!(prepare(&config, Some(&encode(&simple("http://127.0.0.1/"))), None).await.is_ok());
}
