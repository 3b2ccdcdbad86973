//! The Python face: a wheel as users get it, in an environment of its own, and the tests of
//! `tests/python/` against it. And `pip install` from the tree, as users without a wheel do it.
//!
//! What is tested is built without optimisation; that changes no behaviour and saves minutes.

use std::path::{Path, PathBuf};

use super::peers::install_once;
use super::{PYTHON, Step};
use crate::runner::Run;

pub const STEP: Step = Step {
    name: "python",
    about: "the Python package: scenarios, vectors, types, style",
    tools: &[PYTHON],
    run,
};

pub const PACKAGING: Step = Step {
    name: "packaging-py",
    about: "pip install of the tree, from outside of it",
    tools: &[PYTHON],
    run: install_from_the_tree,
};

fn run(run: &mut Run) -> Result<(), String> {
    run.prepare(run.cargo(&["build", "--quiet", "--package", "oss-callback-tests", "--bin", "testbed"]))?;
    let tests = run.root.join("tests/python");
    let wanted = tests.join("requirements.txt");
    let venv = run.target.join("python/venv");
    let python = interpreter(&venv);
    install_once(&venv, &[&wanted], || {
        run.prepare(create(run, &venv))?;
        run.prepare(pip(run, &python, &["--requirement"], &wanted))
    })?;
    run.prepare(pip(run, &python, &["--no-deps", "--force-reinstall"], &wheel(run, &python)?))?;

    let config = run.root.join("py/pyproject.toml");
    for (name, arguments) in [("lints", &["check"][..]), ("format", &["format", "--check"])] {
        let mut ruff = run.command(&python);
        ruff.args(["-m", "ruff"]).args(arguments).args(["--no-cache", "--quiet", "--config"]).arg(&config);
        ruff.args(["py/python", "py/examples", "tests/python"]);
        let outcome = run.prepare(ruff);
        run.check(&format!("Python {name}"), outcome);
    }
    let mut mypy = run.command(&python);
    mypy.args(["-m", "mypy", "--config-file"]).arg(&config).args(["--cache-dir"]);
    mypy.arg(run.target.join("python/mypy")).args(["py/python", "py/examples"]);
    let outcome = run.prepare(mypy);
    run.check("Python types", outcome);

    let mut pytest = run.command(&python);
    pytest.args(["-B", "-m", "pytest", "-p", "no:cacheprovider", "-c"]).arg(&config).arg(&tests);
    pytest.env("OSS_CALLBACK_TESTBED", run.program("testbed"));
    run.tests(pytest)
}

/// Builds the wheel and says where it is.
fn wheel(run: &Run, python: &Path) -> Result<PathBuf, String> {
    let out = run.target.join("python/wheels");
    let _ = std::fs::remove_dir_all(&out);
    let mut maturin = run.command(python);
    maturin.args(["-m", "maturin", "build", "--quiet", "--profile", "dev", "--manifest-path"]);
    maturin.arg("py/Cargo.toml").arg("--interpreter").arg(python).arg("--out").arg(&out);
    run.prepare(maturin)?;
    let files = std::fs::read_dir(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let mut wheels =
        files.flatten().map(|file| file.path()).filter(|p| p.extension().is_some_and(|e| e == "whl"));
    wheels.next().ok_or_else(|| format!("maturin left no wheel in {}", out.display()))
}

/// A program far from the tree, with the package installed by nothing but its path.
fn install_from_the_tree(run: &mut Run) -> Result<(), String> {
    let outside = std::env::temp_dir().join(format!("oss-callback-pip-{}", std::process::id()));
    let venv = outside.join("venv");
    let outcome = (|| {
        run.prepare(create(run, &venv))?;
        let python = interpreter(&venv);
        let mut install = pip(run, &python, &[], &run.root.join("py"));
        install.current_dir(&outside).env("MATURIN_PEP517_ARGS", "--profile dev");
        run.prepare(install)?;
        let file = outside.join("program.py");
        std::fs::write(&file, PROGRAM).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut program = run.command(&python);
        program.current_dir(&outside).arg("-I").arg(file);
        run.prepare(program)
    })();
    let _ = std::fs::remove_dir_all(&outside);
    run.check("pip install ./py from outside of the tree", outcome);
    Ok(())
}

/// Everything is there, types included, and works as far as it does without a server.
const PROGRAM: &str = r#"import pathlib, oss_callback
from oss_callback import Callback, CallbackVerifier, Client, Signer, aio, asgi, wsgi
folder = pathlib.Path(oss_callback.__file__).parent
assert (folder / "py.typed").exists() and (folder / "_native/receive.pyi").exists()
assert Callback("https://app.example.com/cb", vars={"order": "42"}).encoded_vars
assert CallbackVerifier(bucket="examplebucket").max_body and asgi.CallbackApp and wsgi.CallbackApp
assert Signer("id", "secret", region="cn-hangzhou").sign("GET", bucket="examplebucket")
client = Client(region="cn-hangzhou", access_key_id="id", access_key_secret="secret")
assert client.endpoint == "https://oss-cn-hangzhou.aliyuncs.com" and aio.Client
"#;

fn interpreter(venv: &Path) -> PathBuf {
    venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

fn create(run: &Run, venv: &Path) -> std::process::Command {
    let mut create = run.command("python3");
    create.args(["-m", "venv", "--clear"]).arg(venv);
    create
}

fn pip(run: &Run, python: &Path, options: &[&str], what: &Path) -> std::process::Command {
    let mut pip = run.command(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(options).arg(what);
    pip
}
