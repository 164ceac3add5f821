//! How long and how often a daemon that was lost is replaced by another one.

use std::time::{Duration, Instant};

/// How long a call outlives the daemons that it loses.
const LIMIT: Duration = Duration::from_secs(20);
/// How many daemons a call may lose. A request that makes each daemon crash must not do it for ever.
const MOST: u32 = 10;
/// First and longest pause before the next daemon is tried.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// For a wait, a daemon that has lived so long does not count among those that were lost in a row.
const LIVED: Duration = Duration::from_secs(5);

/// How a daemon was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Before it had the request.
    BeforeRequest,
    /// After it may have had the request, and before its answer.
    BeforeAnswer,
}

/// What bounds a call.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// Time and number.
    Both(Instant),
    /// Time alone.
    Time(Instant),
    /// The number of daemons that are lost in a row.
    Row,
}

/// Counts the daemons that were lost, and says whether another one is to be tried.
#[derive(Debug)]
pub struct Patience {
    bound: Bound,
    losses: u32,
    last: Option<(Loss, Instant)>,
}

impl Patience {
    const fn new(bound: Bound) -> Self {
        Self { bound, losses: 0, last: None }
    }

    /// That of a call, bounded in time and number.
    #[must_use]
    pub fn of_call() -> Self {
        Self::new(Bound::Both(Instant::now() + LIMIT))
    }

    /// That of a call which makes sense until then and no longer.
    #[must_use]
    pub const fn until(deadline: Instant) -> Self {
        Self::new(Bound::Time(deadline))
    }

    /// That of a wait, which bounds its time itself.
    #[must_use]
    pub const fn of_wait() -> Self {
        Self::new(Bound::Row)
    }

    /// How the last daemon was lost.
    pub(crate) fn last_loss(&self) -> Option<Loss> {
        self.last.map(|(loss, _)| loss)
    }

    /// When at the latest another daemon must be there, for a caller that waits for one and starts none: after `grace`,
    /// or as late as the call makes sense.
    pub(crate) fn awaits_one_until(&self, grace: Duration) -> Instant {
        match self.bound {
            Bound::Time(deadline) => deadline,
            Bound::Both(_) | Bound::Row => Instant::now() + grace,
        }
    }

    /// Notes that a daemon was lost. After a pause that grows with each loss, tells whether another one may be tried.
    pub async fn outlasts(&mut self, loss: Loss) -> bool {
        let Some(pause) = self.pause(loss) else { return false };
        tokio::time::sleep(pause).await;
        true
    }

    fn pause(&mut self, loss: Loss) -> Option<Duration> {
        let now = Instant::now();
        let lived = self.last.is_some_and(|(_, last)| now.duration_since(last) > LIVED);
        if lived && matches!(self.bound, Bound::Row) {
            self.losses = 0;
        }
        self.last = Some((loss, now));
        self.losses += 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << (self.losses - 1).min(10)).min(LONGEST_PAUSE);
        let goes_on = match self.bound {
            Bound::Both(until) => self.losses <= MOST && now + pause < until,
            Bound::Time(until) => now + pause < until,
            Bound::Row => self.losses <= MOST,
        };
        goes_on.then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(mut patience: Patience) -> Vec<u128> {
        let pauses = std::iter::from_fn(|| patience.pause(Loss::BeforeAnswer));
        pauses.take(20).map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn losses_are_bounded_in_number_and_ever_further_apart() {
        let expect = [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000];
        assert_eq!(pauses(Patience::of_call()), expect);
        assert_eq!(pauses(Patience::of_wait()), expect);
    }

    #[test]
    fn a_deadline_bounds_the_time_alone() {
        assert_eq!(pauses(Patience::until(Instant::now())), [0; 0]);
        assert_eq!(pauses(Patience::until(Instant::now() + LIMIT)).len(), 20);
        let soon = Patience::until(Instant::now() + Duration::from_millis(500));
        assert_eq!(pauses(soon), [10, 20, 40, 80, 160, 320], "the next pause would be too long");
    }

    #[test]
    fn a_wait_forgets_the_daemons_before_one_that_lived() {
        let mut patience = Patience::of_wait();
        while patience.pause(Loss::BeforeAnswer).is_some() {}
        let long_ago = Instant::now().checked_sub(LIVED * 2).expect("the machine has run longer");
        patience.last = Some((Loss::BeforeAnswer, long_ago));
        assert_eq!(patience.pause(Loss::BeforeAnswer), Some(FIRST_PAUSE));
    }
}
