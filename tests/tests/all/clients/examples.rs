//! The clients of `docs/clients` do what they show: a call, a refusal, a subscription, calls side by side,
//! a long wait that is cancelled, and an item that is taken although the daemon dies meanwhile. `lives` in
//! `tests/fixtures/clients` has what becomes of the calls of the typed ones when the daemon is lost.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::process::Command;

use super::living::{AFTER, BEFORE, SESSION, World};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{Fault, Running, TestEnv, skipped, wait_until, workspace_root};
use conveyor_tests::rollout::{Format, Thread};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const REFUSED: &str = "refused -32002 not_bound - `bind --task task-";

/// A daemon with a session whose inbox is empty.
fn world() -> TestEnv {
    let env = TestEnv::new();
    let rollout =
        Thread::new(&env.codex_home(), &env.project(), Format::New).unwrap().open_rollout().unwrap();
    let path = rollout.path().as_str();
    let _ = env.conveyorctl(&["register-manager", "--name", SESSION, "--codex-session", path]).success();
    env
}

fn example(name: &str) -> Utf8PathBuf {
    workspace_root().join("docs/clients").join(name)
}

fn fixture(name: &str) -> Utf8PathBuf {
    workspace_root().join("tests/fixtures/clients").join(name)
}

/// Whether all these programs are installed. Notes which one is missing.
fn installed(env: &TestEnv, what: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let look = format!("command -v {program}");
        Running::start(env.command("sh").args(["-c", &look])).finish().code != Some(0)
    });
    if let Some(program) = missing {
        skipped(what, &format!("{program} is not installed"));
    }
    missing.is_none()
}

/// Runs a tour, interrupts it in its wait, and compares how its lines begin. Afterwards the daemon has no
/// call left.
#[track_caller]
fn check_tour(env: &TestEnv, mut program: Command, told: &[&str]) {
    let mut tour = Running::start(program.arg(SESSION));
    let waiting_calls = || env.daemon_status()["waiting_calls"].as_u64();
    wait_until("the tour to wait, or to have failed", || {
        (waiting_calls() == Some(1) || !tour.is_running()).then_some(())
    });
    // The kill fails when the tour has ended already; the check below then shows what it said.
    let _ = kill(Pid::from_raw(tour.pid().try_into().unwrap()), Signal::SIGINT);
    let output = tour.finish().success();
    let lines: Vec<&str> = output.stdout.lines().collect();
    let as_told =
        lines.len() == told.len() && lines.iter().zip(told).all(|(line, told)| line.starts_with(told));
    assert!(as_told, "{lines:#?}\n{}", output.stderr);
    wait_until("the daemon to let go of the wait", || (waiting_calls() == Some(0)).then_some(()));
}

/// Runs a tour to the item that it takes, while the daemon dies on the acknowledgement: before it is carried out, and after.
/// The client lives, and finishes.
#[track_caller]
fn check_item(program: &dyn Fn(&TestEnv) -> Command) {
    for death in [BEFORE, AFTER] {
        let world = World::new();
        let mut tour = Running::start(program(&world.env).arg(SESSION));
        wait_until("the tour to wait, or to have failed", || {
            (world.waiting_calls() == Some(1) || !tour.is_running()).then_some(())
        });
        world.env.arm(&death);
        world.send_item();
        let output = tour.finish().success();
        let shown = "waiting\nitem notify_manager - look\nacknowledged\n";
        assert!(output.stdout.ends_with(shown), "{death:?}: {output:#?}");
        world.check_consumed_once();
    }
}

/// Python with the client on its path, which it leaves as it is.
fn python(env: &TestEnv, script: &Utf8Path) -> Command {
    let mut python = env.command("python3");
    python.env("PYTHONPATH", example("")).env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
    python
}

#[test]
fn the_python_client_finishes_what_it_took() {
    if installed(&TestEnv::new(), "the Python client", &["python3"]) {
        check_item(&|env| python(env, &example("tour.py")));
    }
}

