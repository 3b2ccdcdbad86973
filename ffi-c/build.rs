//! Names the shared library: without it, programs would record the path that they were linked with.

fn main() {
    let name = match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "freebsd") => Some("-Wl,-soname,liboss_callback.so.0"),
        Ok("macos") => Some("-Wl,-install_name,@rpath/liboss_callback.0.dylib"),
        _ => None,
    };
    if let Some(name) = name {
        println!("cargo::rustc-cdylib-link-arg={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
