//! Starts what the tests of every language need, prints where it is as `NAME=value` lines, then
//! `READY`, and stays until its standard input closes: an emulator (`OSS_*`, `STS_*`; its key for
//! callbacks in `OSS_PUBLIC_KEY_FILE`, its control API at `CONTROL_URL`), an application server
//! (`APP_URL`), an OSS that misbehaves (`FAULTY_ENDPOINT`), and a port where nobody listens
//! (`DEAD_ENDPOINT`, `DEAD_URL`).

use std::error::Error;
use std::io::{Read, Write};

use oss_callback_emulator::{AccessKey, Emulator};
use oss_callback_tests::{app_server::AppServer, faulty_oss, http::ClosedPort};

const STS: (&str, &str, &str) = ("STS.TestbedKeyId", "TestbedStsSecret", "TestbedSecurityToken");

fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::builder()
        .access_key(AccessKey::new("TestbedKeyId", "TestbedKeySecret"))
        .access_key(AccessKey::temporary(STS.0, STS.1, STS.2, None))
        .control(true)
        .start()?;
    let app = AppServer::start()?;
    let faulty = faulty_oss::start()?;
    let dead = ClosedPort::take()?;

    // A file, for its lines do not fit the format below.
    let key_file = std::env::temp_dir().join(format!("oss-callback-testbed-{}.pem", std::process::id()));
    std::fs::write(&key_file, emulator.public_key_pem())?;

    let mut out = std::io::stdout().lock();
    for (name, value) in [
        ("OSS_ENDPOINT", emulator.endpoint()),
        ("OSS_REGION", emulator.region().to_owned()),
        ("OSS_ACCESS_KEY_ID", emulator.access_key_id().to_owned()),
        ("OSS_ACCESS_KEY_SECRET", emulator.access_key_secret().to_owned()),
        ("STS_ACCESS_KEY_ID", STS.0.to_owned()),
        ("STS_ACCESS_KEY_SECRET", STS.1.to_owned()),
        ("STS_TOKEN", STS.2.to_owned()),
        ("OSS_PUBLIC_KEY_FILE", key_file.display().to_string()),
        ("APP_URL", app.url("")),
        ("CONTROL_URL", emulator.control_url().unwrap_or_default()),
        ("FAULTY_ENDPOINT", faulty.url()),
        ("DEAD_ENDPOINT", dead.url()),
        ("DEAD_URL", dead.url()),
    ] {
        writeln!(out, "{name}={value}")?;
    }
    writeln!(out, "READY")?;
    out.flush()?;
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    std::fs::remove_file(&key_file)?;
    Ok(())
}
