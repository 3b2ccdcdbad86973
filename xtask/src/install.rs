//! `cargo xtask install --prefix P`: the C library as packagers want it, without cargo-c: shared and static
//! library, headers, and the files by which pkg-config and CMake find them. What is installed may be moved.

use std::fs;
use std::path::{Path, PathBuf};

use crate::runner::Run;
use crate::steps::NATIVE_LIBRARIES;

const USAGE: &str = "usage: cargo xtask install --prefix P [--profile release|dev]";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const HEADERS: [&str; 7] = [
    "oss_callback.h",
    "oss_callback.hpp",
    "oss_callback/generated.hpp",
    "oss_callback/handle.hpp",
    "oss_callback/receive.hpp",
    "oss_callback/signer.hpp",
    "oss_callback/source.hpp",
];

pub fn run(args: &[&str]) -> Result<(), String> {
    let (mut prefix, mut profile) = (None, "release");
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match (*arg, rest.next()) {
            ("--prefix", Some(folder)) => prefix = Some(PathBuf::from(folder)),
            ("--profile", Some(name @ (&"release" | &"dev"))) => profile = name,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let prefix = prefix.ok_or(USAGE)?;
    let prefix = std::path::absolute(&prefix).map_err(|e| format!("{}: {e}", prefix.display()))?;
    install(&Run::new()?, &prefix, profile)?;
    println!("installed into {}", prefix.display());
    Ok(())
}

/// Builds and installs.
pub fn install(run: &Run, prefix: &Path, profile: &str) -> Result<(), String> {
    let (shared, soname, full) = match std::env::consts::OS {
        "linux" | "freebsd" => {
            let full = format!("liboss_callback.so.{VERSION}");
            ("liboss_callback.so", "liboss_callback.so.0", full)
        }
        "macos" => {
            let full = format!("liboss_callback.{VERSION}.dylib");
            ("liboss_callback.dylib", "liboss_callback.0.dylib", full)
        }
        other => return Err(format!("install does not know where libraries go on {other}")),
    };
    run.prepare(run.cargo(&["build", "--package", "oss-callback-ffi-c", "--profile", profile]))?;
    let built = run.target.join(if profile == "dev" { "debug" } else { profile });
    let lib = prefix.join("lib");
    copy(&built.join(shared), &lib.join(&full))?;
    copy(&built.join("liboss_callback.a"), &lib.join("liboss_callback.a"))?;
    link(&full, &lib.join(soname))?;
    link(soname, &lib.join(shared))?;
    for header in HEADERS {
        copy(&run.root.join("include").join(header), &prefix.join("include").join(header))?;
    }
    write(&lib.join("pkgconfig/oss_callback.pc"), &pkg_config())?;
    let cmake = lib.join("cmake/OssCallback");
    write(&cmake.join("OssCallbackConfig.cmake"), &cmake_config(&full, soname))?;
    write(&cmake.join("OssCallbackConfigVersion.cmake"), &cmake_version())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    // A running program may have the old file mapped: it keeps it, and we make a new one.
    let _ = fs::remove_file(to);
    fs::copy(from, to).map(drop).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))
}

fn write(to: &Path, text: &str) -> Result<(), String> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    fs::write(to, text).map_err(|e| format!("{}: {e}", to.display()))
}

#[cfg(unix)]
fn link(target: &str, at: &Path) -> Result<(), String> {
    let _ = fs::remove_file(at);
    std::os::unix::fs::symlink(target, at).map_err(|e| format!("{}: {e}", at.display()))
}

#[cfg(not(unix))]
fn link(_target: &str, at: &Path) -> Result<(), String> {
    Err(format!("{}: no links here", at.display()))
}

fn pkg_config() -> String {
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         libdir=${{prefix}}/lib\n\
         includedir=${{prefix}}/include\n\n\
         Name: oss_callback\n\
         Description: Upload to Alibaba Cloud OSS with a callback\n\
         Version: {VERSION}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -loss_callback\n\
         Libs.private: {NATIVE_LIBRARIES}\n"
    )
}

fn cmake_config(full: &str, soname: &str) -> String {
    let native: Vec<&str> = NATIVE_LIBRARIES.split(' ').map(|name| name.trim_start_matches("-l")).collect();
    format!(
        "# Imported targets: OssCallback::oss_callback (shared) and OssCallback::oss_callback_static.\n\
         get_filename_component(_oss_callback_prefix \"${{CMAKE_CURRENT_LIST_DIR}}/../../..\" ABSOLUTE)\n\
         if(NOT TARGET OssCallback::oss_callback)\n\
         \x20 add_library(OssCallback::oss_callback SHARED IMPORTED)\n\
         \x20 set_target_properties(OssCallback::oss_callback PROPERTIES\n\
         \x20   IMPORTED_LOCATION \"${{_oss_callback_prefix}}/lib/{full}\"\n\
         \x20   IMPORTED_SONAME \"{soname}\"\n\
         \x20   INTERFACE_INCLUDE_DIRECTORIES \"${{_oss_callback_prefix}}/include\")\n\
         \x20 add_library(OssCallback::oss_callback_static STATIC IMPORTED)\n\
         \x20 set_target_properties(OssCallback::oss_callback_static PROPERTIES\n\
         \x20   IMPORTED_LOCATION \"${{_oss_callback_prefix}}/lib/liboss_callback.a\"\n\
         \x20   INTERFACE_INCLUDE_DIRECTORIES \"${{_oss_callback_prefix}}/include\"\n\
         \x20   INTERFACE_LINK_LIBRARIES \"{}\")\n\
         endif()\n\
         unset(_oss_callback_prefix)\n",
        native.join(";")
    )
}

/// While the first number is 0, programs built for one second number may not fit another.
fn cmake_version() -> String {
    let (series, _) = VERSION.rsplit_once('.').expect("a version has three numbers");
    format!(
        "set(PACKAGE_VERSION \"{VERSION}\")\n\
         set(PACKAGE_VERSION_COMPATIBLE FALSE)\n\
         set(PACKAGE_VERSION_EXACT FALSE)\n\
         if(PACKAGE_FIND_VERSION VERSION_EQUAL \"{VERSION}\")\n\
         \x20 set(PACKAGE_VERSION_EXACT TRUE)\n\
         endif()\n\
         if(PACKAGE_FIND_VERSION_MAJOR STREQUAL \"\" OR\n\
         \x20  (\"${{PACKAGE_FIND_VERSION_MAJOR}}.${{PACKAGE_FIND_VERSION_MINOR}}\" STREQUAL \"{series}\" AND\n\
         \x20   PACKAGE_FIND_VERSION VERSION_LESS_EQUAL \"{VERSION}\"))\n\
         \x20 set(PACKAGE_VERSION_COMPATIBLE TRUE)\n\
         endif()\n"
    )
}
