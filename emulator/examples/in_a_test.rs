//! What a test of one's own does with the emulator. docs/emulator.md shows it.

use oss_callback::{Callback, Client, ErrorKind};
use oss_callback_emulator::Emulator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // On a free port and threads of its own; it ends with this value.
    let oss = Emulator::builder().start()?;
    let client = Client::builder()
        .endpoint(oss.endpoint())
        .region(oss.region())
        .access_key_id(oss.access_key_id())
        .access_key_secret(oss.access_key_secret())
        .build()?;
    // The first try is turned away, and no application server listens there.
    oss.inject_script("error status=503 code=ServiceUnavailable on=PutObject")?;
    let callback = Callback::new("http://127.0.0.1:9/oss/uploaded")?;

    let result = client.put_object_with_callback("examplebucket", "hello.txt", "Hello OSS", &callback);

    assert_eq!(result.unwrap_err().kind(), ErrorKind::CallbackFailed);
    assert_eq!(oss.object("examplebucket", "hello.txt").unwrap().data, "Hello OSS");
    assert_eq!((oss.requests().len(), oss.callbacks().len()), (2, 1));
    Ok(())
}
