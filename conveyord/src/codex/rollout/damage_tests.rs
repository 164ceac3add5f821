//! Damage of bytes within one record costs at most that record, and it is told.

use conveyor_proto::ids::ThreadId;
use proptest::prelude::*;

use super::lines::{Line, LineScanner};
use super::machine::{ThreadState, WorkerPhase};
use super::record::{SkipReason, parse_line};
use super::salvage::{Part, rejoin, salvage};

const THREAD: &str = "01990000-0000-7000-8000-00000000000a";
const TURNS: [&str; 2] = ["01990000-1000-7000-8000-0000000000a1", "01990000-2000-7000-8000-0000000000b2"];

/// The records and the damaged parts that were read of a file.
#[derive(Debug, Default)]
struct Read {
    /// The records, as lines.
    records: Vec<String>,
    /// What was told of damage.
    told: usize,
    state: ThreadState,
    /// The turns that ended, each time that one did.
    ended: Vec<String>,
}

impl Read {
    fn of(file: &[u8]) -> Self {
        let mut read = Self::default();
        let mut scanner = LineScanner::new(0);
        let mut before: &[u8] = &[];
        while let Some(line) = scanner.last_line(file).expect("memory is read") {
            let Line::Complete { offset, bytes } = line else { panic!("no line is too long") };
            let bytes = &file[usize::try_from(offset).expect("it is small")..][..bytes.len()];
            let before = std::mem::replace(&mut before, bytes);
            match parse_line(bytes) {
                Ok(_) => read.record(std::str::from_utf8(bytes).expect("it was parsed")),
                Err(SkipReason::Blank) => {}
                Err(reason) => {
                    let mut end = 0;
                    let rejoined = rejoin(before, bytes);
                    let len = if rejoined.is_some() { before.len() + 1 + bytes.len() } else { bytes.len() };
                    for part in rejoined.unwrap_or_else(|| salvage(bytes, reason)) {
                        let at = match part {
                            Part::Record { at, line, repaired } => {
                                read.record(&line);
                                read.told += usize::from(repaired.is_some());
                                at
                            }
                            Part::SetAside { at, .. } => {
                                read.told += 1;
                                at
                            }
                        };
                        assert!(end <= at.start && at.start < at.end && at.end <= len);
                        end = at.end;
                    }
                }
            }
        }
        read
    }

    fn record(&mut self, line: &str) {
        self.records.push(line.to_owned());
        let record = parse_line(line.as_bytes()).expect("it is a record");
        let at = record.timestamp.as_deref().unwrap_or_default();
        let signal = record.signal();
        // The name of the file tells the thread, too.
        let history = self.state.history_of(&signal, ThreadId::new(THREAD.to_owned()).as_ref());
        if let super::machine::Effect::Ended(end) = self.state.apply_as(history, &signal, at) {
            self.ended.push(end.turn_id.map(|id| id.to_string()).unwrap_or_default());
        }
    }
}

/// What happens to some bytes of a record or its line feed.
#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Delete(usize),
    Insert(Vec<u8>),
    /// Up to the next record.
    Truncate,
    LoseLineFeed,
    Hole(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..4),
        proptest::sample::select(vec![
            b"\"".to_vec(),
            b"\\".to_vec(),
            b"\n".to_vec(),
            b"}".to_vec(),
            b"{".to_vec()
        ]),
    ];
    prop_oneof![
        (1_u8..).prop_map(Damage::Flip),
        (1_usize..40).prop_map(Damage::Delete),
        bytes.prop_map(Damage::Insert),
        Just(Damage::Truncate),
        Just(Damage::LoseLineFeed),
        (1_usize..600).prop_map(Damage::Hole),
    ]
}

impl Damage {
    /// A record with its line feed, damaged at a place.
    fn done_to(&self, record: &str, at: usize) -> Vec<u8> {
        let mut bytes = record.as_bytes().to_vec();
        let end = bytes.len();
        match self {
            Self::Flip(bits) => bytes[at] ^= bits,
            Self::Delete(count) => drop(bytes.drain(at..(at + count).min(end))),
            Self::Insert(more) => drop(bytes.splice(at..at, more.iter().copied())),
            Self::Truncate => bytes.truncate(at),
            Self::LoseLineFeed => bytes.truncate(end - 1),
            Self::Hole(count) => bytes[at..(at + count).min(end)].fill(0),
        }
        bytes
    }
}

fn line(second: usize, ordinal: Option<usize>, kind: &str, payload: &str) -> String {
    let ordinal = ordinal.map(|ordinal| format!("\"ordinal\":{ordinal},")).unwrap_or_default();
    format!(
        "{{\"timestamp\":\"2026-01-31T09:30:{second:02}.000Z\",{ordinal}\"type\":\"{kind}\",\"payload\":{payload}}}\n"
    )
}

