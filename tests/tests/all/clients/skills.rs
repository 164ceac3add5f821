//! The skills: how they are installed, and the program that one of them brings along.

#![expect(clippy::expect_used, reason = "a missing file is a failing test")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::Utf8PathBuf;
use conveyor_tests::harness::{Output, Running, TestEnv, standin, wait_until, workspace_root, write_program};
use conveyor_tests::rollout::Format;
use serde_json::Value;

fn install(env: &TestEnv, args: &[&str]) -> Output {
    env.conveyorctl(&[&["install-skills"], args].concat())
}

fn skill(env: &TestEnv, path: &str) -> Utf8PathBuf {
    env.codex_home().join("skills").join(path)
}

fn bundled(path: &str) -> String {
    fs::read_to_string(workspace_root().join("skills").join(path)).expect("it is in the repository")
}

/// What the answer says is done to each file.
fn actions(answer: &Value) -> Vec<String> {
    let skills = answer["skills"].as_array().expect("skills");
    let files = skills.iter().flat_map(|skill| skill["files"].as_array().expect("files"));
    files.map(|file| format!("{} {}", file["action"], file["path"]).replace('"', "")).collect()
}

const FILES: [&str; 4] = [
    "manage-codex-workers/SKILL.md",
    "manage-codex-workers/agents/openai.yaml",
    "codex-review/SKILL.md",
    "codex-review/scripts/codex-review",
];

#[test]
fn skills_are_installed_whole_and_again_without_effect() {
    let env = TestEnv::new();
    let shown = install(&env, &["--dry-run", "--json"]).success().json();
    assert_eq!(shown["dry_run"], true);
    assert!(actions(&shown).iter().all(|action| action.starts_with("create ")), "{shown}");
    assert!(!env.codex_home().join("skills").exists(), "a dry run writes nothing");

    let answer = install(&env, &["--json"]).success().json();
    assert_eq!(answer["codex_home"], env.codex_home().as_str());
    assert_eq!(answer["skills"][0]["name"], "manage-codex-workers");
    assert_eq!(answer["skills"][1]["target"], skill(&env, "codex-review").as_str());
    for file in FILES {
        assert_eq!(fs::read_to_string(skill(&env, file)).expect("installed"), bundled(file), "{file}");
    }
    let mode = fs::metadata(skill(&env, FILES[3])).expect("installed").permissions().mode();
    assert_eq!(mode & 0o777, 0o755, "the helper can be run");

    let again = install(&env, &["--json"]).success().json();
    assert!(actions(&again).iter().all(|action| action.starts_with("keep ")), "{again}");
    assert!(!env.daemon_answers(), "it needs no daemon");
}

#[test]
fn a_file_of_an_earlier_version_is_replaced() {
    let env = TestEnv::new();
    let _ = install(&env, &[]).success();
    // The files as an earlier version would have left them: other contents, known to the record.
    let (old, dropped) = (skill(&env, FILES[2]), skill(&env, "codex-review/old.md"));
    let record = skill(&env, "codex-review/.conveyor.json");
    let mut known: Value =
        serde_json::from_slice(&fs::read(&record).expect("a record")).expect("the record is JSON");
    // The SHA-256 of "old\n".
    let hash = "01d09d19c2139a46aebfb577780d123d7396e97201bc7ead210a2ebff8239dee";
    for path in ["SKILL.md", "old.md"] {
        known["files"][path] = hash.into();
    }
    fs::write(&record, known.to_string()).expect("it is ours");
    fs::write(&old, "old\n").expect("it is ours");
    fs::write(&dropped, "old\n").expect("it is ours");
    fs::write(skill(&env, "codex-review/mine.md"), "mine").expect("it is ours");

    let answer = install(&env, &["--json"]).success().json();
    assert!(actions(&answer).contains(&"update SKILL.md".to_owned()), "{answer}");
    assert_eq!(fs::read_to_string(&old).expect("installed"), bundled(FILES[2]));
    assert!(!dropped.exists(), "what the skill has no more goes");
    assert!(skill(&env, "codex-review/mine.md").exists(), "what was never installed stays");
}