#[test]
fn the_typescript_client_finishes_what_it_took() {
    let env = TestEnv::new();
    if let Some(scripts) = Scripts::of(&env) {
        check_item(&|env| scripts.run(env, "docs/clients/tour.mjs"));
    }
}

fn sh(env: &TestEnv) -> Command {
    let mut sh = env.command("sh");
    sh.arg(example("conveyor.sh"));
    sh
}

#[test]
fn the_shell_client_finishes_what_it_took() {
    if installed(&TestEnv::new(), "the shell client", &["curl", "jq"]) {
        check_item(&|env| sh(env));
    }
}

#[test]
fn the_python_client_does_what_it_shows() {
    let env = world();
    if !installed(&env, "the Python client", &["python3"]) {
        return;
    }
    check_tour(
        &env,
        python(&env, &example("tour.py")),
        &[
            "protocol 1",
            "created tour-python",
            "change task candidate True",
            REFUSED,
            "answered True True True",
            "waiting",
            "cancelled",
        ],
    );
}

/// Writes what the page on clients shows in a language to a file in a folder.
#[track_caller]
fn shown(language: &str, file: &Utf8Path) {
    let page = fs::read_to_string(example("README.md")).unwrap();
    let code = page.split_once(&format!("\n```{language}\n")).unwrap().1.split_once("\n```").unwrap().0;
    fs::write(file, format!("{code}\n")).unwrap();
}

/// What `tests/lab/install-typescript` or `tests/lab/install-mypy` puts below the target folder. Notes when it is missing.
fn checker(what: &str, folder: &str, program: &str) -> Option<Utf8PathBuf> {
    let folder = workspace_root().join("target").join(folder);
    let found = folder.join(program).is_file();
    if !found {
        let name = folder.file_name().unwrap();
        skipped(what, &format!("tests/lab/install-{name} target/{name} installs it"));
    }
    found.then_some(folder)
}

/// The compiler, as strict as it can be.
fn tsc(env: &TestEnv, compiler: &Utf8Path) -> Command {
    let mut tsc = env.command(compiler.join("node_modules/.bin/tsc").as_str());
    tsc.args(["--strict", "--noUncheckedIndexedAccess", "--noUnusedLocals", "--noUnusedParameters"])
        .args(["--exactOptionalPropertyTypes", "--noImplicitOverride", "--noEmitOnError"])
        .arg("--noPropertyAccessFromIndexSignature")
        // Only syntax that Node 22.18 and later can strip without a compiler.
        .args(["--erasableSyntaxOnly", "--verbatimModuleSyntax", "--rewriteRelativeImportExtensions"])
        .args(["--target", "es2022", "--module", "nodenext", "--types", "node"])
        .args(["--typeRoots", compiler.join("node_modules/@types").as_str()]);
    tsc
}

#[test]
fn what_the_page_shows_in_typescript_is_typed() {
    let env = TestEnv::new();
    let what = "the TypeScript on the page";
    let Some(compiler) = checker(what, "typescript", "node_modules/.bin/tsc") else { return };
    let folder = env.root().join("tmp");
    for file in ["conveyor.mts", "conveyor-transport.mts"] {
        fs::copy(example(file), folder.join(file)).unwrap();
    }
    shown("typescript", &folder.join("readme.mts"));
    let mut tsc = tsc(&env, &compiler);
    tsc.args(["--noEmit".to_owned(), folder.join("readme.mts").into_string()]);
    let _ = Running::start(&mut tsc).finish().success();
}

/// The scripts that the TypeScript compiler makes of the client, of its tour and of the cases of `lives`.
struct Scripts(Utf8PathBuf);

