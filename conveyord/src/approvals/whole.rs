//! What a pane asks, whole. The screen tells that something is asked, and the rollout's open calls hold it whole.
//!
//! A command or a patch is never taken from the screen: Codex cuts what does not fit the pane, and terminals hide what
//! control characters hide. The visible part only tells which call is asked about. A question that no call holds, such
//! as one for permissions, is taken from the screen when nothing of it is cut
//! ([`ApprovalMenu::shows_all`]).

use crate::{
    codex::{
        rollout::call::{Call, Form, Patched},
        screen::{ApprovalMenu, Drawing, Part, Reading, same_text, shows_text},
    },
    store::approvals::{Approval, Occasion, PaneSubject, digest},
    words::sha256,
};
use conveyor_proto::types::approval::{ApprovalExtent, ApprovalKind};

/// What a pane asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub subject: PaneSubject,
    pub kind: ApprovalKind,
    pub command: Option<String>,
    pub cwd: Option<String>,
    pub reason: Option<String>,
    pub sight: Sight,
    pub occasion: Occasion,
}

/// How much the screen shows of what is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// At least its beginning.
    Beginning,
    /// Nothing that can be relied on: the pane is too low for it, or not drawn anew after a resize.
    Nothing,
}

/// The calls, answers and folder of a session whose pane asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The calls of the open turn that have no output, oldest first.
    pub calls: &'a [Call],
    /// The subjects that were answered through Conveyor. Their calls may still run.
    pub answered: &'a [String],
    /// The folder of the session.
    pub cwd: &'a str,
}

/// What a menu asks.
pub(super) fn question(menu: &ApprovalMenu, known: &Known<'_>) -> Question {
    let mut found: Vec<Question> = Vec::new();
    // A sub-agent's question names its thread. Its call is not among those of this one.
    let of_another = menu.readings.iter().any(Reading::is_of_another_thread);
    for call in known.calls.iter().filter(|_| !of_another) {
        let asked = menu.readings.iter().find_map(|reading| of_call(call, reading, known.cwd));
        found.extend(asked);
    }
    if let [only] = found.as_slice() {
        return only.clone();
    }
    // Calls that ask the very same are answered one after the other. It does not matter which one is asked about now.
    let open = |asked: &&Question| !known.answered.contains(&asked.subject.to_string());
    if let Some(first) = found.first()
        && found.iter().all(|other| other.digest() == first.digest())
    {
        return found.iter().find(open).unwrap_or(first).clone();
    }
    let reading = menu.last();
    let kind = reading.map_or(ApprovalKind::Other, kind_of);
    let command = reading.and_then(Reading::body);
    let reason = reading.map(|reading| reading.reason().unwrap_or_else(|| reading.question.clone()));
    let hash = sha256(serde_json::json!([reading.map(|of| &of.question), reason, command]).to_string());
    let cut = menu.entries == Part::Some || reading.is_none_or(|reading| reading.part == Part::Some);
    let is_of_call = matches!(kind, ApprovalKind::Command | ApprovalKind::FileChange);
    let subject = if cut && found.is_empty() {
        PaneSubject::Cut(hash)
    } else if is_of_call || !found.is_empty() || !menu.shows_all() {
        PaneSubject::Ambiguous(hash)
    } else {
        PaneSubject::Screen(hash)
    };
    let sees = |reading: &Reading| reading.commands().next().is_some() || !reading.destinations().is_empty();
    let overdrawn = reading.is_some_and(|reading| reading.drawing == Drawing::Overdrawn);
    let nothing = overdrawn || cut && !menu.readings.iter().any(sees);
    let sight = if nothing { Sight::Nothing } else { Sight::Beginning };
    let occasion = if of_another { Occasion::During(oldest(known)) } else { occasion(kind, known) };
    Question { subject, kind, command, cwd: Some(known.cwd.to_owned()), reason, sight, occasion }
}

/// The occasion of a question that no call holds.
fn occasion(kind: ApprovalKind, known: &Known<'_>) -> Occasion {
    let asks = |call: &&Call| kind == ApprovalKind::Permissions && call.form == Form::Permissions;
    match known.calls.iter().find(asks) {
        Some(call) => Occasion::Call(call.id.clone()),
        None => Occasion::During(oldest(known)),
    }
}

fn oldest(known: &Known<'_>) -> Option<String> {
    known.calls.first().map(|call| call.id.clone())
}

impl Question {
    fn digest(&self) -> String {
        digest(self.kind, self.command.as_deref(), self.cwd.as_deref(), self.reason.as_deref())
    }

    /// Whether this is the question of an approval, as far as can be seen. A pane that is resized shows more or less of
    /// a question, in other rows.
    pub(super) fn may_be(&self, approval: &Approval, known: &Known<'_>) -> bool {
        let row = &approval.row;
        if approval.subject == self.subject.to_string() {
            return true;
        }
        let same_kind = self.kind == row.kind || self.kind == ApprovalKind::Other;
        match &self.subject {
            PaneSubject::Call { .. } => false,
            _ if approval.subject.starts_with("call:") => {
                // The call that was asked about still waits, and nothing on the screen speaks against it.
                let open = |call: &Call| approval.subject.starts_with(&format!("call:{}/", call.id));
                self.sight == Sight::Nothing && same_kind && known.calls.iter().any(open)
            }
            _ if self.sight == Sight::Nothing => same_kind,
            _ => {
                let same =
                    |one: Option<&str>, other: Option<&str>| same_text(uncut(one), uncut(other), Part::Some);
                self.kind == row.kind
                    && same(self.command.as_deref(), row.command.as_deref())
                    && same(self.reason.as_deref(), row.reason.as_deref())
            }
        }
    }

