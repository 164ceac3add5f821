use super::*;
use crate::codex::recordings::recorded;
use crate::codex::screen::approval_menu;
use conveyor_proto::types::approval::{ApprovalRow, ApprovalSource, ApprovalState};
use serde_json::{Value, json};
use std::{fs, slice};

const CWD: &str = "/project";
const HEREDOC: &str = "cat > out <<'EOF'\nline 1\nline 2\nline 3\nEOF\ntouch hidden";
const PATCH: &str =
    "*** Begin Patch\n*** Add File: /opt/a\n+x\n*** Update File: b\n@@\n-y\n+z\n*** End Patch";

fn shell(id: &str, command: &str) -> Call {
    let arguments = json!({"cmd": command, "justification": "May this run?"}).to_string();
    call(&json!({"type": "function_call", "name": "exec_command", "call_id": id, "arguments": arguments}))
}

fn patch(id: &str, input: &str) -> Call {
    call(&json!({"type": "custom_tool_call", "name": "apply_patch", "call_id": id, "input": input}))
}

fn call(payload: &Value) -> Call {
    Call::read(payload).unwrap()
}

/// A menu with this question and these rows below it.
fn menu(question: &str, rows: &[&str]) -> ApprovalMenu {
    let rows: String = rows.iter().map(|row| format!("  {row}\n")).collect();
    let screen = format!(
        "\n  {question}\n\n{rows}\n› 1. Yes, proceed (y)\n  2. No (esc)\n\n  Press enter to confirm or esc to cancel\n"
    );
    approval_menu("[ ! ] Action Required", &screen).unwrap()
}

fn command(rows: &[&str]) -> ApprovalMenu {
    menu("Would you like to run the following command?", rows)
}

fn edits_of(rows: &[&str]) -> ApprovalMenu {
    menu("Would you like to make the following edits?", rows)
}

const fn known<'a>(calls: &'a [Call], answered: &'a [String]) -> Known<'a> {
    Known { calls, answered, cwd: CWD }
}

fn asked(menu: &ApprovalMenu, calls: &[Call]) -> Question {
    question(menu, &known(calls, &[]))
}

/// The approval that was stored for a question.
fn stored(question: &Question) -> Approval {
    let extent = match question.subject {
        PaneSubject::Call { .. } | PaneSubject::Screen(_) => ApprovalExtent::Whole,
        PaneSubject::Cut(_) => ApprovalExtent::Cut,
        PaneSubject::Ambiguous(_) => ApprovalExtent::Ambiguous,
    };
    let row = ApprovalRow {
        id: "approval".to_owned(),
        kind: question.kind,
        state: ApprovalState::Pending,
        source: ApprovalSource::Pane,
        command: question.command.clone(),
        extent,
        sha256: question.digest(),
        cwd: question.cwd.clone(),
        reason: question.reason.clone(),
        created_at: String::new(),
        age_seconds: None,
        session_id: String::new(),
        session: String::new(),
        task_id: None,
        task: None,
        thread_id: None,
        turn_id: None,
        resolved_at: None,
        decision: None,
        decided_by: None,
        decided_reason: None,
    };
    Approval { row, subject: question.subject.to_string() }
}

const CUT: [&str; 5] =
    ["Reason: May this run?", "", "$ cat > out <<'EOF'", "line 1", "[… 22 lines] ^a view all"];

#[test]
fn a_command_that_the_pane_cuts_is_taken_whole_from_its_call() {
    let calls = [shell("other", "ls"), shell("mine", HEREDOC)];
    let found = asked(&command(&CUT), &calls);
    assert!(matches!(&found.subject, PaneSubject::Call { call, .. } if call == "mine"), "{found:?}");
    assert_eq!((found.kind, found.command.as_deref()), (ApprovalKind::Command, Some(HEREDOC)));
    assert_eq!((found.reason.as_deref(), found.cwd.as_deref()), (Some("May this run?"), Some(CWD)));
    assert!(found.is_what_is_shown(&stored(&found)));
}

