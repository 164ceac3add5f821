//! What stands between a text and its composer: drafts, dialogs, side chats, modes of tmux, other windows.

use fastrand::Rng;

use super::book::Sort;
use super::ledger::{Sent, Text};
use super::seat::Seat;
use super::world::Story;

/// A draft that nobody sends.
pub(crate) const DRAFT: &str = "half a thought";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Draft,
    Delete,
    ModelList,
    Search,
    SideChat,
    /// A side chat is open, and the main conversation has the focus.
    BesideSideChat,
    CopyMode,
    InputOff,
    Synchronised,
    SecondWindow,
    Split,
    Zoom,
    Swap,
    Small,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::Draft,
        Self::Delete,
        Self::ModelList,
        Self::Search,
        Self::SideChat,
        Self::BesideSideChat,
        Self::CopyMode,
        Self::InputOff,
        Self::Synchronised,
        Self::SecondWindow,
        Self::Split,
        Self::Zoom,
        Self::Swap,
        Self::Small,
    ];
}

/// An obstacle that stands.
#[derive(Debug)]
pub(crate) struct Obstacle {
    kind: Kind,
    /// A pane with a shell that it brought along.
    shell: Option<String>,
}

impl Obstacle {
    /// Puts it up before an idle Codex. None where this Codex does not have it.
    pub(crate) fn put_up(
        story: &Story,
        seat: &Seat<'_>,
        kind: Kind,
        rng: &mut Rng,
    ) -> (Option<Self>, Option<Text>) {
        story.note(&seat.name, &format!("obstacle {kind:?}"));
        story.count(&format!("obstacle {kind:?}"));
        let (mut shell, mut asked) = (None, None);
        // A person sees what a killed daemon left in the composer, and types nothing behind it.
        if !seat.has_empty_composer() {
            story.count("stranded drafts cleared");
            seat.clear_composer();
        }
        let stands = match kind {
            Kind::Draft => {
                seat.type_text(DRAFT);
                story.soon(|| seat.shows(DRAFT))
            }
            Kind::Delete => {
                seat.enter("/delete");
                let shown = story.soon(|| seat.shows("Yes, delete"));
                if shown {
                    seat.key("Down");
                    story.soon(|| seat.shows("› 2. Yes, delete"));
                }
                shown
            }
            Kind::ModelList => {
                seat.enter("/model");
                story.soon(|| seat.shows("› 1."))
            }
            Kind::Search => {
                seat.key("C-r");
                story.soon(|| seat.shows("reverse-i-search"))
            }
            Kind::SideChat | Kind::BesideSideChat => {
                seat.enter("/side");
                let mut opened = story.soon(|| seat.shows("Ask a follow-up question"));
                if opened && rng.bool() {
                    asked = Some(ask_aside(story, seat));
                }
                if opened && kind == Kind::BesideSideChat {
                    seat.key("C-x");
                    seat.key("c");
                    opened = story.soon(|| seat.has_empty_composer());
                }
                opened
            }
            Kind::CopyMode => {
                seat.tmux_run(&["copy-mode", "-t", &seat.pane.id]);
                true
            }
            Kind::InputOff => {
                seat.tmux_run(&["select-pane", "-d", "-t", &seat.pane.id]);
                true
            }
            Kind::SecondWindow => {
                let window = format!(
                    "{}:",
                    seat.tmux_run(&["display-message", "-p", "-t", &seat.pane.id, "#{session_id}"])
                );
                let new = ["new-window", "-P", "-F", "#{pane_id}", "-t", &window, "bash", "--norc"];
                shell = Some(seat.tmux_run(&new));
                true
            }
            Kind::Split | Kind::Zoom | Kind::Swap | Kind::Synchronised => {
                let split = ["split-window", "-P", "-F", "#{pane_id}", "-t", &seat.pane.id, "bash", "--norc"];
                let other = seat.tmux_run(&split);
                match kind {
                    Kind::Zoom => seat.tmux_run(&["resize-pane", "-Z", "-t", &seat.pane.id]),
                    Kind::Swap => seat.tmux_run(&["swap-pane", "-s", &seat.pane.id, "-t", &other]),
                    Kind::Synchronised => {
                        seat.tmux_run(&["set-option", "-w", "-t", &seat.pane.id, "synchronize-panes", "on"])
                    }
                    _ => String::new(),
                };
                shell = Some(other);
                true
            }
            Kind::Small => {
                let (columns, rows) = if rng.bool() { ("80", "24") } else { ("60", "16") };
                seat.tmux_run(&["resize-window", "-t", &seat.pane.id, "-x", columns, "-y", rows]);
                true
            }
        };
        if !stands {
            story.note(&seat.name, &format!("no {kind:?} here: {}", seat.screen()));
            story.count("obstacles that did not stand");
        }
        // What does not stand is taken away all the same: something of it may.
        (Some(Self { kind, shell }), asked)
    }

