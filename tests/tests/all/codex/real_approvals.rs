//! Approvals and Codex's app-server with the real Codex in the offline lab: the shared daemon of 0.169, one
//! process per TUI, and 0.130.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use conveyor_tests::harness::{Pane, Program, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use serde_json::Value;

use super::present_versions;

#[track_caller]
fn call(env: &TestEnv, args: &[&str]) -> Value {
    env.conveyorctl(args).success().json()
}

#[track_caller]
fn register(env: &TestEnv, role: &str, pane: &Pane) {
    let (verb, pid) = (format!("register-{role}"), pane.pid.to_string());
    call(env, &[&verb, "--name", role, "--pid", &pid, "--tmux-session", &pane.session]);
}

/// A worker that has done one turn, with a manager that may answer approvals.
#[track_caller]
fn supervised(env: &TestEnv, program: &Program) -> Pane {
    let worker = env.start_codex(program, "worker");
    let manager = env.start_codex(&standin(Format::New), "manager");
    register(env, "worker", &worker);
    register(env, "manager", &manager);
    call(env, &["tasks", "--create", "task", "--goal", "A goal"]);
    call(env, &["bind", "--task", "task", "--worker", "worker", "--manager", "manager"]);
    call(env, &["manager-config", "task", "--permit", "worker_session.approve"]);
    assert_eq!(call(env, &["session-nudge", "worker", "hello"])["outcome"], "delivered");
    wait_for_state(env, "done");
    worker
}

#[track_caller]
fn wait_for_state(env: &TestEnv, state: &str) -> Value {
    let mut last = Value::Null;
    wait_until(&format!("a cycle that reports {state}"), || {
        last = call(env, &["cycle", "task"]);
        (last["worker_state"] == state).then_some(())
    });
    last
}

fn pending(env: &TestEnv) -> Option<Value> {
    let listed = call(env, &["approvals", "list", "task", "--json"]);
    listed.as_array().and_then(|rows| rows.last().cloned())
}

/// Makes the worker ask to touch a file. Returns the approval and the file.
#[track_caller]
fn ask(env: &TestEnv, file: &str) -> (Value, camino::Utf8PathBuf) {
    let path = env.root().join("tmp").join(file);
    call(env, &["session-nudge", "worker", &format!("[[ask: touch {path}]] please")]);
    (wait_until("the approval", || pending(env)), path)
}

#[track_caller]
fn decide(env: &TestEnv, verb: &str, approval: &Value) -> Value {
    let id = approval["id"].as_str().unwrap_or_default().to_owned();
    call(env, &["approvals", verb, &id, "--task", "task", "--reason", "a test", "--json"])
}

/// An approval is accepted, one is declined, and one is answered by the user in the TUI.
#[track_caller]
fn check_approvals(env: &TestEnv, program: &Program, source: &str, after_decline: &str) {
    let pane = supervised(env, program);
    let (asked, file) = ask(env, "accepted");
    assert_eq!(asked["source"], source, "{asked:#}");
    assert_eq!(asked["kind"], "command", "{asked:#}");
    env.tmux().wait_for_text(&env.tmux().pane("codex-manager"), "waits for an approval");
    let shown = asked["command"].as_str().unwrap_or_default().replace('\n', "");
    assert!(shown.contains("touch ") && shown.contains("accepted"), "{asked:#}");
    // The call asks for more permissions, too. That stands in the lines below.
    let reason = asked["reason"].as_str().and_then(|text| text.lines().next());
    assert_eq!(reason, Some("May this command run?"), "{asked:#}");
    let seen = wait_for_state(env, "needs_approval");
    assert_eq!(seen["worker_state_source"], source, "{seen:#}");
    assert!(!file.exists(), "nobody has accepted it");
    let accepted = decide(env, "accept", &asked);
    assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
    wait_until("the command to run", || file.exists().then_some(()));
    wait_for_state(env, "done");

    let (asked, file) = ask(env, "declined");
    let declined = decide(env, "decline", &asked);
    assert_eq!(declined["approval"]["state"], "declined", "{declined:#}");
    wait_for_state(env, after_decline);
    assert!(!file.exists(), "the command was declined");

    let (asked, file) = ask(env, "by-hand");
    // The app-server tells of the approval before the TUI shows it.
    env.tmux().wait_for_text(&pane, "Press enter to confirm");
    env.tmux().key(&pane, "y");
    wait_until("the command to run", || file.exists().then_some(()));
    wait_until("the approval to be over", || pending(env).is_none().then_some(()));
    let id = asked["id"].as_str().unwrap_or_default().to_owned();
    let args = ["approvals", "accept", &id, "--task", "task", "--reason", "late"];
    let late = env.conveyorctl(&args).exits_with(1);
    assert!(late.stderr.contains("not asked for any more"), "{}", late.stderr);
}

