//! The Go package: style, vet, and the tests of `go/` under the race detector and with every check of what
//! Go passes to C. And a program outside the tree, built by what users have: pkg-config and an installed
//! library.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::packaging_c::PKG_CONFIG;
use super::{GO, Step};
use crate::install::install;
use crate::runner::Run;
use crate::serve::{self, Emulator};

/// What the application server of the example answers.
const ANSWER: &str = r#"{"Status":"OK"}"#;

pub const STEP: Step = Step {
    name: "go",
    about: "the Go package: scenarios, vectors, races, cgo rules, style",
    tools: &[GO],
    run,
};

pub const PACKAGING: Step = Step {
    name: "packaging-go",
    about: "a Go program outside the tree, against the installed library",
    tools: &[GO, PKG_CONFIG],
    run: build_outside_the_tree,
};

fn run(run: &mut Run) -> Result<(), String> {
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-ffi-c"]))?;
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-tests", "--bin", "testbed"]))?;
    let outcome = formatted(run);
    run.check("Go format", outcome);
    let outcome = run.prepare(go(run, &["vet", "-tags", "osscallback_static", "./..."]));
    run.check("go vet", outcome);

    // A cached result would be that of an older library: Go does not look into what it links.
    let test = ["test", "-count=1", "-v", "-tags", "osscallback_static"];
    let mut races = go(run, &test);
    races.args(["-race", "./..."]);
    run.tests(races)?;
    let mut checked = go(run, &test);
    checked.args(["./..."]).env("GOEXPERIMENT", "cgocheck2");
    run.tests(checked)?;

    let outcome = example(run);
    run.check("go/examples/put_with_callback", outcome);
    let outcome = without_cgo(run);
    run.check("what Go says without cgo", outcome);
    Ok(())
}

/// A `go` command in `go/`, linked with this build's static library.
fn go(run: &Run, args: &[&str]) -> Command {
    let mut command = run.command("go");
    command.args(args).current_dir(run.root.join("go"));
    command.env("CGO_ENABLED", "1").env("GOTOOLCHAIN", "local").env("GOWORK", "off").env("GOFLAGS", "");
    command.env("CGO_CFLAGS", format!("-g -O2 -I{}", run.root.join("include").display()));
    command.env("CGO_LDFLAGS", run.programs.join("liboss_callback.a"));
    command.env("OSS_CALLBACK_TESTBED", run.program("testbed"));
    command
}

/// gofmt names the files that it would change, and succeeds.
fn formatted(run: &Run) -> Result<(), String> {
    let root = output(go(run, &["env", "GOROOT"]))?;
    let mut gofmt = run.command(Path::new(root.trim()).join("bin/gofmt"));
    gofmt.args(["-l", "-s", "go"]);
    match output(gofmt)?.as_str() {
        "" => Ok(()),
        files => Err(format!("gofmt would change\n{files}")),
    }
}

/// The example that the README shows, in the environment that the README tells of.
fn example(run: &Run) -> Result<(), String> {
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-cli"]))?;
    let serve = run.command(run.program("oss-callback"));
    let emulator = Emulator::start(serve, &run.target.join("go-emulator.log"))?;
    let mut example = go(run, &["run", "-tags", "osscallback_static", "./examples/put_with_callback"]);
    example.envs(emulator.environment.iter().map(|(name, value)| (name, value)));
    example.env("CALLBACK_URL", serve::application_server(ANSWER)?);
    match output(example)?.trim_end() {
        ANSWER => Ok(()),
        printed => Err(format!("it printed {printed:?}")),
    }
}

/// Go would else only say that names are missing.
fn without_cgo(run: &Run) -> Result<(), String> {
    let mut build = go(run, &["build", "."]);
    build.env("CGO_ENABLED", "0");
    let output = build.output().map_err(|e| format!("go: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let tells = !output.status.success() && said.contains("CGO_ENABLED_1");
    if tells { Ok(()) } else { Err(format!("it said {said}")) }
}

fn build_outside_the_tree(run: &mut Run) -> Result<(), String> {
    let outside = std::env::temp_dir().join(format!("oss-callback-go-{}", std::process::id()));
    let prefix = outside.join("prefix");
    install(run, &prefix, "dev")?;
    let shared = consumer(run, &outside, &prefix, &[]);
    run.check("go build outside the tree, by pkg-config", shared);
    let linked = consumer(run, &outside, &prefix, &["-tags", "osscallback_static"]);
    run.check("go build outside the tree, linked statically", linked);
    let _ = std::fs::remove_dir_all(&outside);
    Ok(())
}

/// Builds and runs a program of a module of its own.
fn consumer(run: &Run, outside: &Path, prefix: &Path, tags: &[&str]) -> Result<(), String> {
    let folder = outside.join(if tags.is_empty() { "shared" } else { "static" });
    let module = format!(
        "module example.com/consumer\n\ngo 1.21\n\nrequire {MODULE} v0.0.0\n\nreplace {MODULE} => {}\n",
        run.root.join("go").display()
    );
    write(folder.join("go.mod"), &module)?;
    write(folder.join("main.go"), PROGRAM)?;
    let library = prefix.join("lib");
    let mut build = run.command("go");
    build.arg("build").args(tags).args(["-o", "consumer", "."]).current_dir(&folder);
    build.env("CGO_ENABLED", "1").env("GOTOOLCHAIN", "local").env("GOWORK", "off").env("GOFLAGS", "");
    // A cache of its own: Go remembers what pkg-config said for another prefix, which is gone by now.
    build.env("GOCACHE", outside.join("cache"));
    if tags.is_empty() {
        build.env("PKG_CONFIG_PATH", library.join("pkgconfig"));
    } else {
        build.env("CGO_CFLAGS", format!("-I{}", prefix.join("include").display()));
        build.env("CGO_LDFLAGS", library.join("liboss_callback.a"));
    }
    run.prepare(build)?;
    let mut program = run.command(folder.join("consumer"));
    if tags.is_empty() {
        program.env("LD_LIBRARY_PATH", &library).env("DYLD_LIBRARY_PATH", &library);
    }
    run.prepare(program)
}

const MODULE: &str = "github.com/oss-callback/oss-callback/go";

/// All that works without a server.
const PROGRAM: &str = r#"package main

import (
	"log"

	osscallback "github.com/oss-callback/oss-callback/go"
)

func main() {
	client, err := osscallback.NewClient(osscallback.Options{
		Region: "cn-hangzhou", AccessKeyID: "id", AccessKeySecret: "secret",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	callback, err := osscallback.NewCallback("https://app.example.com/cb", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer callback.Close()
	if client.Endpoint() != "https://oss-cn-hangzhou.aliyuncs.com" || callback.Encoded() == "" {
		log.Fatal(client.Endpoint(), callback.Encoded())
	}
}
"#;

fn write(path: PathBuf, text: &str) -> Result<(), String> {
    let folder = path.parent().ok_or("a file without a folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// What a command prints on its standard output.
fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if !output.status.success() {
        return Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("its output is not UTF-8: {e}"))
}
