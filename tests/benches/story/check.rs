//! When all is quiet: whether all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::approvals::May;
use super::book::Sort;
use super::ledger::Sent;
use super::obstacles::{self, DRAFT};
use super::pair::Pair;
use super::seat::{Hears, Role};
use super::world::{Answer, Story};

/// What is under way while items wait in the manager's inbox.
const TO_BE_TAKEN: &str = "items wait to be taken";

impl Pair<'_> {
    /// Waits until nothing is under way, and holds everything against Codex's own records.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        let begun = Instant::now();
        let mut helped = begun;
        let mut seen = [String::new(), String::new()];
        let mut quiet = 0;
        self.story.until(&format!("quiet in pair {}", self.number), || {
            let Some(why) = self.under_way() else {
                // What is looked at first may have moved on while the rest was looked at.
                quiet += 1;
                return if quiet > 2 { Ok(()) } else { Err("quiet for a moment".to_owned()) };
            };
            quiet = 0;
            if why == TO_BE_TAKEN {
                self.take();
            }
            if helped.elapsed() > Duration::from_secs(3) {
                helped = Instant::now();
                self.help(&why, &mut seen);
            }
            Err(why)
        });
        self.story.most("longest wait for quiet (s)", begun.elapsed().as_secs());
        let wrong = self.wrong();
        if !wrong.is_empty() {
            self.note(&wrong.join("\n"));
            panic!("pair {}, --seed {}:\n  {}", self.number, self.story.options.seed, wrong.join("\n  "));
        }
        self.settled.append(&mut self.open);
    }

    /// Plays the person: a draft that a killed daemon left would hold back everything after it. `seen` is what the two
    /// showed the last time.
    pub(crate) fn help(&self, why: &str, seen: &mut [String; 2]) {
        let _ = self.story.call(&["daemon", "start"]);
        for (role, seen) in [Role::Worker, Role::Manager].into_iter().zip(seen) {
            let seat = self.seat(role);
            let screen = seat.screen();
            let busy = self.story.book().running(&seat.folder).is_some();
            // What has just been pasted gets its Enter soon.
            if !busy && screen == *seen && obstacles::shows_side_chat(seat) {
                self.note(&format!("{why}: the side chat of {} is closed: {screen}", seat.name));
                self.story.count("side chats closed once more");
                seat.clear_composer();
                obstacles::close_aside(self.story, seat);
            } else if !busy && screen == *seen && !seat.has_footer() {
                // Resized twice at once, Codex may draw for a size that the pane has no longer.
                self.note(&format!("{why}: {} is to draw anew: {screen}", seat.name));
                self.story.count("screens drawn anew");
                seat.draw_anew();
                // Or a draft of many rows leaves no room for the footer.
                if !seat.has_footer() {
                    seat.clear_composer();
                }
            } else if !busy && !seat.has_empty_composer() && screen == *seen {
                self.note(&format!("{why}: the composer of {} is cleared: {screen}", seat.name));
                self.story.count("stranded drafts cleared");
                seat.clear_composer();
            }
            *seen = screen;
        }
    }

    /// What is not over yet.
    fn under_way(&self) -> Option<String> {
        let cannot = || "the database cannot be read".to_owned();
        for role in [Role::Worker, Role::Manager] {
            let running = self.story.book().running(&self.seat(role).folder);
            if let Some(turn) = running {
                return Some(format!("turn {turn} of {} runs", self.seat(role).name));
            }
        }
        let task = &self.task;
        let open = [
            format!(
                "select id, held_by from commands where state in ('pending', 'attempted')
                 and task_id = (select id from tasks where name = '{task}')"
            ),
            format!(
                "select id, signal_type, held_by from routed_notifications
                 where state = 'pending' and task_id = (select id from tasks where name = '{task}')"
            ),
            format!(
                "select turn_id from turns where routing = 'pending'
                 and session_id = (select id from sessions where name = '{}')",
                self.worker.name
            ),
        ];
        for query in open {
            let Some(rows) = self.story.rows(&query) else { return Some(cannot()) };
            if !rows.is_empty() {
                return Some(format!("under way: {rows:?}"));
            }
        }
        let Some(known) = self.told() else { return Some(cannot()) };
        let unknown = self.story.book().ended(&self.worker.folder);
        let unknown: Vec<_> = unknown.into_iter().filter(|turn| !known.contains_key(turn)).collect();
        if !unknown.is_empty() {
            return Some(format!("the daemon does not know these turns, which ended: {unknown:?}"));
        }
        let Some(items) = self.items() else { return Some(cannot()) };
        // Also what came for a manager in a pane while its Codex had ended.
        let by_asking = self.manager.hears == Hears::ByAsking;
        let waits = |item: &Item| !item.consumed && (by_asking || item.way == Way::No);
        items.iter().any(waits).then(|| TO_BE_TAKEN.to_owned())
    }

    /// How often the manager is told of each of the worker's turns that the daemon knows to have ended.
    fn told(&self) -> Option<BTreeMap<String, usize>> {
        let query = format!(
            "select t.turn_id, count(n.id) from turns t left join routed_notifications n
             on n.turn_row_id = t.id and n.state <> 'suppressed'
             where t.session_id = (select id from sessions where name = '{}') and t.outcome is not null
             and t.routing in ('routed', 'skipped') group by t.turn_id",
            self.worker.name
        );
        let rows = self.story.rows(&query)?;
        Some(rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap_or(0))).collect())
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check_texts(&mut wrong);
        self.check_told(&mut wrong);
        for asked in &self.asked {
            let ran = asked.effect.exists();
            if ran && asked.may == May::MustNot || !ran && asked.may == May::Must {
                wrong.push(format!("{asked:?}: it ran: {ran}"));
            }
        }
        let canaries = self.story.canaries().read_dir_utf8().into_iter().flatten().flatten();
        wrong.extend(canaries.map(|entry| format!("a shell ran {}", entry.path())));
        let book = self.story.book();
        let drafts = book.messages(DRAFT);
        wrong
            .extend(drafts.map(|(rollout, _, text)| format!("a draft was sent in {}: {text}", rollout.path)));
        wrong
    }

    fn check_texts(&self, wrong: &mut Vec<String>) {
        let expected: Vec<_> = self.open.iter().map(|text| text.expected(self.story)).collect();
        let book = self.story.book();
        // In order of acceptance, for each session.
        let mut last: BTreeMap<&str, (i64, &str)> = BTreeMap::new();
        for (text, expected) in self.open.iter().zip(expected) {
            let Some((least, most)) = expected else {
                wrong.push(format!("{text:?} is not settled"));
                continue;
            };
            match text.found(&book, least, most) {
                Ok(times) if least == 1 && text.sort == Sort::Main && text.sent != Sent::FirstPrompt => {
                    let before = last.insert(text.folder.as_str(), (times[0], &text.token));
                    if let Some((at, before)) = before.filter(|(at, _)| *at > times[0]) {
                        wrong.push(format!("{before} came at {at}, after {} at {}", text.token, times[0]));
                    }
                }
                Ok(_) => {}
                Err(what) => wrong.push(what),
            }
        }
        drop(book);
    }

    fn check_told(&self, wrong: &mut Vec<String>) {
        let (Some(told), Some(items)) = (self.told(), self.items()) else {
            return wrong.push("the database cannot be read".to_owned());
        };
        let book = self.story.book();
        let due: BTreeSet<String> = book.due(&self.worker.folder).into_iter().map(|(turn, _)| turn).collect();
        for turn in &due {
            if told.get(turn) != Some(&1) {
                wrong.push(format!("turn {turn} of {} is told {:?} times", self.worker.name, told.get(turn)));
            }
        }
        // Of one that another followed at once the manager may have been told before.
        let completed = book.completed(&self.worker.folder);
        for (turn, times) in &told {
            if *times > usize::from(completed.contains(turn)) {
                wrong.push(format!("turn {turn} of {} is told {times} times", self.worker.name));
            }
        }
        let line = format!(
            "Worker {} appears to have completed a turn on task \"{}\".",
            self.worker.name, self.task
        );
        let mut typed = 0;
        for (rollout, _, text) in book.messages(&line) {
            if rollout.folder == self.manager.folder.as_str() && rollout.sort == Sort::Main {
                typed += text.matches(&line).count();
            } else {
                wrong.push(format!("a completion of {} went into {}", self.worker.name, rollout.path));
            }
        }
        let (mut least, mut perhaps) = (0, 0);
        for item in &items {
            match item.way {
                Way::Typed => least += 1,
                Way::Perhaps => perhaps += 1,
                Way::No => {}
            }
            if item.way == Way::No && !item.consumed {
                wrong.push(format!("item {} was neither typed nor taken", item.id));
            }
        }
        if typed < least || typed > least + perhaps {
            wrong.push(format!(
                "{} has {typed} completions typed, not {least} to {}",
                self.manager.name,
                least + perhaps
            ));
        }
    }

    fn items(&self) -> Option<Vec<Item>> {
        let query = format!(
            "select n.id, coalesce(max(d.outcome = 'delivered' and d.proof_kind <> 'consumption'), 0),
                 count(d.id), n.consumed_at is not null
             from routed_notifications n left join deliveries d on d.notification_id = n.id
             where n.signal_type = 'worker_task_complete' and n.state <> 'suppressed'
             and n.source_session_id = (select id from sessions where name = '{}') group by n.id",
            self.worker.name
        );
        let item = |row: Vec<String>| {
            let way = match (row[1].as_str(), row[2].as_str()) {
                ("1", _) => Way::Typed,
                (_, "0") => Way::No,
                _ => Way::Perhaps,
            };
            Item { id: row[0].clone(), way, consumed: row[3] == "1" }
        };
        Some(self.story.rows(&query)?.into_iter().map(item).collect())
    }

    /// The manager takes all that is in its inbox.
    pub(crate) fn take(&mut self) {
        while let Answer::Value(taken) = self.manager.take() {
            let Some(id) = taken["consumed"]["id"].as_i64() else { return };
            self.story.count("items taken");
            self.taken.insert(id);
        }
    }
}