#[test]
fn a_cut_command_without_its_call_is_never_what_is_shown() {
    for calls in [vec![], vec![shell("other", "ls")]] {
        let found = asked(&command(&CUT), &calls);
        assert!(matches!(found.subject, PaneSubject::Cut(_)), "{found:?}");
        assert!(found.command.as_deref().unwrap().ends_with("[… 22 lines] ^a view all"));
        let stored = stored(&found);
        assert!(!found.is_what_is_shown(&stored) && found.may_be(&stored, &known(&calls, &[])));
    }
}

#[test]
fn calls_that_begin_alike_cannot_be_told_apart_by_a_cut_question() {
    let calls = [shell("one", HEREDOC), shell("two", &HEREDOC.replace("hidden", "another"))];
    let found = asked(&command(&CUT), &calls);
    assert!(matches!(found.subject, PaneSubject::Ambiguous(_)), "{found:?}");
    assert!(!found.is_what_is_shown(&stored(&found)));
}

#[test]
fn a_whole_command_on_the_screen_that_no_call_holds_is_another_ones() {
    let found = asked(&command(&["$ touch x"]), &[shell("mine", "ls")]);
    assert!(matches!(found.subject, PaneSubject::Ambiguous(_)), "{found:?}");
    let child = command(&["Thread: Agent (01a22b3f)", "", "$ ls"]);
    let found = asked(&child, &[shell("mine", "ls")]);
    assert!(matches!(found.subject, PaneSubject::Ambiguous(_)), "a sub-agent asks for the same: {found:?}");
}

#[test]
fn calls_that_ask_the_same_are_answered_one_after_the_other() {
    let calls = [shell("one", "ls"), shell("two", "ls")];
    let menu = command(&["Reason: May this run?", "", "$ ls"]);
    let first = asked(&menu, &calls);
    let answered = [first.subject.to_string()];
    let second = question(&menu, &known(&calls, &answered));
    assert!(matches!(&first.subject, PaneSubject::Call { call, .. } if call == "one"), "{first:?}");
    assert!(matches!(&second.subject, PaneSubject::Call { call, .. } if call == "two"), "{second:?}");
    assert!(!second.is_what_is_shown(&stored(&first)));
}

#[test]
fn what_changes_between_the_look_and_the_key_is_not_what_was_shown() {
    let menu = command(&CUT);
    let shown = stored(&asked(&menu, &[shell("mine", HEREDOC)]));
    // The visible part is the same each time.
    let other_text = asked(&menu, &[shell("mine", &HEREDOC.replace("hidden", "another"))]);
    let other_call = asked(&menu, &[shell("next", HEREDOC)]);
    let mut elsewhere = shell("mine", HEREDOC);
    elsewhere.cwd = Some("/".to_owned());
    let elsewhere = asked(&menu, &[elsewhere]);
    let mut more = shell("mine", HEREDOC);
    more.more = vec!["additional_permissions: {}".to_owned()];
    let more = asked(&menu, &[more]);
    let mut other_reason = shell("mine", HEREDOC);
    other_reason.reason = Some("Another reason".to_owned());
    let other_reason = asked(
        &command(&["Reason: Another reason", "", "$ cat > out <<'EOF'", "[… 22 lines]"]),
        &[other_reason],
    );
    for changed in [other_text, other_call, elsewhere, more, other_reason] {
        assert!(!changed.is_what_is_shown(&shown), "{changed:?}");
    }
    assert!(asked(&menu, &[shell("mine", HEREDOC)]).is_what_is_shown(&shown));
}

