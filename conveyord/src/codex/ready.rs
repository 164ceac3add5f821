//! Watches the pane of a Codex that was just started, until Codex takes input, asks something, or ends.
//!
//! The end of a process and a new rollout are told by events. tmux has no event for what a pane shows, so the
//! pane is captured: every 50 ms at first, then four times a second, and never after the deadline. Only the
//! question whether the folder is trusted is ever answered, and only if the caller asked for that.

use crate::{
    codex::{
        rollout::appearances::Appearances,
        screen::{
            self, PaneShows,
            phrases::{self, StartupState},
        },
    },
    error::{Error, Result},
    platform::{self, Pid, ProcessStart},
    refusal::Kind,
    tmux::{CaptureStyle, Key, Tmux, TmuxError},
};
use conveyor_proto::{ids::PaneId, text::typeable};
use std::{fmt, time::Duration};
use tokio::time::{Instant, sleep_until, timeout_at};

/// How many looks in a row must find the composer before Codex counts as ready.
const READY_LOOKS: u32 = 3;
/// Time between the first looks at the pane.
const FIRST_PACE: Duration = Duration::from_millis(50);
/// Time between later looks, which the pace approaches by doubling.
const LAST_PACE: Duration = Duration::from_millis(250);
/// How many of the last lines of a Codex that ended are kept.
const LAST_LINES: usize = 8;
/// How many rows of history are read above the screen of a Codex that ended. tmux scrolls the last lines up
/// there to make room for its own line, "Pane is dead".
const ROWS_ABOVE: u32 = 40;
/// The longest line that is kept, in characters.
const LINE_CHARS: usize = 300;

/// What the pane of a starting Codex shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nothing by which Codex can be recognised yet.
    Starting,
    /// The composer, while no turn runs.
    Ready,
    /// A running turn.
    Working,
    /// The question whether the folder is trusted.
    Trust,
    /// The offer of an update.
    Update,
    /// The question about new hooks.
    Hooks,
    /// The choice of a way to log in.
    Login,
    /// The question whether to implement a plan.
    Plan,
    /// The question whether to switch the model near a rate limit.
    RateLimit,
    /// The question whether to approve a command or an edit.
    Approval,
    /// A question of the model, or any other menu.
    Menu,
    /// Codex has ended.
    Exited,
}

impl Start {
    /// Whether a person has to answer before Codex goes on.
    #[must_use]
    pub const fn asks(self) -> bool {
        !matches!(self, Self::Starting | Self::Ready | Self::Working | Self::Exited)
    }
}

/// What one look at a pane found. `Debug` prints no texts, as a pane may show anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    pub start: Start,
    /// The pane's title, in which Codex may show the thread's id.
    pub title: String,
    /// The question of a menu, joined into one line.
    pub question: Option<String>,
    /// The last lines of a Codex that ended, without control characters.
    pub last_lines: Vec<String>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("start", &self.start)
            .field("title_bytes", &self.title.len())
            .field("question_bytes", &self.question.as_ref().map(String::len))
            .field("last_lines", &self.last_lines.len())
            .finish()
    }
}

/// What the pane of a program shows that has ended.
fn ended(title: &str, text: &str) -> Shown {
    let question = screen::look(title, text, None).question;
    Shown { start: Start::Exited, title: title.to_owned(), question, last_lines: last_lines(text) }
}

/// Judges the screen of a running program by the pane's title and the text of its rows.
#[must_use]
pub fn judge(title: &str, text: &str) -> Shown {
    let look = screen::look(title, text, None);
    let start = match look.shows {
        _ if asks_for_login(text) => Start::Login,
        PaneShows::Ready => Start::Ready,
        PaneShows::Busy => Start::Working,
        PaneShows::Trust => Start::Trust,
        PaneShows::Update => Start::Update,
        PaneShows::Hooks => Start::Hooks,
        PaneShows::Plan => Start::Plan,
        PaneShows::RateLimit => Start::RateLimit,
        PaneShows::Approval => Start::Approval,
        PaneShows::Question | PaneShows::Menu | PaneShows::Browse | PaneShows::SideChat => Start::Menu,
        PaneShows::Exited => Start::Exited,
        PaneShows::Unclear | PaneShows::Unknown => by_phrases(text),
    };
    let last_lines = if start == Start::Exited { last_lines(text) } else { Vec::new() };
    Shown { start, title: title.to_owned(), question: look.question, last_lines }
}

/// The rows that are not blank, trimmed and in lower case.
fn lower_rows(text: &str) -> Vec<String> {
    text.lines().map(|row| row.trim().to_lowercase()).filter(|row| !row.is_empty()).collect()
}

