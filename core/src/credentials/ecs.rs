//! The RAM role of the ECS instance this runs on, told by its metadata service.

use std::time::Duration;

use http::Method;

use super::ANSWER_BYTES_MAX;
use super::answer::{self, Answer};
use super::chain::{Found, Miss, Settings};
use super::{Credentials, CredentialsProvider, Secret};
use crate::error::{Error, Result};
use crate::transport::{Failure, FailureCause, Fetch, FetchSettings, Fetched, fetch};

/// Link-local: it either answers in a millisecond or is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);

const ENDPOINT: &str = "http://100.100.100.200";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";

/// Some networks take every connection, so that something seems to be there.
const NO_INSTANCE: &str = "If this is no ECS instance, set ALIBABA_CLOUD_ECS_METADATA_DISABLED to true";

/// Asks by the metadata service's second version, and by the first unless that is disabled.
#[derive(Clone, Debug)]
pub(super) struct EcsRole {
    /// Asked for, where it is not known.
    pub name: Option<String>,
    pub endpoint: String,
    pub v1_disabled: bool,
    pub http: FetchSettings,
}

/// Why there are no credentials.
enum Trouble {
    /// There is no metadata service, so this is no ECS instance.
    NotHere(String),
    Failed(Error),
}

/// How the metadata service is to be asked.
struct Access {
    /// The second version's session token; none where only the first version answers.
    token: Option<Secret>,
    /// Whether the service has answered at all, be it with a refusal.
    answered: bool,
}

impl EcsRole {
    pub fn new(settings: &Settings, name: Option<&str>) -> EcsRole {
        let endpoint = settings.metadata_endpoint.as_deref().unwrap_or(ENDPOINT);
        EcsRole {
            name: name.map(str::to_owned),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            v1_disabled: settings.environment.is_true("ALIBABA_CLOUD_IMDSV1_DISABLED"),
            http: settings.http.clone(),
        }
    }

    /// As [`provide`](CredentialsProvider::provide), but tells an absent service from a failing one.
    pub fn ask(&self) -> std::result::Result<Credentials, Miss> {
        match self.obtain() {
            Ok(credentials) => Ok(credentials),
            // With a role's name given, this is meant to be an ECS instance.
            Err(Trouble::NotHere(why)) if self.name.is_none() => Err(Miss::Absent(why)),
            Err(Trouble::NotHere(why)) => Err(Miss::Failed(Error::credentials(why))),
            Err(Trouble::Failed(error)) => Err(Miss::Failed(error)),
        }
    }

