//! The Node face: the addon, the tests of `tests/node/` against it, and its types under tsc. And
//! `npm install` from the tree, as users do it.
//!
//! What is tested is built without optimisation; that changes no behaviour and saves minutes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::peers::install_once;
use super::{NODE, NPM, NPM_PROGRAM, Step};
use crate::runner::Run;

pub const STEP: Step = Step {
    name: "node",
    about: "the npm package: scenarios, vectors, event loop, types",
    tools: &[NODE, NPM],
    run,
};

pub const PACKAGING: Step = Step {
    name: "packaging-node",
    about: "npm install of the tree, from outside of it",
    tools: &[NODE, NPM],
    run: install_from_the_tree,
};

/// Asks `node/scripts/build.mjs` for a build without optimisation.
const DEV: (&str, &str) = ("OSS_CALLBACK_PROFILE", "dev");

fn run(run: &mut Run) -> Result<(), String> {
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-tests", "--bin", "testbed"]))?;
    let mut build = run.command("node");
    build.arg("node/scripts/build.mjs").env(DEV.0, DEV.1);
    run.prepare(build)?;

    let project = run.target.join("node/types");
    let outcome = types(run, &project);
    run.check("Node types", outcome);

    let mut tests = run.command("node");
    // One file after the other: some of them measure time. V8 lets its young generation grow by steps of
    // megabytes; kept small, it does not look like a leak.
    tests.args(["--expose-gc", "--max-semi-space-size=1", "--test", "--test-concurrency=1"]);
    // One by one: Node 20 takes a folder for what is in it, Node 22 for a program.
    tests.args(test_files(&run.root)?);
    tests.env("OSS_CALLBACK_TESTBED", run.program("testbed"));
    // The frameworks that the package has adapters for are installed there, too.
    tests.env("OSS_CALLBACK_FRAMEWORKS", &project);
    run.tests(tests)
}

/// Compiles programs as users would write them, in a project of their own that has the package installed.
fn types(run: &Run, project: &Path) -> Result<(), String> {
    let here = run.root.join("tests/node");
    let wanted = ["package.json", "package-lock.json"].map(|name| here.join(name));
    install_once(project, &[&wanted[0], &wanted[1]], || {
        wanted.iter().try_for_each(|file| copy_into(project, file))?;
        let mut install = npm(run, &["ci", "--ignore-scripts"]);
        install.current_dir(project);
        run.prepare(install)
    })?;
    for name in ["program.mts", "program.cts", "receiving.mts", "tsconfig.json", "frameworks.json"] {
        copy_into(project, &here.join("types").join(name))?;
    }
    let package = project.join("node_modules/oss-callback");
    // What an earlier run left would hide that something is gone.
    let _ = std::fs::remove_dir_all(&package);
    copy_into(&package, &run.root.join("node/package.json"))?;
    for (folder, name) in type_files(&run.root.join("node"))? {
        copy_into(&package.join(folder), &run.root.join("node").join(folder).join(name))?;
    }
    for config in ["tsconfig.json", "frameworks.json"] {
        let mut tsc = run.command("node");
        tsc.arg("node_modules/typescript/bin/tsc").args(["--project", config]).current_dir(project);
        run.prepare(tsc)?;
    }
    Ok(())
}

