//! Uploads an object and prints what the application server answered. The README shows this file.
//!
//! `oss-callback serve` prints an environment to try it with; `CALLBACK_URL` is your application server's.

use std::env;

use oss_callback::{Callback, Client};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Credentials come from OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET (or a profile, a RAM role, …)
    // unless they are given here.
    let client =
        Client::builder().endpoint(env::var("OSS_ENDPOINT")?).region(env::var("OSS_REGION")?).build()?;
    let callback = Callback::builder(env::var("CALLBACK_URL")?).var("order", "42").build()?;

    let reply = client.put_object_with_callback("examplebucket", "hello.txt", "Hello OSS", &callback)?;

    println!("{}", reply.text());
    Ok(())
}