    fn obtain(&self) -> std::result::Result<Credentials, Trouble> {
        let mut access = self.access()?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => self.role_name(&mut access)?,
        };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte)) {
            return Err(Trouble::Failed(Error::credentials(format!("`{name}` is not a RAM role's name"))));
        }
        let answer = self.get(&format!("{ROLES}{name}"), &mut access)?;
        if answer.status == 404 {
            let message = format!("the instance has no RAM role `{name}`");
            return Err(Trouble::Failed(Error::credentials(message)));
        }
        expect_success(&answer, "the role's credentials").map_err(Trouble::Failed)?;
        let about = |error: Error| {
            Trouble::Failed(Error::credentials(format!("the metadata service: {}", error.message())))
        };
        let answer: Answer = answer::parse(&answer.body).map_err(about)?;
        if let Some(code) = answer.code.as_deref().filter(|code| *code != "Success") {
            let message = format!("the metadata service says `{code}` of the role `{name}`");
            return Err(Trouble::Failed(Error::credentials(message)));
        }
        answer.credentials().map_err(about)
    }

    fn access(&self) -> std::result::Result<Access, Trouble> {
        let (answered, why) = match self.fetch(
            Method::PUT,
            "/latest/api/token",
            &[(
                "x-aliyun-ecs-metadata-token-ttl-seconds",
                // It is needed for two requests.
                "60",
            )],
        ) {
            Ok(answer) if answer.status == 200 => {
                let token = std::str::from_utf8(&answer.body).unwrap_or_default().trim();
                if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Ok(Access { token: Some(Secret::new(token)), answered: true });
                }
                (true, "an unusable token".to_owned())
            }
            Ok(answer) => (true, format!("status {}", answer.status)),
            // The first version listens at the same place, so there is no point in trying it.
            Err(failure) if finds_nobody(&failure) => return Err(self.not_here(&failure)),
            // From a container, answers to the second version can be lost on the way: too many hops.
            Err(failure) => (false, failure.message),
        };
        if self.v1_disabled {
            let message = format!(
                "the metadata service gives no IMDSv2 token ({why}), and ALIBABA_CLOUD_IMDSV1_DISABLED is true"
            );
            return Err(Trouble::Failed(Error::credentials(message)));
        }
        Ok(Access { token: None, answered })
    }

    fn role_name(&self, access: &mut Access) -> std::result::Result<String, Trouble> {
        let answer = self.get(ROLES, access)?;
        if answer.status == 404 {
            return Err(Trouble::NotHere("the ECS instance has no RAM role".to_owned()));
        }
        expect_success(&answer, "the role's name").map_err(Trouble::Failed)?;
        let name = String::from_utf8_lossy(&answer.body).lines().next().unwrap_or("").trim().to_owned();
        if name.is_empty() {
            return Err(Trouble::NotHere("the ECS instance has no RAM role".to_owned()));
        }
        Ok(name)
    }

    fn get(&self, path: &str, access: &mut Access) -> std::result::Result<Fetched, Trouble> {
        let header = access.token.as_ref().map(|token| ("x-aliyun-ecs-metadata-token", token.expose()));
        match self.fetch(Method::GET, path, header.as_slice()) {
            Ok(answer) => {
                access.answered = true;
                Ok(answer)
            }
            Err(failure) if finds_nobody(&failure) && !access.answered => Err(self.not_here(&failure)),
            // Somebody is there and in trouble: another identity must not step in for the role.
            Err(failure) => {
                let message = format!("the metadata service at {} fails: {}", self.host(), failure.message);
                Err(Trouble::Failed(Error::credentials(message).with_hint(NO_INSTANCE)))
            }
        }
    }

    fn fetch(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> std::result::Result<Fetched, Failure> {
        // Never through a proxy: it would answer for another machine.
        let http = FetchSettings { proxy: crate::transport::ProxyChoice::None, ..self.http.clone() };
        fetch(
            &http,
            Fetch {
                method,
                url: &format!("{}{path}", self.endpoint),
                headers,
                form: None,
                connect_timeout: CONNECT_TIMEOUT,
                timeout: TIMEOUT,
                bytes_max: ANSWER_BYTES_MAX,
            },
        )
    }

    fn not_here(&self, failure: &Failure) -> Trouble {
        let host = self.host();
        Trouble::NotHere(format!("the metadata service at {host} cannot be reached: {}", failure.message))
    }

    fn host(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }
}

fn finds_nobody(failure: &Failure) -> bool {
    matches!(failure.cause, FailureCause::Connect | FailureCause::ConnectTimeout)
}

fn expect_success(answer: &Fetched, what: &str) -> Result<()> {
    match answer.status {
        200 => Ok(()),
        status => {
            Err(Error::credentials(format!("the metadata service answers {status} when asked for {what}")))
        }
    }
}

impl CredentialsProvider for EcsRole {
    fn provide(&self) -> Result<Credentials> {
        self.ask().map_err(|miss| match miss {
            Miss::Absent(why) => Error::credentials(why),
            Miss::Failed(error) => error,
        })
    }
}

