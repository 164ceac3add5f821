//! Where a text to the real Codex goes: never into a dialog, a search or a side chat that has the focus while the
//! composer is on the screen.

use super::present_versions;
use conveyor_tests::harness::{Pane, Program, TestEnv, wait_until};
use serde_json::Value;

/// A registered worker in a pane that has done one turn, with its rollout.
#[track_caller]
fn worker(env: &TestEnv, program: &Program) -> (Pane, String) {
    let pane = env.start_codex(program, "worker");
    let pid = pane.pid.to_string();
    let register = ["register-worker", "--name", "worker", "--pid", &pid, "--tmux-session", &pane.session];
    let _ = env.conveyorctl(&register).success();
    assert_eq!(nudge(env, &["hello"])["outcome"], "delivered");
    let rollout = env.wait_for_message("hello");
    env.wait_for_events(&rollout, "task_complete", 1);
    (pane, rollout)
}

#[track_caller]
fn nudge(env: &TestEnv, arguments: &[&str]) -> Value {
    env.conveyorctl(&[&["session-nudge", "worker"], arguments].concat()).success().json()
}

/// Versions from 0.169 on, which have the dialogs and the side chats.
fn new_versions() -> impl Iterator<Item = Program> {
    present_versions()
        .into_iter()
        .filter(|program| !matches!(program, Program::Codex { version, .. } if version.starts_with("0.130.")))
}

#[track_caller]
fn check_held(env: &TestEnv, rollout: &str, by: &str, text: &str) {
    let held = nudge(env, &[text]);
    assert_eq!([&held["outcome"], &held["blocked_by"]], ["held", by], "{held:#}");
    assert_eq!(held["side_effect_started"], false, "{held:#}");
    assert!(!env.user_messages(rollout).contains(&text.to_owned()));
}

/// The Enter of a text confirmed the dialog: the thread was deleted.
#[test]
fn a_dialog_above_the_composer_gets_no_text() {
    for program in new_versions() {
        let env = TestEnv::new();
        let (pane, rollout) = worker(&env, &program);
        env.tmux().slash(&pane, "/delete");
        env.tmux().wait_for_text(&pane, "Yes, delete");
        env.tmux().key(&pane, "Down");
        env.tmux().wait_for_text(&pane, "› 2. Yes, delete");
        check_held(&env, &rollout, "menu", "are you there?");
        assert!(env.tmux().screen(&pane).contains("› 2. Yes, delete"), "nothing was chosen");
        env.tmux().key(&pane, "Escape");
        let _ = env.wait_for_message("are you there?");
        assert!(std::path::Path::new(&rollout).exists(), "nothing was deleted");
    }
}

#[test]
fn a_search_of_the_history_gets_no_text() {
    for program in present_versions() {
        let env = TestEnv::new();
        let (pane, rollout) = worker(&env, &program);
        env.tmux().key(&pane, "C-r");
        env.tmux().wait_for_text(&pane, "reverse-i-search");
        check_held(&env, &rollout, "menu", "are you there?");
        env.tmux().key(&pane, "Escape");
        let _ = env.wait_for_message("are you there?");
    }
}

#[test]
fn a_side_chat_that_has_the_focus_gets_no_text() {
    for program in new_versions() {
        let env = TestEnv::new();
        let (pane, rollout) = worker(&env, &program);
        env.tmux().slash(&pane, "/side");
        env.tmux().wait_for_text(&pane, "Ask a follow-up question");
        check_held(&env, &rollout, "side_chat", "are you there?");
        // Closed again, the main conversation gets what was held.
        let keys: &[&str] = match &program {
            Program::Codex { version, .. } if version.starts_with("0.169.") => &["C-c"],
            _ => &["C-x", "w"],
        };
        for key in keys {
            env.tmux().key(&pane, key);
        }
        wait_until("the message to reach the main conversation", || {
            env.user_messages(&rollout).contains(&"are you there?".to_owned()).then_some(())
        });
    }
}

/// What Codex itself has queued goes at the end of the turn, and a text that is entered meanwhile joins the turn.
#[test]
fn a_text_does_not_overtake_what_codex_has_queued() {
    for program in present_versions() {
        let env = TestEnv::new();
        let (pane, rollout) = worker(&env, &program);
        assert_eq!(nudge(&env, &["[[slow: 8]] take your time"])["outcome"], "delivered");
        let _ = env.tmux().run(&["send-keys", "-t", &pane.id, "-l", "queued by a person"]).success();
        env.tmux().wait_for_text(&pane, "queued by a person");
        env.tmux().key(&pane, "Tab");
        env.tmux().wait_for_text(&pane, "Queued follow-up inputs");
        check_held(&env, &rollout, "queue", "after it");
        let _ = env.wait_for_message("after it");
        let messages = env.user_messages(&rollout);
        assert_eq!(messages[2..], ["queued by a person", "after it"], "{messages:?}");
    }
}

