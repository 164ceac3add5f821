//! How long and how often a daemon that was lost is replaced by another one.

use std::time::{Duration, Instant};

/// How long a call goes on after it has lost its first daemon, and a wait after the first in a row.
const LIMIT: Duration = Duration::from_secs(30);
/// How many daemons may be lost that may have had the request. One that makes each daemon crash must not do it for ever.
const MOST: u32 = 10;
/// The same for a wait, whose requests are lost more easily because they last.
const MOST_IN_A_ROW: u32 = 20;
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
    /// Time, and the number of daemons that may have had the request.
    Both,
    /// Time alone.
    Time(Instant),
    /// The same for daemons that are lost in a row.
    Row,
}

/// Counts the daemons that were lost, and says whether another one is to be tried.
#[derive(Debug)]
pub struct Patience {
    bound: Bound,
    losses: u32,
    /// The losses of daemons that may have had the request.
    asked: u32,
    /// The times of the first and of the last loss.
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Patience {
    const fn new(bound: Bound) -> Self {
        Self { bound, losses: 0, asked: 0, first: None, last: None }
    }

    /// The patience of a call, bounded in time and number.
    #[must_use]
    pub const fn of_call() -> Self {
        Self::new(Bound::Both)
    }

    /// The patience of a call which makes sense until `deadline` and no longer.
    #[must_use]
    pub const fn until(deadline: Instant) -> Self {
        Self::new(Bound::Time(deadline))
    }

    /// The patience of a wait, which bounds its time itself.
    #[must_use]
    pub const fn of_wait() -> Self {
        Self::new(Bound::Row)
    }

    /// How daemons were lost so far: whether one of them may have had the request.
    pub(crate) const fn loss(&self) -> Option<Loss> {
        match (self.losses, self.asked) {
            (0, _) => None,
            (_, 0) => Some(Loss::BeforeRequest),
            _ => Some(Loss::BeforeAnswer),
        }
    }

    /// When at the latest another daemon must be there, for a caller that waits for one and starts none: after `grace`,
    /// or as late as the call makes sense.
    pub(crate) fn awaits_one_until(&self, grace: Duration) -> Instant {
        match self.bound {
            Bound::Time(deadline) => deadline,
            Bound::Both | Bound::Row => Instant::now() + grace,
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
        let lived = self.last.is_some_and(|last| now.duration_since(last) > LIVED);
        if lived && matches!(self.bound, Bound::Row) {
            (self.losses, self.asked, self.first) = (0, 0, None);
        }
        let first = *self.first.get_or_insert(now);
        self.last = Some(now);
        self.losses += 1;
        self.asked += u32::from(loss == Loss::BeforeAnswer);
        let pause = FIRST_PAUSE.saturating_mul(1 << (self.losses - 1).min(10)).min(LONGEST_PAUSE);
        let goes_on = match self.bound {
            Bound::Both => self.asked <= MOST && now + pause < first + LIMIT,
            Bound::Time(until) => now + pause < until,
            Bound::Row => self.asked <= MOST_IN_A_ROW && now + pause < first + LIMIT,
        };
        goes_on.then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(mut patience: Patience) -> Vec<u128> {
        let pauses = std::iter::from_fn(|| patience.pause(Loss::BeforeAnswer));
        pauses.take(25).map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn losses_are_bounded_in_number_and_ever_further_apart() {
        let expect = [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000];
        assert_eq!(pauses(Patience::of_call()), expect);
        let of_wait = pauses(Patience::of_wait());
        assert_eq!((&of_wait[..10], of_wait.len()), (&expect[..], 20));
        let mut unasked = Patience::of_call();
        let goes_on = (0..25).all(|_| unasked.pause(Loss::BeforeRequest).is_some());
        assert!(goes_on, "a daemon that never had the request did not die of it");
    }

    #[test]
    fn a_deadline_bounds_the_time_alone() {
        assert_eq!(pauses(Patience::until(Instant::now())), [0; 0]);
        assert_eq!(pauses(Patience::until(Instant::now() + LIMIT)).len(), 25);
        let soon = Patience::until(Instant::now() + Duration::from_millis(500));
        assert_eq!(pauses(soon), [10, 20, 40, 80, 160, 320], "the next pause would be too long");
    }

    #[test]
    fn the_time_of_a_call_begins_with_its_first_loss() {
        let mut patience = Patience::of_call();
        assert!(patience.pause(Loss::BeforeAnswer).is_some());
        patience.first = Instant::now().checked_sub(LIMIT);
        assert_eq!(patience.pause(Loss::BeforeAnswer), None);
    }

    #[test]
    fn a_wait_forgets_the_daemons_before_one_that_lived() {
        let mut patience = Patience::of_wait();
        while patience.pause(Loss::BeforeAnswer).is_some() {}
        let long_ago = Instant::now().checked_sub(LIVED * 2).expect("the machine has run longer");
        patience.last = Some(long_ago);
        assert_eq!(patience.pause(Loss::BeforeAnswer), Some(FIRST_PAUSE));
    }
}
