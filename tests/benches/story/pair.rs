//! A worker with its manager, and what they live through: one episode after the other, each beginning in quiet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use conveyor_tests::harness::pause;
use fastrand::Rng;

use super::approvals::Asked;
use super::book::Event;
use super::ledger::{Sent, Text};
use super::obstacles::{Kind, Obstacle};
use super::options::Model;
use super::seat::{Hears, Role, Seat};
use super::world::{Answer, Story};

#[derive(Debug)]
pub(crate) struct Pair<'s> {
    pub story: &'s Story,
    pub number: usize,
    pub task: String,
    pub worker: Seat<'s>,
    pub manager: Seat<'s>,
    pub rng: Rng,
    /// What was sent since the last quiet.
    pub open: Vec<Text>,
    /// What was sent before.
    pub settled: Vec<Text>,
    obstacles: Vec<(Role, Obstacle)>,
    pub asked: Vec<Asked>,
    /// Items that were shown to the manager, when it took them.
    pub taken: BTreeSet<i64>,
}

impl<'s> Pair<'s> {
    /// Starts both, registers and binds them.
    #[track_caller]
    pub(crate) fn new(story: &'s Story, number: usize) -> Self {
        let (w, m) = (format!("w{number}"), format!("m{number}"));
        // The last of three takes from its inbox.
        let hears = if number.is_multiple_of(3) { Hears::ByAsking } else { Hears::InItsPane };
        let mut pair = Self {
            story,
            number,
            task: format!("t{number}"),
            worker: Seat::new(story, &w, Role::Worker, Hears::InItsPane),
            manager: Seat::new(story, &m, Role::Manager, hears),
            rng: story.rng(number as u64),
            open: Vec::new(),
            settled: Vec::new(),
            obstacles: Vec::new(),
            asked: Vec::new(),
            taken: BTreeSet::new(),
        };
        let (one, other) = (pair.rng.bool(), pair.rng.bool());
        pair.worker.start(0, one);
        pair.manager.start(0, other);
        let _ = story.ask(&["tasks", "--create", &pair.task, "--goal", "It is done"]);
        let _ = story.ask(&["bind", "--task", &pair.task, "--worker", &w, "--manager", &m]);
        let _ = story.ask(&["manager-config", &pair.task, "--permit", "worker_session.approve"]);
        pair
    }

    /// Lives until the end of the time.
    pub(crate) fn live(&mut self, end: Instant) {
        while Instant::now() < end && !self.story.has_failed() {
            {
                let server = self.story.servers.read().expect("nobody panics with it");
                self.begin(*server);
                self.episode(*server);
            }
            // Lets in who waits to kill the server.
            pause(Duration::from_millis(self.rng.u64(5..200)));
        }
        let server = self.story.servers.read().expect("nobody panics with it");
        self.begin(*server);
    }

    pub(crate) fn note(&self, what: &str) {
        self.story.note(&self.task, what);
    }

    /// Both are there, nothing stands in the way, everything is settled and right.
    #[track_caller]
    pub(crate) fn begin(&mut self, server: u32) {
        self.revive(server);
        self.clear_the_way();
        self.settle();
    }

    #[track_caller]
    fn revive(&mut self, server: u32) {
        for role in [Role::Worker, Role::Manager] {
            if self.seat(role).is_alive(server) {
                continue;
            }
            self.obstacles.retain(|(of, _)| *of != role);
            if self.story.options.model == Model::Single {
                let folder = self.seat(role).folder.clone();
                self.story.book().bury(&folder);
            }
            let in_shell = self.rng.bool();
            match role {
                Role::Worker if self.may_begin_anew() => {
                    let text = self.worker.begin_anew(server);
                    self.open.push(text);
                }
                Role::Worker => self.worker.revive(server, in_shell),
                Role::Manager => self.manager.revive(server, in_shell),
            }
        }
    }

    /// Now and then a worker that has ended is started with a new conversation, by the daemon.
    fn may_begin_anew(&mut self) -> bool {
        self.rng.u8(..3) == 0 && self.story.book().running(&self.worker.folder).is_none()
    }

    #[track_caller]
    pub(crate) fn clear_the_way(&mut self) {
        for (role, obstacle) in std::mem::take(&mut self.obstacles) {
            obstacle.take_away(self.story, self.seat(role));
        }
    }