/// A completion, as the daemon keeps it.
struct Item {
    id: String,
    way: Way,
    consumed: bool,
}

/// Whether it was typed into the manager's pane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Typed,
    /// It was begun, and nothing proves it.
    Perhaps,
    No,
}

/// After the last episode: everything once more, and what the daemon says of itself.
pub(crate) fn at_the_end(story: &Story, pairs: &mut [Pair<'_>]) {
    for pair in pairs.iter_mut() {
        let _ = story.ask(&["cycle", &pair.task]);
        pair.open = std::mem::take(&mut pair.settled);
        // Order was looked at within each episode.
        pair.settle();
        story.add("turns due", story.book().due(&pair.worker.folder).len() as u64);
        story.add("texts", pair.settled.len() as u64);
        story.add("commands asked about", pair.asked.len() as u64);
        story.add("of them run", pair.asked.iter().filter(|asked| asked.effect.exists()).count() as u64);
    }
    close_open_ends(story);
    lag(story);
    for args in [&["doctor"][..], &["db-doctor"], &["reconcile"]] {
        let seen = story.ask(args);
        let is_well = match args[0] {
            "reconcile" => seen["findings"].as_array().is_some_and(Vec::is_empty),
            _ => seen["ok"] == true,
        };
        assert!(is_well, "{args:?}: {seen:#}");
    }
    let _ = story.ask(&["daemon", "stop"]);
    story.keep_logs();
    // What came late into the file of a conversation before `/clear` is nobody's any more, so records are not counted.
    let counts = story.env.check_rules();
    story.add("turns told", counts.routed as u64);
    story.add("turns followed at once", counts.followed as u64);
}

/// What nobody can know, and what did not arrive, is closed by a person who has looked.
fn close_open_ends(story: &Story) {
    for state in ["uncertain", "failed", "blocked"] {
        let listed = story.ask(&["commands", "--state", state, "--json"]);
        // A receipt that came late proves what its dispatcher gave up: there is nothing to close.
        let open = |row: &&serde_json::Value| row["delivery"] != "delivered";
        for row in listed.as_array().into_iter().flatten().filter(open) {
            let id = row["id"].as_str().expect("an id");
            let _ = story.ask(&["commands", "discard", id, "--reason", "the story has looked", "--json"]);
            story.count(&format!("{state} texts closed"));
        }
    }
}

/// How long completions took to be told.
fn lag(story: &Story) {
    let query =
        "select t.ended_at, n.created_at from turns t join routed_notifications n on n.turn_row_id = t.id";
    let mut lags: Vec<i64> = Vec::new();
    for row in story.rows(query).unwrap_or_default() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
        if let (Ok(ended), Ok(told)) = (at(&row[0]), at(&row[1])) {
            lags.push(told - ended);
        }
    }
    lags.sort_unstable();
    let figure = |value: Option<&i64>| value.and_then(|value| u64::try_from(*value).ok()).unwrap_or_default();
    story.add("lag in ms: median", figure(lags.get(lags.len() / 2)));
    story.add("lag in ms: worst", figure(lags.last()));
}
