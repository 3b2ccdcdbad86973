//! Uploads with a sealed callback. docs/verifying.md shows this file.

use std::{env, time::Duration};

use oss_callback::{Callback, Client};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().build()?;
    let callback = Callback::builder(env::var("CALLBACK_URL")?)
        .var("order", "42")
        .seal(env::var("SEAL_SECRET")?, Duration::from_secs(600))
        .build()?;

    let reply = client.put_object_with_callback("examplebucket", "hello.txt", "Hello OSS", &callback)?;
    println!("{}", reply.text());
    Ok(())
}