/// Whether the screen ends in the choice of a way to log in. Codex draws this list with `> 1.`, so the rules
/// for menus do not recognise it.
fn asks_for_login(text: &str) -> bool {
    let rows = lower_rows(text);
    let entry = |row: &String| ["> ", "› "].iter().any(|sign| row.starts_with(&format!("{sign}1. sign in")));
    rows.last().is_some_and(|row| row.starts_with("press enter to ")) && rows.iter().any(entry)
}

/// Judges a screen that fits no layout of a known Codex, by phrases of older versions.
fn by_phrases(text: &str) -> Start {
    let rows = lower_rows(text);
    let last = &rows[rows.len().saturating_sub(24)..];
    // Codex 0.130 draws inline, so an answered question of trust stays on the screen. The question is open
    // only while no banner of Codex stands below it.
    let asked = last.iter().rposition(|row| {
        row.contains("do you trust the contents of this directory") || row.contains("trust this folder?")
    });
    match (asked, phrases::startup(text).0) {
        (Some(at), _) if !last[at + 1..].iter().any(|row| row.contains("openai codex")) => Start::Trust,
        (_, StartupState::Ready) => Start::Ready,
        (Some(_), _) if text.to_lowercase().contains("openai codex") && text.contains('›') => Start::Ready,
        (_, StartupState::Working) => Start::Working,
        _ => Start::Starting,
    }
}

fn last_lines(text: &str) -> Vec<String> {
    let clean = |row: &str| -> String { typeable(row).chars().take(LINE_CHARS).collect() };
    let rows = text.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with("Pane is dead"));
    let rows: Vec<String> = rows.map(clean).collect();
    // A line that begins with `error` says more than the backtrace or the usage below it, so the lines start
    // there.
    let said = rows.iter().rposition(|row| row.to_lowercase().starts_with("error"));
    let from = said.unwrap_or(rows.len().saturating_sub(LAST_LINES));
    rows[from..].iter().take(LAST_LINES).cloned().collect()
}

/// How a wait ended.
#[derive(Debug)]
pub enum Ended<T> {
    /// What the wait was for.
    Found(T),
    /// Codex asks something or has ended, so the wait cannot succeed any more.
    Stopped(Shown),
    /// The deadline passed.
    TimedOut(Shown),
}

/// Watches a pane in which Codex was started.
#[derive(Debug)]
pub struct Watch {
    tmux: Tmux,
    pane: PaneId,
    process: Option<(Pid, Option<ProcessStart>)>,
    accept_trust: bool,
    deadline: Instant,
    /// What the last look found. A question counts only when two looks in a row find it, as a screen may be
    /// caught half drawn.
    last: Start,
    /// Whether the question that is on the screen was answered already.
    answered: bool,
    trust_accepted: bool,
}

impl Watch {
    /// Watches the pane whose process is `pane_pid`.
    #[must_use]
    pub fn new(tmux: Tmux, pane: PaneId, pane_pid: i32, accept_trust: bool, deadline: Instant) -> Self {
        let process = Pid::try_from(i64::from(pane_pid)).ok();
        let process = process.map(|pid| (pid, platform::process_start_time(pid)));
        let last = Start::Starting;
        Self { tmux, pane, process, accept_trust, deadline, last, answered: false, trust_accepted: false }
    }

    /// Whether this watch answered the question of trust.
    #[must_use]
    pub const fn trust_accepted(&self) -> bool {
        self.trust_accepted
    }

    /// Looks at the pane once. A question is reported only when the look before found it too.
    ///
    /// # Errors
    /// When tmux cannot be asked.
    pub async fn look(&mut self) -> Result<Shown> {
        let mut pane_now = None;
        let mut shown = match self.tmux.pane_and_text(self.pane, 0, CaptureStyle::Plain).await {
            // `Tmux::new_session` sets `remain-on-exit`, so the pane and its last lines outlive the program.
            Ok((pane, _)) if pane.dead => {
                let text = self.tmux.capture(self.pane, ROWS_ABOVE, CaptureStyle::Plain).await;
                ended(&pane.title, &text.unwrap_or_default())
            }
            Ok((pane, captured)) => {
                let seen = judge(&pane.title, captured.screen());
                pane_now = Some(pane);
                seen
            }
            // The pane or the whole tmux server is gone, and the program with it.
            Err(TmuxError::PaneMissing { .. } | TmuxError::ServerGone { .. }) => ended("", ""),
            Err(error) => return Err(error.into()),
        };
        // When the question has left the screen, the next one is a new question.
        if shown.start != Start::Trust {
            self.answered = false;
        }
        let again = std::mem::replace(&mut self.last, shown.start) == shown.start;
        if let Some(pane) = pane_now
            && shown.start == Start::Trust
            && self.accept_trust
            && again
            && !self.answered
        {
            // Enter chooses the first entry, which trusts the folder in Codex 0.130, 0.169 and 0.171.
            self.tmux.press(&pane, &Key::enter()).await?;
            self.answered = true;
            self.trust_accepted = true;
        }
        // A question that is seen for the first time, or that was just answered, is not reported.
        if shown.start.asks() && (!again || self.answered) {
            shown.start = Start::Starting;
        }
        Ok(shown)
    }