#[test]
fn a_changed_file_is_overwritten_only_when_asked_for_and_kept_then() {
    let env = TestEnv::new();
    let _ = install(&env, &[]).success();
    let (changed, other) = (skill(&env, FILES[0]), skill(&env, FILES[2]));
    fs::write(&changed, "my own").expect("it is ours");
    fs::remove_file(&other).expect("it was installed");

    let refused = install(&env, &[]).exits_with(1);
    assert!(refused.stderr.contains(changed.as_str()) && refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(fs::read_to_string(&changed).expect("there"), "my own");
    assert!(!other.exists(), "a refusal installs nothing at all");

    let _ = install(&env, &["--force"]).success();
    assert_eq!(fs::read_to_string(&changed).expect("there"), bundled(FILES[0]));
    let folder = fs::read_dir(skill(&env, "manage-codex-workers")).expect("a folder");
    let kept: Vec<_> = folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bak"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::read_to_string(&kept[0]).expect("kept"), "my own");
}

fn uninstall(env: &TestEnv, args: &[&str]) -> Output {
    env.conveyorctl(&[&["uninstall-skills"], args].concat())
}

#[test]
fn skills_are_removed_whole_and_nothing_else_is() {
    let env = TestEnv::new();
    let skills = env.codex_home().join("skills");
    let none = uninstall(&env, &[]).success().stdout;
    assert_eq!(none, format!("no skills of ours are in {}\n", env.codex_home()));

    let _ = install(&env, &[]).success();
    fs::create_dir(skills.join("other")).expect("it is ours");
    let shown = uninstall(&env, &["--dry-run", "--json"]).success().json();
    assert!(actions(&shown).iter().all(|action| action.starts_with("remove ")), "{shown}");
    assert!(FILES.iter().all(|file| skill(&env, file).exists()), "a dry run removes nothing");

    let removed = uninstall(&env, &[]).success().stdout;
    assert_eq!(removed.lines().filter(|line| line.starts_with("removed ")).count(), 2, "{removed}");
    let left: Vec<_> =
        skills.read_dir_utf8().expect("it is ours").map(|entry| entry.expect("an entry")).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(!env.daemon_answers(), "it needs no daemon");
}

#[test]
fn what_was_changed_in_a_skill_stays_unless_its_removal_is_asked_for() {
    let env = TestEnv::new();
    let _ = install(&env, &[]).success();
    let (changed, mine) = (skill(&env, FILES[0]), skill(&env, "codex-review/mine.md"));
    fs::write(&changed, "my own").expect("it is ours");
    fs::write(&mine, "mine").expect("it is ours");

    let kept = uninstall(&env, &[]).success().stdout;
    assert!(kept.contains(&format!("kept, since it was changed: {changed}\n")), "{kept}");
    assert_eq!(fs::read_to_string(&changed).expect("there"), "my own");
    assert!(mine.exists() && !skill(&env, FILES[1]).exists() && !skill(&env, FILES[2]).exists());

    let _ = uninstall(&env, &["--force"]).success();
    assert!(!skill(&env, "manage-codex-workers").exists());
    assert!(mine.exists(), "what was never installed stays");
}

#[test]
fn a_link_to_a_checkout_is_not_removed_through() {
    let env = TestEnv::new();
    fs::create_dir(env.codex_home().join("skills")).expect("it is ours");
    symlink(workspace_root().join("skills/codex-review"), skill(&env, "codex-review")).expect("it is ours");
    let _ = uninstall(&env, &["--force"]).success();
    assert!(skill(&env, FILES[2]).exists(), "the checkout is whole");
}

#[test]
fn a_link_to_a_checkout_is_not_written_through() {
    let env = TestEnv::new();
    let checkout = env.project().join("checkout");
    fs::create_dir(&checkout).expect("the project is ours");
    fs::write(checkout.join("SKILL.md"), "of the checkout").expect("it is ours");
    fs::create_dir(env.codex_home().join("skills")).expect("it is ours");
    symlink(&checkout, skill(&env, "codex-review")).expect("it is ours");

    let _ = install(&env, &[]).exits_with(1);
    let _ = install(&env, &["--force"]).success();
    assert_eq!(fs::read_to_string(checkout.join("SKILL.md")).expect("there"), "of the checkout");
    assert_eq!(fs::read_to_string(skill(&env, FILES[2])).expect("installed"), bundled(FILES[2]));
}

#[test]
fn a_home_that_is_a_file_is_refused() {
    let env = TestEnv::new();
    let file = env.project().join("file");
    fs::write(&file, "").expect("the project is ours");
    let refused = install(&env, &["--codex-home", file.as_str()]).exits_with(1);
    assert!(refused.stderr.contains(file.as_str()), "{refused:?}");
}

/// A repository with a commit on its main branch and a Codex whose review says `answer`.
fn review_world(answer: &str) -> TestEnv {
    let mut env = TestEnv::new();
    let codex = env.project().join("../fake-codex");
    // The fake notes its arguments and writes its last message where it is told to, as the real Codex does.
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{0}/args'\nprintf '%s' \"$CODEX_REVIEW_HELPER_LEVEL\" > '{0}/level'\n\
         while [ $# -gt 1 ]; do shift; done\nprintf '%s' '{answer}' > \"$1\"\n",
        env.root()
    );
    write_program(&codex, &script);
    env.set("CODEX_BIN", codex.as_str());
    for (name, value) in [("GIT_AUTHOR", "t"), ("GIT_COMMITTER", "t")] {
        env.set(&format!("{name}_NAME"), value);
        env.set(&format!("{name}_EMAIL"), "t@example.org");
    }
    git(&env, &["init", "-q", "-b", "main"]);
    fs::write(env.project().join("file"), "one\n").expect("the project is ours");
    git(&env, &["add", "."]);
    git(&env, &["commit", "-q", "-m", "one"]);
    env
}

