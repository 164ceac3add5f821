//! How many files the system lets the daemon watch. Rollouts above this number are read by the sweep only.

use conveyor_proto::types::doctor::DoctorCheck;

/// Compares the limit of the system with the number of watched sessions.
pub(super) async fn check(sessions: usize) -> DoctorCheck {
    let Some(limit) = sys::limit().await else {
        let message = format!("{} cannot be read; rollouts are looked at from time to time too", sys::NAME);
        return DoctorCheck { ok: true, message: Some(message), ..DoctorCheck::default() };
    };
    let ok = u64::try_from(sessions).is_ok_and(|sessions| sessions < limit);
    DoctorCheck {
        ok,
        value: Some(format!("{} is {limit}, {sessions} sessions are watched", sys::NAME)),
        message: (!ok).then(|| format!("raise {}: completions may be noticed late", sys::NAME)),
        ..DoctorCheck::default()
    }
}

#[cfg(target_os = "linux")]
mod sys {
    //! inotify has one watch for each watched folder or file. The limit counts all programs of a user
    //! (inotify(7)).

    pub(super) const NAME: &str = "fs.inotify.max_user_watches";

    pub(super) async fn limit() -> Option<u64> {
        let text = tokio::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").await.ok()?;
        text.trim().parse().ok()
    }
}

#[cfg(target_os = "macos")]
mod sys {
    //! kqueue needs one open file of this process for each watched file (kqueue(2)).

    pub(super) const NAME: &str = "the daemon's limit of open files (`ulimit -n`)";

    pub(super) async fn limit() -> Option<u64> {
        crate::platform::allowed_open_files().ok()
    }
}
