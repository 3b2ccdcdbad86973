//! The callback families of `tests/vectors`: what official SDKs encode, what OSS refuses, what it fills in.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use oss_callback::callback::check::{
    MAX_BASE64, Parameter, Parameters, Rejection, check_addresses, check_parameters, check_vars, one_place,
};
use oss_callback::callback::template::{Template, Value};
use oss_callback::{BodyType, Callback, CallbackBuilder};
use serde_json::{Value as Json, json};

fn vectors(family: &str) -> Vec<Json> {
    let path = format!("{}/../vectors/{family}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let vectors = file["vectors"].as_array().unwrap().clone();
    assert_eq!(Some(vectors.len() as u64), file["count"].as_u64(), "{path}");
    vectors
}

fn text<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
    json.get(name)?.as_str()
}

fn decoded(base64: &str) -> Json {
    serde_json::from_slice(&BASE64_STANDARD.decode(base64).unwrap()).unwrap()
}

/// `callbackUrl` and its neighbours, given to the builder. `None` where the builder has no way to say it.
fn builder(callback: &Json, vars: Option<&Json>) -> Option<CallbackBuilder> {
    let members = callback.as_object()?;
    let mut builder = match text(callback, "callbackPolicy") {
        Some(policy) => Callback::policy_builder(policy),
        None => Callback::builder(text(callback, "callbackUrl").unwrap_or_default()).sni(false),
    };
    for (name, value) in members {
        builder = match (name.as_str(), value) {
            ("callbackUrl" | "callbackPolicy", Json::String(_)) => builder,
            ("callbackBody", Json::String(body)) => builder.body(body),
            ("callbackHost", Json::String(host)) => builder.host(host),
            ("callbackBodyType", Json::String(name)) => builder.body_type(BodyType::from_media_type(name)?),
            ("callbackSNI", Json::Bool(sni)) => builder.sni(*sni),
            ("additionalHeaders", Json::Object(headers)) => headers
                .iter()
                .try_fold(builder, |builder, (name, value)| Some(builder.header(name, value.as_str()?)))?,
            _ => return None,
        };
    }
    for (name, value) in vars.and_then(Json::as_object).into_iter().flatten() {
        builder = builder.var(name, value.as_str()?);
    }
    Some(builder)
}

/// The callback of an ali-oss call, in the members' names. Our `var` takes names without `x:` as well.
fn from_ali_oss(input: &Json) -> (Json, Json) {
    let names = [
        ("url", "callbackUrl"),
        ("body", "callbackBody"),
        ("host", "callbackHost"),
        ("contentType", "callbackBodyType"),
        ("callbackSNI", "callbackSNI"),
    ];
    let members = names.iter().filter_map(|(theirs, member)| {
        Some(((*member).to_owned(), input.get(theirs).filter(|value| !value.is_null())?.clone()))
    });
    let custom = input.get("customValue").and_then(Json::as_object).cloned().unwrap_or_default();
    // The caller turns numbers and booleans into text: our variables are text by their type.
    let vars = custom.into_iter().map(|(name, value)| match value {
        Json::String(_) => (name, value),
        other => (name, Json::String(other.to_string())),
    });
    (Json::Object(members.collect()), Json::Object(vars.collect()))
}

/// What SDKs encode, less what OSS takes as the default: we leave `callbackSNI: false` out.
fn without_default_sni(mut callback: Json) -> Json {
    if callback["callbackSNI"] == json!(false) {
        callback.as_object_mut().unwrap().remove("callbackSNI");
    }
    callback
}

#[test]
fn callbacks_are_encoded_as_official_sdks_encode_them() {
    let (mut equal, mut quirks) = (0, 0);
    for vector in vectors("callback_encoding") {
        let (id, expected) = (text(&vector, "id").unwrap(), &vector["expected"]);
        let input = &vector["sdk_input"];
        let (callback, vars) = match input.get("callback") {
            Some(callback) => (callback.clone(), input["callback_var"].clone()),
            None => from_ali_oss(input),
        };
        let builder = builder(&callback, Some(&vars)).unwrap_or_else(|| panic!("{id}"));
        if quirk(id, builder.clone(), expected) {
            quirks += 1;
            continue;
        }
        let built = builder.build().unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(decoded(built.encoded()), without_default_sni(expected["callback_json"].clone()), "{id}");
        let vars = built.encoded_vars().map(decoded);
        assert_eq!(vars, Some(expected["callback_var_json"].clone()).filter(|vars| !vars.is_null()), "{id}");
        let theirs = text(expected, "callback_base64").unwrap_or_else(|| panic!("{id}"));
        let parameters = check_parameters(theirs, text(expected, "callback_var_base64"));
        assert!(parameters.is_ok(), "{id}: {parameters:?}");
        equal += 1;
    }
    assert_eq!((equal, quirks), (14, 6));
}

