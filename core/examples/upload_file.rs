//! Uploads a file of any size with a progress bar, and goes on where it was when it is run again.
use std::env;
use std::path::PathBuf;

use indicatif::ProgressBar;
use oss_callback::{Callback, Client, UploadOptions, UploadRequest};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args_os().nth(1).map_or_else(env::current_exe, |path| Ok(PathBuf::from(path)))?;
    let client = Client::builder().build()?;
    let callback = Callback::new(env::var("CALLBACK_URL")?)?;
    let bar = ProgressBar::new(path.metadata()?.len());

    let options = UploadOptions::default().checkpoint(format!("{}.checkpoint", path.display()));
    let request = UploadRequest::new("examplebucket", "film.mp4", path.as_path(), &callback)
        .options(options)
        .progress(move |progress| bar.set_position(progress.bytes_done));
    let reply = client.upload(request)?;

    println!("{}", reply.text());
    Ok(())
}
