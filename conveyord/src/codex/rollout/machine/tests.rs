use super::*;
use crate::codex::rollout::record::parse_line;

const LEGACY: &str = r#"{"type":"session_meta","payload":{"id":"thread","cli_version":"0.130.0"}}"#;
const PAGINATED: &str =
    r#"{"type":"session_meta","payload":{"id":"thread","cli_version":"0.169.0","history_mode":"paginated"}}"#;
const MESSAGE: &str = r#"{"type":"event_msg","payload":{"type":"user_message","message":"do it"}}"#;
const COMPACTED: &str = r#"{"type":"compacted","payload":{"message":"short"}}"#;
const SHELL: &str = r#"{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"<user_shell_command>\nls"}]}}"#;
const PLAN: &str = r#"{"type":"event_msg","payload":{"type":"item_completed","item":{"type":"Plan"}}}"#;

fn event(subtype: &str, id: &str, members: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!(r#","turn_id":"{id}""#) };
    format!(r#"{{"type":"event_msg","payload":{{"type":"{subtype}"{id}{members}}}}}"#)
}

fn start(id: &str) -> String {
    event("task_started", id, "")
}

fn start_by(id: &str, trigger: &str) -> String {
    event("task_started", id, &format!(r#","turn_attribution":{{"turn_trigger":"{trigger}"}}"#))
}

fn done(id: &str) -> String {
    event("task_complete", id, r#","last_agent_message":"did it""#)
}

fn done_without_message(id: &str) -> String {
    event("task_complete", id, r#","last_agent_message":null"#)
}

fn failed(id: &str, code: &str) -> String {
    event("task_complete", id, &format!(r#","error":{{"message":"no","codex_error_info":"{code}"}}"#))
}

fn aborted(id: &str) -> String {
    event("turn_aborted", id, r#","reason":"interrupted""#)
}

fn item_message(id: &str) -> String {
    event("item_completed", id, r#","item":{"type":"UserMessage","content":[{"text":"do it"}]}"#)
}

/// Feeds lines to a new state, which is stored and loaded again between any two of them.
fn feed(lines: &[String]) -> (ThreadState, Vec<Effect>) {
    let mut state = ThreadState::default();
    let mut effects = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let record = parse_line(line.as_bytes()).unwrap();
        effects.push(state.apply(&record.signal(), &format!("time {index}")));
        let stored = serde_json::to_string(&state).unwrap();
        assert_eq!(state, serde_json::from_str(&stored).unwrap());
        assert_eq!(state.phase == WorkerPhase::Working, state.turn.is_some());
    }
    (state, effects)
}

fn describe(effect: &Effect) -> Option<String> {
    let id = |id: &Option<TurnId>| id.as_ref().map_or("-", TurnId::as_str).to_owned();
    match effect {
        Effect::None => None,
        Effect::Started { turn_id, unfinished: None, .. } => Some(format!("start {}", id(turn_id))),
        Effect::Started { turn_id, unfinished: Some(turn), .. } => {
            Some(format!("start {} unfinished {}", id(turn_id), id(&turn.id)))
        }
        Effect::Ended(end) => {
            let outcome = match &end.outcome {
                Outcome::Done => "done".to_owned(),
                Outcome::Failed { error } => {
                    format!("failed:{}", error.as_ref().map_or("?", |error| error.code.as_str()))
                }
                Outcome::Interrupted { reason } => reason.clone().unwrap_or_default(),
            };
            let wakes = if end.wakes_manager() { "" } else { " silent" };
            Some(format!("end {} {outcome} {:?}{wakes}", id(&end.turn_id), end.kind))
        }
        Effect::EndIgnored { turn_id } => Some(format!("ignored {}", turn_id.as_str())),
        Effect::LeftUnfinished(turn) => Some(format!("left {}", id(&turn.id))),
    }
}

#[track_caller]
fn check(lines: &[String], expect: &[&str], phase: WorkerPhase) {
    let (state, effects) = feed(lines);
    assert_eq!(effects.iter().filter_map(describe).collect::<Vec<_>>(), expect);
    assert_eq!(state.phase, phase);
}

#[test]
fn a_thread_without_turns_is_unknown() {
    check(&[], &[], WorkerPhase::NeverStarted);
    check(&[PAGINATED.into(), COMPACTED.into(), item_message("a")], &[], WorkerPhase::NeverStarted);
    assert_eq!(ThreadState::default().coarse(), CoarseState::Unknown);
}

#[test]
fn turns_begin_and_end() {
    use WorkerPhase::*;
    check(&[start("a")], &["start a"], Working);
    check(&[start("a"), item_message("a"), done("a")], &["start a", "end a done User"], Done);
    check(&[start("a"), aborted("a")], &["start a", "end a interrupted Unknown"], Interrupted);
    check(&[start("a"), failed("a", "other")], &["start a", "end a failed:other Unknown"], Failed);
    check(
        &[start("a"), failed("a", "usage_limit_exceeded")],
        &["start a", "end a failed:usage_limit_exceeded Unknown"],
        LimitReached,
    );
}

#[test]
fn ends_belong_to_the_turn_that_runs() {
    use WorkerPhase::*;
    check(&[start("a"), done("b")], &["start a", "ignored b"], Working);
    check(&[start("a"), aborted("b"), done("a")], &["start a", "ignored b", "end a done Unknown"], Done);
    // If either side has no id, there is nothing to compare.
    check(&[start("a"), done("")], &["start a", "end a done Unknown"], Done);
    check(&[start(""), done("b")], &["start -", "end b done Unknown"], Done);
    // The beginning of this turn was not read.
    check(&[done("a")], &["end a done Unknown"], Done);
    check(
        &[start("a"), done("a"), aborted("b")],
        &["start a", "end a done Unknown", "end b interrupted Unknown"],
        Interrupted,
    );
}

#[test]
fn a_turn_that_never_ended_is_reported() {
    use WorkerPhase::*;
    check(
        &[start("a"), start("b"), done("b")],
        &["start a", "start b unfinished a", "end b done Unknown"],
        Done,
    );
    check(&[start("a"), start("b"), done("a")], &["start a", "start b unfinished a", "ignored a"], Working);
    // The same record twice is not a second turn.
    check(&[start("a"), start("a")], &["start a", "start a"], Working);
    check(&[start(""), start("")], &["start -", "start - unfinished -"], Working);
}

#[test]
fn turns_that_are_taken_back_leave_no_turn_open() {
    use WorkerPhase::*;
    let back = || event("thread_rolled_back", "", r#","num_turns":1"#);
    check(&[LEGACY.into(), start("a"), back()], &["start a", "left a"], Interrupted);
    check(
        &[LEGACY.into(), start("a"), back(), start("b"), done("b")],
        &["start a", "left a", "start b", "end b done Unknown"],
        Done,
    );
    // Codex may have written the end of the turn after all.
    check(
        &[LEGACY.into(), start("a"), back(), done("a")],
        &["start a", "left a", "end a done Unknown"],
        Done,
    );
    check(&[LEGACY.into(), start("a"), done("a"), back()], &["start a", "end a done Unknown"], Done);
}

#[test]
fn a_turn_ends_although_a_byte_of_its_id_is_bad() {
    let id = "01990000-0000-7000-8000-000000000001";
    for bad in [id.replace("8000", "8x00"), id.replace("8000", "800"), id.replace("8000", "80000")] {
        let started = format!("start {id}");
        let ended = format!("end {id} done Unknown");
        check(&[PAGINATED.into(), start(id), done(&bad)], &[&started, &ended], WorkerPhase::Done);
        let started = format!("start {bad}");
        let ended = format!("end {bad} done Unknown");
        check(&[PAGINATED.into(), start(&bad), done(id)], &[&started, &ended], WorkerPhase::Done);
    }
    // What is left of a UUID is no UUID, and Codex has no other ids.
    check(
        &[PAGINATED.into(), start(&id[2..]), done(id)],
        &[&format!("start {}", &id[2..]), &format!("end {} done Unknown", &id[2..])],
        WorkerPhase::Done,
    );
    let other = id.replace("8000", "8ee0");
    check(
        &[PAGINATED.into(), start(id), done(&other)],
        &[&format!("start {id}"), &format!("ignored {other}")],
        WorkerPhase::Working,
    );
}

#[test]
fn a_copied_history_is_not_the_threads_own() {
    const FORK: &str = r#"{"type":"session_meta","payload":{"id":"01990000-0000-7000-8000-00000000000a","forked_from_id":"01980000-0000-7000-8000-00000000000b"}}"#;
    const PARENT: &str = r#"{"type":"session_meta","payload":{"id":"01980000-0000-7000-8000-00000000000b"}}"#;
    let (old, own) = ("01980000-0000-7000-8000-000000000001", "01990001-0000-7000-8000-000000000001");
    let (started, ended) = (format!("start {old}"), format!("end {old} done Unknown"));
    let copied = [FORK.into(), PARENT.into(), start(old), MESSAGE.into(), done(old)];
    check(&copied, &[&started, &ended], WorkerPhase::NeverStarted);
    // The parent was killed in its last turn.
    check(&[FORK.into(), PARENT.into(), start(old), MESSAGE.into()], &[&started], WorkerPhase::NeverStarted);
    // A message without a turn id belongs to the copy, and so it does when the parent's head is missing.
    check(&[FORK.into(), PARENT.into(), MESSAGE.into()], &[], WorkerPhase::NeverStarted);
    check(&[FORK.into(), start(old), MESSAGE.into()], &[&started], WorkerPhase::NeverStarted);
    let mut lines = copied.to_vec();
    lines.extend([start(own), MESSAGE.into(), done(own)]);
    let (own_start, own_end) = (format!("start {own}"), format!("end {own} done User"));
    check(&lines, &[&started, &ended, &own_start, &own_end], WorkerPhase::Done);
    // The wall clock was set back while a thread lived that is no fork.
    let alone = FORK.replace("forked_from_id", "no_fork");
    check(
        &[alone, start(old), MESSAGE.into(), done(old)],
        &[&started, &format!("end {old} done User")],
        WorkerPhase::Done,
    );
}

#[test]
fn a_legacy_message_means_busy() {
    use WorkerPhase::*;
    check(&[MESSAGE.into()], &["start -"], Working);
    check(&[LEGACY.into(), MESSAGE.into(), done("a")], &["start -", "end a done User"], Done);
    check(&[LEGACY.into(), MESSAGE.into(), start("a")], &["start -", "start a"], Working);
    check(
        &[LEGACY.into(), start("a"), MESSAGE.into(), MESSAGE.into(), done("a")],
        &["start a", "end a done User"],
        Done,
    );
    check(
        &[LEGACY.into(), start("a"), done("a"), MESSAGE.into()],
        &["start a", "end a done Unknown", "start -"],
        Working,
    );
    check(&[PAGINATED.into(), MESSAGE.into()], &[], NeverStarted);
}

#[test]
fn a_turn_has_a_kind() {
    #[track_caller]
    fn check_kind(lines: &[String], expect: &str) {
        let (_, effects) = feed(lines);
        assert_eq!(effects.iter().filter_map(describe).next_back().as_deref(), Some(expect));
    }
    check_kind(&[start_by("a", "goal"), done("a")], "end a done Goal");
    check_kind(&[start_by("a", "exec"), item_message("a"), done("a")], "end a done Exec");
    check_kind(&[start_by("a", "user"), item_message("a"), done("a")], "end a done User");
    check_kind(&[start("a"), item_message("b"), done("a")], "end a done Unknown");
    check_kind(&[start("a"), COMPACTED.into(), done_without_message("a")], "end a done Compaction silent");
    check_kind(&[start("a"), COMPACTED.into(), aborted("a")], "end a interrupted Compaction silent");
    check_kind(&[start("a"), COMPACTED.into(), item_message("a"), done("a")], "end a done User");
    check_kind(&[start("a"), SHELL.into(), done_without_message("a")], "end a done Shell silent");
    check_kind(&[start_by("a", "user"), item_message("a"), SHELL.into(), done("a")], "end a done User");
}

#[test]
fn an_old_codex_says_by_silence_that_a_turn_failed() {
    #[track_caller]
    fn check_last(lines: &[&str], end: &str, expect: &str) {
        let mut lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines.push(end.to_owned());
        let (_, effects) = feed(&lines);
        assert_eq!(effects.iter().filter_map(describe).next_back().as_deref(), Some(expect));
    }
    let silent = done_without_message("a");
    let begun = start("a");
    check_last(&[LEGACY, &begun, MESSAGE], &silent, "end a failed:? User");
    check_last(&[LEGACY, &begun, COMPACTED], &silent, "end a done Compaction silent");
    check_last(&[LEGACY, &begun, SHELL], &silent, "end a done Shell silent");
    check_last(&[LEGACY, &begun, MESSAGE, PLAN], &silent, "end a done User");
    // If the member is missing, no Codex wrote this record.
    check_last(&[LEGACY, &begun, MESSAGE], &event("task_complete", "a", ""), "end a done User");
    // A later Codex continues an old file, or began the file.
    let new = event("task_complete", "a", r#","last_agent_message":null,"root_turn_id":"a""#);
    check_last(&[LEGACY, &begun, MESSAGE], &new, "end a done User");
    check_last(&[PAGINATED, &begun], &silent, "end a done Unknown");
}

#[test]
fn the_first_session_meta_names_the_thread() {
    let parent = r#"{"type":"session_meta","payload":{"id":"parent","history_mode":"paginated"}}"#;
    let (state, _) = feed(&[LEGACY.into(), parent.into(), start("a"), done("a"), MESSAGE.into()]);
    assert_eq!(state.thread_id.unwrap().as_str(), "thread");
    // The format of the parent is not that of this file.
    assert_eq!(state.phase, WorkerPhase::Working);
}

#[test]
fn a_phase_has_its_time_and_signal() {
    let (state, _) = feed(&[PAGINATED.into(), start("a"), COMPACTED.into(), aborted("b")]);
    assert_eq!((state.since.as_deref(), state.signal), (Some("time 1"), Some(PhaseSignal::TaskStarted)));
    let (state, _) = feed(&[PAGINATED.into(), start("a"), aborted("a"), item_message("a")]);
    assert_eq!((state.since.as_deref(), state.signal), (Some("time 2"), Some(PhaseSignal::TurnAborted)));
}

#[test]
fn names_are_those_of_the_serialised_form() {
    use WorkerPhase::*;
    for phase in [
        NeverStarted,
        Working,
        Done,
        Failed,
        Interrupted,
        LimitReached,
        NeedsApproval,
        NeedsAnswer,
        Broken,
        Gone,
    ] {
        assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
    }
    for state in [CoarseState::Busy, CoarseState::Idle, CoarseState::Unknown] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
}

#[test]
fn turns_follow_at_once() {
    #[track_caller]
    fn check(end: &str, start: &str, trigger: Option<TurnTrigger>, expect: bool) {
        assert_eq!(followed_at_once(end, start, trigger), expect, "{end} {start} {trigger:?}");
    }
    let end = "2026-01-31T09:30:00.500Z";
    check(end, "2026-01-31T09:30:00.500Z", None, true);
    check(end, "2026-01-31T09:30:00.750Z", Some(TurnTrigger::User), true);
    check(end, "2026-01-31T09:30:00.751Z", None, false);
    check(end, "2026-01-31T09:30:01.500Z", Some(TurnTrigger::Goal), true);
    check(end, "2026-01-31T09:30:01.501Z", Some(TurnTrigger::Goal), false);
    check(end, "2026-01-31T09:30:00.499Z", Some(TurnTrigger::Goal), false);
    check(end, "2026-01-31T10:30:00.600+01:00", None, true);
    check("2026-01-31T09:30:00Z", "2026-01-31T09:30:00Z", None, false);
    check("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.100Z", None, false);
    check("yesterday.", "2026-01-31T09:30:00.100Z", None, false);
}

/// The time stands first in an id, and a turn of an earlier time than its thread was copied.
#[test]
fn a_bad_byte_in_the_time_of_a_turns_id_makes_no_copy_of_it() {
    let turn = "01990000-1000-7000-8000-0000000000a1";
    let older = turn.replace("0199", "0099");
    let meta = LEGACY.replace("thread", "01990000-0000-7000-8000-00000000000a");
    for end in [done(&older), aborted(&older)] {
        let (state, effects) = feed(&[meta.clone(), start(turn), end]);
        assert!(
            matches!(&effects[2], Effect::Ended(end) if end.turn_id.as_ref().is_some_and(|id| id.as_str() == turn))
        );
        assert_ne!(state.phase, WorkerPhase::Working);
    }
}
