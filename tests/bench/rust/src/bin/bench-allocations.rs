//! How often one PUT with a callback asks for memory, on a warm client: `bench-allocations rust put
//! endpoint=… n=…` prints `{"allocations_per_put":…,"bytes_per_put":…}`.

use std::alloc::System;

use bytes::Bytes;
use oss_callback::{Callback, Client};
use oss_callback_bench::arguments::Arguments;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read()?;
    let client = Client::builder()
        .endpoint(arguments.text("endpoint")?)
        .region("cn-hangzhou")
        .proxy("none")
        .access_key_id("LTAI5tExampleKeyId0001")
        .access_key_secret("ExampleSecretKey/for+tests=0001")
        .build()?;
    let callback = Callback::builder("http://app.example.com/oss/cb").var("uid", "12345").build()?;
    let (data, n) = (Bytes::from(vec![0x5a; 4096]), arguments.number("n", 100_u32)?);
    let put = || client.put_object_with_callback("examplebucket", "k/1", data.clone(), &callback).map(drop);
    for _ in 0..20 {
        put()?;
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..n {
        put()?;
    }
    let change = region.change();
    let each = |total: usize| total as f64 / f64::from(n);
    println!(
        "{{\"allocations_per_put\":{},\"bytes_per_put\":{}}}",
        each(change.allocations + change.reallocations),
        each(change.bytes_allocated)
    );
    Ok(())
}