/// The instance's role, unless the environment says not to look.
pub(super) fn locate(settings: &Settings) -> std::result::Result<Found, Miss> {
    let environment = &settings.environment;
    if environment.is_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
        return Err(Miss::Absent("ALIBABA_CLOUD_ECS_METADATA_DISABLED is true".to_owned()));
    }
    let name = settings.ecs_role_name.as_deref().or(environment.get("ALIBABA_CLOUD_ECS_METADATA"));
    Ok(Found::AskEcs(EcsRole::new(settings, name)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::credentials::Environment;
    use crate::credentials::testing::{ECS_ANSWER, Request, Stub, settings};

    fn role(stub: &Stub, variables: &[(&'static str, &str)]) -> EcsRole {
        let environment = Environment::of(variables, None);
        match locate(&Settings { metadata_endpoint: Some(stub.url()), ..settings(environment) }) {
            Ok(Found::AskEcs(role)) => role,
            _ => panic!("not located"),
        }
    }

    fn metadata(request: &Request) -> (u16, String) {
        match (request.method.as_str(), request.target.as_str()) {
            ("PUT", "/latest/api/token") => (200, "tok".to_owned()),
            ("GET", ROLES) => (200, "my-role\n".to_owned()),
            ("GET", path) if path == format!("{ROLES}my-role") => (200, ECS_ANSWER.to_owned()),
            _ => (404, String::new()),
        }
    }

    fn only_v1(request: &Request) -> (u16, String) {
        if request.method == "PUT" { (403, String::new()) } else { metadata(request) }
    }

    #[test]
    fn the_second_version_is_asked_with_its_token() {
        let stub = Stub::start(metadata);
        let credentials = role(&stub, &[]).provide().unwrap();
        assert_eq!(credentials.access_key_id(), "STS.ecs");
        assert!(credentials.expires_at().is_some());
        let requests = stub.requests();
        assert_eq!(requests.len(), 3);
        assert!(requests[0].head.contains("x-aliyun-ecs-metadata-token-ttl-seconds: 60"));
        for request in &requests[1..] {
            assert!(request.head.contains("x-aliyun-ecs-metadata-token: tok"), "{}", request.head);
        }
    }

    #[test]
    fn a_named_role_is_not_asked_for() {
        let stub = Stub::start(metadata);
        role(&stub, &[("ALIBABA_CLOUD_ECS_METADATA", "my-role")]).provide().unwrap();
        assert_eq!(stub.requests().len(), 2);
    }

    #[test]
    fn the_first_version_serves_where_there_is_no_second() {
        let stub = Stub::start(only_v1);
        assert_eq!(role(&stub, &[]).provide().unwrap().access_key_id(), "STS.ecs");
        assert!(!stub.requests()[2].head.contains("metadata-token"));
    }

    #[test]
    fn the_first_version_is_not_asked_when_it_is_disabled() {
        let stub = Stub::start(only_v1);
        let error = role(&stub, &[("ALIBABA_CLOUD_IMDSV1_DISABLED", "TRUE")]).provide().unwrap_err();
        assert!(error.message().contains("ALIBABA_CLOUD_IMDSV1_DISABLED"), "{error}");
        assert_eq!(stub.requests().len(), 1);
    }

    /// Each connection gets one of the answers, and after the last nobody listens any more. An empty one
    /// closes the connection without a word.
    fn metadata_that_ends_after(answers: &'static [&'static str]) -> EcsRole {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut listener = Some(listener);
            for (index, answer) in answers.iter().enumerate() {
                let mut stream = listener.as_ref().unwrap().accept().unwrap().0;
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                if index + 1 == answers.len() {
                    listener = None;
                }
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let settings = Settings { metadata_endpoint: Some(endpoint), ..settings(Environment::of(&[], None)) };
        EcsRole::new(&settings, None)
    }

    const TOKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\ntok";
    const REFUSAL: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const NAME: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nr";
    const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nr";

    #[test]
    fn a_service_that_breaks_off_is_a_failure_and_no_absence() {
        let scripts: [&[&str]; 6] =
            [&[TOKEN], &[TOKEN, ""], &[TOKEN, CUT], &[TOKEN, NAME], &[REFUSAL], &["", ""]];
        for script in scripts {
            let Err(Miss::Failed(error)) = metadata_that_ends_after(script).ask() else {
                panic!("{script:?} is taken for an absence");
            };
            assert!(error.message().contains(" fails: "), "{script:?}: {error}");
            assert!(error.hint().unwrap().contains("ECS_METADATA_DISABLED"), "{script:?}");
        }
    }

    #[test]
    fn where_nothing_was_ever_answered_a_failure_to_connect_is_absence() {
        assert!(matches!(metadata_that_ends_after(&[""]).ask(), Err(Miss::Absent(_))));
    }

    #[test]
    fn an_unreachable_service_is_absence_but_a_failing_one_is_a_failure() {
        let closed = Stub::closed_url();
        let absent = EcsRole { endpoint: closed, ..role(&Stub::start(metadata), &[]) };
        assert!(matches!(absent.ask(), Err(Miss::Absent(why)) if why.contains("cannot be reached")));
        let named = EcsRole { name: Some("r".to_owned()), ..absent };
        assert!(matches!(named.ask(), Err(Miss::Failed(_))));
        let stub = Stub::start(|_| (500, String::new()));
        assert!(matches!(role(&stub, &[]).ask(), Err(Miss::Failed(_))));
        let stub = Stub::start(|_| (404, String::new()));
        assert!(matches!(role(&stub, &[]).ask(), Err(Miss::Absent(why)) if why.contains("no RAM role")));
    }
}
