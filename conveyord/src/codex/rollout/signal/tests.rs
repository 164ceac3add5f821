use super::*;
use crate::codex::rollout::record::parse_line;

fn event(payload: &str) -> String {
    format!(r#"{{"type":"event_msg","payload":{payload}}}"#)
}

#[track_caller]
fn with_signal(line: &str, look: impl FnOnce(Signal<'_>)) {
    look(parse_line(line.as_bytes()).unwrap().signal());
}

#[test]
fn a_turn_begins() {
    #[track_caller]
    fn check(payload: &str, id: Option<&str>, expect: Option<TurnTrigger>) {
        with_signal(&event(payload), |signal| {
            let Signal::TaskStarted { turn_id, trigger, .. } = signal else { panic!("{signal:?}") };
            assert_eq!((turn_id.as_deref(), trigger), (id, expect));
        });
    }
    check(r#"{"type":"task_started","turn_id":"t1","started_at":5}"#, Some("t1"), None);
    check(r#"{"type":"task_started"}"#, None, None);
    check(r#"{"type":"task_started","turn_id":7,"turn_attribution":[]}"#, None, None);
    for (name, trigger) in [
        (r#""user""#, Some(TurnTrigger::User)),
        (r#""exec""#, Some(TurnTrigger::Exec)),
        (r#""goal""#, Some(TurnTrigger::Goal)),
        (r#""clock""#, Some(TurnTrigger::Other)),
        ("null", None),
    ] {
        let payload = format!(
            r#"{{"type":"task_started","turn_id":"t","turn_attribution":{{"turn_trigger":{name}}}}}"#
        );
        check(&payload, Some("t"), trigger);
    }
}

#[test]
fn a_turn_ends() {
    #[track_caller]
    fn check(members: &str, message: LastMessage, error: Option<(&str, &str)>, reports_errors: bool) {
        with_signal(&event(&format!(r#"{{"type":"task_complete","turn_id":"t"{members}}}"#)), |signal| {
            let Signal::TaskComplete(end) = signal else { panic!("{signal:?}") };
            assert_eq!(end.turn_id.as_deref(), Some("t"));
            assert_eq!(end.last_agent_message, message);
            assert_eq!(end.error.as_ref().map(|error| (error.message.as_str(), error.code.as_str())), error);
            assert_eq!(end.writer_reports_errors, reports_errors);
        });
    }
    check("", LastMessage::Absent, None, false);
    check(r#","last_agent_message":null"#, LastMessage::Null, None, false);
    check(
        r#","last_agent_message":"fine","root_turn_id":"t","error":null"#,
        LastMessage::Present,
        None,
        true,
    );
    check(
        r#","error":{"message":"too much","codex_error_info":"usage_limit_exceeded"}"#,
        LastMessage::Absent,
        Some(("too much", "usage_limit_exceeded")),
        false,
    );
    check(
        r#","error":{"message":"no","codex_error_info":{"http_connection_failed":{"http_status_code":401}}}"#,
        LastMessage::Absent,
        Some(("no", "http_connection_failed")),
        false,
    );
    check(r#","error":"bare""#, LastMessage::Absent, Some(("bare", "unknown")), false);
    check(r#","error":{}"#, LastMessage::Absent, Some(("", "unknown")), false);
}

#[test]
fn a_turn_is_aborted() {
    with_signal(&event(r#"{"type":"turn_aborted","turn_id":"t","reason":"interrupted"}"#), |signal| {
        let Signal::TurnAborted { turn_id, reason } = signal else { panic!("{signal:?}") };
        assert_eq!((turn_id.as_deref(), reason.as_deref()), (Some("t"), Some("interrupted")));
    });
}

#[test]
fn a_message_of_the_user_arrives() {
    #[track_caller]
    fn check(payload: &str, text: &str, turn_id: Option<&str>, form: MessageForm) {
        with_signal(&event(payload), |signal| {
            let Signal::UserMessage(message) = signal else { panic!("{signal:?}") };
            assert_eq!(
                message,
                UserMessage { text: text.into(), turn_id: turn_id.map(Cow::from), client_id: None, form }
            );
        });
    }
    check(r#"{"type":"user_message","message":"two\nlines"}"#, "two\nlines", None, MessageForm::Event);
    check(r#"{"type":"user_message"}"#, "", None, MessageForm::Event);
    check(
        r#"{"type":"item_completed","turn_id":"t","item":{"type":"UserMessage","content":
           [{"type":"text","text":"one "},{"type":"image","url":"x"},7,{"type":"text","text":"two"}]}}"#,
        "one two",
        Some("t"),
        MessageForm::Item,
    );
}

#[test]
fn other_records_have_their_meaning() {
    #[track_caller]
    fn check(line: &str, expect: &str) {
        with_signal(line, |signal| assert_eq!(format!("{signal:?}"), expect));
    }
    check(&event(r#"{"type":"item_completed","item":{"type":"ContextCompaction"}}"#), "Compacted");
    check(&event(r#"{"type":"context_compacted"}"#), "Compacted");
    check(r#"{"type":"compacted","payload":{"message":"short"}}"#, "Compacted");
    check(&event(r#"{"type":"item_completed","item":{"type":"Plan","text":"x"}}"#), "PlanProposed");
    check(&event(r#"{"type":"item_completed","item":{"type":"Reasoning"}}"#), "Other");
    check(&event(r#"{"type":"item_completed"}"#), "Other");
    check(&event(r#"{"type":"thread_rolled_back","num_turns":1}"#), "ThreadRolledBack");
    check(&event(r#"{"type":"agent_message","message":"x"}"#), "Other");
    check(r#"{"type":"turn_context","payload":{"turn_id":"t"}}"#, "Other");
    check(r#"{"type":"session_meta","payload":{}}"#, "Other");

    let message = |role: &str, text: &str| {
        format!(
            r#"{{"type":"response_item","payload":{{"type":"message","role":"{role}","content":[{{"type":"input_text","text":"{text}"}}]}}}}"#
        )
    };
    check(&message("user", r"<user_shell_command>\nls"), "UserShell");
    check(&message("user", "what is <user_shell_command>?"), "Other");
    check(&message("assistant", "<user_shell_command>"), "Other");

    check(
        &event(
            r#"{"type":"token_count","rate_limits":{"primary":{"used_percent":96.0},"secondary":{"used_percent":91}}}"#,
        ),
        "RateLimits(Limits([Window { limit: None, minutes: None, used: 9600, resets_at: None }, Window { limit: None, \
         minutes: None, used: 9100, resets_at: None }]))",
    );
    check(&event(r#"{"type":"token_count","info":null,"rate_limits":null}"#), "Other");
    check(&event(r#"{"type":"token_count","rate_limits":{"primary":null}}"#), "Other");
}

#[test]
fn debug_shows_no_text() {
    for payload in [
        r#"{"type":"user_message","message":"secret"}"#,
        r#"{"type":"task_complete","last_agent_message":"secret","error":{"message":"secret"}}"#,
    ] {
        with_signal(&event(payload), |signal| assert!(!format!("{signal:?}").contains("secret")));
    }
}