fn git(env: &TestEnv, args: &[&str]) {
    let _ = Running::start(env.command("git").args(args)).finish().success();
}

fn review(env: &TestEnv, args: &[&str]) -> Output {
    let helper = workspace_root().join("skills/codex-review/scripts/codex-review");
    Running::start(env.command("bash").arg(helper).args(args)).finish()
}

fn asked(env: &TestEnv) -> String {
    fs::read_to_string(env.root().join("args")).expect("Codex was run").replace('\n', " ")
}

#[test]
fn a_review_without_findings_ends_well() {
    let env = review_world("All is well.");
    fs::write(env.project().join("file"), "two\n").expect("the project is ours");
    let output = review(&env, &[]).success();
    assert!(output.stdout.contains("All is well.") && output.stdout.contains("no findings"), "{output:?}");
    assert!(asked(&env).starts_with("exec review --uncommitted --ephemeral --output-last-message "));
    assert_eq!(fs::read_to_string(env.root().join("level")).expect("Codex was run"), "1");
}

#[test]
fn a_finding_or_a_failed_test_fails_the_review() {
    let env = review_world("- [P1] It is wrong");
    fs::write(env.project().join("file"), "two\n").expect("the project is ours");
    let kept = env.root().join("kept/review");
    let output = review(&env, &["--output", kept.as_str()]).exits_with(1);
    assert!(output.stdout.ends_with("codex-review: findings: 1\n"), "{output:?}");
    assert_eq!(fs::read_to_string(kept).expect("kept"), "- [P1] It is wrong");

    let env = review_world("All is well.");
    fs::write(env.project().join("file"), "two\n").expect("the project is ours");
    let output = review(&env, &["--parallel-tests", "echo tested; exit 3"]).exits_with(1);
    assert!(output.stdout.contains("tested") && output.stdout.contains("exit code 3"), "{output:?}");
    // The last line is the reason. A review without findings adds none.
    assert_eq!(output.stderr, "codex-review: the tests failed: exit code 3\n");
}

#[test]
fn a_branch_is_reviewed_against_its_base() {
    let env = review_world("All is well.");
    let nothing = review(&env, &["--base", "main"]).exits_with(1);
    assert!(nothing.stderr.contains("nothing to review"), "{nothing:?}");
    git(&env, &["checkout", "-q", "-b", "work"]);
    git(&env, &["commit", "-q", "--allow-empty", "-m", "two"]);
    let shown = review(&env, &["--base", "main", "--dry-run"]).success();
    assert!(shown.stdout.contains("exec review --base main"), "{shown:?}");
    assert!(!env.root().join("args").exists(), "a dry run reviews nothing");
    let _ = review(&env, &["--base", "main"]).success();
    assert!(asked(&env).starts_with("exec review --base main "));
    let unknown = review(&env, &["--base", "nowhere"]).exits_with(1);
    assert!(unknown.stderr.contains("nowhere"), "{unknown:?}");
}

#[test]
fn a_review_does_not_review_itself() {
    let mut env = review_world("All is well.");
    fs::write(env.project().join("file"), "two\n").expect("the project is ours");
    for wrong in [&["--mode", "all"][..], &["--base"], &["--nonsense"]] {
        let _ = review(&env, wrong).exits_with(2);
    }
    env.set("CODEX_REVIEW_HELPER_LEVEL", "1");
    let _ = review(&env, &[]).exits_with(78);
    assert!(!env.root().join("args").exists());
}

/// A command line that a skill names, and the section in which it does.
struct Line {
    section: String,
    command: String,
}

