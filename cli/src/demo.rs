//! `demo`: one upload with a callback on this machine, told hop by hop. Nothing is staged: the client of
//! the library uploads to the emulator, the emulator checks the signature and calls the application
//! server, and what is shown is what each of them saw.

use std::sync::mpsc;

use clap::Command;
use oss_callback::{BodyType, Callback, CallbackReply, Client};
use oss_callback_emulator::{Emulator, Event};

use crate::app_server::{AppServer, Message};
use crate::failure::Failure;
use crate::local_oss::{self, Settings};
use crate::put::write_body;
use crate::story::{Cast, Story};
use crate::text::{Paint, tell};

const BUCKET: &str = "examplebucket";
const KEY: &str = "exampledir/exampleobject.txt";
const DATA: &str = "Hello OSS";

/// OSS puts the quotes around text itself, so the template has none.
const BODY: &str = "{\"bucket\":${bucket},\"object\":${object},\"size\":${size},\"etag\":${etag},\
                    \"mimeType\":${mimeType},\"user\":${x:user},\"order\":${x:order}}";

/// The subcommand.
pub fn command() -> Command {
    Command::new("demo").about("See one upload with a callback, hop by hop, offline").long_about(
        "Starts an emulator of OSS and a small application server on this machine, uploads \"Hello OSS\" \
         with a callback, and tells on standard error what each of them sent and saw. Last, alone on standard \
         output, comes the callback's body that the uploader receives. Needs no account and no network, and \
         leaves nothing behind.",
    )
}

/// Runs it.
pub fn run() -> Result<(), Failure> {
    let (seen, events) = mpsc::channel();
    let oss = local_oss::start(&Settings::default(), move |event| {
        // Nobody listens any more once the story is told.
        let _ = seen.send(event.clone());
    })?;
    let app = AppServer::start(local_oss::verifier(&oss)?)
        .map_err(|error| Failure::other(format!("the application server could not start: {error}")))?;
    let story = Story { paint: Paint::for_stderr() };
    tell(story.opening(&Cast {
        endpoint: &oss.endpoint(),
        region: oss.region(),
        callback_url: &app.callback_url(),
        target: &format!("oss://{BUCKET}/{KEY}"),
    }));
    let result = upload(&oss, &app.callback_url());
    let calls = app.calls();
    drop(app);
    oss.stop();
    for event in events.try_iter() {
        if let Event::Arrived(head) = event {
            let start = format!("{} {} HTTP/1.1", head.method, head.target);
            tell(story.upload(&Message { start, headers: head.headers, body: DATA.into() }));
        }
    }
    for call in &calls {
        tell(story.callback(call));
    }
    let reply = result.map_err(|error| Failure::library(error, None))?;
    tell(story.reply(&[
        ("ETag", reply.etag().map(str::to_owned)),
        ("CRC-64", reply.crc64().map(|crc| crc.to_string())),
        ("request id", reply.request_id().map(str::to_owned)),
        ("content type", reply.content_type().map(str::to_owned)),
    ]));
    write_body(&reply)
}

fn upload(oss: &Emulator, callback_url: &str) -> oss_callback::Result<CallbackReply> {
    let client = Client::builder()
        .endpoint(oss.endpoint())
        .region(oss.region())
        .access_key_id(oss.access_key_id())
        .access_key_secret(oss.access_key_secret())
        .build()?;
    let callback = Callback::builder(callback_url)
        .body(BODY)
        .body_type(BodyType::Json)
        .var("user", "alice")
        .var("order", "1024")
        .build()?;
    client.put_object_with_callback(BUCKET, KEY, DATA, &callback)
}
