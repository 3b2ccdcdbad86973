//! OIDC, also known as RRSA: a pod's token file against temporary credentials of a RAM role.

use std::path::PathBuf;
use std::time::SystemTime;

use super::chain::{Found, Miss, Settings};
use super::sts::{self, Role, Sts};
use super::{Credentials, CredentialsProvider, Secret};
use crate::error::{Error, Result};

/// Swaps a token for credentials. The token file is read each time: its owner replaces it.
pub(super) struct Oidc {
    pub role: Role,
    pub provider_arn: String,
    pub token_file: PathBuf,
    pub sts: Sts,
}

/// What a pod's environment says.
pub(super) fn locate(settings: &Settings) -> std::result::Result<Found, Miss> {
    let environment = &settings.environment;
    let names =
        ["ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE"];
    let values = names.map(|name| environment.get(name));
    let [Some(arn), Some(provider), Some(file)] = values else {
        let missing: Vec<&str> = names
            .into_iter()
            .zip(values)
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name)
            .collect();
        let (last, first) = missing.split_last().unwrap_or((&"", &[]));
        let list =
            if first.is_empty() { (*last).to_owned() } else { format!("{} and {last}", first.join(", ")) };
        let verb = if first.is_empty() { "is" } else { "are" };
        return Err(Miss::Absent(format!("{list} {verb} not set")));
    };
    Ok(Found::Ask(Box::new(Oidc {
        role: Role {
            arn: arn.to_owned(),
            session_name: environment.get("ALIBABA_CLOUD_ROLE_SESSION_NAME").map(str::to_owned),
            ..Role::default()
        },
        provider_arn: provider.to_owned(),
        token_file: PathBuf::from(file),
        sts: settings.sts(),
    })))
}

impl CredentialsProvider for Oidc {
    fn provide(&self) -> Result<Credentials> {
        let token = std::fs::read_to_string(&self.token_file).map(Secret::new).map_err(|error| {
            let path = self.token_file.display();
            Error::credentials(format!("the OIDC token file {path} cannot be read: {error}"))
        })?;
        let token = token.expose().trim();
        if token.is_empty() {
            let message = format!("the OIDC token file {} is empty", self.token_file.display());
            return Err(Error::credentials(message));
        }
        let mut parameters = self.role.parameters()?;
        parameters.push(("OIDCProviderArn", Secret::new(self.provider_arn.as_str())));
        parameters.push(("OIDCToken", Secret::new(token)));
        self.sts.call("AssumeRoleWithOIDC", &parameters, None, SystemTime::now())
    }
}

/// The STS that settings and environment ask for.
impl Settings {
    pub(super) fn sts(&self) -> Sts {
        let endpoint = sts::endpoint_by(&self.environment, self.sts_endpoint.as_deref());
        Sts { endpoint, http: self.http.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Environment;
    use crate::credentials::testing::{STS_ANSWER, Stub, TempDir, settings};

    fn oidc(stub: &Stub, token_file: &str) -> Box<dyn CredentialsProvider> {
        let environment = Environment::of(
            &[
                ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/r"),
                ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/p"),
                ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token_file),
                ("ALIBABA_CLOUD_ROLE_SESSION_NAME", "pod"),
            ],
            None,
        );
        match locate(&Settings { sts_endpoint: Some(stub.url()), ..settings(environment) }) {
            Ok(Found::Ask(provider)) => provider,
            _ => panic!("not located"),
        }
    }

    #[test]
    fn the_token_is_read_anew_and_sent_unsigned_in_the_body() {
        let stub = Stub::start(|_| (200, STS_ANSWER.to_owned()));
        let folder = TempDir::new();
        let file = folder.write("token", "tok-1\n");
        let provider = oidc(&stub, file.to_str().unwrap());
        assert_eq!(provider.provide().unwrap().access_key_id(), "STS.id");
        folder.write("token", "tok-2");
        provider.provide().unwrap();
        let requests = stub.requests();
        assert!(requests[0].body.ends_with("&OIDCToken=tok-1"), "{}", requests[0].body);
        assert!(requests[0].body.contains("RoleSessionName=pod"), "{}", requests[0].body);
        assert!(requests[1].body.ends_with("&OIDCToken=tok-2"), "{}", requests[1].body);
        assert!(requests[0].target.contains("Action=AssumeRoleWithOIDC"));
        assert!(!requests[0].target.contains("Signature"), "{}", requests[0].target);
    }

    #[test]
    fn a_missing_token_file_is_named() {
        let stub = Stub::start(|_| (200, STS_ANSWER.to_owned()));
        let error = oidc(&stub, "/nowhere/token").provide().unwrap_err();
        assert!(error.message().contains("/nowhere/token cannot be read"), "{error}");
    }

    #[test]
    fn every_missing_variable_is_named() {
        let environment = Environment::of(&[("ALIBABA_CLOUD_ROLE_ARN", "x")], None);
        let Err(Miss::Absent(why)) = locate(&settings(environment)) else { panic!("located") };
        assert_eq!(why, "ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE are not set");
    }
}