/// Where an SDK's way is not ours: what we do instead.
fn quirk(id: &str, builder: CallbackBuilder, expected: &Json) -> bool {
    let theirs = text(&expected["callback_json"], "callbackUrl").unwrap_or_default().to_owned();
    match id {
        // ali-oss encodes the URL behind the caller's back. We refuse it and tell the very same form,
        // but for the query, which may hold a token; written so, it is sent as it is.
        "ali-oss-url-space" | "ali-oss-url-unicode" => {
            let error = builder.build().unwrap_err();
            assert_eq!((error.field(), error.ec()), (Some("callback.url"), Some("0007-00000004")), "{id}");
            let told = match theirs.split_once('?') {
                Some((before, _)) => format!("Write `{before}?…`, with the query percent-encoded too."),
                None => format!("Write `{theirs}`."),
            };
            assert_eq!(error.hint(), Some(told.as_str()), "{id}");
            assert_eq!(Callback::new(theirs.as_str()).unwrap().urls(), [theirs]);
        }
        // ali-oss encodes twice what the caller had encoded. We send it as given.
        "ali-oss-url-already-encoded" => {
            assert!(theirs.contains("%25E4"), "{id}");
            let given = "http://example.com/%E4%B8%AD.php?x=%2F";
            assert_eq!(builder.build().unwrap().urls(), [given]);
        }
        // ali-oss sends a `;` that splits the URL in two, and a fragment. We refuse both.
        "ali-oss-url-reserved" => {
            let error = builder.build().unwrap_err();
            assert_eq!(error.field(), Some("callback.url"), "{id}");
            assert!(error.hint().unwrap().contains("%3B"), "{error}");
        }
        // ali-oss puts `x:` before a name that has it already. For us both spellings are one variable.
        "ali-oss-var-prefixed-key" => {
            let built = builder.body("n=${x:uid}").build().unwrap();
            assert_eq!(decoded(built.encoded_vars().unwrap()), json!({"x:uid": "1"}), "{id}");
        }
        // In presigned URLs ali-oss leaves numbers and booleans as they are, which OSS refuses. Ours are
        // text wherever they travel.
        "ali-oss-var-number-bool" => {
            let built = builder.build().unwrap();
            assert_eq!(decoded(built.encoded_vars().unwrap()), expected["callback_var_json"], "{id}");
            let presigned = text(expected, "presigned_callback_var_json_text").unwrap();
            let rejection = check_vars(&BASE64_STANDARD.encode(presigned)).unwrap_err();
            assert_eq!(rejection.ec, Some("0007-00000104"), "{id}");
        }
        _ => return false,
    }
    true
}