/// A thread with two turns, as Codex 0.130 or 0.169 writes it.
fn thread(text: &str, is_old: bool) -> Vec<String> {
    let text = serde_json::Value::from(text).to_string();
    let mode = if is_old { "" } else { ",\"history_mode\":\"paginated\"" };
    let meta =
        format!("{{\"id\":\"{THREAD}\",\"cwd\":\"/c\",\"base_instructions\":{{\"text\":{text}}}{mode}}}");
    let mut records = vec![("session_meta", meta)];
    for turn in TURNS {
        let root = if is_old { String::new() } else { format!("\"root_turn_id\":\"{turn}\",") };
        records.push((
            "event_msg",
            format!("{{\"type\":\"task_started\",{root}\"turn_id\":\"{turn}\",\"started_at\":17}}"),
        ));
        records.push(("response_item", format!("{{\"type\":\"message\",\"role\":\"user\",\"content\":[{{\"type\":\"input_text\",\"text\":{text}}}]}}")));
        records.push((
            "event_msg",
            r#"{"type":"token_count","info":null,"n":[{"timestamp":"x","type":"y"}]}"#.to_owned(),
        ));
        records.push(("event_msg", format!("{{\"type\":\"task_complete\",{root}\"turn_id\":\"{turn}\",\"last_agent_message\":{text},\"completed_at\":17}}")));
    }
    let numbered = |index: usize| (!is_old).then_some(index);
    records
        .iter()
        .enumerate()
        .map(|(index, (kind, payload))| line(index, numbered(index), kind, payload))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damage_within_a_record_costs_at_most_that_record_and_is_told(
        text in "[a-z{}:, \"\\\\\u{e9}\u{1f600}]{0,30}",
        is_old in any::<bool>(),
        damaged in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        damage in damage(),
    ) {
        let records = thread(&text, is_old);
        let damaged = damaged.index(records.len());
        let at = at.index(records[damaged].len());
        let mut file = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if index == damaged {
                file.extend(damage.done_to(record, at));
            } else {
                file.extend(record.as_bytes());
            }
        }
        let read = Read::of(&file);

        // All other records are read, as they were written and in their order.
        let mut others = records.iter().enumerate().filter(|(index, _)| *index != damaged);
        let mut awaited = others.next();
        for found in &read.records {
            if awaited.is_some_and(|(_, record)| record.trim_end() == found) {
                awaited = others.next();
            }
        }
        prop_assert_eq!(awaited, None, "{:?}", read.records);
        let mut lines = file.split(|byte| *byte == b'\n');
        let is_visible = !lines.all(|line| matches!(parse_line(line), Ok(_) | Err(SkipReason::Blank)));
        prop_assert!(read.told > 0 || !is_visible);
        prop_assert!(read.told <= 4, "one damage is told {} times", read.told);

        // The end of a turn is lost with its own record only.
        let others = [4, 8].into_iter().filter(|end| *end != damaged).count();
        prop_assert!((others..=2).contains(&read.ended.len()), "{:?}", read.ended);
        if damaged != 8 {
            prop_assert_eq!(read.state.phase, WorkerPhase::Done, "{:?}", read);
        }
    }

    #[test]
    fn a_bad_byte_in_the_text_of_a_turns_end_does_not_lose_it(
        text in "[a-z{}:, \"\\\\\u{e9}\u{1f600}]{1,30}",
        is_old in any::<bool>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let records = thread(&text, is_old);
        let mut file = records.concat().into_bytes();
        let text = serde_json::Value::from(text).to_string();
        let begin = file.len() - records[8].len() + records[8].rfind(&text).unwrap();
        // The quotes at the ends are no text.
        let at = begin + 1 + at.index(text.len() - 2);
        file[at] = byte;
        let read = Read::of(&file);
        prop_assert_eq!(read.state.phase, WorkerPhase::Done, "{:?}", read);
        prop_assert_eq!(&read.ended, &TURNS);
    }
}

#[test]
fn one_bad_byte_anywhere_in_the_record_of_a_turns_end_does_not_lose_it() {
    for is_old in [true, false] {
        let records = thread("the answer", is_old);
        let file = records.concat().into_bytes();
        let end = records[8].trim_end();
        let begin = file.len() - records[8].len();
        let names = ["\"type\":\"event_msg\"", "\"payload\":{\"type\":\"task_complete\""];
        for at in 0..end.len() {
            let is_name = names
                .iter()
                .any(|name| end.find(name).is_some_and(|from| (from..from + name.len()).contains(&at)));
            for byte in *b"\0\"\\x{}[],: 7\xff\n" {
                let mut file = file.clone();
                if std::mem::replace(&mut file[begin + at], byte) == byte {
                    continue;
                }
                let read = Read::of(&file);
                let line = String::from_utf8_lossy(&file[begin..]);
                assert_eq!(read.state.phase, WorkerPhase::Done, "{line}");
                assert_eq!(&read.ended, &TURNS, "{line}");
                assert!(!is_name || read.told > 0, "it is told: {line}");
            }
        }
    }
}
