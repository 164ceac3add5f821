//! Other processes of the machine, which have nothing to do with Conveyor.

use std::process::{Child, Command, Stdio};

/// Processes that sleep until this is dropped.
pub(crate) struct Crowd(Vec<Child>);

impl Crowd {
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Starts more of them, up to this number.
    pub(crate) fn grow(&mut self, count: usize) {
        while self.0.len() < count {
            let mut sleep = Command::new("sleep");
            sleep.arg("100000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            self.0.push(sleep.spawn().expect("sleep starts"));
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // One that has ended already needs no signal.
            let _ = process.kill();
        }
        for process in &mut self.0 {
            let _ = process.wait();
        }
    }
}

/// A process that holds a rollout open, as Codex does, until this is dropped.
pub(crate) struct Holder(Child);

impl Holder {
    pub(crate) fn of(rollout: &camino::Utf8Path) -> Self {
        // The shell holds it; the program below it is one more process to look at.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec 9<\"$0\"; cat; true", rollout.as_str()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(shell.spawn().expect("a shell starts"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The end of its input ends `cat`, and the shell after it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
