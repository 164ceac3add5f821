use super::*;

#[track_caller]
fn check_skip(line: impl AsRef<[u8]>, expect: SkipReason) {
    assert_eq!(parse_line(line.as_ref()), Err(expect));
}

#[track_caller]
fn check(line: &str, kind: &str, subtype: Option<&str>, payload: &str) {
    let record = parse_line(line.as_bytes()).unwrap();
    assert_eq!((record.kind.as_ref(), record.subtype.as_deref(), record.payload), (kind, subtype, payload));
}

#[test]
fn the_envelope_is_read_and_the_payload_kept_as_written() {
    check(
        r#"{"timestamp":"2026-01-31T09:30:00.123Z","type":"event_msg","payload":{"type":"task_started", "z":1.50,"a":"é"}}"#,
        "event_msg",
        Some("task_started"),
        r#"{"type":"task_started", "z":1.50,"a":"é"}"#,
    );
    check(
        r#"  {"payload" : {"type":"message"},"type":"response_item"} "#,
        "response_item",
        None,
        r#"{"type":"message"}"#,
    );
    check("{\"type\":\"a\\u0062c\",\"new\":[{}]}\r", "abc", None, "{}");
    for payload in ["null", "[1]", "7", r#""text""#] {
        check(&format!(r#"{{"type":"event_msg","payload":{payload}}}"#), "event_msg", None, "{}");
    }
    check(r#"{"type":"event_msg","payload":{"type":7}}"#, "event_msg", None, r#"{"type":7}"#);
    check(
        r#"{"type":"event_msg","payload":{"inner":{"type":"x"}}}"#,
        "event_msg",
        None,
        r#"{"inner":{"type":"x"}}"#,
    );
    check(r#"{"type":"first","type":"last"}"#, "last", None, "{}");
    check("\u{feff} {\"type\":\"a\"}", "a", None, "{}");
}

#[test]
fn a_line_that_is_no_record_has_its_reason() {
    check_skip("", SkipReason::Blank);
    check_skip(" \t\r", SkipReason::Blank);
    check_skip(b"{\"type\":\"\xff\"}", SkipReason::NotUtf8);
    for text in ["{", "{]", "nope", r#"{"type":"a"} {}"#, r#"{"type":"a",}"#, "{'type':'a'}", "[1,"] {
        check_skip(text, SkipReason::NotJson);
    }
    for text in ["[]", "7", "null", r#""text""#] {
        check_skip(text, SkipReason::NotObject);
    }
    for text in ["{}", "\u{feff}{}", r#"{"type":null}"#, r#"{"type":7}"#, r#"{"payload":{"type":"x"}}"#] {
        check_skip(text, SkipReason::NoType);
    }
}

#[test]
fn numbers_must_be_finite() {
    for number in ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", &"9".repeat(400)] {
        check_skip(format!(r#"{{"type":"a","payload":{{"n":{number}}}}}"#), SkipReason::BadNumber);
        check_skip(format!(r#"{{"other":[{number}],"type":"a"}}"#), SkipReason::BadNumber);
    }
    for number in ["0", "-0.0", "1e308", "1E-999", "12345678901234567890123"] {
        let payload = format!(r#"{{"n":{number}}}"#);
        check(&format!(r#"{{"type":"a","payload":{payload}}}"#), "a", None, &payload);
    }
    // Within a string these are text.
    let payload = r#"{"t":"NaN 1e999 \" \\"}"#;
    check(&format!(r#"{{"type":"a","payload":{payload}}}"#), "a", None, payload);
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let line = |depth| format!(r#"{{"type":"a","payload":{{"n":{}}}}}"#, nested(depth));
    assert!(parse_line(line(MAX_NESTING - 2).as_bytes()).is_ok());
    check_skip(line(MAX_NESTING - 1), SkipReason::TooDeep);
    check_skip(line(100_000), SkipReason::TooDeep);
    // Brackets within a string do not nest.
    let text = format!(r#"{{"type":"a","payload":{{"t":"\"{}"}}}}"#, "[".repeat(1000));
    assert!(parse_line(text.as_bytes()).is_ok());
}

#[test]
fn a_timestamp_is_a_string_or_set_aside() {
    #[track_caller]
    fn check(json: &str, timestamp: Option<&str>, odd: Option<&str>) {
        let line = format!(r#"{{"timestamp":{json},"type":"a"}}"#);
        let record = parse_line(line.as_bytes()).unwrap();
        assert_eq!((record.timestamp.as_deref(), record.odd_timestamp), (timestamp, odd));
    }
    check(r#""yesterday""#, Some("yesterday"), None);
    check(r#""""#, None, None);
    check("null", None, None);
    check("17", None, Some("17"));
    check(r#"{"at": 1}"#, None, Some(r#"{"at": 1}"#));
    assert_eq!(parse_line(br#"{"type":"a"}"#).unwrap().timestamp, None);
}

#[test]
fn timestamps_are_normalised_to_utc() {
    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(normalise_timestamp(text).map(|at| at.to_string()).as_deref(), expect, "{text}");
    }
    check("2026-01-31T09:30:00Z", Some("2026-01-31T09:30:00Z"));
    check("2026-01-31T09:30:00.123Z", Some("2026-01-31T09:30:00.123Z"));
    check("2026-01-31t09:30:00z", Some("2026-01-31T09:30:00Z"));
    check("2026-01-31 09:30:00.5+01:30", Some("2026-01-31T08:00:00.5Z"));
    check("2026-01-31T09:30:00-00:00", Some("2026-01-31T09:30:00Z"));
    check("2026-01-31T09:30:00", Some("2026-01-31T09:30:00Z"));
    check("2026-01-31T09:30:00.25", Some("2026-01-31T09:30:00.25Z"));
    for text in [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T09",
        "2026-01-31T09:30",
        "2026-02-30T09:30:00Z",
        "20260131T093000Z",
        "2026-01-31T25:30:00Z",
        "2026-01-31T09:30:00+99:00",
        "2026-01-31T09:30:00[Europe/Berlin]",
        "2026-01-31T09:30:00Z[UTC]",
        "2026-01-31T09:30:00 later",
        "+002026-01-31T09:30:00Z",
    ] {
        check(text, None);
    }
}

#[test]
fn debug_shows_no_text() {
    let record = parse_line(br#"{"type":"secret-kind","payload":{"t":"secret-text"}}"#).unwrap();
    assert!(!format!("{record:?}").contains("secret"));
}
