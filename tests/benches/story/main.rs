//! The story: pairs of the real Codex live for some minutes as users let them live, and worse. Texts, interrupts,
//! approvals, `/clear`, side chats, dialogs, drafts, second windows, renamed sessions; `conveyord`, Codex and tmux are killed
//! with SIGKILL. What it must come to is known from Codex's own rollouts, which are read here without the daemon:
//!
//! - each turn of a worker that ended is told to its manager, once;
//! - each text is one message of the right conversation, or the daemon says why not; none is run by a shell;
//! - nothing runs that was not accepted, and nothing is accepted that was not shown.
//!
//! `make story` runs it; docs/testing.md tells how. A seed repeats the choices, not the moments.
#![expect(clippy::expect_used, clippy::panic, reason = "a story that cannot go on is a finding")]

mod approvals;
mod book;
mod check;
mod ledger;
mod obstacles;
mod options;
mod pair;
mod seat;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use conveyor_tests::harness::announce;

use options::Options;
use world::Story;

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(wrong) => {
            announce(&format!("{wrong}\n{}", options::USAGE));
            return ExitCode::from(2);
        }
    };
    let Some(story) = Story::new(options) else {
        announce(
            "SKIPPED: this version of Codex is not on this machine (tests/lab/install-codex installs it)",
        );
        return ExitCode::SUCCESS;
    };
    announce(&story.title());
    // The world lies in the story, and keeps its folder when a panic passes it.
    let told = catch_unwind(AssertUnwindSafe(|| {
        let mut story = story;
        story.run()
    }));
    match told {
        Ok(figures) => {
            announce(&figures);
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}
