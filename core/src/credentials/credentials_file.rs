//! `~/.alibabacloud/credentials.ini`, the file that Alibaba Cloud's SDKs share.

use std::io::ErrorKind as IoErrorKind;
use std::path::PathBuf;

use super::chain::{Found, Miss, Settings};
use super::ecs::EcsRole;
use super::ini::Ini;
use super::{AssumeRole, Credentials, profile};
use crate::error::{Error, Result};

/// Two spellings of the default place are in use.
const PLACES: [&str; 2] = [".alibabacloud/credentials.ini", ".alibabacloud/credentials"];

pub(super) fn locate(settings: &Settings) -> std::result::Result<Found, Miss> {
    let environment = &settings.environment;
    let named = settings.profile.as_deref().or(environment.get("ALIBABA_CLOUD_PROFILE"));
    let profile = named.unwrap_or("default");
    // This is the last of the two files in which a profile may be.
    let without_it = |why: String| match named {
        Some(_) => Miss::Failed(Error::credentials(format!("there is no profile `{profile}`: {why}"))),
        None => Miss::Absent(why),
    };
    let (path, ini) = read(settings).map_err(|miss| match miss {
        Miss::Absent(why) if profile::is_there(environment) => without_it(why),
        miss => miss,
    })?;
    if !ini.has(profile) {
        return Err(without_it(format!("{} has no section [{profile}]", path.display())));
    }
    let fail = |what: &str| Error::credentials(format!("{} [{profile}]: {what}", path.display()));
    let need = |name: &str| ini.get(profile, name).ok_or_else(|| fail(&format!("{name} is missing")));
    let pair = || -> Result<Credentials> {
        Credentials::new(need("access_key_id")?, need("access_key_secret")?)
            .map_err(|error| fail(error.message()))
    };
    let found = match ini.get(profile, "type") {
        Some("access_key") => pair().map(Found::Ready),
        Some("sts") => {
            pair().and_then(|pair| pair.with_security_token(need("security_token")?).map(Found::Ready))
        }
        Some("ecs_ram_role") => Ok(Found::AskEcs(EcsRole::new(settings, ini.get(profile, "role_name")))),
        Some("ram_role_arn") => pair().and_then(|pair| {
            let mut assume = AssumeRole::new(pair, need("role_arn")?);
            assume.sts = settings.sts();
            assume.role.session_name = ini.get(profile, "role_session_name").map(str::to_owned);
            assume.role.policy = ini.get(profile, "policy").map(str::to_owned);
            Ok(Found::Ask(Box::new(assume)))
        }),
        Some(other) => {
            let known = "access_key, sts, ecs_ram_role, ram_role_arn";
            let file = path.display();
            let message =
                format!("{file} [{profile}] is of type `{other}`, which is not supported ({known})");
            return Err(Miss::Failed(Error::credentials(message)));
        }
        None => Err(fail("type is missing")),
    };
    found.map_err(Miss::Failed)
}

fn read(settings: &Settings) -> std::result::Result<(PathBuf, Ini), Miss> {
    let environment = &settings.environment;
    let named = environment.get("ALIBABA_CLOUD_CREDENTIALS_FILE").map(PathBuf::from);
    let places = match &named {
        Some(path) => vec![path.clone()],
        None => PLACES.iter().filter_map(|place| environment.home_file(place)).collect(),
    };
    for path in places {
        match Ini::read(&path) {
            Ok(ini) => return Ok((path, ini)),
            Err(error) if error.kind() == IoErrorKind::NotFound && named.is_none() => {}
            Err(error) => {
                let message = format!("{} cannot be read: {error}", path.display());
                return Err(Miss::Failed(Error::credentials(message)));
            }
        }
    }
    Err(Miss::Absent("there is no such file".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Environment;
    use crate::credentials::testing::{STS_ANSWER, Stub, TempDir, settings};

    const FILE: &str = "[default]\ntype = access_key\naccess_key_id = ini-id\naccess_key_secret = s\n\
        [role]\ntype=ram_role_arn\naccess_key_id=base\naccess_key_secret=s\nrole_arn=acs:ram::1:role/r\n\
        role_session_name=n\n[half]\ntype=access_key\naccess_key_id=x\n[odd]\ntype=rsa_key_pair\n";

    fn of(profile: Option<&str>, sts: Option<String>) -> std::result::Result<Found, Miss> {
        let home = TempDir::new();
        home.write(".alibabacloud/credentials.ini", FILE);
        let environment = Environment::of(&[], Some(home.path()));
        let profile = profile.map(str::to_owned);
        locate(&Settings { profile, sts_endpoint: sts, ..settings(environment) })
    }

    #[test]
    fn the_default_section_is_taken_unless_another_is_named() {
        let Ok(Found::Ready(credentials)) = of(None, None) else { panic!() };
        assert_eq!(credentials.access_key_id(), "ini-id");
        let stub = Stub::start(|_| (200, STS_ANSWER.to_owned()));
        let Ok(Found::Ask(provider)) = of(Some("role"), Some(stub.url())) else { panic!() };
        assert_eq!(provider.provide().unwrap().access_key_id(), "STS.id");
        assert!(stub.requests()[0].target.contains("AccessKeyId=base"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let Err(Miss::Failed(error)) = of(Some("half"), None) else { panic!() };
        assert!(error.message().ends_with("[half]: access_key_secret is missing"), "{error}");
        let Err(Miss::Failed(error)) = of(Some("odd"), None) else { panic!() };
        assert!(error.message().contains("`rsa_key_pair`"), "{error}");
        let Err(Miss::Failed(error)) = of(Some("none"), None) else { panic!() };
        assert!(error.message().contains("no profile `none`"), "{error}");
        let environment = Environment::of(&[("ALIBABA_CLOUD_CREDENTIALS_FILE", "/nowhere/c")], None);
        assert!(matches!(locate(&settings(environment)), Err(Miss::Failed(_))));
    }

    #[test]
    fn a_profile_that_is_named_and_in_neither_file_is_a_mistake_where_one_is() {
        let home = TempDir::new();
        let named = || Environment::of(&[("ALIBABA_CLOUD_PROFILE", "prdo")], Some(home.path()));
        assert!(matches!(locate(&settings(named())), Err(Miss::Absent(_))), "there is no file at all");
        home.write(".aliyun/config.json", "{}");
        let Err(Miss::Failed(error)) = locate(&settings(named())) else { panic!() };
        assert!(error.message().contains("no profile `prdo`"), "{error}");
        let unnamed = Environment::of(&[], Some(home.path()));
        assert!(matches!(locate(&settings(unnamed)), Err(Miss::Absent(_))));
    }
}
