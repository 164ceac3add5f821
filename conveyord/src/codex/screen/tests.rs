use super::*;
use crate::codex::recordings;

#[track_caller]
fn check(title: &str, screen: &str, expect: PaneShows) {
    assert_eq!(look(title, screen, None).shows, expect, "{title:?}\n{screen}");
}

const FOOTER: &str =
    "\n› Ask Codex to do anything\n\n  a-model high · /home/me/shop · tidy up\n  ? for shortcuts\n";

#[test]
fn the_composer_alone_is_ready() {
    check("shop", FOOTER, PaneShows::Ready);
    check("shop", "›\n\n  a-model high · /home/me/shop\n\n\n", PaneShows::Ready);
}

#[test]
fn a_turn_shows_in_the_title_or_above_the_composer() {
    check("⠹ shop", &format!("• Half of an ans{FOOTER}"), PaneShows::Busy);
    check("shop", &format!("• Working (3s • esc to interrupt)\n{FOOTER}"), PaneShows::Busy);
    check(
        "shop",
        &format!("◦ Sorting shelves (1m 2s • esc to interrupt)\n  └ detail\n{FOOTER}"),
        PaneShows::Busy,
    );
    let queued =
        format!("• Working (3s • esc to interrupt)\n\n• Queued follow-up inputs\n  ↳ and then{FOOTER}");
    check("shop", &queued, PaneShows::Busy);
    assert!(look("shop", &queued, None).queues);
    assert!(!look("shop", &queued.replace("• Queued", "• All\n• Other"), None).queues);
    let quoted = format!("• It said:\n\n• Working (3s • esc to interrupt)\n\n• That was all.\n{FOOTER}");
    check("shop", &quoted, PaneShows::Ready);
    let ended = format!("• Working (3s • esc to interrupt)\n\n  Worked for 2s • 10:00\n{FOOTER}");
    check("shop", &ended, PaneShows::Ready);
}

const APPROVAL: &str = "• Running paint door

  Would you like to run the following command?

  $ paint door

› 1. Yes, proceed (y)
  2. No, and tell Codex what to do differently (esc)

  Press enter to confirm or esc to cancel
";

#[test]
fn a_menu_that_is_not_drawn_to_its_end_is_no_composer() {
    let (drawn, _) = APPROVAL.split_once("  Press").unwrap();
    check("x", drawn, PaneShows::Unclear);
    // A draft has the footer below it.
    check("x", "• Text\n\n› 1. paint the door\n\n  a-model high · /home/me/shop\n", PaneShows::Ready);
}

#[test]
fn menus_are_told_apart() {
    let menu =
        |heading: &str, hint: &str| format!("• Text\n\n  {heading}\n\n› 1. First\n  2. Second\n\n  {hint}\n");
    check("x", APPROVAL, PaneShows::Approval);
    check("x", &menu("Trust this folder? It ...", "enter continue · esc back"), PaneShows::Trust);
    check("x", &menu("Do you trust the contents of this", "Press enter to continue"), PaneShows::Trust);
    check("x", &menu("✨ Update available! 1 -> 2", "Press enter to continue"), PaneShows::Update);
    check("x", &menu("Hooks need review", "enter confirm · esc skip"), PaneShows::Hooks);
    check("x", &menu("Implement this plan?", "enter select · esc back"), PaneShows::Plan);
    check(
        "x",
        &menu("Approaching rate limits", "Press enter to confirm or esc to go back"),
        PaneShows::RateLimit,
    );
    check(
        "x",
        &menu("Which colour?", "tab to add notes | enter to submit answer | esc to interrupt"),
        PaneShows::Question,
    );
    check("x", &menu("Pick a theme", "enter select · esc back"), PaneShows::Menu);
    check(
        "[ ! ] Action Required | x",
        &menu("May it go out?", "enter select · esc back"),
        PaneShows::Approval,
    );
}

#[test]
fn a_menu_counts_wherever_its_selection_stands() {
    let second = APPROVAL.replace("› 1.", "  1.").replace("  2. No", "› 2. No");
    check("x", &second, PaneShows::Approval);
    let indented = "  Allow the box MCP server to run tool \"go\"?\n  › 1. Allow\n    2. Cancel\n  enter to submit | esc to cancel\n";
    check("x", indented, PaneShows::Approval);
}

