//! The stand-in behaves as Codex does: each test runs with both of its formats, and with the real
//! Codex of each version that this machine has.

use conveyor_tests::harness::{Pane, Program, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;

use super::present_versions;

#[track_caller]
fn check(test: fn(&TestEnv, &Pane)) {
    let mut programs: Vec<Program> = [Format::New, Format::Old].map(standin).into();
    programs.extend(present_versions());
    for program in programs {
        let env = TestEnv::new();
        let pane = env.start_codex(&program, "worker");
        test(&env, &pane);
    }
}

#[test]
fn a_paste_and_an_enter_are_one_message() {
    check(|env, pane| {
        assert!(env.rollouts().is_empty(), "there is no rollout before the first input");
        env.tmux().send(pane, "two lines\nof one message");
        let rollout = env.wait_for_message("of one message");
        env.wait_for_events(&rollout, "task_complete", 1);
        assert_eq!(env.user_messages(&rollout), ["two lines\nof one message"]);
    });
}

#[test]
fn an_enter_right_behind_typed_text_sends_nothing() {
    check(|env, pane| {
        let typed = ["send-keys", "-t", &pane.id, "-l", "short", ";", "send-keys", "-t", &pane.id, "Enter"];
        let _ = env.tmux().run(&typed).success();
        env.tmux().wait_for_text(pane, "› short");
        env.tmux().key(pane, "Enter");
        let rollout = env.wait_for_message("short");
        assert_eq!(env.user_messages(&rollout), ["short"], "it was sent once, by the second Enter");
    });
}

#[test]
fn escape_ends_a_turn() {
    check(|env, pane| {
        env.tmux().send(pane, "[[slow: 60]] take your time");
        let rollout = env.wait_for_message("take your time");
        let spins = |title: String| title.starts_with(|first| ('\u{2800}'..='\u{28ff}').contains(&first));
        wait_until("a spinner in the title", || spins(env.tmux().title(pane)).then_some(()));
        env.tmux().key(pane, "Escape");
        env.wait_for_events(&rollout, "turn_aborted", 1);
        env.tmux().wait_for_text(pane, "Conversation interrupted");
        wait_until("the title without a spinner", || (!spins(env.tmux().title(pane))).then_some(()));
    });
}

#[test]
fn a_menu_eats_a_paste_and_its_enter_approves() {
    check(|env, pane| {
        let touched = env.root().join("tmp/approved");
        env.tmux().send(pane, &format!("[[ask: touch {touched}]] please"));
        env.tmux().wait_for_text(pane, "Would you like to run the following command?");
        let asks = || env.tmux().title(pane).contains("Action Required").then_some(());
        wait_until("the title to ask for an action", asks);
        env.tmux().send(pane, "a message that is lost");
        wait_until("the approved command's file", || touched.exists().then_some(()));
        let rollout = env.wait_for_message("please");
        env.wait_for_events(&rollout, "task_complete", 1);
        assert_eq!(env.user_messages(&rollout).len(), 1, "the message was lost");
    });
}

#[test]
fn a_denied_command_ends_the_turn() {
    check(|env, pane| {
        let touched = env.root().join("tmp/approved");
        env.tmux().send(pane, &format!("[[ask: touch {touched}]] please"));
        env.tmux().wait_for_text(pane, "Would you like to run the following command?");
        env.tmux().key(pane, "Escape");
        let rollout = env.wait_for_message("please");
        env.wait_for_events(&rollout, "turn_aborted", 1);
        assert!(!touched.exists(), "the command ran");
    });
}