    /// Takes it away again.
    #[track_caller]
    pub(crate) fn take_away(self, story: &Story, seat: &Seat<'_>) {
        story.note(&seat.name, &format!("{:?} is taken away", self.kind));
        match self.kind {
            Kind::Draft => seat.clear_composer(),
            Kind::Delete => close(story, seat, "Yes, delete"),
            Kind::ModelList => close(story, seat, "› 1."),
            Kind::Search => close(story, seat, "reverse-i-search"),
            Kind::SideChat | Kind::BesideSideChat => close_aside(story, seat),
            Kind::CopyMode => {
                seat.tmux_run(&["send-keys", "-t", &seat.pane.id, "-X", "cancel"]);
            }
            Kind::InputOff => {
                seat.tmux_run(&["select-pane", "-e", "-t", &seat.pane.id]);
            }
            Kind::Synchronised => {
                seat.tmux_run(&["set-option", "-w", "-t", &seat.pane.id, "synchronize-panes", "off"]);
            }
            Kind::Small => {
                seat.tmux_run(&["resize-window", "-t", &seat.pane.id, "-x", "120", "-y", "40"]);
            }
            Kind::SecondWindow | Kind::Split | Kind::Zoom | Kind::Swap => {}
        }
        if let Some(shell) = self.shell {
            let typed = seat.tmux_run(&["capture-pane", "-p", "-S", "-200", "-t", &shell]);
            seat.tmux_run(&["kill-pane", "-t", &shell]);
            let is_clean = !typed.contains("text-") && !typed.contains("appears to have");
            assert!(is_clean, "a shell beside {} got what was Codex's: {typed}", seat.name);
        }
    }
}

/// Closes a dialog that is open.
fn close(story: &Story, seat: &Seat<'_>, sign: &str) {
    if seat.shows(sign) {
        seat.key("Escape");
        if story.soon(|| !seat.shows(sign)) {
            return;
        }
    }
    seat.clear_composer();
}

/// Says something in the side chat that has the focus.
fn ask_aside(story: &Story, seat: &Seat<'_>) -> Text {
    let mut text = Text::new(story, seat.folder.clone(), "");
    text.sort = Sort::Aside;
    text.sent = Sent::Unknown;
    text.text = format!("aside {}", text.token);
    seat.enter(&text.text);
    let answered = format!("You said: {}", text.text);
    // A narrow side bar breaks the line.
    let _ = story.soon(|| seat.shows(&answered) || seat.shows("You said: aside"));
    text
}

/// Whether a side chat fills the pane or stands beside the conversation.
pub(crate) fn shows_side_chat(seat: &Seat<'_>) -> bool {
    seat.shows("Ask a follow-up question") || seat.shows("Side from main thread") || has_divider(seat)
}

/// Closes a side chat. It stays when the daemon pastes into the pane at that moment.
pub(crate) fn close_aside(story: &Story, seat: &Seat<'_>) {
    for key in ["s", "w"] {
        if shows_side_chat(seat) {
            seat.key("C-x");
            seat.key(key);
        }
    }
    if !story.soon(|| !shows_side_chat(seat)) {
        story.note(&seat.name, &format!("the side chat does not close: {}", seat.screen()));
    }
}

/// Whether a side bar stands beside the conversation.
fn has_divider(seat: &Seat<'_>) -> bool {
    seat.screen().lines().filter(|line| line.contains('│')).count() > 10
}
