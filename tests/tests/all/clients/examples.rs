//! The clients of `docs/clients` do what they show: a call, a refusal, a subscription, calls side by side,
//! a long wait that is cancelled, and an item that is taken although the daemon dies meanwhile.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;

use super::living::{AFTER, BEFORE, SESSION, World};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{Running, TestEnv, skipped, wait_until, workspace_root};
use conveyor_tests::rollout::{Format, Thread};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const REFUSED: &str = "refused -32002 not_bound - bind --task task-";

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

/// Whether all these programs are installed. Notes which one is missing.
fn installed(env: &TestEnv, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let look = format!("command -v {program}");
        Running::start(env.command("sh").args(["-c", &look])).finish().code != Some(0)
    });
    if let Some(program) = missing {
        skipped(&format!("with {program}"), "it is not installed");
    }
    missing.is_none()
}

/// Runs a tour, interrupts it in its wait, and compares how its lines begin. Afterwards the daemon has no
/// call left.
#[track_caller]
fn check_tour(env: &TestEnv, program: &[&str], told: &[&str]) {
    let (name, args) = program.split_first().unwrap();
    let mut tour = Running::start(env.command(name).args(args).arg(SESSION));
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
fn check_item(program: &[&str]) {
    for death in [BEFORE, AFTER] {
        let world = World::new();
        let (name, args) = program.split_first().unwrap();
        let mut tour = Running::start(world.env.command(name).args(args).arg(SESSION));
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

#[test]
fn the_python_client_finishes_what_it_took() {
    if installed(&TestEnv::new(), &["python3"]) {
        check_item(&["python3", example("conveyor.py").as_str()]);
    }
}

#[test]
fn the_typescript_client_finishes_what_it_took() {
    let env = TestEnv::new();
    let Some(compiler) = typescript().filter(|_| installed(&env, &["node"])) else {
        return;
    };
    check_item(&["node", compile(&env, &compiler).as_str()]);
}

#[test]
fn the_shell_client_finishes_what_it_took() {
    if installed(&TestEnv::new(), &["curl", "jq"]) {
        check_item(&["sh", example("conveyor.sh").as_str()]);
    }
}

#[test]
fn the_python_client_does_what_it_shows() {
    let env = world();
    if !installed(&env, &["python3"]) {
        return;
    }
    check_tour(
        &env,
        &["python3", example("conveyor.py").as_str()],
        &[
            "protocol 1",
            "created tour-python",
            "change task candidate True",
            REFUSED,
            "answered ['list', 'list', 'dict']",
            "waiting",
            "cancelled",
        ],
    );
}

/// The compiler that `tests/lab/install-typescript` puts below the target folder. Notes when it is not there.
fn typescript() -> Option<Utf8PathBuf> {
    let folder = workspace_root().join("target/typescript");
    let is_there = folder.join("node_modules/.bin/tsc").is_file();
    if !is_there {
        skipped("with TypeScript", "tests/lab/install-typescript target/typescript installs it");
    }
    is_there.then_some(folder)
}

/// Compiles the TypeScript client, strictly, and gives the script that Node runs.
#[track_caller]
fn compile(env: &TestEnv, compiler: &Utf8Path) -> Utf8PathBuf {
    let out = env.root().join("tmp");
    let mut tsc = env.command(compiler.join("node_modules/.bin/tsc").as_str());
    tsc.args(["--strict", "--noUncheckedIndexedAccess", "--noUnusedLocals", "--noEmitOnError"])
        // Only syntax that Node 22.18 and later can strip without a compiler.
        .args(["--erasableSyntaxOnly", "--target", "es2022", "--module", "nodenext"])
        .args(["--types", "node", "--typeRoots", compiler.join("node_modules/@types").as_str()])
        .args(["--outDir", out.as_str(), example("conveyor.mts").as_str()]);
    let _ = Running::start(&mut tsc).finish().success();
    out.join("conveyor.mjs")
}

#[test]
fn the_typescript_client_does_what_it_shows() {
    let env = world();
    if !installed(&env, &["node"]) {
        return;
    }
    let Some(compiler) = typescript() else {
        return;
    };
    let script = compile(&env, &compiler);
    check_tour(
        &env,
        &["node", script.as_str()],
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
    if !installed(&env, &["curl", "jq"]) {
        return;
    }
    let can_follow = installed(&env, &["nc"]);
    let change = if can_follow {
        "change task candidate true"
    } else {
        "no changes: neither nc nor socat is installed"
    };
    check_tour(
        &env,
        &["sh", example("conveyor.sh").as_str()],
        &["protocol 1", "created tour-shell", change, REFUSED, "waiting", "cancelled"],
    );
}

#[test]
fn without_a_daemon_the_clients_say_so() {
    let env = TestEnv::new();
    if !installed(&env, &["python3"]) {
        return;
    }
    let client = example("conveyor.py");
    let refused =
        Running::start(env.command("python3").args([client.as_str(), SESSION])).finish().exits_with(1);
    assert!(refused.stderr.contains("conveyorctl daemon start"), "{}", refused.stderr);
    assert!(!fs::exists(env.socket()).unwrap());
}
