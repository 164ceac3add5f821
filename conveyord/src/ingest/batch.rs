//! One transaction's lines of a rollout: their records, what is damaged, and how far the file is read.

use super::{
    BATCH_BYTES, LEAST_BYTES, Reader, Writer,
    apply::{Stored, Thread},
    check, read_exact_at, unreadable,
};
use crate::{
    changes::{self, Change, ChangeKind},
    codex::rollout::{
        lines::{Line, ReadAt},
        record::{Record, SkipReason, normalise_timestamp, parse_line},
        salvage::{Part, rejoin, salvage},
    },
    error::{Error, Result},
    faults::{self, CrashPoint},
    refusal::Kind,
    store::{
        Tx,
        damage::{self, Damage, Found},
        ids::RolloutId,
        rollouts::{self, EventWriter, NewEvent, Progress},
        sessions::Session,
    },
};
use conveyor_proto::types::rollout::Remedy;
use memchr::memrchr;
use std::ops::Range;

/// How far it is looked back for the first half of a record that a line feed has split. A longer half is read by
/// itself: the type of its record stands in it.
const HALF_BYTES: u64 = 1024;

/// The lines that one transaction stores.
pub(super) struct Batch<'a, 'tx> {
    tx: &'a Tx<'tx>,
    events: EventWriter<'a>,
    session: &'a Session,
    settle_ms: u64,
    writer: Writer,
    new_events: u64,
    skipped: u64,
    damage: Found,
}

/// A line that is no record.
struct Damaged<'a> {
    offset: u64,
    line: &'a [u8],
    reason: SkipReason,
}

pub(super) struct BatchResult {
    pub(super) new_events: u64,
    pub(super) skipped: u64,
}

impl<'a, 'tx> Batch<'a, 'tx> {
    pub(super) fn new(tx: &'a Tx<'tx>, session: &'a Session, settle_ms: u64, writer: Writer) -> Result<Self> {
        let (events, damage) = (EventWriter::new(tx)?, Found::default());
        Ok(Self { tx, events, session, settle_ms, writer, new_events: 0, skipped: 0, damage })
    }

    pub(super) fn run(mut self, reader: &mut Reader, start: u64) -> Result<BatchResult> {
        let Reader { rollout, file, scanner, thread } = reader;
        loop {
            let so_far = scanner.next_offset();
            let next = match self.writer {
                Writer::Lives => scanner.next_line(&*file),
                Writer::Ended => scanner.last_line(&*file),
            };
            let line = match next {
                Ok(Some(line)) => line,
                Ok(None) => break,
                // What was read before a place that cannot be read is stored; the next look ends at that place.
                Err(_) if so_far > start => break,
                Err(error) => return Err(unreadable(&rollout.path, &error)),
            };
            let end = match line {
                Line::Complete { offset, bytes } => {
                    match parse_line(bytes) {
                        Ok(record) => self.store(thread, rollout.id, offset, bytes, &record)?,
                        Err(reason) => {
                            let damaged = Damaged { offset, line: bytes, reason };
                            self.salvage(thread, rollout.id, &damaged, &*file)?;
                        }
                    }
                    offset + bytes.len() as u64
                }
                Line::Oversized { offset, len } => {
                    self.skipped += 1;
                    self.damage.push(Damage { offset, len, reason: "oversized", remedy: Remedy::SetAside });
                    offset + len
                }
            };
            let bytes = end - start;
            if bytes >= BATCH_BYTES || bytes >= LEAST_BYTES && self.tx.is_awaited() {
                break;
            }
        }
        let offset = scanner.next_offset();
        let (check_bytes, check_sha256) =
            check(&*file, offset).map_err(|error| unreadable(&rollout.path, &error))?;
        let identity = file.identity();
        let progress = Progress {
            rollout_id: rollout.id,
            session: &self.session.id,
            identity,
            start,
            offset,
            check_bytes,
            check_sha256: &check_sha256,
            skipped: self.skipped.cast_signed(),
        };
        // The offset advances only from where this batch began: another reader may have been faster.
        if !rollouts::advance(self.tx, &progress)? {
            let message = format!("rollout {} was read by somebody else at the same time", rollout.path);
            return Err(Error::conflict(Kind::RolloutReadElsewhere, message).hint("try again").into_ingest());
        }
        damage::store(self.tx, &self.session.id, rollout.id, &self.damage)?;
        thread.save(self.tx)?;
        rollout.read_offset = offset;
        self.tx.publish(Change {
            session_id: Some(self.session.id.to_string()),
            count: Some(self.new_events),
            ..changes::change(ChangeKind::Ingested)
        });
        Ok(BatchResult { new_events: self.new_events, skipped: self.skipped })
    }

