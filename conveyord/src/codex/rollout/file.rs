//! The file of a rollout, in whichever of its two forms it stands on the disk.
//!
//! Codex can compress the rollouts that were not written for a week (feature `local_thread_store_compression`, off
//! by default in 0.130 to 0.171). Measured with 0.171: `X.jsonl` becomes `X.jsonl.zst` in the same folder, another
//! inode with the modification time and mode of the plain file, and the plain file is removed. Resuming the thread
//! writes the plain file anew, byte for byte, before the first input, and removes the compressed one. A file that a
//! Codex holds is left alone.
//!
//! So a rollout has one name, that of its plain file, by which it is stored and shown. All who read it come here, and
//! find the form that is there. The plain file wins where both are: Codex makes the new one whole before it removes the
//! old. Offsets count the bytes of the plain file in both forms, so a reader goes on where it stopped.

use super::lines::ReadAt;
use super::unpack::Unpacked;
use camino::{Utf8Path, Utf8PathBuf};
use std::cell::RefCell;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// What Codex appends to the name of a rollout that it compresses.
const COMPRESSED: &str = ".zst";

/// How often both names are tried. Codex may change the form between two looks, but hardly twice.
const ROUNDS: usize = 3;

/// The form of a rollout on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// By zstd (RFC 8878). Such a file never grows.
    Compressed,
}

/// What the file system says of a rollout. If nothing of it differs, there is nothing new to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub form: Form,
    /// Device and inode.
    pub identity: (u64, u64),
    /// Bytes on the disk.
    pub len: u64,
    /// Seconds and nanoseconds of the last change.
    pub modified: (i64, i64),
}

impl Stamp {
    fn of(form: Form, metadata: &Metadata) -> Self {
        Self {
            form,
            identity: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// The name of a rollout: the path of its plain file, whichever of its files is given.
#[must_use]
pub fn name_of(path: &Utf8Path) -> &Utf8Path {
    let plain = path.as_str().strip_suffix(COMPRESSED).filter(|plain| plain.ends_with(".jsonl"));
    plain.map_or(path, Utf8Path::new)
}

/// The name of a rollout without links, so that one file has one name. The path itself, if no such file is there.
#[must_use]
pub fn canonical(path: &Utf8Path) -> Utf8PathBuf {
    let Ok((form, found, _)) = find(path) else { return path.to_owned() };
    match found.canonicalize_utf8() {
        Ok(real) if form == Form::Plain || name_of(&real) != real => name_of(&real).to_owned(),
        // A link whose target has another name: only the link tells that it is compressed.
        _ => name_of(path).to_owned(),
    }
}

/// What the file system says of a rollout now.
///
/// # Errors
/// `NotFound` when it is there in neither form.
pub fn stamp(path: &Utf8Path) -> io::Result<Stamp> {
    find(path).map(|(form, _, metadata)| Stamp::of(form, &metadata))
}

/// What the file system says of whatever has a rollout's name, which may be no file.
pub(super) fn metadata(path: &Utf8Path) -> io::Result<Metadata> {
    find(path).map(|(_, _, metadata)| metadata)
}

/// The form in which a rollout is there, its path, and what the file system says of it.
fn find(path: &Utf8Path) -> io::Result<(Form, Utf8PathBuf, Metadata)> {
    let plain = name_of(path);
    let mut round = 0;
    loop {
        round += 1;
        let missing = match fs::metadata(plain) {
            Ok(metadata) => return Ok((Form::Plain, plain.to_owned(), metadata)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(missing) => missing,
        };
        if plain.extension() != Some("jsonl") || round == ROUNDS {
            return Err(missing);
        }
        let compressed = Utf8PathBuf::from(format!("{plain}{COMPRESSED}"));
        match fs::metadata(&compressed) {
            Ok(metadata) => return Ok((Form::Compressed, compressed, metadata)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
}

/// An open rollout.
#[derive(Debug)]
pub struct RolloutFile {
    stamp: Stamp,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Plain(File),
    Compressed(Box<RefCell<Unpacked>>),
}

impl RolloutFile {
    /// Opens a rollout in the form in which it is there. Nothing is read yet.
    ///
    /// # Errors
    /// `NotFound` when it is there in neither form, `InvalidInput` when it is no regular file.
    pub fn open(path: impl AsRef<Utf8Path>) -> io::Result<Self> {
        let mut round = 0;
        loop {
            round += 1;
            let (form, path, metadata) = find(path.as_ref())?;
            // Look before opening: opening a pipe waits for its other end (fifo(7)).
            if !metadata.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
            }
            match File::open(path) {
                // Codex has changed its form since it was found.
                Err(error) if error.kind() == io::ErrorKind::NotFound && round < ROUNDS => {}
                opened => return Self::new(form, opened?),
            }
        }
    }

    fn new(form: Form, file: File) -> io::Result<Self> {
        let stamp = Stamp::of(form, &file.metadata()?);
        let bytes = match form {
            Form::Plain => Bytes::Plain(file),
            Form::Compressed => Bytes::Compressed(Box::new(RefCell::new(Unpacked::new(Arc::new(file))))),
        };
        Ok(Self { stamp, bytes })
    }

    /// What the file system said when it was opened.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    #[must_use]
    pub const fn identity(&self) -> (u64, u64) {
        self.stamp.identity
    }

    /// Whether this is the same compressed file as another. Then all that was learned of the other still holds, because
    /// a compressed file is made whole and never written again.
    #[must_use]
    pub fn is_unchanged_since(&self, other: &Self) -> bool {
        self.stamp.form == Form::Compressed && self.stamp == other.stamp
    }

    /// How many bytes the rollout has now, as a plain file. A compressed one is read to its end for that.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn plain_len(&self) -> io::Result<u64> {
        match &self.bytes {
            Bytes::Plain(file) => Ok(file.metadata()?.len()),
            Bytes::Compressed(unpacked) => unpacked.borrow_mut().len(),
        }
    }

    /// Whether the rollout has at least so many bytes, as a plain file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn reaches(&self, offset: u64) -> io::Result<bool> {
        match &self.bytes {
            Bytes::Plain(_) => Ok(self.plain_len()? >= offset),
            Bytes::Compressed(_) => Ok(offset == 0 || self.read_at(&mut [0], offset - 1)? > 0),
        }
    }

    /// Frees what reading needs, until the next read.
    pub fn rest(&self) {
        if let Bytes::Compressed(unpacked) = &self.bytes {
            unpacked.borrow_mut().rest();
        }
    }

    /// The bytes from the beginning on.
    #[must_use]
    pub const fn from_start(&self) -> FromStart<'_> {
        FromStart { file: self, offset: 0 }
    }
}

impl ReadAt for RolloutFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.bytes {
            Bytes::Plain(file) => ReadAt::read_at(file, buffer, offset),
            Bytes::Compressed(unpacked) => unpacked.borrow_mut().read_at(buffer, offset),
        }
    }
}

/// Reads a rollout from its beginning.
#[derive(Debug)]
pub struct FromStart<'a> {
    file: &'a RolloutFile,
    offset: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
