//! A credentials URI: a server, often a sidecar, that hands temporary credentials out as JSON.

use std::time::Duration;

use http::Method;

use super::ANSWER_BYTES_MAX;
use super::answer::{self, Answer};
use super::chain::{Found, Miss, Settings};
use super::{Credentials, CredentialsProvider, Secret};
use crate::error::{Error, Result};
use crate::transport::{Fetch, FetchSettings, fetch};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct CredentialsUri {
    /// It may hold a password or a token.
    pub uri: Secret,
    pub http: FetchSettings,
}

pub(super) fn locate(settings: &Settings) -> std::result::Result<Found, Miss> {
    let variable = settings.environment.get("ALIBABA_CLOUD_CREDENTIALS_URI");
    match settings.credentials_uri.clone().or(variable.map(Secret::from)) {
        Some(uri) => Ok(Found::Ask(Box::new(CredentialsUri { uri, http: settings.http.clone() }))),
        None => Err(Miss::Absent("ALIBABA_CLOUD_CREDENTIALS_URI is not set".to_owned())),
    }
}

impl CredentialsProvider for CredentialsUri {
    fn provide(&self) -> Result<Credentials> {
        let about = |message: &str| Error::credentials(format!("the credentials URI: {message}"));
        let answer = fetch(
            &self.http,
            Fetch {
                method: Method::GET,
                url: self.uri.expose(),
                headers: &[],
                form: None,
                connect_timeout: CONNECT_TIMEOUT,
                timeout: TIMEOUT,
                bytes_max: ANSWER_BYTES_MAX,
            },
        )
        .map_err(|failure| about(&failure.message))?;
        if answer.status != 200 {
            return Err(about(&format!("the server answers {}", answer.status)));
        }
        let answer: Answer = answer::parse(&answer.body).map_err(|error| about(error.message()))?;
        if let Some(code) = answer.code.as_deref().filter(|code| *code != "Success") {
            return Err(about(&format!("the server says `{code}`")));
        }
        answer.credentials().map_err(|error| about(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Environment;
    use crate::credentials::testing::{ECS_ANSWER, Stub, settings};

    fn provide(uri: &str) -> Result<Credentials> {
        let environment = Environment::of(&[("ALIBABA_CLOUD_CREDENTIALS_URI", uri)], None);
        match locate(&settings(environment)) {
            Ok(Found::Ask(provider)) => provider.provide(),
            _ => panic!("not located"),
        }
    }

    #[test]
    fn credentials_are_taken_from_the_uri() {
        let stub = Stub::start(|_| (200, ECS_ANSWER.to_owned()));
        assert_eq!(provide(&format!("{}/creds?a=b", stub.url())).unwrap().access_key_id(), "STS.ecs");
        assert_eq!(stub.requests()[0].target, "/creds?a=b");
    }

    #[test]
    fn errors_tell_what_is_wrong_but_not_the_uri() {
        let stub = Stub::start(|_| (401, "s3cret".to_owned()));
        let cases = [format!("{}/?t=s3cret", stub.url()), "file:///s3cret".to_owned(), "s3cret".to_owned()];
        for (uri, part) in cases.iter().zip(["answers 401", "must start with http", "not a URL"]) {
            let error = provide(uri).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn it_works_on_a_thread_that_runs_asynchronous_code() {
        let stub = Stub::start(|_| (200, ECS_ANSWER.to_owned()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { provide(&stub.url()).unwrap() });
    }
}