#[test]
fn a_low_narrow_pane_shows_part_of_a_menu() {
    let cut = "  $ paint door

› 1. Yes, proceed (y)
  2. Yes, and don't ask again for doors that
     are green (p)
↓
  Press enter to confirm or esc to cancel
";
    check("x", cut, PaneShows::Approval);
    let wrapped =
        "› 1. red\n  2. blue\n\n  tab to add notes | enter to submit\n  answer | esc to interrupt\n";
    check("x", wrapped, PaneShows::Question);
    check(
        "x",
        "› 1. Update now (runs\n  `npm`)\n  2. Skip\n\n  enter continue · esc skip\n",
        PaneShows::Update,
    );
}

#[test]
fn a_quoted_menu_is_no_menu() {
    check(
        "shop",
        &format!("› why did you show this?\n  {}\n{FOOTER}", APPROVAL.replace('\n', "\n  ")),
        PaneShows::Ready,
    );
    check("shop", &format!("{APPROVAL}\n• Done.\n{FOOTER}"), PaneShows::Ready);
    check("⠋ shop", &format!("{APPROVAL}{FOOTER}"), PaneShows::Busy);
    check("shop", &format!("• Browsing transcript\n  q to quit\n{FOOTER}"), PaneShows::Ready);
    check("shop", &format!("• To continue this session, run x\nPane is dead\n{FOOTER}"), PaneShows::Ready);
    // The same text as a draft in the composer.
    check(
        "shop",
        "› 1. Yes, proceed (y)\n  2. No\n\n  Press enter to confirm or esc to cancel\n\n  m · /x\n",
        PaneShows::Ready,
    );
    // A shell in which the menu was printed.
    check("host", &format!("$ cat notes\n{APPROVAL}$ "), PaneShows::Unknown);
}

#[test]
fn a_command_that_quotes_another_menu_is_still_an_approval() {
    check("x", &APPROVAL.replace("$ paint door", "Implement this plan?"), PaneShows::Approval);
}

#[test]
fn browsers_and_lists_are_no_composer() {
    let browsing =
        "› Ask Codex to do anything\n\n  m · /x\n  Browsing transcript · ↑↓ scroll · ↵ rewind · esc back\n";
    check("x", browsing, PaneShows::Browse);
    check(
        "x",
        "› earlier\n~\n~\n─── 100% ─\n ↑/↓ to scroll\n q to quit   enter to edit message\n",
        PaneShows::Browse,
    );
    check("x", " Resume a session\n\n ❯ one\n\n enter resume   esc exit\n ↑/↓ browse\n", PaneShows::Menu);
}

#[test]
fn the_title_is_believed_when_it_calls_for_the_user() {
    check("[ . ] Action Required | shop", FOOTER, PaneShows::Menu);
    check("[ ! ] Action Required | shop", "", PaneShows::Menu);
    check("fix Action Required banner | shop", FOOTER, PaneShows::Ready);
}

#[test]
fn other_programs_are_unknown_and_an_ended_codex_is_exited() {
    check("host", "", PaneShows::Unknown);
    check("host", "me@host:~$ ls\na  b\nme@host:~$ ", PaneShows::Unknown);
    check("host", "› ls\na  b\n› ", PaneShows::Unknown);
    check("x", "• Bye\nTo continue this session, run codex resume 1\n\nme@host:~$ ", PaneShows::Exited);
    check("⠋ x", "› last words\n\nPane is dead (status 0)\n", PaneShows::Exited);
}

#[test]
fn what_would_swallow_a_text_blocks_it() {
    use PaneShows::*;
    for shows in [Approval, Question, Trust, Hooks, Update, Plan, RateLimit, Menu, Browse, Exited] {
        assert!(shows.blocks_sending(), "{shows:?}");
    }
    for shows in [Ready, Busy, Unknown] {
        assert!(!shows.blocks_sending(), "{shows:?}");
    }
}

