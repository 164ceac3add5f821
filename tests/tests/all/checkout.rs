//! The scripts of the checkout, which people run before there is a program of ours: `./setup`, the last lines of
//! `make test`, `make uninstall`.

#![expect(clippy::expect_used, reason = "a missing file is a failing test")]

use std::fs;
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{self, Output, Running, TestEnv, workspace_root};

/// What `./setup` itself uses, and every system has.
const TOOLS: [&str; 9] = ["bash", "cut", "dirname", "env", "head", "printf", "sed", "sort", "uname"];

fn write_program(path: &Utf8Path, script: &str) {
    harness::write_program(path, &format!("#!/bin/sh\n{script}\n"));
}

/// A machine with these programs, each of which does what its script says, and nothing else.
struct Machine {
    env: TestEnv,
    bin: Utf8PathBuf,
}

impl Machine {
    fn with(programs: &[(&str, &str)]) -> Self {
        let env = TestEnv::new();
        let bin = env.root().join("bin");
        fs::create_dir(&bin).expect("the root is ours");
        for tool in TOOLS {
            let look = Running::start(env.command("sh").args(["-c", &format!("command -v {tool}")])).finish();
            let path = look.stdout.trim();
            // A shell's own has no path.
            if path.starts_with('/') {
                symlink(path, bin.join(tool)).expect("the folder is ours");
            }
        }
        let machine = Self { env, bin };
        machine.add("uname", "echo Linux");
        machine.add("cargo", "echo 'cargo 1.99.0 (0123456 2027-01-01)'");
        for (name, script) in programs {
            machine.add(name, script);
        }
        machine
    }

    fn add(&self, name: &str, script: &str) {
        let path = self.bin.join(name);
        let _ = fs::remove_file(&path);
        write_program(&path, script);
    }

    fn setup(&self, args: &[&str]) -> Output {
        let mut command = self.env.command(workspace_root().join("setup").as_str());
        Running::start(command.env("PATH", &self.bin).args(args)).finish()
    }

    /// The calls that were noted by programs with [`NOTED`] as their script.
    fn noted(&self) -> Vec<String> {
        let noted = fs::read_to_string(self.env.root().join("user/noted")).unwrap_or_default();
        noted.lines().map(str::to_owned).collect()
    }
}

/// Notes a call.
const NOTED: &str = "echo \"${0##*/} $*\" >> \"$HOME/noted\"";
const INSTALL: &str = "apt-get install -y -qq --no-install-recommends";

#[test]
fn setup_installs_what_is_missing_and_nothing_else() {
    let machine = Machine::with(&[("id", "echo 0"), ("apt-get", NOTED), ("tmux", "")]);
    let _ = machine.setup(&[]).success();
    assert_eq!(machine.noted(), ["apt-get update -qq".to_owned(), format!("{INSTALL} gcc libc6-dev make")]);

    let machine = Machine::with(&[
        ("id", "echo 1000"),
        ("sudo", NOTED),
        ("apt-get", "exit 9"),
        ("cc", ""),
        ("tmux", ""),
    ]);
    let _ = machine.setup(&[]).success();
    let noted = machine.noted();
    assert_eq!(noted[0], "sudo apt-get update -qq");
    assert_eq!(noted[1], format!("sudo env DEBIAN_FRONTEND=noninteractive {INSTALL} make"));

    let machine =
        Machine::with(&[("id", "exit 9"), ("apt-get", NOTED), ("cc", ""), ("tmux", ""), ("make", NOTED)]);
    let _ = machine.setup(&["demo"]).success();
    assert_eq!(machine.noted(), [format!("make -C {} demo", workspace_root())]);
}

#[test]
fn whoever_may_not_install_is_told_what_an_administrator_runs() {
    let line = |packages: &str| {
        format!("\n    apt-get update -qq && env DEBIAN_FRONTEND=noninteractive {INSTALL} {packages}\n")
    };
    let machine = Machine::with(&[("id", "echo 1000"), ("apt-get", NOTED)]);
    let refused = machine.setup(&[]).exits_with(1).stderr;
    assert!(refused.contains("a C compiler make tmux") && refused.contains("no sudo"), "{refused}");
    assert!(refused.ends_with(&line("gcc libc6-dev make tmux")), "{refused}");
    assert!(machine.noted().is_empty());

    // A sudo that does not let us.
    let machine = Machine::with(&[("id", "echo 1000"), ("apt-get", NOTED), ("sudo", "exit 1"), ("cc", "")]);
    let refused = machine.setup(&["demo"]).exits_with(1).stderr;
    assert!(refused.ends_with(&line("make tmux")), "{refused}");

    let machine = Machine::with(&[("id", "echo 1000"), ("apk", NOTED), ("make", "exit 9"), ("tmux", "")]);
    let refused = machine.setup(&["demo"]).exits_with(1).stderr;
    assert!(refused.ends_with("\n    apk add gcc musl-dev\n"), "{refused}");

    let machine = Machine::with(&[("id", "echo 0")]);
    let refused = machine.setup(&[]).exits_with(1).stderr;
    assert!(refused.ends_with("a C compiler make tmux\n"), "{refused}");
}