#[test]
fn a_question_is_the_same_one_however_the_pane_is_resized() {
    let calls = [shell("mine", HEREDOC)];
    let known = known(&calls, &[]);
    let wide = [
        "Environment: local",
        "",
        "Reason: May this run?",
        "",
        "$ cat > out <<'EOF'",
        "line 1",
        "line 2",
        "line 3",
        "EOF",
        "touch hidden",
    ];
    let narrow =
        ["Reason: May", "this run?", "", "$ cat > out", "<<'EOF'", "line 1", "[… 9 lines] ^a view all"];
    let low = ["Environment: local", "", "Reason: May this run?", "[… 22 lines] ^a view all"];
    let shown = stored(&asked(&command(&wide), &calls));
    for rows in [&wide[..], &narrow] {
        assert!(asked(&command(rows), &calls).is_what_is_shown(&shown), "{rows:?}");
    }
    // Codex 0.130 clips the question in a narrow pane.
    let clipped = menu("Would you like to run the following", &narrow);
    assert!(asked(&clipped, &calls).is_what_is_shown(&shown));
    for menu in [command(&low), command(&["[… 20 lines] ctrl + a view all"])] {
        let found = asked(&menu, &calls);
        assert!(found.may_be(&shown, &known), "{found:?}");
        assert!(!found.is_what_is_shown(&shown), "nothing of the command is seen: {found:?}");
        assert!(
            !question(&menu, &Known { calls: &[], ..known }).may_be(&shown, &Known { calls: &[], ..known })
        );
    }
    // Codex 0.130 leaves characters of its earlier rows after a resize.
    let screen = "\n  Would you like to run the following command?\n• Reason: May this run?\n\n› $[cat > out <<'EOF'\n  line 1\n\n\
                  › 1. Yes, proceed (y)\n  2. No (esc)\n\n  Press enter to confirm or esc to cancel\n";
    let overdrawn = asked(&approval_menu("[ ! ] Action Required", screen).unwrap(), &calls);
    assert!(overdrawn.may_be(&shown, &known) && !overdrawn.is_what_is_shown(&shown), "{overdrawn:?}");
    let other = asked(&command(&["Reason: May this run?", "", "$ ls"]), &calls);
    assert!(!other.may_be(&shown, &known), "{other:?}");
}

#[test]
fn a_cut_question_without_a_call_is_the_same_one_at_another_size() {
    let known = known(&[], &[]);
    let shown = stored(&asked(&command(&CUT), &[]));
    let taller = [
        "Reason: May this run?",
        "",
        "$ cat > out",
        "<<'EOF'",
        "line 1",
        "line 2",
        "[… 22 lines] ^a view all",
    ];
    assert!(asked(&command(&taller), &[]).may_be(&shown, &known));
    let other = ["Reason: May this run?", "", "$ cat > other <<'EOF'", "[… 22 lines] ^a view all"];
    assert!(!asked(&command(&other), &[]).may_be(&shown, &known));
}

#[test]
fn a_command_that_quotes_a_question_is_matched_as_a_whole() {
    let spoof = "cat <<'EOF'\nWould you like to run the following command?\n\n$ ls\nEOF\nrm -rf x";
    let rows: Vec<&str> = std::iter::once("$ cat <<'EOF'").chain(spoof.lines().skip(1)).collect();
    let found = asked(&command(&rows), &[shell("mine", spoof)]);
    assert_eq!(found.command.as_deref(), Some(spoof));
    // As a question about `ls ...` it fits no call, and with one that it fits it is not clear which is asked about.
    let found = asked(&command(&rows), &[shell("mine", spoof), shell("bait", "ls\nEOF\nrm -rf x")]);
    assert!(matches!(found.subject, PaneSubject::Ambiguous(_)), "{found:?}");
}

#[test]
fn a_patch_is_taken_whole_from_its_call() {
    let destinations =
        ["Description: Apply proposed file edits", "Destination: /opt/a", "Destination: /project/b"];
    let heredoc = format!("apply_patch <<'EOF'\n{PATCH}\nEOF\n");
    // Codex 0.130 names no destinations.
    for rows in
        [&destinations[..], &[], &["Description: x", "Destination: /opt/a", "[… 28 lines] ^a view all"]]
    {
        for mine in [patch("mine", PATCH), shell("mine", &heredoc)] {
            let whole = mine.text.clone();
            let found = asked(&edits_of(rows), &[shell("other", "ls"), mine]);
            assert_eq!((found.kind, found.command), (ApprovalKind::FileChange, Some(whole)), "{rows:?}");
        }
    }
    let other = PATCH.replace("/opt/a", "/opt/c");
    let two = [patch("mine", PATCH), patch("other", &other)];
    assert_eq!(asked(&edits_of(&destinations), &two).command.as_deref(), Some(PATCH));
    assert!(matches!(asked(&edits_of(&[]), &two).subject, PaneSubject::Ambiguous(_)));
    for rows in
        [&["Destination: /opt/a"][..], &["Destination: /opt/a", "Destination: b", "Destination: /etc/passwd"]]
    {
        let found = asked(&edits_of(rows), &[patch("mine", PATCH)]);
        assert!(matches!(found.subject, PaneSubject::Ambiguous(_)), "{rows:?}: {found:?}");
    }
    let found = asked(&edits_of(&["Description: x", "[… 28 lines] ^a view all"]), &[patch("mine", PATCH)]);
    assert!(matches!(found.subject, PaneSubject::Cut(_)), "no destination is seen: {found:?}");
}

