//! Deadlines and the wall clock: a step of the clock is noticed, noted, and changes no waiting time.

use crate::{
    clock,
    error::{Error, Result},
    store::{
        Durability, Store, Tx, deadlines,
        event_names::TelemetryEvent,
        log::{self, Actor, Run, Telemetry},
    },
};
use serde_json::json;

/// How far the wall clock and the steady time may part. Below it nothing waits noticeably longer or shorter for those
/// who read the deadlines.
pub(crate) const APART_MS: i64 = 1_000;

/// How far they part at most between two looks without a step. The clock that counts on macOS is not adjusted as the
/// wall clock is, so the two part slowly.
const CREEP_MS: i64 = 500;

/// Keeps the deadlines in the rows readable by the wall clock.
///
/// What waits goes by the steady time alone. So a step harms nothing before it is noticed either, and it matters little
/// how soon it is: not at all for what waits, only for those who read the rows meanwhile.
#[derive(Debug, Default)]
pub struct WallClock {
    /// How far the two had parted at the last look.
    parted: i64,
}

impl WallClock {
    /// Moves all open deadlines with the wall clock if it has left the steady time: it was set, or the machine slept.
    ///
    /// # Errors
    /// Those of the database. The next look tries again.
    pub async fn look(&mut self, store: &Store) -> Result<()> {
        let parted = clock::parted();
        let stepped = parted.abs_diff(self.parted) > CREEP_MS.unsigned_abs();
        if parted.abs() < APART_MS {
            self.parted = parted;
            return Ok(());
        }
        let moved = store
            .write(Durability::Normal, move |tx| {
                let moved = deadlines::follow_wall_clock(tx, parted)?;
                if stepped {
                    note(tx, parted, moved)?;
                }
                Ok::<_, Error>(moved)
            })
            .await?;
        self.parted = 0;
        let seconds = seconds(parted);
        if stepped {
            tracing::warn!(
                seconds,
                deadlines = moved,
                "the wall clock was set, or the machine slept; whoever waits waits as long as before"
            );
        } else {
            tracing::debug!(seconds, deadlines = moved, "the steady time follows the wall clock");
        }
        Ok(())
    }
}

fn note(tx: &Tx<'_>, parted: i64, moved: usize) -> Result<()> {
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::System,
            kind: TelemetryEvent::ClockStepped,
            summary: "The wall clock was set, or the machine slept. Deadlines were moved with it.".to_owned(),
            task_id: None,
            run: Run::Active,
            correlation: json!({}),
            attributes: json!({ "seconds": seconds(parted), "deadlines": moved }),
        },
    )?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a step of 2^52 ms is none")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