    /// Waits until Codex takes input or works on its first prompt.
    ///
    /// Codex draws its composer before the menu of an update, so a composer counts only when several looks in a row find
    /// it.
    pub async fn ready(&mut self) -> Result<Ended<Shown>> {
        let mut looks = 0;
        let ended = self
            .found(None, |shown| {
                looks = if shown.start == Start::Ready { looks + 1 } else { 0 };
                let ready = shown.start == Start::Working || looks >= READY_LOOKS;
                std::future::ready(ready.then_some(shown))
            })
            .await?;
        Ok(match ended {
            // The time was too short for more looks.
            Ended::TimedOut(shown) if shown.start == Start::Ready => Ended::Found(shown),
            ended => ended,
        })
    }

    /// Waits until `find` returns something. `find` is called after each look at the pane, and the next look
    /// comes early when something changes below the Codex home.
    pub async fn found<T, F: Future<Output = Option<T>>>(
        &mut self,
        mut appearances: Option<&mut Appearances>,
        mut find: impl FnMut(Shown) -> F,
    ) -> Result<Ended<T>> {
        let mut pace = FIRST_PACE;
        loop {
            let shown = self.look().await?;
            if let Some(found) = find(shown.clone()).await {
                return Ok(Ended::Found(found));
            }
            if shown.start.asks() || shown.start == Start::Exited {
                return Ok(Ended::Stopped(shown));
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Ok(Ended::TimedOut(shown));
            }
            let woken = async {
                match appearances.as_deref_mut() {
                    Some(appearances) => appearances.next().await,
                    None => std::future::pending().await,
                }
            };
            let ended = async {
                match self.process {
                    // If the process is known to have ended, its end is no event any more. The next look sees
                    // it.
                    Some((pid, start)) if platform::is_alive(pid, start) => platform::ended(pid, start).await,
                    _ => std::future::pending().await,
                }
            };
            let event = async {
                tokio::select! {
                    () = woken => {}
                    () = ended => {}
                }
            };
            if timeout_at(self.deadline.min(now + pace), event).await.is_ok() {
                // Codex appends to its rollout as fast as it works, so events must not make the looks more
                // frequent than the first ones.
                sleep_until(self.deadline.min(now + FIRST_PACE)).await;
            }
            pace = (pace * 2).min(LAST_PACE);
        }
    }
}

