//! What was sent, and what must have become of it.

use camino::Utf8PathBuf;
use conveyor_tests::harness::TestEnv;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::Value;

use super::book::{Book, Sort};
use super::world::{Answer, Story};

/// What the daemon said of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    Delivered,
    /// It began the conversation with its Codex, before all that was held for the session.
    FirstPrompt,
    /// It is a command of this id.
    Command(String),
    Uncertain,
    /// Surely not.
    Not,
    /// The daemon was killed meanwhile, or a person typed it.
    Unknown,
}

/// A text that was sent. It names itself, and leaves a file where a shell runs it.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub token: String,
    pub text: String,
    /// Where it belongs.
    pub folder: Utf8PathBuf,
    pub sort: Sort,
    pub sent: Sent,
}

impl Text {
    /// A text around what the model is to do.
    pub(crate) fn new(story: &Story, folder: Utf8PathBuf, directive: &str) -> Self {
        // The name ends with a letter, so that none begins another.
        let token = format!("text-{}-z", story.number());
        let text = format!("touch {}/{token} ; # {directive} please", story.canaries());
        Self { token, text, folder, sort: Sort::Main, sent: Sent::Unknown }
    }

    /// Notes what a verb answered.
    pub(crate) fn answered(&mut self, story: &Story, answer: &Answer, verb: Option<&str>) {
        self.sent = match answer {
            Answer::Cut => Sent::Unknown,
            Answer::Refused(_) => Sent::Not,
            Answer::Value(value) => {
                let id = value["command_id"].as_str();
                match (value["outcome"].as_str(), id) {
                    (Some("delivered"), _) => Sent::Delivered,
                    (Some("uncertain"), _) => Sent::Uncertain,
                    (Some("failed"), _) => Sent::Not,
                    (_, Some(id)) => Sent::Command(id.to_owned()),
                    _ => panic!("an answer that says nothing: {value:#}"),
                }
            }
        };
        let said = match answer {
            Answer::Value(value) => brief(value),
            Answer::Refused(why) => why.lines().next().unwrap_or_default().to_owned(),
            Answer::Cut => "cut off".to_owned(),
        };
        story.note(&self.token, &format!("{} {said} [{}]", verb.unwrap_or("nudge"), self.text));
        let kind = match answer {
            Answer::Value(value) => value["outcome"].as_str().unwrap_or("queued"),
            Answer::Refused(_) => "refused",
            Answer::Cut => "cut off",
        };
        story.count(&format!("texts {kind}"));
        if let Answer::Value(value) = answer
            && let Some(by) = value["blocked_by"].as_str()
        {
            story.count(&format!("texts held by {by}"));
        }
    }

    /// How often it is to be found, at least and at most; none while that is open.
    pub(crate) fn expected(&self, story: &Story) -> Option<(usize, usize)> {
        Some(match &self.sent {
            Sent::Delivered | Sent::FirstPrompt => (1, 1),
            Sent::Not => (0, 0),
            Sent::Uncertain | Sent::Unknown => (0, 1),
            Sent::Command(id) => {
                let query = format!(
                    "select state, delivery, exists (select 1 from deliveries where command_id = commands.id
                     and proof_kind = 'consumption') from commands where id = '{id}'"
                );
                let rows = story.rows(&query)?;
                let row = rows.first().unwrap_or_else(|| panic!("an accepted command is lost: {self:?}"));
                match (row[0].as_str(), row[1].as_str()) {
                    ("pending" | "attempted", _) => return None,
                    // It was taken from the inbox, and may have been typed as well.
                    (_, "delivered") if row[2] == "1" => (0, 1),
                    (_, "delivered") => (1, 1),
                    (_, "uncertain") => (0, 1),
                    ("failed" | "blocked", _) | (_, "failed" | "discarded") => (0, 0),
                    _ => panic!("{self:?} became {row:?}"),
                }
            }
        })
    }

    /// Where it is to be found: the times, by Codex's own record. Told is also what is wrong with that.
    pub(crate) fn found(&self, book: &Book, least: usize, most: usize) -> Result<Vec<i64>, String> {
        let mut times = Vec::new();
        for (rollout, at, text) in book.messages(&self.token) {
            if rollout.folder != self.folder.as_str() || rollout.sort != self.sort {
                return Err(format!("{self:?} went into {}, which is {:?}", rollout.path, rollout.sort));
            }
            // Nothing keeps a key of a person, such as those that close a side chat, out of a composer between paste
            // and Enter.
            let behind = text.trim().strip_prefix(self.text.trim());
            if !matches!(behind, Some("" | "s" | "w" | "sw")) {
                return Err(format!("{self:?} was changed on its way: {text:?}"));
            }
            times.push(at);
        }
        if times.len() < least || times.len() > most {
            return Err(format!("{self:?} was found {} times, not {least} to {most}", times.len()));
        }
        Ok(times)
    }
}

fn brief(value: &Value) -> String {
    let field = |name: &str| value[name].as_str().map(|text| format!("{name}={text} ")).unwrap_or_default();
    ["outcome", "blocked_by", "transport", "command_id"].into_iter().map(field).collect()
}

/// All rows of a query, each as its columns; none while the database cannot be read.
pub(crate) fn rows(env: &TestEnv, query: &str) -> Option<Vec<Vec<String>>> {
    let database: Connection = env.database();
    let mut statement = database.prepare(query).ok()?;
    let columns = statement.column_count();
    let found = statement.query_map([], |row| (0..columns).map(|at| row.get::<_, Cell>(at)).collect());
    let found: Vec<Vec<Cell>> = found.ok()?.collect::<Result<_, _>>().ok()?;
    let text = |cell: Cell| match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text,
        Cell::Blob(bytes) => format!("{} bytes", bytes.len()),
    };
    Some(found.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
}
