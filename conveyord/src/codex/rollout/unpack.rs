//! The bytes of a compressed rollout, read at any offset with bounded memory.
//!
//! A compressed stream can only be read forwards. What was read last is kept, because a reader looks back at the bytes
//! before its offset; who goes further back has the file read again from its beginning.
//!
//! The file is somebody else's, so nothing that it says is believed: neither the memory that it asks for, nor how long
//! it gets, nor that it ends well.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The most memory that a frame may ask for: what every decoder should offer (RFC 8878, section 3.1.1.1.2). Codex's
/// own files ask for 2 MiB at most.
pub(crate) const MAX_WINDOW: u64 = 8 * 1024 * 1024;

/// The longest rollout that is read. A few bytes can stand for gigabytes.
pub(crate) const MAX_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// How much of what was read last is kept at least, and at most twice of it. A reader is ahead of its offset by one
/// chunk and an unfinished line.
const KEPT: usize = 2 * 1024 * 1024;

/// How much is unpacked at a time: the most that a block of a frame has.
const PIECE: usize = 128 * 1024;

/// The unpacked bytes of a file.
pub(super) struct Unpacked {
    file: Arc<File>,
    /// None before the first read, and while it rests.
    frames: Option<Frames>,
    /// The bytes from `base` on that were unpacked last.
    kept: Vec<u8>,
    base: u64,
    /// How many bytes there are, when the end was seen.
    len: Option<u64>,
}

/// Never the bytes, which are the text of a conversation.
impl std::fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacked").field("base", &self.base).field("len", &self.len).finish_non_exhaustive()
    }
}

impl Unpacked {
    pub(super) const fn new(file: Arc<File>) -> Self {
        Self { file, frames: None, kept: Vec::new(), base: 0, len: None }
    }

    /// Reads some bytes at an offset. Returns 0 at the end.
    ///
    /// # Errors
    /// `InvalidData` when the file cannot be unpacked.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if buffer.is_empty() || self.len.is_some_and(|len| offset >= len) {
            return Ok(0);
        }
        if self.frames.is_none() || offset < self.base {
            self.rest();
            self.frames = Some(Frames::new(Arc::clone(&self.file)));
            self.kept = Vec::with_capacity(2 * KEPT + PIECE);
        }
        loop {
            let known = usize::try_from(offset - self.base).ok().and_then(|at| self.kept.get(at..));
            if let Some(known) = known.filter(|known| !known.is_empty()) {
                let count = known.len().min(buffer.len());
                let (Some(to), Some(from)) = (buffer.get_mut(..count), known.get(..count)) else {
                    return Ok(0);
                };
                to.copy_from_slice(from);
                return Ok(count);
            }
            if !self.go_on()? {
                return Ok(0);
            }
        }
    }

    /// How many bytes there are. Reads to the end.
    ///
    /// # Errors
    /// `InvalidData` when the file cannot be unpacked.
    pub(super) fn len(&mut self) -> io::Result<u64> {
        self.read_at(&mut [0], u64::MAX)?;
        Ok(self.len.unwrap_or_default())
    }

    /// Frees the memory of reading. What is known of the length stays.
    pub(super) fn rest(&mut self) {
        (self.frames, self.kept, self.base) = (None, Vec::new(), 0);
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.kept.capacity()
    }

    /// Unpacks the next piece. False at the end. After an error all is read anew: a decoder that has met damage cannot go
    /// on.
    ///
    /// # Errors
    /// `InvalidData` when the file cannot be unpacked.
    fn go_on(&mut self) -> io::Result<bool> {
        let gone_on = self.next_piece();
        if gone_on.is_err() {
            self.rest();
        }
        gone_on
    }

    fn next_piece(&mut self) -> io::Result<bool> {
        let Some(frames) = &mut self.frames else { return Ok(false) };
        if self.kept.len() >= 2 * KEPT {
            let dropped = self.kept.len() - KEPT;
            self.kept.drain(..dropped);
            self.base += dropped as u64;
        }
        let filled = self.kept.len();
        self.kept.resize(filled + PIECE, 0);
        let read = frames.read(self.kept.get_mut(filled..).unwrap_or_default())?;
        self.kept.truncate(filled + read);
        let end = self.base + self.kept.len() as u64;
        if read == 0 {
            self.len = Some(end);
            return Ok(false);
        }
        if end > MAX_BYTES {
            return Err(damaged("it is longer than any rollout"));
        }
        Ok(true)
    }
}

/// The frames of a file, one after the other.
struct Frames {
    source: BufReader<Forwards>,
    decoder: FrameDecoder,
    /// Whether a frame was begun and not ended.
    within: bool,
}

impl Frames {
    fn new(file: Arc<File>) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { source: BufReader::new(Forwards { file, offset: 0 }), decoder, within: false }
    }

    /// Begins the next frame. False at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { requested, max }) => {
                    return Err(damaged(&format!(
                        "it asks for {requested} bytes of memory, and {max} are the most that it gets"
                    )));
                }
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(false)
    }

    /// Checks the frame that has ended.
    fn end(&mut self) -> io::Result<()> {
        self.within = false;
        let (told, found) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if told.is_some() && told != found { Err(damaged("its checksum is wrong")) } else { Ok(()) }
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded =
                    self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| failed(&error))?;
            }
            let read = self.decoder.read(buffer)?;
            if self.decoder.is_finished() && self.decoder.can_collect() == 0 {
                self.end()?;
            }
            if read > 0 {
                return Ok(read);
            }
        }
    }
}

/// A file from its beginning on. Others may read it too, so it has its own offset.
struct Forwards {
    file: Arc<File>,
    offset: u64,
}

impl Read for Forwards {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Why a decoder stopped: the file is damaged, unless the system refused to read it.
fn failed(error: &FrameDecoderError) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        cause = error.source();
    }
    damaged(&error.to_string())
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it cannot be decompressed: {why}"))
}
