//! Names the shared library: without it, programs would record the path that they were linked with.

fn main() {
    let soname = "liboss_callback.so.0";
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| matches!(os.as_str(), "linux" | "freebsd")) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