#[test]
fn approvals_are_answered_in_the_pane_where_there_is_no_app_server() {
    for program in present_versions() {
        check_approvals(&TestEnv::new(), &program, "pane", "interrupted");
    }
}

#[test]
fn approvals_are_answered_by_the_shared_daemon_which_also_takes_texts() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        let env = TestEnv::new();
        check_approvals(&env, &program, "app_server", "done");
        wait_for_state(&env, "done");
        let pane = env.tmux().pane("codex-worker");
        let by_app_server = |text: &str| {
            let sent = call(&env, &["session-nudge", "worker", text, "--transport", "app-server"]);
            assert_eq!([&sent["outcome"], &sent["transport"]], ["delivered", "app-server"], "{sent:#}");
        };
        by_app_server("[[say: heard]] by the app-server");
        // The id that it was sent with stands in the record: that is the proof.
        let rows = call(&env, &["sessions", "--role", "worker"]);
        let path = rows[0]["codex_session_path"].as_str().expect("a rollout");
        let rollout = std::fs::read_to_string(path).expect("it is there");
        let records = rollout.lines().filter(|line| line.contains("UserMessage") && line.contains("heard"));
        let records: Vec<Value> = records.map(|line| line.parse().expect("JSON")).collect();
        let id = records[0]["payload"]["item"]["client_id"].as_str().expect("an id");
        assert!(id.starts_with("conveyor:") && records.len() == 1, "{records:#?}");
        env.tmux().wait_for_text(&pane, "by the app-server");
        wait_for_state(&env, "done");
        by_app_server("[[run: sleep 60]] this takes long");
        wait_for_state(&env, "working");
        let ended = call(&env, &["session-interrupt", "worker", "--transport", "app-server"]);
        assert_eq!((&ended["sent"], &ended["interrupted"]), (&true.into(), &true.into()), "{ended:#}");
        wait_for_state(&env, "interrupted");
        let typed = call(&env, &["session-nudge", "worker", "by the pane"]);
        assert_eq!([&typed["outcome"], &typed["transport"]], ["delivered", "tmux"], "{typed:#}");
    }
}

/// A command of 13 lines and more, which Codex cuts in a pane of 80 columns and 24 rows.
fn long_command(file: &camino::Utf8Path, hidden: &camino::Utf8Path) -> String {
    let lines: String = (1..=13).map(|number| format!("line {number}\n")).collect();
    format!("cat > {file} <<'EOF'\n{lines}EOF\ntouch {hidden}")
}

/// A supervised worker whose sandbox lets it write to its project only. Temporary folders are free otherwise, and those of
/// these tests are below one.
#[track_caller]
fn supervised_in_its_project(env: &mut TestEnv, program: &Program) -> Pane {
    env.install_codex(program);
    let config = env.codex_home().join("config.toml");
    let closed = "[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n";
    let text = std::fs::read_to_string(&config).expect("the lab wrote it");
    std::fs::write(&config, format!("{text}\n{closed}")).expect("it is ours");
    supervised(env, program)
}