/// Checks a screen whose composer contains `styled`, a text with escape sequences.
#[track_caller]
fn check_composer(styled: &str, expect: Composer) {
    let styled = format!("• Text\n\n{styled}\n\n  \u{1b}[38;2;1;2;3mm\u{1b}[39m · /x\n");
    let plain: String = styled_rows(&styled).iter().map(|row| format!("{}\n", row.text)).collect();
    assert_eq!(look("x", &plain, Some(&styled)).composer, expect, "{styled:?}");
}

#[test]
fn style_tells_a_draft_from_a_suggestion() {
    let sign = "\u{1b}[1m›\u{1b}[0m\u{1b}[39m\u{1b}[49m";
    check_composer(&format!("{sign} \u{1b}[2mAsk Codex to do anything\u{1b}[0m"), Composer::Clean);
    check_composer(&format!("{sign} \u{1b}[2;39mExplain this\u{1b}[22m"), Composer::Clean);
    check_composer(&format!("{sign} \u{1b}[2mExplain\n  this\n\u{1b}[0m"), Composer::Clean);
    check_composer(sign, Composer::Clean);
    check_composer(&format!("{sign} Ask Codex to do anything"), Composer::Draft);
    check_composer(&format!("{sign} \u{1b}[38;5;2mcoloured\u{1b}[39m"), Composer::Draft);
    check_composer(&format!("{sign} \u{1b}[38;2;9;9;9mcoloured\u{1b}[39m"), Composer::Draft);
    check_composer(&format!("{sign}\n\n  a draft below blank rows"), Composer::Draft);
    check_composer(&format!("{sign} \u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\"), Composer::Draft);
    check_composer("\u{1b}[1m!\u{1b}[0m", Composer::Draft);
    check_composer("no composer", Composer::Absent);
}

#[test]
fn without_style_only_the_known_suggestion_is_clean() {
    let screen = |text: &str| format!("› {text}\n\n  m · /x\n");
    assert_eq!(look("x", &screen("Ask Codex to do anything"), None).composer, Composer::Clean);
    assert_eq!(look("x", &screen(""), None).composer, Composer::Clean);
    assert_eq!(look("x", &screen("Explain this codebase"), None).composer, Composer::Unknown);
    assert_eq!(look("x", "! ls\n\n  m · /x · Shell mode\n", None).composer, Composer::Draft);
    assert_eq!(look("x", APPROVAL, None).composer, Composer::Absent);
}

#[track_caller]
fn check_question(screen: &str, expect: Option<&str>) {
    assert_eq!(look("x", screen, None).question.as_deref(), expect, "{screen}");
}

#[test]
fn the_question_is_told_in_one_harmless_line() {
    check_question(APPROVAL, Some("Would you like to run the following command?"));
    let menu = |above: &str, hint: &str| format!("{above}\n\n› 1. red\n  2. blue\n\n  {hint}\n");
    let answer = "tab to add notes | enter to submit answer | esc to interrupt";
    check_question(
        &menu("  Question 1/2 (2 unanswered)\n  Which colour for\n  the door?", answer),
        Some("Which colour for the door?"),
    );
    check_question(
        &menu("  Pick a theme\n  It can be changed later", "enter select · esc back"),
        Some("Pick a theme"),
    );
    check_question(&menu("  Pi\u{9b}ck\u{202e}", "enter select · esc back"), Some("Pi\\u{9b}ck\\u{202e}"));
    let long = "x".repeat(300);
    let cut = format!("{}…", "x".repeat(QUESTION_CHARS));
    check_question(&menu(&format!("  {long}"), "enter select · esc back"), Some(&cut));
    check_question(FOOTER, None);
}

#[test]
fn a_look_does_not_print_its_question() {
    assert!(!format!("{:?}", look("x", APPROVAL, None)).contains("Would"));
}

/// Recorded screens of the real Codex. Each must show what the manifest says.
#[test]
fn recorded_screens_show_what_their_manifest_says() {
    let mut wrong = Vec::new();
    for recorded in ["codex", "codex-0.171"] {
        let Some((folder, manifest)) = recordings::recorded::<serde_json::Value>(recorded) else { continue };
        let panes = manifest["panes"].as_array().unwrap();
        assert!(!panes.is_empty());
        for pane in panes {
            let file = pane["file"].as_str().unwrap();
            let screen = std::fs::read_to_string(folder.join(file)).unwrap();
            let found = look(pane["title"].as_str().unwrap_or_default(), &screen, None);
            let expect = pane["shows"].as_str().unwrap();
            let shows = serde_json::to_value(found.shows).unwrap();
            // What a sidebar asks need not be a question.
            let asks = found.question.is_some() == asks(found.shows) || file.contains("side");
            assert_eq!(found.queues, file.contains("queued-with-tab"), "{file}");
            if !expect.split("-or-").any(|one| shows == one) || !asks {
                wrong.push(format!("{file}: {shows} instead of {expect}, question {:?}", found.question));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether a menu with a question shows.
fn asks(shows: PaneShows) -> bool {
    shows.blocks_sending() && !matches!(shows, PaneShows::Browse | PaneShows::Exited)
}

/// Layouts of what the real Codex showed, each with what became of a text there (tests/fixtures/screens).
#[test]
fn a_text_is_typed_only_where_enter_sends_it() {
    #[derive(serde::Deserialize)]
    struct Layout {
        version: String,
        name: String,
        size: String,
        title: String,
        cursor: (usize, usize, bool),
        rows: Vec<(usize, usize, String)>,
        submits: bool,
        free: bool,
    }
    let layouts = include_str!("../../../../tests/fixtures/screens/layouts.jsonl");
    let mut wrong = Vec::new();
    let mut free = 0;
    for line in layouts.lines() {
        let layout: Layout = serde_json::from_str(line).unwrap();
        let height = layout.size.split_once('x').unwrap().1.parse().unwrap();
        let mut rows = vec![String::new(); height];
        for (first, last, text) in layout.rows {
            rows[first..=last].fill(text);
        }
        let (x, y, visible) = layout.cursor;
        let seen = look_at(&layout.title, &rows.join("\n"), Cursor { x, y, visible });
        let is_free = !seen.shows.blocks_sending()
            && seen.shows != PaneShows::Unknown
            && seen.composer == Composer::Clean;
        if is_free != layout.free || is_free && !layout.submits {
            wrong.push(format!("{} {} {}: {seen:?}", layout.version, layout.name, layout.size));
        }
        free += usize::from(is_free);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(free > 100, "{free}");
}

/// A screen of a composer with these rows, the cursor in the first.
fn with_draft(rows: &[&str]) -> PaneLook {
    let mut screen = "• Done.\n\n".to_owned();
    for (index, row) in rows.iter().enumerate() {
        let sign = if index == 0 { "\u{1b}[1m›\u{1b}[0m" } else { " " };
        screen.push_str(&format!("{sign} {row}\n"));
    }
    screen.push_str("\n  fake-model default · /tmp\n");
    look_at("", &screen, Cursor { x: 4, y: 2, visible: true })
}

#[test]
fn what_somebody_wrote_into_a_pasted_text_is_seen() {
    let text = "touch /tmp/a.txt ; # [[say: first]] and a second row, please";
    let whole = ["touch /tmp/a.txt ; # [[say: first]]", "and a second row, please"];
    let check = |rows: &[&str], expect: bool| {
        let look = with_draft(rows);
        assert_eq!(look.composer, Composer::Draft, "{rows:?}");
        assert_eq!(look.holds_more_than(text), expect, "{rows:?}");
    };
    check(&whole, false);
    // Only a part is drawn yet, or the first rows have scrolled away.
    check(&whole[..1], false);
    check(&whole[1..], false);
    check(&["wtouch /tmp/a.txt ; # [[say: first]]", "and a second row, please"], true);
    check(&["touch /tmp/a.txt ; # [[say: first]]", "and a second row, pleases"], true);
    check(&["an earlier draft touch /tmp/a.txt ; #", "[[say: first]] and a second row, please"], true);
    // A large paste and an image stand there by a placeholder.
    check(&["[Pasted Content 4096 chars]"], false);
    check(&["[Image #1]"], false);
    assert!(!with_draft(&[""]).holds_more_than(text), "nothing is drawn yet");
}
