//! Panes as tmux lists them.
//!
//! Names, titles and commands are texts of others: tmux prints a line feed in `argv[0]` as it is. So a listing gives
//! first all facts, which cannot hold free text, and then the texts of each pane between marks that nobody can know
//! beforehand. A pane whose line cannot be read is left out, and hides no other pane.

use super::{LIST_PANES, TmuxError};
use crate::clock;
use conveyor_proto::ids::PaneId;
use std::{collections::HashMap, fmt};

/// Where the terminal cursor of a pane stands. Codex shows it only where typed text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Column, from 0. It is the width of the pane after a character in the last column.
    pub x: usize,
    /// Row, from 0.
    pub y: usize,
    /// Whether the program shows it.
    pub visible: bool,
}

/// A pane, as tmux lists it. `Debug` leaves out the title, which Codex makes from the user's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Pane {
    /// The id of the session in tmux, `$N`.
    pub session_id: String,
    pub session_name: String,
    pub pane_id: PaneId,
    /// The process that was started in the pane.
    pub pane_pid: i32,
    /// Whether that process has ended. With `remain-on-exit` the pane stays.
    pub dead: bool,
    /// Whether the pane is the active one in the current window of its session.
    pub active: bool,
    /// Whether the pane shows the alternate screen.
    pub alternate_on: bool,
    /// Whether the pane is in a mode, such as copy mode. Keys then go to the mode and not to the program.
    pub in_mode: bool,
    /// Whether what is typed into the pane is typed into all panes of its window.
    pub synchronized: bool,
    /// Whether tmux drops what is typed into the pane (`select-pane -d`).
    pub input_off: bool,
    pub width: u32,
    pub height: u32,
    pub cursor: Cursor,
    /// Name of the program in the foreground.
    pub current_command: String,
    /// The title that the program set.
    pub title: String,
}

impl fmt::Debug for Pane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pane")
            .field("session_name", &self.session_name)
            .field("pane_id", &self.pane_id)
            .field("pane_pid", &self.pane_pid)
            .field("dead", &self.dead)
            .field("title_bytes", &self.title.len())
            .finish_non_exhaustive()
    }
}

impl Pane {
    /// What keeps typed keys from the program of this pane alone, if anything does.
    #[must_use]
    pub const fn diverts_keys(&self) -> Option<Diversion> {
        if self.in_mode {
            Some(Diversion::Mode)
        } else if self.synchronized {
            Some(Diversion::Synchronized)
        } else if self.input_off {
            Some(Diversion::InputOff)
        } else {
            None
        }
    }

    /// A condition of tmux: the pane has the process that it had when it was listed, and nothing diverts keys.
    pub(super) fn takes_keys(&self) -> String {
        format!(
            "#{{==:#{{pane_pid}} #{{?pane_dead,1,0}}#{{?pane_in_mode,1,0}}#{{?pane_synchronized,1,0}}#{{?pane_input_off,1,0}},\
             {} 0000}}",
            self.pane_pid
        )
    }
}

/// What diverts the keys that are sent to a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diversion {
    /// A mode of tmux gets them, such as copy mode.
    Mode,
    /// All panes of the window get them (`synchronize-panes`).
    Synchronized,
    /// tmux drops them (`select-pane -d`).
    InputOff,
}

/// The facts of [`Pane`] in tmux's format language: ids, numbers and flags.
const FACTS: &str = "#{session_id}\t#{pane_id}\t#{pane_pid}\t#{pane_dead}\t#{&&:#{window_active},#{pane_active}}\t\
    #{alternate_on}\t#{pane_in_mode}\t#{pane_synchronized}\t#{pane_input_off}\t#{pane_width}\t#{pane_height}\t\
    #{cursor_x}\t#{cursor_y}\t#{cursor_flag}";

/// One list of all panes: the command, and how its answer is read.
pub(super) struct Listing {
    mark: String,
    texts: String,
}

/// The texts of a pane, by the session and the pane that they belong to. tmux lists a pane once for each session that
/// shows it.
type Texts<'a> = HashMap<(&'a str, &'a str), [&'a str; 3]>;

impl Listing {
    pub(super) fn new() -> Self {
        let mark = clock::new_id("mark");
        let fields =
            ["#{session_id}", "#{pane_id}", "#{session_name}", "#{pane_current_command}", "#{pane_title}"];
        let texts = format!("{mark}{}", fields.join(&mark));
        Self { mark, texts }
    }

    pub(super) fn command(&self) -> Vec<&str> {
        let facts = ["list-panes", "-a", "-F", FACTS, ";"];
        let texts = ["display-message", "-p", &self.mark, ";", "list-panes", "-a", "-F", &self.texts, ";"];
        // The last mark ends the texts, whatever is printed after them.
        let end = ["display-message", "-p", &self.mark];
        [&facts[..], &texts[..], &end[..]].concat()
    }