impl Scripts {
    /// Compiles them, strictly. Notes what is missing for that, or for running them.
    #[track_caller]
    fn of(env: &TestEnv) -> Option<Self> {
        let what = "the TypeScript client";
        let compiler = checker(what, "typescript", "node_modules/.bin/tsc")?;
        if !installed(env, what, &["node"]) {
            return None;
        }
        let out = env.root().join("tmp");
        let mut tsc = tsc(env, &compiler);
        tsc.args(["--rootDir", workspace_root().as_str(), "--outDir", out.as_str()])
            .args([example("tour.mts"), fixture("lives.mts")]);
        let _ = Running::start(&mut tsc).finish().success();
        Some(Self(out))
    }

    fn run(&self, env: &TestEnv, script: &str) -> Command {
        let mut node = env.command("node");
        node.arg(self.0.join(script));
        node
    }
}

#[test]
fn the_python_client_is_typed() {
    let env = TestEnv::new();
    let Some(mypy) = checker("the types of the Python client", "mypy", "bin/mypy") else { return };
    let mut mypy = env.command(mypy.join("bin/mypy").as_str());
    mypy.env("MYPYPATH", example("")).args(["--strict", "--python-version", "3.8", "--cache-dir"]);
    let readme = env.root().join("tmp/readme.py");
    shown("python", &readme);
    mypy.arg(env.root().join("tmp")).args([example("tour.py"), fixture("lives.py"), readme]);
    let _ = Running::start(&mut mypy).finish().success();
}

#[test]
fn the_typescript_client_does_what_it_shows() {
    let env = world();
    let Some(scripts) = Scripts::of(&env) else { return };
    check_tour(
        &env,
        scripts.run(&env, "docs/clients/tour.mjs"),
        &[
            "protocol 1",
            "created tour-typescript",
            "change task candidate true",
            REFUSED,
            "answered true true true",
            "waiting",
            "cancelled",
        ],
    );
}

#[test]
fn the_shell_client_does_what_it_shows() {
    let env = world();
    if !installed(&env, "the shell client", &["curl", "jq"]) {
        return;
    }
    let can_follow = installed(&env, "the shell client's subscription", &["nc"]);
    let change = if can_follow {
        "change task candidate true"
    } else {
        "no changes: neither nc nor socat is installed"
    };
    check_tour(
        &env,
        sh(&env),
        &["protocol 1", "created tour-shell", change, REFUSED, "waiting", "cancelled"],
    );
}

/// What `lives` does in a case, and what it says then. A daemon that is armed dies when a command was queued.
const LIVES: [(&str, Option<Fault>, &str); 8] = [
    ("lost", Some(QUEUED), "command.enqueue_notify_manager command.list 1\n"),
    ("repeated", Some(QUEUED), "deduplicated true\n"),
    ("wait", None, "reached 600\n"),
    ("restart", None, "1 false 600\n"),
    ("changes", None, "lagged\ntask next\n"),
    ("closed", None, "the client is closed\n"),
    ("refused", None, "notfound -32001 true false\n"),
    ("nobody", None, "no daemon true\n"),
];

const QUEUED: Fault = Fault::crash_in("write-committed", "enqueue::enqueue");

#[track_caller]
fn check_lives(program: &dyn Fn(&TestEnv) -> Command) {
    for (case, death, told) in LIVES {
        let world = World::new();
        if let Some(death) = &death {
            world.env.arm(death);
        }
        let output = Running::start(program(&world.env).arg(case)).finish().success();
        // Languages write what is true in their own way.
        assert_eq!(output.stdout.to_lowercase().replace(".0\n", "\n"), told, "{case}: {output:#?}");
    }
}

#[test]
fn the_python_client_outlives_the_daemon() {
    if installed(&TestEnv::new(), "the Python client", &["python3"]) {
        check_lives(&|env| python(env, &fixture("lives.py")));
    }
}

#[test]
fn the_typescript_client_outlives_the_daemon() {
    let env = TestEnv::new();
    if let Some(scripts) = Scripts::of(&env) {
        check_lives(&|env| scripts.run(env, "tests/fixtures/clients/lives.mjs"));
    }
}