/// The tests, from the root.
fn test_files(root: &Path) -> Result<Vec<String>, String> {
    let folder = "tests/node";
    let entries = std::fs::read_dir(root.join(folder)).map_err(|e| format!("{folder}: {e}"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut files: Vec<String> =
        names.filter(|name| name.ends_with(".test.mjs")).map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    Ok(files)
}

/// The folder and name of each file of types.
fn type_files(package: &Path) -> Result<Vec<(&'static str, OsString)>, String> {
    let mut files = Vec::new();
    for folder in ["", "adapters"] {
        let path = package.join(folder);
        let entries = std::fs::read_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let types = |name: &OsString| {
            let name = name.to_string_lossy();
            name.ends_with(".d.ts") || name.ends_with(".d.mts")
        };
        files.extend(names.filter(types).map(|name| (folder, name)));
    }
    Ok(files)
}

/// A program far from the tree, with the package installed by nothing but its path, and then by what
/// `npm pack` makes of it.
fn install_from_the_tree(run: &mut Run) -> Result<(), String> {
    let outside = std::env::temp_dir().join(format!("oss-callback-npm-{}", std::process::id()));
    // As in a fresh clone: the install has to build it.
    let _ = std::fs::remove_file(run.root.join("node/oss-callback.node"));
    for name in ["npm install ./node", "npm install of what npm pack made"] {
        let outcome = (|| {
            std::fs::create_dir_all(&outside).map_err(|e| format!("{}: {e}", outside.display()))?;
            let package = match name.contains("pack") {
                true => packed(run, &outside)?,
                false => run.root.join("node"),
            };
            write(&outside.join("package.json"), "{ \"private\": true }\n")?;
            let mut install = npm(run, &["install"]);
            install.arg(&package).current_dir(&outside).env(DEV.0, DEV.1);
            run.prepare(install)?;
            for (folder, name) in type_files(&run.root.join("node"))? {
                let file = outside.join("node_modules/oss-callback").join(folder).join(name);
                if !file.exists() {
                    return Err(format!("{} was not installed", file.display()));
                }
            }
            for (file, text) in [("program.mjs", ESM), ("program.cjs", COMMON_JS)] {
                write(&outside.join(file), &format!("{text}{PROGRAM}"))?;
                let mut program = run.command("node");
                program.arg(file).current_dir(&outside);
                run.prepare(program)?;
            }
            Ok(())
        })();
        let _ = std::fs::remove_dir_all(&outside);
        run.check(name, outcome);
    }
    Ok(())
}

/// The tarball, which holds the addon of this platform.
fn packed(run: &Run, folder: &Path) -> Result<PathBuf, String> {
    let mut pack = npm(run, &["pack", "--silent"]);
    pack.arg("--pack-destination").arg(folder).current_dir(run.root.join("node")).env(DEV.0, DEV.1);
    run.prepare(pack)?;
    let files = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut tarballs =
        files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "tgz"));
    tarballs.next().ok_or_else(|| format!("npm pack left nothing in {}", folder.display()))
}

const ESM: &str = "import assert from 'node:assert/strict'
import { Callback, CallbackVerifier, Client, Signer } from 'oss-callback'
import * as express from 'oss-callback/express'
import * as fastify from 'oss-callback/fastify'
import * as http from 'oss-callback/http'
import * as koa from 'oss-callback/koa'
import * as web from 'oss-callback/web'
const adapters = [express, http, koa, web]
";

const COMMON_JS: &str = "const assert = require('node:assert/strict')
const { Callback, CallbackVerifier, Client, Signer } = require('oss-callback')
const fastify = require('oss-callback/fastify')
const adapters = ['express', 'http', 'koa', 'web'].map((name) => require(`oss-callback/${name}`))
";

/// Everything works, as far as it does without a server.
const PROGRAM: &str = "
assert.ok(new Callback('https://app.example.com/cb', { vars: { order: '42' } }).encodedVars)
assert.ok(new Signer('id', 'secret', { region: 'cn-hangzhou' }).sign('GET', { bucket: 'b1c' }).Authorization)
const client = new Client({ region: 'cn-hangzhou', accessKeyId: 'id', accessKeySecret: 'secret' })
assert.equal(client.endpoint, 'https://oss-cn-hangzhou.aliyuncs.com')
const verifier = new CallbackVerifier()
for (const { receiveCallbacks } of adapters) {
  assert.equal(typeof receiveCallbacks(verifier, () => ({})), 'function')
}
assert.equal(typeof fastify.receiveCallbacks(verifier, () => ({}), { path: '/' }), 'function')
const body = new TextEncoder().encode('a=1')
verifier.verify('POST', '/', [], body).then(
  () => assert.fail(),
  (error) => assert.equal(error.reason, 'missing_authorization'),
)
";

fn npm(run: &Run, arguments: &[&str]) -> std::process::Command {
    let mut npm = run.command(NPM_PROGRAM);
    npm.args(arguments).args(["--no-audit", "--no-fund", "--loglevel=error"]);
    npm
}

fn copy_into(folder: &Path, file: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let to = folder.join(file.file_name().unwrap_or_default());
    std::fs::copy(file, &to).map_err(|e| format!("{} to {}: {e}", file.display(), to.display()))?;
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))
}
