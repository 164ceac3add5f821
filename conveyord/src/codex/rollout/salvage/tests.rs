use super::*;

const AT: &str = "2026-01-31T09:30:00.000Z";

fn event(members: &str) -> String {
    format!(r#"{{"timestamp":"{AT}","type":"event_msg","payload":{{{members}}}}}"#)
}

fn complete(turn: &str) -> String {
    event(&format!(
        r#""type":"task_complete","turn_id":"{turn}","last_agent_message":"did it","completed_at":17"#
    ))
}

/// The parts of a line in words: records with their subtype and turn, and what is wrong.
fn parts(line: &[u8]) -> Vec<String> {
    let reason = parse_line(line).expect_err("the line is damaged");
    let describe = |part: Part| match part {
        Part::Record { at, line, repaired } => {
            let record = parse_line(line.as_bytes()).expect("it is a record");
            let payload: serde_json::Value = serde_json::from_str(record.payload).expect("it is JSON");
            let what = record.subtype.unwrap_or(record.kind).into_owned();
            let turn = payload["turn_id"].as_str().unwrap_or("-").to_owned();
            let repaired = repaired.map_or("whole", SkipReason::name);
            format!("{} {what} {turn} {repaired}", at.start)
        }
        Part::SetAside { at, reason } => format!("{}..{} {}", at.start, at.end, reason.name()),
    };
    salvage(line, reason).into_iter().map(describe).collect()
}

#[track_caller]
fn check(line: impl AsRef<[u8]>, expect: &[&str]) {
    assert_eq!(parts(line.as_ref()), expect);
}

/// The payload of the only record of a line.
fn payload(line: &[u8]) -> serde_json::Value {
    let parts = salvage(line, SkipReason::NotJson);
    let [Part::Record { line, .. }] = parts.as_slice() else { panic!("{parts:?}") };
    serde_json::from_str(parse_line(line.as_bytes()).unwrap().payload).unwrap()
}

#[test]
fn a_whole_record_after_a_torn_one_is_read() {
    for torn in ["{\"timestamp\":\"2026-", "{", "{\"time", &complete("a")[..60], "x"] {
        let end = torn.len();
        check(
            format!("{torn}{}", complete("b")),
            &[&format!("0..{end} not_json"), &format!("{end} task_complete b whole")],
        );
    }
    let torn = "{\"timestamp\":\"2026-";
    check(format!("{torn}{torn}{}", complete("b")), &["0..38 not_json", "38 task_complete b whole"]);
}

#[test]
fn a_torn_end_of_a_turn_is_an_end_unless_it_was_written_again() {
    let whole = complete("a");
    let torn = &whole[..whole.len() - 30];
    let started = event(r#""type":"task_started","turn_id":"b""#);
    let end = torn.len();
    check(
        format!("{torn}{started}"),
        &["0 task_complete a not_json", &format!("{end} task_started b whole")],
    );
    check(
        format!("{torn}{whole}"),
        &[&format!("0..{end} not_json"), &format!("{end} task_complete a whole")],
    );
    check(torn, &["0 task_complete a not_json"]);
}

#[test]
fn records_whose_line_feed_was_lost_are_both_read() {
    let (a, b) = (complete("a"), complete("b"));
    let end = a.len();
    check(format!("{a}{b}"), &["0 task_complete a whole", &format!("{end} task_complete b glued")]);
    check(
        format!("{a}?{b}"),
        &[
            "0 task_complete a whole",
            &format!("{end}..{} not_json", end + 1),
            &format!("{} task_complete b whole", end + 1),
        ],
    );
}

#[test]
fn an_object_within_a_record_is_no_record() {
    let inner = complete("inner");
    let outer = event(&format!(r#""type":"other","list":[{inner},{inner}],"one":{inner}"#));
    let torn = outer.replacen("\"event_msg\"", "\"event_msg", 1);
    check(&torn, &[&format!("0..{} not_json", torn.len())]);
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let mut line = complete("a").into_bytes();
    let at = complete("a").find("did").unwrap();
    line[at] = 0xff;
    check(&line, &["0 task_complete a not_utf8"]);
    assert_eq!(payload(&line)["last_agent_message"], "?id it");
    line[at] = 0;
    check(&line, &["0 task_complete a hole"]);
    line[at] = 0x1b;
    check(&line, &["0 task_complete a control"]);
    line[at] = b'\t';
    check(&line, &["0 task_complete a control"]);
}

#[test]
fn a_hole_before_a_record_is_told() {
    let mut line = vec![0; 4096];
    line.extend(complete("a").into_bytes());
    check(&line, &["0..4096 hole", "4096 task_complete a whole"]);
    check([0; 10], &["0..10 hole"]);
}

#[test]
fn what_the_parser_refuses_is_left_out() {
    for number in ["NaN", "-Infinity", "1e999", &"9".repeat(400)] {
        let line = event(&format!(r#""type":"task_complete","turn_id":"a","n":{number},"m":1"#));
        check(&line, &["0 task_complete a bad_number"]);
        assert_eq!(payload(line.as_bytes())["m"], 1);
    }
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let line = event(&format!(r#""type":"task_complete","turn_id":"a","n":{deep}"#));
    check(&line, &["0 task_complete a too_deep"]);
}

#[test]
fn the_end_of_a_turn_survives_a_bad_byte_in_its_text() {
    for text in ["did\"it", "did\\it", "did it\\", "\"", "a\\\"b\"c", "did \\u00zz it"] {
        let line = complete("a").replace("did it", text);
        check(&line, &["0 task_complete a not_json"]);
        let payload = payload(line.as_bytes());
        assert!(payload["last_agent_message"].is_string(), "{payload}");
    }
    let line = complete("a").replace("did it", "did\"it");
    assert_eq!(
        payload(line.as_bytes()),
        serde_json::json!({
            "type": "task_complete", "turn_id": "a", "last_agent_message": "did\"it", "completed_at": 17,
        })
    );
}

#[test]
fn what_is_no_record_stays_none() {
    for text in ["nope", "[1]", "7", "{}", "{\"type\":7}", "\"text\""] {
        let reason = parse_line(text.as_bytes()).unwrap_err();
        check(text, &[&format!("0..{} {}", text.len(), reason.name())]);
    }
    assert_eq!(salvage(b"  \t\r", SkipReason::Blank), []);
}

#[test]
fn a_hostile_line_takes_no_time_without_end() {
    // Each of these makes every record start a candidate that is read to the end of the line.
    let count = 40_000;
    for unit in [
        RECORD_START.to_owned(),
        "{\"timestamp\":\"\",\"a\":".to_owned(),
        format!("{{\"timestamp\":\"{AT}\",\"payload\":{{\"error\":"),
    ] {
        let line = format!("{}{}", unit.repeat(count), complete("a"));
        let read = parts(line.as_bytes());
        assert_eq!(read.last().unwrap(), &format!("{} task_complete a whole", unit.len() * count));
    }
}

/// A tool can be named like the end of a turn.
#[test]
fn a_torn_call_of_a_tool_with_the_name_of_a_turns_end_ends_no_turn() {
    let call = format!(
        r#"{{"timestamp":"{AT}","type":"response_item","payload":{{"type":"function_call","name":"task_complete","arguments":"{{}}","call_id":"c","turn_id":"a"}}}}"#
    );
    let name_end = call.find("task_complete").unwrap() + "task_complete\"".len();
    let torn = &call[..name_end + 10];
    check(torn, &[&format!("0..{} not_json", torn.len())]);
    let without_type = torn.replace("\"type\":\"function_call\",", "");
    check(&without_type, &[&format!("0..{} not_json", without_type.len())]);
    let hidden = torn.replace("\"type\":\"response_item\"", "\"type\":\"respo\u{0}");
    assert!(!parts(hidden.as_bytes()).iter().any(|part| part.contains("task_complete")), "{hidden}");
}