    /// The panes, and what was printed after the list.
    pub(super) fn read<'a>(&self, answer: &'a str) -> (Vec<Pane>, &'a str) {
        let (facts, rest) = answer.split_once(&self.mark).unwrap_or((answer, ""));
        let (texts, after) = rest.rsplit_once(&self.mark).unwrap_or((rest, ""));
        let texts = self.texts(texts);
        let panes = facts.lines().filter_map(|line| parse(line, &texts)).collect();
        (panes, after.strip_prefix('\n').unwrap_or(after))
    }

    /// The panes, if any could be read: a server has at least one.
    pub(super) fn checked(panes: Vec<Pane>, target: &str) -> Result<Vec<Pane>, TmuxError> {
        if panes.is_empty() {
            let message = "no line of its answer is a pane".to_owned();
            return Err(TmuxError::Failed { operation: LIST_PANES, target: target.to_owned(), message });
        }
        Ok(panes)
    }

    fn texts<'a>(&self, answer: &'a str) -> Texts<'a> {
        // Before the first mark is the end of the line that announced the texts.
        let pieces: Vec<&str> = answer.split(self.mark.as_str()).skip(1).collect();
        let (panes, _) = pieces.as_chunks::<5>();
        let of_pane = |[session, pane, name, command, title]: &[&'a str; 5]| {
            ((*session, *pane), [*name, *command, title.strip_suffix('\n').unwrap_or(title)])
        };
        panes.iter().map(of_pane).collect()
    }
}

fn parse(line: &str, texts: &Texts<'_>) -> Option<Pane> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let flag = |field: &str| !field.is_empty() && field != "0";
    let (session, id) = (next()?, next()?);
    let [session_name, current_command, title] = texts.get(&(session, id))?;
    Some(Pane {
        session_id: session.to_owned(),
        session_name: (*session_name).to_owned(),
        pane_id: id.parse().ok()?,
        pane_pid: next()?.parse().ok()?,
        dead: flag(next()?),
        active: flag(next()?),
        alternate_on: flag(next()?),
        in_mode: flag(next()?),
        synchronized: flag(next()?),
        input_off: flag(next()?),
        width: next()?.parse().ok()?,
        height: next()?.parse().ok()?,
        // In some versions, a pane whose program has ended has no cursor.
        cursor: Cursor {
            x: next()?.parse().unwrap_or_default(),
            y: next()?.parse().unwrap_or_default(),
            visible: flag(next()?),
        },
        current_command: (*current_command).to_owned(),
        title: (*title).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(listing: &Listing, facts: &[&str], texts: &[[&str; 5]]) -> String {
        let mark = &listing.mark;
        let texts: String = texts.iter().map(|texts| format!("{mark}{}\n", texts.join(mark))).collect();
        format!(
            "{}{mark}\n{texts}{mark}\nthe screen\n",
            facts.iter().map(|line| format!("{line}\n")).collect::<String>()
        )
    }

    const FIRST: &str = "$1\t%1\t100\t0\t1\t1\t0\t0\t0\t80\t24\t2\t20\t1";
    const SECOND: &str = "$1\t%2\t200\t0\t0\t1\t0\t0\t0\t80\t24\t0\t0\t0";

    #[test]
    fn texts_of_others_change_no_fact_and_no_other_pane() {
        let listing = Listing::new();
        let forged = format!("vi\n{}\n$1\t%1\t666", SECOND.replace("200", "999"));
        let texts = [["$1", "%1", "work", &forged, "a\nb\t%2"], ["$1", "%2", "work", "node", "Ready"]];
        let text = answer(&listing, &[FIRST, SECOND], &texts);
        let (panes, after) = listing.read(&text);
        let seen: Vec<_> = panes.iter().map(|pane| (pane.pane_pid, pane.title.as_str())).collect();
        assert_eq!(seen, [(100, "a\nb\t%2"), (200, "Ready")]);
        assert_eq!(panes[0].current_command, forged);
        assert_eq!(panes[0].cursor, Cursor { x: 2, y: 20, visible: true });
        assert_eq!(after, "the screen\n");
    }

    #[test]
    fn a_line_that_cannot_be_read_hides_no_other() {
        let listing = Listing::new();
        let texts = [["$1", "%1", "work", "vi", ""], ["$1", "%2", "work", "node", "Ready"]];
        let text = answer(&listing, &["$1\t%1\tnonsense", SECOND], &texts);
        let (panes, _) = listing.read(&text);
        assert_eq!(panes.iter().map(|pane| pane.pane_pid).collect::<Vec<_>>(), [200]);
        assert_eq!(listing.read("").0, []);
    }
}