#[track_caller]
fn resize(env: &TestEnv, pane: &Pane, columns: &str, rows: &str) {
    let window = ["resize-window", "-t", &pane.id, "-x", columns, "-y", rows];
    let _ = env.tmux().run(&window).success();
}

/// The newest event of this kind about an approval.
#[track_caller]
fn audit(env: &TestEnv, event: &str, approval: &Value) -> Value {
    let stdout = env.conveyorctl(&["audit", "task", "--json"]).success().stdout;
    fn find<'a>(value: &'a Value, id: &Value, event: &str) -> Option<&'a Value> {
        let inner = match value {
            Value::Array(items) => items.iter().rev().find_map(|item| find(item, id, event)),
            Value::Object(fields) => fields.values().find_map(|field| find(field, id, event)),
            _ => None,
        };
        let is_it = || {
            let named = value.as_object()?.values().any(|field| field == event);
            Some(value).filter(|value| named && value["payload"]["approval_id"] == *id)
        };
        inner.or_else(is_it)
    }
    let rows = serde_json::Deserializer::from_str(&stdout).into_iter::<Value>();
    let rows: Value = rows.map(|row| row.expect("JSON")).collect();
    find(&rows, &approval["id"], event).unwrap_or_else(|| panic!("{event}: {rows:#}"))["payload"].clone()
}

/// Makes the worker ask for the long command. Returns the approval and the file of the hidden line.
#[track_caller]
fn ask_long(env: &TestEnv, pane: &Pane, name: &str) -> (Value, camino::Utf8PathBuf) {
    let (file, hidden) = (env.root().join("tmp/shown"), env.root().join("tmp").join(name));
    let command = long_command(&file, &hidden);
    call(env, &["session-nudge", "worker", &format!("[[ask: {command}]] please")]);
    env.tmux().wait_for_text(pane, " lines] ");
    let asked = wait_until("the approval", || pending(env));
    assert_eq!([&asked["command"], &asked["extent"]], [command.as_str(), "whole"], "{asked:#}");
    assert!(!hidden.exists(), "nobody has accepted it");
    (asked, hidden)
}

/// The pane shows twelve lines of a heredoc, and a command behind it that would run as well.
#[test]
fn a_command_that_the_pane_cuts_is_shown_whole_and_stays_one_item_at_any_size() {
    for program in present_versions() {
        let env = TestEnv::new();
        let pane = supervised(&env, &program);
        resize(&env, &pane, "80", "24");
        let (asked, hidden) = ask_long(&env, &pane, "hidden");
        let accepted = decide(&env, "accept", &asked);
        assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
        wait_until("the command to run", || hidden.exists().then_some(()));
        for event in ["approval_requested", "approval_decision_intent", "approval_decided"] {
            let kept = audit(&env, event, &asked);
            assert_eq!(
                [&kept["command"], &kept["sha256"]],
                [&asked["command"], &asked["sha256"]],
                "{kept:#}"
            );
        }
        wait_for_state(&env, "done");

        let (asked, hidden) = ask_long(&env, &pane, "hidden-too");
        // After a resize Codex 0.130 leaves characters of its earlier rows on the screen, which can make two items of
        // one question.
        let old = matches!(&program, Program::Codex { version, .. } if version == "0.130.0");
        if old {
            let decided = decide(&env, "decline", &asked);
            assert_eq!(decided["approval"]["state"], "declined", "{decided:#}");
            continue;
        }
        let (low, tall) = (
            [("80", "14", " lines] "), ("80", "24", " lines] ")],
            [("50", "60", "touch "), ("120", "40", "touch ")],
        );
        for (columns, rows, seen) in tall.into_iter().chain(low) {
            resize(&env, &pane, columns, rows);
            env.tmux().wait_for_text(&pane, seen);
            wait_for_state(&env, "needs_approval");
        }
        let same = wait_until("the approval", || pending(&env));
        assert_eq!(same["id"], asked["id"], "{same:#}");
        let listed = call(&env, &["approvals", "list", "task", "--all", "--json"]);
        assert_eq!(listed.as_array().map(Vec::len), Some(2), "one item per question: {listed:#}");
        let decided = decide(&env, "accept", &same);
        assert_eq!(decided["approval"]["state"], "accepted", "{decided:#}");
        wait_until("the command to run", || hidden.exists().then_some(()));
    }
}

