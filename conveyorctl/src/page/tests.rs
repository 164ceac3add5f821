use super::*;
use crate::screen::Cursor;
use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use serde_json::json;

fn noon() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn screen(columns: usize) -> Screen {
    Screen {
        columns: Some(columns),
        colour: Colour::Off,
        cursor: Cursor::Stays,
        zone: TimeZone::fixed(offset(2)),
        now: noon,
    }
}

#[track_caller]
fn check(columns: usize, write: impl FnOnce(&mut Page), expect: &str) {
    let mut page = Page::new(screen(columns), "conveyorctl".to_owned());
    write(&mut page);
    assert_eq!(page.done(), expect);
}

#[test]
fn columns_stand_below_one_another_whatever_the_script() {
    let rows = [("挨拶", "3 m", "one"), ("é", "14 s", "two")];
    check(
        80,
        |page| {
            let rows = rows.map(|(name, age, goal)| row![name, age, goal]);
            page.table([left("TASK"), right("AGE"), left("GOAL")], rows, "no tasks");
        },
        "TASK   AGE  GOAL\n\
         挨拶   3 m  one\n\
         é     14 s  two\n",
    );
    check(80, |page| page.table([left("TASK")], [], "no tasks"), "no tasks\n");
}

#[test]
fn a_table_is_cut_to_the_terminal_but_for_what_is_to_be_copied() {
    let id = "command-01a1fc57-2ace-7171-aefc-20e8f62d6413";
    check(
        60,
        |page| {
            let row = row![id, "a goal of many words", "short"];
            page.table([whole("ID"), left("GOAL"), left("TASK")], [row], "none");
        },
        "ID                                            GOAL      TASK\n\
         command-01a1fc57-2ace-7171-aefc-20e8f62d6413  a goal …  short\n",
    );
}

#[test]
fn texts_of_others_are_spelled_out_wherever_they_stand() {
    let evil = "\u{1b}[2J\nroot";
    check(
        80,
        |page| {
            page.line(evil);
            page.fact("said", strong(evil));
            page.quote("said", evil, 9);
            page.block(evil);
            page.item(evil);
            page.command(evil);
            page.warnings(&[evil.to_owned()]);
            page.value(&json!({ evil: [evil] }));
            page.table([left("A")], [row![evil]], "none");
        },
        "\\u{1b}[2J\\nroot\n\
         said       \\u{1b}[2J\\nroot\n\
         said       \\u{1b}[2J\n           root\n  \\u{1b}[2J\n  root\n  \\u{1b}[2J\\nroot\n  \
         conveyorctl \\u{1b}[2J\\nroot\n\
         warning: \\u{1b}[2J\\nroot\n  \\u{1b}[2J\\nroot:\n    - \\u{1b}[2J\\nroot\n\
         A\n\\u{1b}[2J\\nroot\n",
    );
}

#[test]
fn long_lines_go_on_where_they_began() {
    let path = "/a/path/that/is/never/broken/since/it/is/to/be/copied";
    check(
        40,
        |page| {
            page.fact("said", "one two three four five six seven eight");
            page.fact("folder", path);
            page.quote("said", "a\nb\nc\nd", 2);
        },
        &format!(
            "said       one two three four five six\n           seven eight\nfolder     {path}\n\
             said       a\n           b\n           [… 2 more lines]\n"
        ),
    );
}

#[test]
fn times_have_date_and_age_in_the_readers_zone() {
    let page = Page::new(screen(80), "conveyorctl".to_owned());
    assert_eq!(page.when("2026-11-29T11:59:46.500Z"), "2026-11-29 13:59:46 (14 s ago)");
    assert_eq!(page.when("2026-11-29T15:00:00+00:00"), "2026-11-29 17:00:00 (in 3 h)");
    assert_eq!(page.when("some day"), "some day");
    assert_eq!(page.clock("2026-11-28T23:30:00Z"), "01:30:00");
    assert_eq!(page.day("2026-11-28T23:30:00Z"), "2026-11-29");
    for (seconds, expect) in
        [(0, "0 s"), (59, "59 s"), (179, "2 m"), (7200, "2 h"), (7500, "2 h 5 m"), (90_000, "1 d 1 h")]
    {
        assert_eq!(duration(seconds), expect);
    }
}

#[test]
fn colours_say_what_they_mean_and_can_be_left_out() {
    let mut page = Page::new(Screen { colour: Colour::On, ..screen(80) }, "conveyorctl".to_owned());
    page.line(spans![state("done"), " and ", state("gone"), ", ", state("held"), ", ", state("other")]);
    assert_eq!(
        page.done(),
        "\u{1b}[32mdone\u{1b}[0m and \u{1b}[31mgone\u{1b}[0m, \u{1b}[33mheld\u{1b}[0m, other\n"
    );
}

#[test]
fn a_word_for_a_shell_is_quoted_where_it_must_be() {
    for (word, expect) in [("greeting", "greeting"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")] {
        assert_eq!(shell(word), expect);
    }
}