    /// Whether this asks for exactly what an approval shows.
    pub(super) fn is_what_is_shown(&self, approval: &Approval) -> bool {
        let row = &approval.row;
        if row.extent != ApprovalExtent::Whole {
            return false;
        }
        match &self.subject {
            PaneSubject::Call { .. } => {
                approval.subject == self.subject.to_string() && self.digest() == row.sha256
            }
            // Only the screen holds it, which breaks it into rows by the width of the pane.
            PaneSubject::Screen(_) => {
                let same = |one: &Option<String>, other: &Option<String>| {
                    let text = |of: &Option<String>| of.clone().unwrap_or_default();
                    one.is_some() == other.is_some() && same_text(&text(one), &text(other), Part::All)
                };
                self.kind == row.kind
                    && self.cwd == row.cwd
                    && same(&self.command, &row.command)
                    && same(&self.reason, &row.reason)
            }
            PaneSubject::Cut(_) | PaneSubject::Ambiguous(_) => false,
        }
    }
}

/// A text without the last row, if that stands for what was cut.
fn uncut(text: Option<&str>) -> &str {
    let text = text.unwrap_or_default();
    match text.rsplit_once('\n') {
        Some((above, last)) if last.starts_with("[… ") => above,
        None if text.starts_with("[… ") => "",
        _ => text,
    }
}

fn kind_of(reading: &Reading) -> ApprovalKind {
    // Codex 0.130 clips a question that is wider than the pane.
    let question = reading.question.to_lowercase();
    if question.contains("run the following") {
        ApprovalKind::Command
    } else if question.contains("make the following") {
        ApprovalKind::FileChange
    } else if question.contains("permissions") {
        ApprovalKind::Permissions
    } else if question.starts_with("allow the ") {
        ApprovalKind::Tool
    } else {
        ApprovalKind::Other
    }
}

/// The question about a call, if that is what a reading of the screen asks.
fn of_call(call: &Call, reading: &Reading, cwd: &str) -> Option<Question> {
    let kind = kind_of(reading);
    let fits = match kind {
        _ if reading.is_of_another_thread() => false,
        ApprovalKind::Command => {
            call.form == Form::Shell
                && reading.commands().any(|rows| shows_text(&rows, &call.text, reading.part))
        }
        ApprovalKind::FileChange => edits(call, reading, cwd),
        ApprovalKind::Tool => match &call.form {
            Form::Tool { server, tool } => same_text(
                &reading.question,
                &format!("Allow the {server} MCP server to run tool \"{tool}\"?"),
                Part::All,
            ),
            _ => false,
        },
        ApprovalKind::Permissions | ApprovalKind::UserInput | ApprovalKind::Other => false,
    };
    if !fits {
        return None;
    }
    // Codex asks in its own words when the sandbox stopped a command, and else in the model's.
    let shown = reading.reason();
    let reason = match (&shown, &call.reason) {
        (Some(shown), Some(said)) if squashed(said).starts_with(&squashed(shown)) => Some(said.clone()),
        (Some(shown), _) => Some(shown.clone()),
        // The reason may be out of sight.
        (None, Some(said)) => Some(said.clone()),
        (None, None) => None,
    };
    // Not by the words of the question, which Codex 0.130 clips.
    let asked = format!("{}\n{}", kind.as_str(), squashed(reason.as_deref().unwrap_or_default()));
    let reason = reason.or_else(|| Some(reading.question.clone()));
    let more = std::iter::once(reason.unwrap_or_default()).chain(call.more.iter().cloned());
    Some(Question {
        subject: PaneSubject::Call { call: call.id.clone(), question: sha256(asked) },
        occasion: Occasion::Call(call.id.clone()),
        kind,
        command: Some(call.text.clone()),
        cwd: Some(call.cwd.clone().unwrap_or_else(|| cwd.to_owned())),
        reason: Some(more.collect::<Vec<_>>().join("\n")),
        sight: Sight::Beginning,
    })
}

fn squashed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Whether a question about edits can be about this call: it holds a patch, and names every destination that is shown.
fn edits(call: &Call, reading: &Reading, cwd: &str) -> bool {
    let files = call.files();
    if files.is_empty() {
        return false;
    }
    let folder = call.cwd.as_deref().unwrap_or(cwd).trim_end_matches('/');
    let is_same = |shown: &str, file: &str| {
        let (shown, file) = (squashed(shown), squashed(file.trim_start_matches("./")));
        // A shell may change its folder before it patches.
        shown == file
            || shown == format!("{}/{file}", squashed(folder))
            || (call.form == Form::Shell
                && call.text.trim_start().starts_with("cd ")
                && shown.ends_with(&format!("/{file}")))
    };
    let shown = reading.destinations();
    if shown.is_empty() {
        // Codex 0.130 names no destination.
        return reading.part == Part::All;
    }
    let has = |file: &Patched<'_>, shown: &String| {
        is_same(shown, file.path) || file.moved_to.is_some_and(|path| is_same(shown, path))
    };
    shown.iter().all(|shown| files.iter().any(|file| has(file, shown)))
        && (reading.part == Part::Some || files.iter().all(|file| shown.iter().any(|shown| has(file, shown))))
}

#[cfg(test)]
mod tests;
