//! `~/.ossutilconfig`, the configuration of the OSS command line tool.

use std::io::ErrorKind as IoErrorKind;

use super::Credentials;
use super::chain::{Found, Miss, Settings};
use super::ini::Ini;
use crate::error::Error;

/// Version 1 writes the section `Credentials`; version 2 has profiles, the first being `default`.
const SECTIONS: [&str; 2] = ["Credentials", "default"];

pub(super) fn locate(settings: &Settings) -> Result<Found, Miss> {
    let Some(path) = settings.environment.home_file(".ossutilconfig") else {
        return Err(Miss::Absent("there is no home directory".to_owned()));
    };
    let ini = Ini::read(&path).map_err(|error| match error.kind() {
        IoErrorKind::NotFound => Miss::Absent("there is no such file".to_owned()),
        _ => Miss::Failed(Error::credentials(format!("cannot be read: {error}"))),
    })?;
    let pair = SECTIONS.into_iter().find_map(|section| {
        let id = ini.get(section, "accessKeyID")?;
        Some((id, ini.get(section, "accessKeySecret")?, ini.get(section, "stsToken")))
    });
    let Some((id, secret, token)) = pair else {
        return Err(Miss::Absent("it has no accessKeyID and accessKeySecret".to_owned()));
    };
    let credentials = Credentials::new(id, secret).and_then(|credentials| match token {
        Some(token) => credentials.with_security_token(token),
        None => Ok(credentials),
    });
    credentials.map(Found::Ready).map_err(Miss::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Environment;
    use crate::credentials::testing::{TempDir, settings};

    fn of(text: &str) -> Result<Found, Miss> {
        let home = TempDir::new();
        home.write(".ossutilconfig", text);
        locate(&settings(Environment::of(&[], Some(home.path()))))
    }

    #[test]
    fn both_versions_of_the_tool_are_read() {
        let first = "[Credentials]\nlanguage=EN\nendpoint=oss-cn-hangzhou.aliyuncs.com\n\
                     accessKeyID=id1\naccessKeySecret=secret\nstsToken=token\n";
        for (text, id) in [(first, "id1"), ("[default]\naccess-key-id=id2\naccess-key-secret=s\n", "id2")] {
            let Ok(Found::Ready(credentials)) = of(text) else { panic!("{text}") };
            assert_eq!(credentials.access_key_id(), id);
        }
    }

    #[test]
    fn a_missing_or_empty_file_is_no_error() {
        assert!(matches!(of("[Default]\nuserAgent=x\n"), Err(Miss::Absent(_))));
        let nowhere = Environment::of(&[], Some(std::path::Path::new("/nowhere")));
        assert!(matches!(locate(&settings(nowhere)), Err(Miss::Absent(_))));
        assert!(matches!(of("[Credentials]\naccessKeyID=a b\naccessKeySecret=s\n"), Err(Miss::Failed(_))));
    }
}
