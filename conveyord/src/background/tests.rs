//! Loops on a paused clock, which moves on when all of them wait.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Keeps a loop that does `work` in each run, with the number of that run. Returns how often it began.
fn kept<R: Future<Output = ()> + Send + 'static>(
    loops: &Loops,
    name: LoopName,
    cancel: &CancellationToken,
    work: impl Fn(u32, CancellationToken) -> R + Send + Sync + 'static,
) -> Arc<AtomicU32> {
    let begun = Arc::new(AtomicU32::new(0));
    let count = begun.clone();
    loops.keep(name, cancel, move |cancel, _| work(count.fetch_add(1, Ordering::SeqCst), cancel));
    begun
}

fn status(loops: &Loops) -> LoopStatus {
    loops.status().remove(0)
}

async fn fails(after: Duration) {
    tokio::time::sleep(after).await;
    panic!("as the test wants");
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_panicked_begins_again_and_says_so() {
    let (end, cancel) = (CancellationToken::new(), CancellationToken::new());
    let loops = Loops::new(end.clone());
    let begun = kept(&loops, LoopName::Ingest, &cancel, |run, cancel| async move {
        assert!(run > 0, "a text that must not be shown");
        cancel.cancelled().await;
    });
    tokio::time::sleep(BACK_OFF.0 / 2).await;
    let down = status(&loops);
    assert_eq!((down.state, down.restarts), (LoopState::Restarting, 0));
    let failure = down.last_failure.unwrap();
    assert!(failure.ends_with("Z: ingest panicked; the log says where"), "{failure}");
    assert_eq!(loops.last_failure(), Some(failure));
    let needed = tokio::time::timeout(Duration::ZERO, loops.needed_are_up());
    assert!(needed.await.is_err(), "a loop that is needed is down");
    loops.needed_are_up().await;
    let up = status(&loops);
    assert_eq!((up.state, up.restarts, begun.load(Ordering::SeqCst)), (LoopState::Running, 1, 2));
    cancel.cancel();
    loops.ended().await;
    assert_eq!((status(&loops).state, loops.given_up()), (LoopState::Ended, None));
    assert!(!end.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_ends_by_itself_has_failed() {
    let (loops, cancel) = (Loops::new(CancellationToken::new()), CancellationToken::new());
    let begun = kept(&loops, LoopName::Ingest, &cancel, |run, cancel| async move {
        if run > 0 {
            cancel.cancelled().await;
        }
    });
    tokio::time::sleep(BACK_OFF.0 * 2).await;
    assert_eq!((begun.load(Ordering::SeqCst), status(&loops).restarts), (2, 1));
    assert!(status(&loops).last_failure.unwrap().ends_with("ingest ended by itself"));
    cancel.cancel();
    loops.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_the_daemon_needs_is_given_up_and_ends_it() {
    let (end, cancel) = (CancellationToken::new(), CancellationToken::new());
    let loops = Loops::new(end.clone());
    let begun = kept(&loops, LoopName::Dispatch, &cancel, |_, _| fails(Duration::ZERO));
    let began = Instant::now();
    end.cancelled().await;
    assert_eq!(began.elapsed(), BACK_OFF.0 * (1 + 2 + 4 + 8));
    let given_up = loops.given_up().unwrap();
    assert_eq!((given_up.name, given_up.failures), (LoopName::Dispatch, MOST_FAILURES));
    loops.ended().await;
    assert_eq!((begun.load(Ordering::SeqCst), status(&loops).state), (MOST_FAILURES, LoopState::Ended));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_the_daemon_can_do_without_is_tried_for_ever_at_the_longest_pause() {
    let (end, cancel) = (CancellationToken::new(), CancellationToken::new());
    let loops = Loops::new(end.clone());
    let begun = kept(&loops, LoopName::WorkerReports, &cancel, |_, _| fails(Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let before = begun.load(Ordering::SeqCst);
    tokio::time::sleep(BACK_OFF.1 * 10).await;
    assert_eq!(begun.load(Ordering::SeqCst), before + 10);
    assert!(!end.is_cancelled() && loops.given_up().is_none());
    loops.needed_are_up().await;
    cancel.cancel();
    loops.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_steady_run_begins_a_new_row_of_failures() {
    let (end, cancel) = (CancellationToken::new(), CancellationToken::new());
    let loops = Loops::new(end.clone());
    kept(&loops, LoopName::Ingest, &cancel, |_, _| fails(STEADY));
    tokio::time::sleep(STEADY * 20).await;
    assert!(!end.is_cancelled() && status(&loops).restarts > MOST_FAILURES.into());
    cancel.cancel();
    loops.ended().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_rests_ever_longer_and_is_forgotten_when_it_is_tried_no_more() {
    let items = Items::new(LoopName::Ingest);
    assert_eq!(items.attempt("session-1", async { 1 }).await, Ok(1));
    assert!(items.list().is_empty() && !items.rests("session-1"));
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let pause = items.attempt("session-1", fails(Duration::ZERO)).await.unwrap_err();
        assert!(items.rests("session-1") && !items.rests("session-2"));
        tokio::time::sleep(pause).await;
        assert!(!items.rests("session-1"));
        pauses.push(pause);
    }
    assert!(pauses.is_sorted() && pauses[1] == pauses[0] * 2 && pauses[9] == BACK_OFF.1, "{pauses:?}");
    let listed = items.list();
    assert_eq!((listed[0].item.as_str(), listed[0].failures), ("session-1", 10));
    items.well("session-1");
    assert!(items.list().is_empty());
    items.failed("session-1");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(items.list().is_empty());
}