/// The lines of the `sh` blocks, and the phrases in backticks that begin with the program's name.
fn command_lines(skill: &str) -> Vec<Line> {
    let (mut lines, mut section, mut in_block) = (Vec::new(), String::new(), false);
    let text = bundled(skill);
    // A phrase in backticks may continue on the next line.
    for paragraph in text.split("\n\n") {
        for line in paragraph.lines() {
            match line {
                "```sh" => in_block = true,
                "```" => in_block = false,
                command if in_block => {
                    lines.push(Line { section: section.clone(), command: command.to_owned() });
                }
                heading if heading.starts_with("## ") => section = heading[3..].to_owned(),
                _ => {}
            }
        }
        if !paragraph.contains("```") {
            let prose = paragraph.replace('\n', " ");
            let named = prose.split('`').skip(1).step_by(2).filter(|code| code.starts_with("conveyorctl "));
            lines.extend(named.map(|code| Line { section: section.clone(), command: code.to_owned() }));
        }
    }
    lines
}

/// Runs a line in a shell, with its placeholders filled in.
#[track_caller]
fn run_line(env: &TestEnv, line: &str, names: &[(&str, &str)]) -> Output {
    let mut filled = line.replace("--timeout 60", "--timeout 1");
    for (placeholder, value) in names {
        filled = filled.replace(&format!("<{placeholder}>"), value);
    }
    // The placeholders that are left are free text, always in quotes.
    let mut within = filled.split('<');
    let mut command = within.next().unwrap_or_default().to_owned();
    for rest in within {
        let (text, after) = rest.split_once('>').expect("a placeholder ends");
        command.push_str(text);
        command.push_str(after);
    }
    Running::start(env.command("sh").args(["-c", &command])).finish()
}

/// Makes the worker ask for an approval. Returns its id.
fn ask(env: &TestEnv, worker: &str) -> String {
    let _ = env.conveyorctl(&["session-nudge", worker, "[[ask: touch asked]] please"]).success();
    wait_until("the approval to be listed", || {
        let listed = env.conveyorctl(&["approvals", "list", "--json"]).success().json();
        let listed = listed.get("approvals").cloned().unwrap_or(listed);
        listed.as_array()?.first()?["id"].as_str().map(str::to_owned)
    })
}

#[test]
fn every_command_line_of_the_skill_for_managers_runs() {
    let mut env = TestEnv::new();
    env.install_codex(&standin(Format::New));
    let lines = command_lines(FILES[0]);
    // The order in which the sections can be run: no work goes into an ended task.
    let sections = [
        "",
        "Look around",
        "Start a pair",
        "Register this session",
        "Supervise",
        "As a worker",
        "When something is off",
        "Finish",
    ];
    for line in &lines {
        let known = sections.contains(&line.section.as_str()) || line.section == "Manage Codex workers";
        assert!(known, "a section that this test does not run: {}", line.section);
    }
    let folder = env.project().into_string();
    let first = [
        ("task", "greeting"),
        ("worker", "gw"),
        ("manager", "gm"),
        ("folder", folder.as_str()),
        ("verb", "pair"),
    ];
    let second = [("task", "other"), ("worker", "ow"), ("manager", "om")];
    let mut run = 0;
    for section in sections {
        if section == "Register this session" {
            let _ = env.conveyorctl(&["start-worker", "--name", "ow", "--task", "hello"]).success();
            let _ = env.conveyorctl(&["start-manager", "--name", "om"]).success();
        }
        for line in lines.iter().filter(|line| line.section == section) {
            let command = line.command.as_str();
            let verb = command.split("conveyorctl ").nth(1).and_then(|rest| rest.split(' ').next());
            // A finished task has no pair any more, so these lines end the other pair.
            let of_other =
                section == "Register this session" || ["unbind", "stop"].contains(&verb.unwrap_or_default());
            let mut names = if of_other { second.to_vec() } else { first.to_vec() };
            let approval;
            if command.contains("<approval>") {
                approval = ask(&env, "gw");
                names.push(("approval", approval.as_str()));
            }
            names.push(("id", "1"));
            let output = run_line(&env, command, &names);
            let allowed: &[i32] = match verb {
                // This test is not a session in tmux.
                Some("doctor-self") => &[1],
                Some("wait") => &[0, 124],
                _ => &[0],
            };
            assert!(output.code.is_some_and(|code| allowed.contains(&code)), "{command}: {output:?}");
            run += 1;
        }
    }
    assert_eq!(run, lines.len(), "each line was run once");
}

#[test]
fn every_command_line_of_the_skill_for_reviews_runs() {
    let env = review_world("All is well.");
    fs::write(env.project().join("Makefile"), "test:\n\t@echo tested\n").expect("the project is ours");
    let _ = install(&env, &[]).success();
    let lines = command_lines(FILES[2]);
    assert!(!lines.is_empty());
    for line in lines {
        let output = run_line(&env, &line.command, &[]);
        assert_eq!(output.code, Some(0), "{}: {output:?}", line.command);
    }
}
