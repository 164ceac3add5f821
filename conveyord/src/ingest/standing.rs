//! How a rollout compares with what is stored of it, without reading it in.

use super::Standing;
use crate::codex::rollout::{file::RolloutFile, lines::LineScanner};
use crate::store::rollouts::Rollout;
use std::io;

/// A rollout as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether it is the file that was read.
    pub standing: Standing,
    /// Bytes of the plain file, also when it is compressed.
    pub len: u64,
    /// Bytes of it that are stored.
    pub stored: u64,
    /// Whether a whole line is not stored yet.
    pub has_unread_line: bool,
}

impl Seen {
    /// Bytes that are not stored.
    #[must_use]
    pub const fn lag(&self) -> u64 {
        self.len.saturating_sub(self.stored)
    }
}

/// Looks at a file; `stored` is what is stored of it, or none when it was never read. May block.
///
/// # Errors
/// When it cannot be read, `NotFound` when it is not there.
pub fn look(path: &str, stored: Option<&Rollout>) -> io::Result<Seen> {
    let file = RolloutFile::open(path)?;
    let standing = stored.map_or(Ok(Standing::Same), |stored| super::compare(stored, &file))?;
    let offset = stored.map_or(0, |stored| stored.read_offset);
    let has_unread_line = standing == Standing::Same && LineScanner::new(offset).has_line(&file)?;
    Ok(Seen { standing, len: file.plain_len()?, stored: offset, has_unread_line })
}