/// The error of a start that failed: what Codex shows, and what the user can do.
#[must_use]
pub fn refusal(name: &str, shown: &Shown, seconds: Option<u64>) -> Error {
    let says = |what: &str| format!("Codex of {name} {what}");
    match shown.start {
        Start::Trust => Error::conflict(
            Kind::NeedsTrust,
            says("asks whether this folder is trusted, and nothing was answered"),
        )
        .hint("--accept-trust trusts the folder, which Codex remembers; or start codex there once yourself"),
        Start::Update => {
            Error::conflict(Kind::UpdateOffered, says("offers an update, and nothing was answered")).hint(
                "update Codex, or skip that version in a codex of your own; \
             check_for_update_on_startup = false in Codex's config.toml ends the question",
            )
        }
        Start::Hooks => {
            Error::conflict(Kind::HooksReview, says("asks to review new hooks, and nothing was answered"))
                .hint("start codex yourself, and review them there")
        }
        Start::Login => {
            Error::conflict(Kind::LoginNeeded, says("has no login")).hint("`codex login`, then try again")
        }
        Start::Plan => Error::conflict(
            Kind::PlanMenu,
            says("asks whether to implement a plan, and nothing was answered"),
        )
        .hint("answer it in the pane, with --keep on the next try"),
        Start::RateLimit => Error::conflict(
            Kind::RateLimitMenu,
            says("asks whether to switch the model near its rate limit, and nothing was answered"),
        )
        .hint("--model names the one to use; or answer it once in a codex of your own"),
        Start::Approval => {
            Error::conflict(Kind::ApprovalMenu, says("asks for an approval, and nothing was answered"))
                .hint("answer it in the pane, with --keep on the next try")
        }
        Start::Menu => Error::conflict(Kind::MenuOpen, says("shows a menu, and nothing was answered"))
            .hint("answer it in the pane, with --keep on the next try"),
        Start::Exited => {
            let said = match shown.last_lines.as_slice() {
                [] => "it left nothing on its screen".to_owned(),
                lines => format!("its last lines: {}", lines.join(" | ")),
            };
            // What a pane shows may be anything, so it goes into the hint. The message is kept in telemetry.
            Error::conflict(Kind::CodexExited, format!("Codex of {name} ended as it started"))
                .hint(format!("run codex with the same options in that folder yourself; {said}"))
        }
        Start::Starting | Start::Ready | Start::Working => {
            let state = match shown.start {
                Start::Starting => "has shown nothing that is known",
                Start::Ready => "takes input, and has begun no session",
                _ => "works, and has written no rollout",
            };
            let within = seconds.map(|seconds| format!(" within {seconds} s")).unwrap_or_default();
            Error::unavailable(Kind::StartTimedOut, format!("Codex of {name} {state}{within}"))
                .hint("try again with a longer --timeout-seconds, or with --keep and look at the pane")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Start) {
        assert_eq!(judge("", text).start, expect, "{text}");
    }

    #[test]
    fn todays_screens_are_told_apart() {
        check("", Start::Starting);
        check("  some shell output", Start::Starting);
        check(">_ OpenAI Codex (v1)\n\n› Ask Codex to do anything\n\n  m default · /p\n", Start::Ready);
        check(
            "• Working (3s • esc to interrupt)\n\n› Ask Codex to do anything\n\n  m · /p\n",
            Start::Working,
        );
        check(
            "  /p\n\n  Trust this folder? It can.\n\n› 1. Trust and continue\n  2. Back\n\n  enter continue · esc back\n",
            Start::Trust,
        );
        check(
            "  Update available · 1 → 2\n\n› 1. Update now (runs x)\n  2. Skip\n\n  enter continue · esc skip\n",
            Start::Update,
        );
        check(
            "  Hooks need review\n\n› 1. Review hooks\n  2. Trust all\n\n  enter confirm · esc skip\n",
            Start::Hooks,
        );
        check(
            "  Implement this plan?\n\n› 1. Yes, implement this plan\n  2. No\n\n  enter select · esc back\n",
            Start::Plan,
        );
        check(
            "  Approaching rate limits\n\n› 1. Switch to m\n  2. Keep\n\n  Press enter to confirm or esc to go back\n",
            Start::RateLimit,
        );
        check(
            "  Would you like to run the following command?\n\n  $ x\n\n› 1. Yes, proceed (y)\n  2. No\n\n  Press enter to confirm or esc to cancel\n",
            Start::Approval,
        );
    }

    #[test]
    fn a_missing_login_is_seen_in_both_generations() {
        let tail = "> 1. Sign in with ChatGPT\n     Usage included\n  2. Sign in with Device Code\n  3. Other\n\n  Press enter to continue\n";
        check(&format!("  Welcome to Codex, OpenAI's agent\n  Choose how:\n\n{tail}"), Start::Login);
        check(&format!("  Sign in with ChatGPT to use Codex\n\n{tail}"), Start::Login);
        check("  We spoke of: > 1. Sign in with ChatGPT\n\n› \n\n  m · /p\n", Start::Ready);
    }

    #[test]
    fn an_answered_question_of_trust_is_none() {
        let question = "Do you trust the contents of this directory?\n";
        check(question, Start::Trust);
        check(&format!("{question}OpenAI Codex\n› \n"), Start::Ready);
    }

    #[test]
    fn the_last_lines_of_an_exit_are_kept_without_control_characters() {
        let shown = ended("", "error: no\u{7} such option\n\nPane is dead (status 2)\n");
        assert_eq!(shown.start, Start::Exited);
        assert_eq!(shown.last_lines, ["error: no such option"]);
        let error = refusal("w", &shown, None);
        assert_eq!(error.kind(), "codex_exited");
        assert!(error.way_out().unwrap().contains("no such option") && !error.to_string().contains("option"));
        assert!(!format!("{shown:?}").contains("option"), "{shown:?}");
    }

    #[test]
    fn each_question_has_a_kind_of_its_own() {
        use Start::*;
        let all = [Starting, Trust, Update, Hooks, Login, Plan, RateLimit, Approval, Menu, Exited];
        let kind = |start| {
            let shown = Shown { start, title: String::new(), question: None, last_lines: Vec::new() };
            let error = refusal("w", &shown, Some(1));
            assert!(error.way_out().is_some(), "{error}");
            error.kind().as_str()
        };
        let kinds: std::collections::BTreeSet<&str> = all.into_iter().map(kind).collect();
        assert_eq!(kinds.len(), all.len());
    }
}