#[test]
fn a_compiler_without_the_headers_of_the_system_is_not_enough() {
    let machine =
        Machine::with(&[("id", "echo 0"), ("apt-get", NOTED), ("cc", "exit 1"), ("tmux", ""), ("make", "")]);
    let _ = machine.setup(&[]).success();
    assert_eq!(machine.noted().last(), Some(&format!("{INSTALL} gcc libc6-dev")));
}

#[test]
fn without_rust_or_with_an_old_one_the_way_to_it_is_named() {
    let machine = Machine::with(&[("cargo", "echo 'cargo 1.63.0 (fd9c4297c 2022-07-01)'")]);
    let refused = machine.setup(&[]).exits_with(1).stderr;
    assert!(refused.contains("1.63.0") && refused.contains("https://rustup.rs"), "{refused}");
    fs::remove_file(machine.bin.join("cargo")).expect("it was made");
    let refused = machine.setup(&[]).exits_with(1).stderr;
    assert!(refused.contains("Rust is missing") && refused.contains("https://rustup.rs"), "{refused}");
}

/// Runs `tests/run` with a script in the place of the tests.
fn run_tests(script: &str) -> Output {
    let env = TestEnv::new();
    let tests = env.root().join("tests");
    write_program(&tests, script);
    let mut run = env.command(workspace_root().join("tests/run").as_str());
    Running::start(run.arg(&tests)).finish()
}

#[test]
fn the_last_line_of_a_test_run_counts_what_was_skipped() {
    let skips = "printf '%s\\t%s\\n' 'with curl (it is not installed)' one 'with the real Codex (npm is not installed)' two \
                 'with the real Codex (npm is not installed)' two 'with the real Codex (npm is not installed)' three \
                 >> \"$CONVEYOR_TEST_SKIPS\"; exit 101";
    let run = run_tests(skips).exits_with(101);
    assert_eq!(
        run.stdout,
        "\n3 skipped: 2 with the real Codex (npm is not installed), 1 with curl (it is not installed)\n"
    );
    assert_eq!(run_tests("echo all run").success().stdout, "all run\n\nno test was skipped\n");
}

#[test]
fn uninstall_takes_off_all_that_was_installed_and_keeps_the_history() {
    let env = TestEnv::new();
    let prefix = env.root().join("prefix");
    let [bin, man, bash, zsh, fish] =
        ["bin", "man1", "bash", "zsh", "fish"].map(|folder| prefix.join(folder));
    for folder in [&bin, &man, &bash, &zsh, &fish] {
        fs::create_dir_all(folder).expect("the root is ours");
    }
    // As `make install` does it.
    for program in ["conveyord", "conveyorctl"] {
        let built = env.command(program).get_program().to_owned();
        symlink(built, bin.join(program)).expect("the folder is ours");
    }
    symlink("conveyorctl", bin.join("conveyor")).expect("the folder is ours");
    let _ = env.conveyorctl(&["man", "--out", man.as_str()]).success();
    symlink("conveyorctl.1", man.join("conveyor.1")).expect("the folder is ours");
    for name in ["conveyorctl", "conveyor"] {
        for file in [bash.join(name), zsh.join(format!("_{name}")), fish.join(format!("{name}.fish"))] {
            fs::write(file, "").expect("the folder is ours");
        }
    }
    let others = [bin.join("other"), man.join("other.1"), bash.join("other")];
    others.iter().for_each(|other| fs::write(other, "").expect("the folder is ours"));
    let _ = env.conveyorctl(&["install-skills"]).success();
    let _ = env.conveyorctl(&["tasks", "--create", "kept", "--goal", "g"]).success();
    let rule = env.codex_home().join("rules/conveyor.rules");
    fs::create_dir(rule.parent().expect("it has a folder")).expect("it is ours");
    fs::write(&rule, "").expect("it is ours");

    let mut uninstall = env.command(workspace_root().join("tests/uninstall.sh").as_str());
    let told = Running::start(uninstall.args([&bin, &man, &bash, &zsh, &fish])).finish().success().stdout;
    assert!(told.contains(&format!("history: {}\n", env.state_root())), "{told}");
    assert!(told.contains(rule.as_str()), "{told}");
    assert!(!env.daemon_answers(), "the daemon has ended");
    assert!(!env.codex_home().join("skills/codex-review").exists());
    let left = |folder: &Utf8Path| {
        let entries = folder.read_dir_utf8().expect("it is there");
        entries.map(|entry| entry.expect("an entry").file_name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!([&bin, &man, &bash].map(|folder| left(folder)), [["other"], ["other.1"], ["other"]]);
    assert!(left(&zsh).is_empty() && left(&fish).is_empty());
    let tasks = env.conveyorctl(&["tasks", "--json"]).success().json();
    assert_eq!(tasks.as_array().map(Vec::len), Some(1), "the state is kept: {tasks}");
}
