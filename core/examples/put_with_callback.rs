//! Uploads an object and prints what the application server answered. The README shows this file.
//!
//! `oss-callback serve` prints an environment to try it with; `CALLBACK_URL` is your application server's.

use std::env;

use oss_callback::{Callback, Client};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Endpoint, region and credentials come from the environment unless they are given here.
    let client = Client::builder().build()?;
    let callback = Callback::builder(env::var("CALLBACK_URL")?).var("order", "42").build()?;

    let reply = client.put_object_with_callback("examplebucket", "hello.txt", "Hello OSS", &callback)?;

    println!("{}", reply.text());
    Ok(())
}