#[test]
fn what_no_call_holds_is_whole_when_the_screen_shows_all_of_it() {
    const PERMISSIONS: &str = "Would you like to grant these permissions?";
    let shown =
        asked(&menu(PERMISSIONS, &["Reason: for a test", "", "Permission rule: write `/etc/a-b`"]), &[]);
    assert!(matches!(shown.subject, PaneSubject::Screen(_)), "{shown:?}");
    let item = stored(&shown);
    let narrow =
        menu(PERMISSIONS, &["Reason: for a", "test", "", "Permission rule:", "write `/etc/a-", "b`"]);
    assert!(asked(&narrow, &[]).is_what_is_shown(&item), "the same at another width");
    let cut = menu(PERMISSIONS, &["Reason: for a test", "", "[… 12 lines] ^a view all"]);
    let other = menu(PERMISSIONS, &["Reason: for a test", "", "Permission rule: write `/etc/a -b`"]);
    for menu in [cut, other] {
        assert!(!asked(&menu, &[]).is_what_is_shown(&item), "{menu:?}");
    }
    let quoted =
        menu(PERMISSIONS, &["Reason: for a", "would you like to fool us", "", "Permission rule: read `/`"]);
    assert!(matches!(asked(&quoted, &[]).subject, PaneSubject::Ambiguous(_)), "which row is the question?");
}

#[test]
fn a_tool_is_shown_with_the_arguments_that_the_screen_leaves_out() {
    let payload = json!({
        "type": "function_call", "name": "ping", "namespace": "mcp__slow", "arguments": "{\"host\":\"h\"}", "call_id": "c",
    });
    let screen = "\n  Field 1/1\n  Allow the slow MCP server to run tool \"ping\"?\n  › 1. Allow\n    2. Cancel\n  enter to submit | esc to cancel\n";
    let menu = approval_menu("", screen).unwrap();
    let found = asked(&menu, &[call(&payload)]);
    assert_eq!(
        (found.kind, found.command.as_deref()),
        (ApprovalKind::Tool, Some("slow.ping({\"host\":\"h\"})"))
    );
}

/// The recorded questions with the calls of the same recordings.
#[test]
fn recorded_questions_fit_their_calls() {
    let Some((folder, _)) = recorded::<Value>("codex") else { return };
    for version in ["0.130.0", "0.169.0"] {
        let folder = folder.join(version);
        for (pane, rollout, part) in [
            ("approval-command", "tool-calls-and-approvals", "touch /etc/"),
            ("approval-patch", "patch-approval", "+hi"),
            ("mcp-approval", "mcp-call-cancelled", "slow.ping({})"),
        ] {
            let screen = fs::read_to_string(folder.join(format!("panes/{pane}.txt"))).unwrap();
            let records = fs::read_to_string(folder.join(format!("rollouts/{rollout}.jsonl"))).unwrap();
            let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let calls: Vec<Call> = records.filter_map(|record| Call::read(&record["payload"])).collect();
            // The last call of its kind is the one that the recording stopped at.
            let menu = approval_menu("[ ! ] Action Required", &screen).unwrap();
            let asked: Vec<Question> = calls.iter().map(|call| asked(&menu, slice::from_ref(call))).collect();
            let fits = |asked: &&Question| matches!(asked.subject, PaneSubject::Call { .. });
            let found = asked.iter().rfind(fits).unwrap_or_else(|| panic!("{version} {pane}: {menu:?}"));
            assert!(found.command.as_deref().unwrap().contains(part), "{version} {pane}");
        }
    }
}
