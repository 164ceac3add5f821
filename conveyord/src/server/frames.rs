//! What a client sends on a WebSocket, looked at only as far as RFC 6455 has the server refuse it: every frame of a
//! client is masked (section 5.1). soketto, by which jsonrpsee reads the frames, takes those that are not.

use std::io;

/// How far into the frames of a connection its bytes have come.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The bytes of a frame's head that have arrived. The longest one has 14.
    head: Vec<u8>,
    /// How many bytes of the frame's content are to come.
    content: u64,
}

impl Frames {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When a frame is not masked.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.content).unwrap_or(usize::MAX).min(bytes.len());
            self.content -= skipped as u64;
            bytes = &bytes[skipped..];
            while self.content == 0
                && let Some((byte, rest)) = bytes.split_first()
            {
                self.head.push(*byte);
                bytes = rest;
                self.content = self.whole_head()?.unwrap_or(0);
            }
        }
        Ok(())
    }

    /// The length of the content, once the head is whole.
    fn whole_head(&mut self) -> io::Result<Option<u64>> {
        const MASK: u8 = 0x80;
        const MASK_BYTES: usize = 4;
        let Some(second) = self.head.get(1) else { return Ok(None) };
        if second & MASK == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame of the client is not masked"));
        }
        let length = match second & !MASK {
            126 => self.head.get(2..4).map(number),
            127 => self.head.get(2..10).map(number),
            short => Some(u64::from(short)),
        };
        let bytes = match second & !MASK {
            126 => 2 + 2 + MASK_BYTES,
            127 => 2 + 8 + MASK_BYTES,
            _ => 2 + MASK_BYTES,
        };
        if self.head.len() < bytes {
            return Ok(None);
        }
        self.head.clear();
        Ok(length)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(mask: u8, length: &[u8], content: usize) -> Vec<u8> {
        let mut frame = vec![0x81, mask | length[0]];
        frame.extend(&length[1..]);
        if mask != 0 {
            frame.extend([1, 2, 3, 4]);
        }
        frame.extend(vec![0; content]);
        frame
    }

    #[test]
    fn masked_frames_pass_however_they_are_cut() {
        let mut all = Vec::new();
        for (length, content) in
            [(&[0][..], 0), (&[5], 5), (&[126, 0, 200], 200), (&[127, 0, 0, 0, 0, 0, 1, 0, 0], 65536)]
        {
            all.extend(frame(0x80, length, content));
        }
        for cut in [1, 2, 3, 7, 1000, all.len()] {
            let mut frames = Frames::default();
            for bytes in all.chunks(cut) {
                frames.take(bytes).unwrap();
            }
            assert_eq!((frames.head.len(), frames.content), (0, 0), "cut {cut}");
            assert!(frames.take(&frame(0, &[5], 5)).is_err(), "cut {cut}");
        }
    }
}