/// What OSS answers to a vector's callback, including what it can only tell by resolving the host.
fn answer(vector: &Json) -> Result<Parameters, Rejection> {
    let raw = vector.get("raw").filter(|raw| !raw.is_null());
    if let Some(raw) = raw {
        for parameter in [Parameter::Callback, Parameter::Vars] {
            if text(raw, "header") == Some(parameter.header_name()) {
                assert_eq!(text(raw, "query"), Some(parameter.query_name()));
                one_place(parameter, Some("e30="), Some("e30="))?;
            }
        }
        if let Some(callback) = text(raw, "callback") {
            return check_parameters(callback, None);
        }
        let length = raw["callback_var_base64_length"].as_u64().unwrap() as usize;
        assert_eq!(length, MAX_BASE64 + 1);
        let callback = BASE64_STANDARD.encode(r#"{"callbackUrl":"a.example","callbackBody":"a"}"#);
        return check_parameters(&callback, Some(&"A".repeat(length)));
    }
    let callback = BASE64_STANDARD.encode(text(vector, "callback_json_text").unwrap());
    let vars = text(vector, "callback_var_json_text").map(|vars| BASE64_STANDARD.encode(vars));
    let parameters = check_parameters(&callback, vars.as_deref())?;
    for url in &parameters.urls {
        let address = match url.host() {
            "localhost" => Some(Ipv4Addr::LOCALHOST),
            _ => url.ip(),
        };
        check_addresses(url, &address.map(IpAddr::V4).into_iter().collect::<Vec<_>>())?;
    }
    Ok(parameters)
}

#[test]
fn parameters_are_accepted_and_refused_as_documented() {
    let (mut accepted, mut refused) = (0, 0);
    for vector in vectors("callback_validity") {
        let (id, expected) = (text(&vector, "id").unwrap(), &vector["expected"]);
        let rejection = match answer(&vector) {
            Ok(_) => {
                assert_eq!(expected["valid"], json!(true), "{id}");
                accepted += 1;
                continue;
            }
            Err(rejection) => rejection,
        };
        assert_eq!(expected["valid"], json!(false), "{id}: {rejection}");
        assert_eq!(u64::from(rejection.http_status), expected["http_status"].as_u64().unwrap(), "{id}");
        assert_eq!(Some(rejection.code), text(expected, "code"), "{id}");
        if vector["status"] == "documented" {
            assert_eq!(rejection.ec, text(expected, "ec"), "{id}");
            if let Some(message) = text(expected, "message") {
                assert_eq!(rejection.message, message, "{id}");
            }
        }
        if id == "body-variable-malformed" {
            assert_eq!(rejection.argument_name, "ReplaceKeyPrefix");
        }
        refused += 1;
    }
    assert_eq!((accepted, refused), (6, 16));
}

#[test]
fn the_builder_refuses_what_oss_refuses() {
    let (mut accepted, mut refused, mut beyond) = (0, 0, Vec::new());
    for vector in vectors("callback_validity") {
        let (id, expected) = (text(&vector, "id").unwrap(), &vector["expected"]);
        let json = |name| text(&vector, name).and_then(|text| serde_json::from_str::<Json>(text).ok());
        let vars = json("callback_var_json_text");
        let unreadable_vars = vars.is_none() && text(&vector, "callback_var_json_text").is_some();
        let builder = json("callback_json_text")
            .filter(|_| !unreadable_vars)
            .and_then(|callback| builder(&callback, vars.as_ref()));
        let Some(builder) = builder else {
            beyond.push(id.to_owned());
            continue;
        };
        match (builder.build(), id) {
            // Only a running OSS can tell, and an emulator on loopback must be reachable.
            (Ok(_), "url-localhost" | "url-private") => beyond.push(id.to_owned()),
            (Ok(_), _) => {
                assert_eq!(expected["valid"], json!(true), "{id}");
                accepted += 1;
            }
            (Err(error), _) => {
                assert_eq!(expected["valid"], json!(false), "{id}: {error}");
                assert_eq!(error.ec(), text(expected, "ec"), "{id}: {error}");
                refused += 1;
            }
        }
    }
    beyond.sort();
    // Types that our setters cannot express, and what is not in one place of the callback.
    let expected = [
        "body-not-string",
        "bodytype-not-string",
        "both-header-and-query",
        "not-base64",
        "url-localhost",
        "url-private",
        "var-both-header-and-query",
        "var-nested",
        "var-not-json",
        "var-too-long",
    ];
    assert_eq!(beyond, expected);
    assert_eq!((accepted, refused), (6, 6));
}

#[test]
fn templates_are_filled_in_as_oss_fills_them_in() {
    let mut filled = 0;
    for vector in vectors("callback_substitution") {
        let template = Template::parse(text(&vector, "template").unwrap()).unwrap();
        let body_type = BodyType::from_media_type(text(&vector, "body_type").unwrap()).unwrap();
        let body = template.expand(body_type, |name| {
            match vector["system"].get(name).or_else(|| vector["vars"].get(name))? {
                Json::String(text) => Some(Value::text(text.as_str())),
                number => number.as_u64().map(Value::Number),
            }
        });
        assert_eq!(Some(body.as_str()), text(&vector, "expected"), "{}", vector["id"]);
        filled += 1;
    }
    assert_eq!(filled, 2);
}