/// Codex 0.130 names nothing of a patch in its question, and later versions name the files only.
#[test]
fn a_patch_is_shown_whole() {
    for program in present_versions() {
        let mut env = TestEnv::new();
        let pane = supervised_in_its_project(&mut env, &program);
        resize(&env, &pane, "80", "24");
        let file = env.root().join("patched");
        let text: String = (1..=30).map(|number| format!("patched line {number}\n")).collect();
        call(&env, &["session-nudge", "worker", &format!("[[patch: {file} | {text}]] please")]);
        let asked = wait_until("the approval", || pending(&env));
        assert_eq!([&asked["kind"], &asked["extent"]], ["file_change", "whole"], "{asked:#}");
        let shown = asked["command"].as_str().unwrap_or_default();
        assert!(shown.contains("+patched line 1\n") && shown.contains("+patched line 30\n"), "{asked:#}");
        assert!(!file.exists(), "nobody has accepted it");
        decide(&env, "accept", &asked);
        wait_until("the patch", || file.exists().then_some(()));
    }
}

/// A request of the app-server to change files tells no changes.
#[test]
fn a_patch_that_the_shared_daemon_asks_about_is_shown_whole() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        let mut env = TestEnv::new();
        supervised_in_its_project(&mut env, &program);
        let file = env.root().join("patched");
        call(&env, &["session-nudge", "worker", &format!("[[patch: {file} | by the daemon]] please")]);
        let asked = wait_until("the approval", || pending(&env));
        assert_eq!(
            [&asked["kind"], &asked["source"], &asked["extent"]],
            ["file_change", "app_server", "whole"],
            "{asked:#}"
        );
        assert!(asked["command"].as_str().unwrap_or_default().contains("+by the daemon\n"), "{asked:#}");
        decide(&env, "accept", &asked);
        wait_until("the patch", || file.exists().then_some(()));

        let (shown, hidden) = (env.root().join("tmp/shown"), env.root().join("tmp/hidden"));
        let command = long_command(&shown, &hidden);
        wait_for_state(&env, "done");
        call(&env, &["session-nudge", "worker", &format!("[[ask: {command}]] please")]);
        let asked = wait_until("the approval", || pending(&env));
        assert!(asked["command"].as_str().unwrap_or_default().contains(hidden.as_str()), "{asked:#}");
        decide(&env, "accept", &asked);
        wait_until("the command to run", || hidden.exists().then_some(()));
    }
}

/// Two calls of one step are open, and Codex asks about one after the other, in either order.
#[test]
fn of_two_open_calls_the_one_that_is_asked_about_is_accepted() {
    for program in present_versions() {
        let env = TestEnv::new();
        supervised(&env, &program);
        let files = ["first", "second"].map(|name| env.root().join("tmp").join(name));
        let [first, second] = &files;
        call(&env, &["session-nudge", "worker", &format!("[[both: touch {first} | touch {second}]] please")]);
        let asked = wait_until("the approval", || pending(&env));
        let command = asked["command"].as_str().unwrap_or_default().to_owned();
        let (mine, other) = if command.ends_with(first.as_str()) { (first, second) } else { (second, first) };
        assert_eq!(command, format!("touch {mine}"), "{asked:#}");
        decide(&env, "accept", &asked);
        wait_until("the accepted command", || mine.exists().then_some(()));
        let next =
            wait_until("the other approval", || pending(&env).filter(|next| next["id"] != asked["id"]));
        assert_eq!(next["command"], format!("touch {other}"), "{next:#}");
        assert!(!other.exists(), "nobody has accepted it");
    }
}
