//! The skills: how they are installed, and the program that one of them brings along.

#![expect(clippy::expect_used, reason = "a missing file is a failing test")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::Utf8PathBuf;
use conveyor_tests::harness::{Output, Running, TestEnv, workspace_root};
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
    // As an earlier version would have left it: other contents, known to the record.
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
    // Notes its arguments and, as the real one, writes its last message where it is told to.
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{0}/args'\nprintf '%s' \"$CODEX_REVIEW_HELPER_LEVEL\" > '{0}/level'\n\
         while [ $# -gt 1 ]; do shift; done\nprintf '%s' '{answer}' > \"$1\"\n",
        env.root()
    );
    fs::write(&codex, script).expect("it is ours");
    fs::set_permissions(&codex, fs::Permissions::from_mode(0o755)).expect("it is ours");
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
    assert!(output.stdout.contains("1 findings"), "{output:?}");
    assert_eq!(fs::read_to_string(kept).expect("kept"), "- [P1] It is wrong");

    let env = review_world("All is well.");
    fs::write(env.project().join("file"), "two\n").expect("the project is ours");
    let output = review(&env, &["--parallel-tests", "echo tested; exit 3"]).exits_with(1);
    assert!(output.stdout.contains("tested") && output.stdout.contains("exit code 3"), "{output:?}");
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
