//! What `cargo xtask install` leaves, used from a project outside of the tree: by pkg-config and by CMake,
//! shared and static, C and C++.

use std::path::Path;
use std::process::Command;

use super::c::CC;
use super::cpp::CXX;
use super::{Step, Tool};
use crate::install::install;
use crate::runner::Run;

pub const STEP: Step = Step {
    name: "packaging-c",
    about: "the installed C library, from outside of the tree",
    tools: &[CC, CXX],
    run,
};

pub const PKG_CONFIG: Tool = Tool {
    name: "pkg-config",
    probe: &["pkg-config", "--version"],
    how_to_get: "apt-get install pkg-config",
};

const CMAKE: Tool =
    Tool { name: "CMake", probe: &["cmake", "--version"], how_to_get: "apt-get install cmake" };

fn run(run: &mut Run) -> Result<(), String> {
    let outside = std::env::temp_dir().join(format!("oss-callback-c-{}", std::process::id()));
    let outcome = try_out(run, &outside);
    let _ = std::fs::remove_dir_all(&outside);
    outcome
}

fn try_out(run: &mut Run, outside: &Path) -> Result<(), String> {
    let project = outside.join("project");
    std::fs::create_dir_all(&project).map_err(|e| format!("{}: {e}", project.display()))?;
    for name in ["CMakeLists.txt", "main.c", "main.cpp"] {
        let from = run.root.join("tests/packaging/c").join(name);
        std::fs::copy(&from, project.join(name)).map_err(|e| format!("{}: {e}", from.display()))?;
    }
    // Moved after the installation: nothing in it may name the place.
    let first = outside.join("first");
    install(run, &first, "dev")?;
    let prefix = outside.join("prefix");
    std::fs::rename(&first, &prefix).map_err(|e| format!("{}: {e}", first.display()))?;
    if PKG_CONFIG.is_installed() {
        by_pkg_config(run, &prefix, &project);
    } else {
        run.lacks("pkg-config", &PKG_CONFIG);
    }
    if CMAKE.is_installed() {
        by_cmake(run, &prefix, &project);
    } else {
        run.lacks("CMake", &CMAKE);
    }
    Ok(())
}

/// A shell, as the flags of pkg-config are meant to be split by one.
fn shell(run: &Run, prefix: &Path, project: &Path, script: &str) -> Command {
    let mut command = run.command("sh");
    command.current_dir(project).args(["-euc", script]);
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    command.env("LD_LIBRARY_PATH", prefix.join("lib")).env("DYLD_LIBRARY_PATH", prefix.join("lib"));
    command
}

fn by_pkg_config(run: &mut Run, prefix: &Path, project: &Path) {
    for (name, script) in [
        ("C, shared", "cc main.c $(pkg-config --cflags --libs oss_callback) -o c && ./c"),
        ("C++, shared", "c++ -std=c++17 main.cpp $(pkg-config --cflags --libs oss_callback) -o cpp && ./cpp"),
        (
            "C, static",
            "cc main.c $(pkg-config --cflags oss_callback) $(pkg-config --variable=libdir oss_callback)/liboss_callback.a \
             $(pkg-config --static --libs-only-l oss_callback | sed s/-loss_callback//) -o static && \
             env -u LD_LIBRARY_PATH ./static",
        ),
    ] {
        let outcome = run.prepare(shell(run, prefix, project, script));
        run.check(&format!("installed library by pkg-config: {name}"), outcome);
    }
}

fn by_cmake(run: &mut Run, prefix: &Path, project: &Path) {
    let mut configure = run.command("cmake");
    configure.current_dir(project).args(["-S", ".", "-B", "build"]);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    let mut build = run.command("cmake");
    build.current_dir(project).args(["--build", "build"]);
    let outcome = run.prepare(configure).and_then(|()| run.prepare(build));
    let built = outcome.is_ok();
    run.check("installed library by CMake: builds", outcome);
    for name in ["consumer_c", "consumer_static", "consumer_cpp"] {
        if built {
            // Without a library path: CMake has written it into the programs.
            let mut program = run.command(project.join("build").join(name));
            program.current_dir(project);
            let outcome = run.prepare(program);
            run.check(&format!("installed library by CMake: {name}"), outcome);
        }
    }
}
