//! Ids of threads in texts, such as the title of a pane, which may hold only the beginning of one.

use conveyor_proto::ids::ThreadId;

/// The length of a UUID, and the length of its first two groups: the shortest part that identifies a thread.
const UUID_LEN: usize = 36;
const MIN_ID_PREFIX: usize = 13;

/// The thread id in the title of a pane, if Codex was told to show it. Codex cuts it to 29 characters. At
/// least the first two groups are needed, and the version must be 7, so that no other word counts as an id.
pub fn thread_id_in_title(title: &str) -> Option<&str> {
    title
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .map(|word| word.trim_end_matches('-'))
        .find(|word| is_id_prefix(word))
}

/// Whether a part of an id that [`thread_id_in_title`] found belongs to this thread.
pub fn matches_thread(prefix: &str, thread: &ThreadId) -> bool {
    is_id_prefix(prefix) && thread.as_str().starts_with(prefix)
}

/// Whether a word is the whole id of a thread.
pub fn is_thread_id(word: &str) -> bool {
    word.len() == UUID_LEN && is_id_prefix(word)
}

fn is_id_prefix(word: &str) -> bool {
    (MIN_ID_PREFIX..=UUID_LEN).contains(&word.len())
        && word.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'7',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}