    /// Stores a record, and applies it to its thread.
    fn store(
        &mut self,
        thread: &mut Thread,
        rollout_id: RolloutId,
        offset: u64,
        line: &[u8],
        record: &Record<'_>,
    ) -> Result<()> {
        // A time that cannot be read is replaced by now, and kept as it was written.
        let written = record.timestamp.as_deref();
        let valid = written.filter(|text| normalise_timestamp(text).is_some());
        let at = valid.unwrap_or_else(|| self.tx.now());
        let raw = if valid.is_some() { None } else { written.or(record.odd_timestamp) };
        let event = NewEvent {
            session: &self.session.id,
            rollout_id,
            timestamp: at,
            raw_timestamp: raw,
            kind: &record.kind,
            subtype: record.subtype.as_deref(),
            payload: record.payload,
            byte_offset: offset,
        };
        let id = self.events.insert(self.tx, &event)?;
        self.new_events += 1;
        faults::reach(CrashPoint::RecordStored);
        let stored = Stored { id, at, subtype: record.subtype.as_deref(), offset, line };
        if let Some(fault) = thread.apply(self.tx, &record.signal(), stored, self.settle_ms)? {
            let (reason, remedy) = (fault.name(), Remedy::Repaired);
            self.damage.push(Damage { offset, len: line.len() as u64, reason, remedy });
        }
        Ok(())
    }

    /// Stores what can be read of a damaged line, and notes what is wrong with it.
    fn salvage(
        &mut self,
        thread: &mut Thread,
        rollout_id: RolloutId,
        damaged: &Damaged<'_>,
        file: &(impl ReadAt + ?Sized),
    ) -> Result<()> {
        let Damaged { mut offset, line, reason } = *damaged;
        if reason == SkipReason::Blank {
            // There is nothing in a blank line to set aside.
            self.skipped += 1;
            return Ok(());
        }
        let mut parts = salvage(line, reason);
        if let [Part::SetAside { at: Range { start: 0, .. }, .. }, ..] = parts.as_slice()
            && let Some(before) = line_before(file, offset)
            && let Some(rejoined) = rejoin(&before, line)
        {
            // The first half was told as damage with its own line.
            offset -= before.len() as u64 + 1;
            parts = rejoined;
        }
        for part in parts {
            let (at, reason, remedy) = match part {
                Part::SetAside { at, reason } => {
                    self.skipped += 1;
                    (at, Some(reason), Remedy::SetAside)
                }
                Part::Record { at, line, repaired } => {
                    // Every line of `salvage` can be parsed.
                    if let Ok(record) = parse_line(line.as_bytes()) {
                        let offset = offset + at.start as u64;
                        self.store(thread, rollout_id, offset, line.as_bytes(), &record)?;
                    }
                    (at, repaired, Remedy::Repaired)
                }
            };
            if let Some(reason) = reason {
                let (offset, len) = (offset + at.start as u64, at.len() as u64);
                self.damage.push(Damage { offset, len, reason: reason.name(), remedy });
            }
        }
        Ok(())
    }
}

/// The line before the one at `offset`, without its line feed, if it is short. It is read again from the file, so
/// that it is found after a restart, too.
fn line_before(file: &(impl ReadAt + ?Sized), offset: u64) -> Option<Vec<u8>> {
    let end = offset.checked_sub(1)?;
    let from = end.saturating_sub(HALF_BYTES);
    let mut bytes = vec![0; usize::try_from(end - from).ok()?];
    // What cannot be read now is no first half. The second one is then told as damage.
    read_exact_at(file, &mut bytes, from).ok()?;
    match memrchr(b'\n', &bytes) {
        Some(feed) => Some(bytes.split_off(feed + 1)),
        None if from == 0 => Some(bytes),
        None => None,
    }
}
