//! Properties that hold for any screen: see [`crate::properties`].

use super::{
    Composer, PaneLook, PaneShows, QUESTION_CHARS, look,
    phrases::{self, BusyWait, Freshness, LAST_SCREEN, Region, StartupState},
};
use crate::cycle::classify::classify;
use crate::properties::head_and_rest;
use conveyor_proto::types::rollout::ClassifyParams;

/// The head is the title of the pane, and the rest is its screen.
///
/// The verdict does not depend on what nobody sees: blank rows at the end, line ends, or style that changes
/// nothing. A question for people is one bounded line without control characters.
pub fn pane_classifier(input: &[u8]) {
    let (title, screen) = head_and_rest(input);
    let title = String::from_utf8_lossy(title);
    let screen = String::from_utf8_lossy(screen);
    let verdict = Verdict::of(&title, &screen);
    verdict.check();

    assert_eq!(Verdict::of(&title, &format!("{screen}\n \n\n")), verdict, "blank rows below count");
    assert_eq!(Verdict::of(&format!(" {title}"), &screen), verdict, "white space before the title counts");
    if !screen.contains('\r') {
        assert_eq!(Verdict::of(&title, &screen.replace('\n', "\r\n")), verdict, "line ends count");
    }
    let phrases = Phrases::of(&screen.to_ascii_uppercase());
    assert_eq!(phrases, verdict.phrases, "upper case counts");
    check_style(&title, &screen, &verdict.look);
}

/// Everything that is derived from a title and a screen.
#[derive(Debug, PartialEq)]
struct Verdict {
    phrases: Phrases,
    look: PaneLook,
    /// What `pane.classify` says that the pane shows.
    shows: String,
}

/// The verdicts by phrases.
#[derive(Debug, PartialEq)]
struct Phrases {
    startup: StartupState,
    anywhere: Option<BusyWait>,
    at_the_end: Option<BusyWait>,
    of_a_new_state: Option<BusyWait>,
}

impl Phrases {
    fn of(screen: &str) -> Self {
        let stale = Freshness { age: Some(90), threshold: 90, recent_events: 0 };
        let fresh = Freshness { age: Some(89), ..stale };
        Self {
            startup: phrases::startup(screen).0,
            anywhere: phrases::busy_wait(screen, stale, Region::WholeText),
            at_the_end: phrases::busy_wait(screen, stale, LAST_SCREEN),
            of_a_new_state: phrases::busy_wait(screen, fresh, Region::WholeText),
        }
    }
}

impl Verdict {
    fn of(title: &str, screen: &str) -> Self {
        let params = ClassifyParams {
            text: screen.to_owned(),
            title: Some(title.to_owned()),
            status_age_seconds: 90,
            busy_wait_seconds: 90,
        };
        let phrases = Phrases::of(screen);
        let classified = classify(&params);
        assert_eq!(classified.startup, phrases.startup.name());
        let pattern = phrases.anywhere.as_ref().map(|found| found.pattern.name());
        assert_eq!(classified.busy_wait.map(|found| found.pattern).as_deref(), pattern);
        Self { phrases, look: look(title, screen, None), shows: classified.shows }
    }

    fn check(&self) {
        let Self { phrases, look, shows } = self;
        assert_eq!(look.shows.name(), shows);
        assert_eq!(phrases.of_a_new_state, None, "a fresh state waits for nothing");
        assert!(phrases.at_the_end.is_none() || phrases.anywhere.is_some(), "the end is part of the whole");

        let has_composer = look.composer != Composer::Absent;
        assert!(has_composer || !matches!(look.shows, PaneShows::Ready | PaneShows::Busy));
        assert!(look.shows.blocks_sending() || look.question.is_none(), "a question holds texts back");
        if let Some(question) = &look.question {
            // The longest escaped character is `\u{10ffff}`.
            assert!(!question.is_empty() && question.chars().count() <= 10 * QUESTION_CHARS + 1);
            assert!(!question.contains(char::is_control), "a question can drive a terminal");
            let printed = format!("{look:?}");
            assert!(printed.len() < 120, "Debug prints what stands on the screen");
        }
    }
}

/// The style tells a draft from a suggestion, and changes nothing else.
fn check_style(title: &str, screen: &str, plain: &PaneLook) {
    let styled = |styled: &str| {
        let look = look(title, screen, Some(styled));
        assert_eq!((look.shows, &look.question), (plain.shows, &plain.question));
        look.composer
    };
    // The style may be any bytes of a program, and may be of a capture from another moment.
    styled(title);
    let composer = styled(screen);
    if screen.contains(|c: char| c.is_control() && c != '\n') {
        return;
    }
    assert_eq!(composer == Composer::Absent, plain.composer == Composer::Absent);
    assert_ne!(composer, Composer::Unknown, "the same rows have the same composer");
    if plain.composer == Composer::Draft {
        assert_eq!(composer, Composer::Draft);
    }
    let reset = screen.split('\n').map(|row| format!("\u{1b}[0;38;5;2m{row}\u{1b}[39m")).collect::<Vec<_>>();
    assert_eq!(styled(&reset.join("\n")), composer, "a colour is no dimness");
    let dim = styled(&format!("\u{1b}[2m{screen}"));
    assert!(dim != Composer::Draft || screen.contains('!'), "a dim row was not typed");
}