    pub(crate) fn seat(&self, role: Role) -> &Seat<'s> {
        match role {
            Role::Worker => &self.worker,
            Role::Manager => &self.manager,
        }
    }

    /// Either of the two.
    fn one(&mut self) -> Role {
        if self.rng.u8(..3) == 0 { Role::Manager } else { Role::Worker }
    }

    fn episode(&mut self, server: u32) {
        let (name, act): (&str, fn(&mut Self, u32)) = match self.rng.u8(..100) {
            ..16 => ("texts", Self::texts),
            16..44 => ("obstacles", Self::obstacles),
            44..54 => ("interrupt", Self::interrupt),
            54..70 => ("approval", Self::approval),
            70..77 => ("clear", Self::clear),
            77..84 => ("kill of Codex", Self::kill_codex),
            84..88 => ("rename", Self::rename),
            88..93 => ("person", Self::person),
            _ => ("left in flight", Self::in_flight),
        };
        self.note(&format!("--- {name}"));
        self.story.count("acts");
        self.story.count(&format!("acts: {name}"));
        act(self, server);
    }

    /// What the model is to do for a text.
    fn directive(&mut self) -> &'static str {
        let all = [
            "[[say: done]]",
            "[[slow: 2]]",
            "[[run: sleep 1]]",
            "[[pause: 1]]",
            "[[say: first]] [[run: true]]",
            "hello",
            "[[slow: 1]]",
        ];
        all[self.rng.usize(..all.len())]
    }

    /// Sends a text by one of the ways.
    #[track_caller]
    pub(crate) fn send(&mut self, to: Role, directive: &str) -> Sent {
        let mut text = Text::new(self.story, self.seat(to).folder.clone(), directive);
        let name = self.seat(to).name.clone();
        let way = self.rng.u8(..5);
        let answer = match (way, to) {
            (0, Role::Worker) => {
                self.story.call(&["enqueue-nudge-worker", &self.task, "--message", &text.text, "--json"])
            }
            (0, Role::Manager) => {
                self.story.call(&["enqueue-notify-manager", &self.task, "--message", &text.text, "--json"])
            }
            (1, _) => self.story.call(&["session-nudge", &name, &text.text, "--clear-draft"]),
            _ => self.story.call(&["session-nudge", &name, &text.text]),
        };
        text.answered(
            self.story,
            &answer,
            ["queued", "nudge with --clear-draft"].get(usize::from(way)).copied(),
        );
        self.open.push(text.clone());
        text.sent
    }

    fn send_some(&mut self, to: Role, most: u8) {
        for _ in 0..self.rng.u8(1..=most) {
            let directive = self.directive();
            self.send(to, directive);
        }
    }

    /// Who a text can be sent to.
    fn reachable(&mut self) -> Role {
        match self.manager.hears {
            Hears::InItsPane => self.one(),
            Hears::ByAsking => Role::Worker,
        }
    }

    fn texts(&mut self, _server: u32) {
        let to = self.reachable();
        self.send_some(to, 3);
        if self.rng.bool() {
            self.send_some(Role::Worker, 2);
        }
        if self.rng.u8(..3) == 0 {
            self.look();
        }
    }

    /// The manager looks, which shows it what waits for it.
    fn look(&mut self) {
        if let Answer::Value(seen) = self.story.call(&["cycle", &self.task]) {
            let items = seen["consumed_notifications"].as_array().into_iter().flatten();
            self.taken.extend(items.filter_map(|item| item["id"].as_i64()));
            self.story.count("cycles");
        }
    }

    fn put_up(&mut self, role: Role) {
        let kind = Kind::ALL[self.rng.usize(..Kind::ALL.len())];
        let mut rng = self.rng.fork();
        let (obstacle, aside) = Obstacle::put_up(self.story, self.seat(role), kind, &mut rng);
        self.obstacles.extend(obstacle.map(|obstacle| (role, obstacle)));
        self.open.extend(aside);
    }

    fn obstacles(&mut self, _server: u32) {
        let role = self.one();
        self.put_up(role);
        if self.rng.u8(..4) == 0 {
            self.put_up(if role == Role::Worker { Role::Manager } else { Role::Worker });
        }
        let to = self.reachable();
        self.send_some(to, 2);
        if self.rng.bool() {
            self.send_some(Role::Worker, 2);
        }
        // Some time for what should stay where it is.
        pause(Duration::from_millis(self.rng.u64(..2_000)));
        self.clear_the_way();
        if self.rng.bool() {
            self.send_some(Role::Worker, 2);
        }
    }

    fn interrupt(&mut self, _server: u32) {
        let directive = ["[[slow: 25]]", "[[run: sleep 25]]", "[[pause: 25]]"][self.rng.usize(..3)];
        let sent = self.send(Role::Worker, directive);
        let folder = self.worker.folder.clone();
        let runs = || self.story.book().running(&folder).is_some();
        if sent == Sent::Not || !self.story.soon(runs) {
            return;
        }
        pause(Duration::from_millis(self.rng.u64(..1_500)));
        let answer = self.story.call(&["session-interrupt", &self.worker.name]);
        let Answer::Value(answer) = answer else { return self.note(&format!("interrupt: {answer:?}")) };
        self.note(&format!(
            "interrupt: interrupted={} sent={} {}",
            answer["interrupted"], answer["sent"], answer["note"]
        ));
        if answer["interrupted"] == true {
            self.story.count("turns interrupted");
            let last_is_aborted = || {
                let book = self.story.book();
                let ends = book.of(&folder).flat_map(|rollout| &rollout.events);
                let last =
                    ends.filter(|(_, event)| !matches!(event, Event::User { .. })).max_by_key(|(at, _)| *at);
                matches!(last, Some((_, Event::Aborted { .. })))
            };
            assert!(last_is_aborted(), "{} was interrupted, and its turn is not", self.worker.name);
        }
    }

    fn clear(&mut self, _server: u32) {
        let role = self.one();
        self.note(&format!("/clear in {}", self.seat(role).name));
        self.seat(role).enter("/clear");
        let seat = self.seat(role);
        if !self.story.soon(|| !seat.shows("text-") && seat.has_empty_composer()) {
            self.note(&format!("/clear shows {}", seat.screen()));
        }
        if role == Role::Worker || self.rng.bool() {
            self.send_some(Role::Worker, 2);
        }
    }

    fn kill_codex(&mut self, server: u32) {
        let role = self.one();
        if self.rng.bool() && (role == Role::Worker || self.manager.hears == Hears::InItsPane) {
            self.send(role, "[[slow: 6]]");
            pause(Duration::from_millis(self.rng.u64(..1_500)));
        }
        self.note(&format!("kill -9 of Codex in {}", self.seat(role).name));
        self.seat(role).kill();
        let to = self.reachable();
        self.send_some(to, 2);
        pause(Duration::from_millis(self.rng.u64(..1_500)));
        self.revive(server);
        if self.rng.bool() {
            self.send_some(Role::Worker, 2);
        }
    }

    fn rename(&mut self, _server: u32) {
        let role = self.one();
        let name = format!("renamed-{}", self.story.number());
        let seat = self.seat(role);
        let id = seat.tmux_run(&["display-message", "-p", "-t", &seat.pane.id, "#{session_id}"]);
        seat.tmux_run(&["rename-session", "-t", &id, &name]);
        self.send_some(Role::Worker, 2);
    }

    /// The worker's user says something.
    fn person(&mut self, _server: u32) {
        let mut text = Text::new(self.story, self.worker.folder.clone(), "");
        text.text = format!("{} by hand [[slow: 1]]", text.token);
        // A person does not write on behind what a killed daemon has left in the composer.
        if !self.story.soon(|| self.worker.has_empty_composer()) {
            self.story.count("stranded drafts cleared");
            self.worker.clear_composer();
        }
        self.note(&format!("{} is entered by hand", text.token));
        self.worker.enter(&text.text);
        self.open.push(text);
        if self.rng.bool() {
            self.send_some(Role::Worker, 2);
        }
    }

    /// Work and held texts that a killed server may meet.
    fn in_flight(&mut self, _server: u32) {
        if self.rng.bool() {
            let role = self.one();
            self.put_up(role);
        }
        let directive = ["[[slow: 6]]", "[[run: sleep 4]]"][self.rng.usize(..2)];
        self.send(Role::Worker, directive);
        self.send_some(Role::Worker, 1);
    }
}
