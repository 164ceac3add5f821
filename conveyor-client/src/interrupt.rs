//! Ctrl-C.

use std::sync::OnceLock;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether Ctrl-C was pressed.
///
/// It is watched from the first wait on, and remembered: a press between two waits ends the next one. Until the first
/// wait Ctrl-C ends the process, as it does by default; so it does while standard input is read.
#[derive(Debug, Default)]
pub struct Interrupt {
    pressed: OnceLock<watch::Receiver<bool>>,
}

impl Interrupt {
    /// Resolves when Ctrl-C has been pressed.
    pub async fn pressed(&self) {
        let mut pressed = self.pressed.get_or_init(watch_signal).clone();
        if pressed.wait_for(|pressed| *pressed).await.is_err() {
            // The signal cannot be watched, and ends the process.
            std::future::pending::<()>().await;
        }
    }
}

fn watch_signal() -> watch::Receiver<bool> {
    let (press, pressed) = watch::channel(false);
    if let Ok(mut interrupts) = signal(SignalKind::interrupt()) {
        tokio::spawn(async move {
            interrupts.recv().await;
            press.send_replace(true);
            press.closed().await;
        });
    }
    pressed
}