/// The app-server of a shared daemon takes a text into the main conversation, whatever the pane shows.
#[test]
fn the_app_server_takes_a_text_that_the_pane_cannot_take() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        let env = TestEnv::new();
        let (pane, rollout) = worker(&env, &program);
        let _ = env.tmux().run(&["copy-mode", "-t", &pane.id]).success();
        let sent = nudge(&env, &["past the copy mode"]);
        assert_eq!([&sent["outcome"], &sent["transport"]], ["delivered", "app-server"], "{sent:#}");
        // Codex takes a text into the turn that runs.
        env.wait_for_events(&rollout, "task_complete", 2);
        let held = nudge(&env, &["into the pane", "--transport", "tmux"]);
        assert_eq!([&held["outcome"], &held["blocked_by"]], ["held", "copy_mode"], "{held:#}");
        let _ = env.tmux().run(&["send-keys", "-t", &pane.id, "-X", "cancel"]).success();
        wait_until("the held text", || {
            env.user_messages(&rollout).contains(&"into the pane".to_owned()).then_some(())
        });
        env.wait_for_events(&rollout, "task_complete", 3);

        env.tmux().slash(&pane, "/side");
        env.tmux().wait_for_text(&pane, "Ask a follow-up question");
        let sent = nudge(&env, &["past the side chat"]);
        assert_eq!([&sent["outcome"], &sent["transport"]], ["delivered", "app-server"], "{sent:#}");
        assert_eq!(
            env.user_messages(&rollout),
            ["hello", "past the copy mode", "into the pane", "past the side chat"]
        );
    }
}

/// In the Insert mode of vi the first Escape interrupts nothing, and in Normal mode Ctrl-U clears nothing.
#[test]
fn vi_mode_is_interrupted_and_cleared() {
    for program in present_versions() {
        let env = TestEnv::new();
        let (pane, _) = worker(&env, &program);
        env.tmux().slash(&pane, "/vim");
        env.tmux().wait_for_text(&pane, "Vim: Normal");
        assert_eq!(nudge(&env, &["[[pause: 40]] take your time"])["outcome"], "delivered");
        // Versions differ in the mode after a message.
        if env.tmux().screen(&pane).contains("Vim: Normal") {
            env.tmux().key(&pane, "i");
        }
        env.tmux().wait_for_text(&pane, "Vim: Insert");
        let interrupted = env.conveyorctl(&["session-interrupt", "worker"]).success().json();
        assert_eq!(interrupted["interrupted"], true, "{interrupted:#}");
        env.tmux().wait_for_text(&pane, "Vim: Normal");
        env.tmux().key(&pane, "i");
        env.tmux().wait_for_text(&pane, "Vim: Insert");
        let _ = env.tmux().run(&["send-keys", "-t", &pane.id, "-l", "half a thought"]).success();
        env.tmux().wait_for_text(&pane, "half a thought");
        env.tmux().key(&pane, "Escape");
        env.tmux().wait_for_text(&pane, "Vim: Normal");
        let sent = nudge(&env, &["after the draft", "--clear-draft"]);
        assert_eq!(sent["outcome"], "delivered", "{sent:#}\n{}", env.tmux().screen(&pane));
        let _ = env.wait_for_message("after the draft");
    }
}

/// Codex attaches an image where the path of one is pasted, and the path is then no text of the message.
#[test]
fn the_path_of_an_image_stays_a_text() {
    for program in present_versions() {
        let env = TestEnv::new();
        let (_, rollout) = worker(&env, &program);
        let image = env.project().join("a picture.png");
        std::fs::write(&image, b"\x89PNG\r\n\x1a\n").expect("the folder is ours");
        for text in [format!("'{image}'"), image.as_str().replace(' ', "\\ ")] {
            assert_eq!(nudge(&env, &[&text])["outcome"], "delivered", "{text}");
            let told = env.user_messages(&rollout);
            assert!(told.last().is_some_and(|last| last.contains(&text)), "{told:?}");
        }
    }
}
