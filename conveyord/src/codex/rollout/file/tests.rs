use super::*;
use crate::codex::rollout::discovery::{newest_rollouts, read_session_meta};
use crate::codex::rollout::lines::{Line, LineScanner};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

const NAME: &str = "rollout-2026-01-31T09-30-00-01990000-0000-7000-8000-00000000000a.jsonl";

struct Home {
    _dir: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
        Self { _dir: dir, path }
    }

    fn plain(&self) -> Utf8PathBuf {
        self.path.join(NAME)
    }

    /// Makes the compressed form of the rollout.
    fn compressed(&self, bytes: &[u8]) -> Utf8PathBuf {
        let path = Utf8PathBuf::from(format!("{}.zst", self.plain()));
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn packed(plain: &[u8]) -> Vec<u8> {
    compress_to_vec(plain, CompressionLevel::Fastest)
}

/// Text that does not repeat itself soon.
fn lines(bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut n = 1_u64;
    while text.len() < bytes {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend(format!("{{\"type\":\"x\",\"payload\":\"{n:x}\"}}\n").bytes());
    }
    text
}

#[test]
fn both_names_mean_the_plain_file() {
    for (given, name) in [
        ("/h/sessions/a.jsonl", "/h/sessions/a.jsonl"),
        ("/h/sessions/a.jsonl.zst", "/h/sessions/a.jsonl"),
        ("/h/a.zst", "/h/a.zst"),
        ("/h/a.jsonl.zst.tmp", "/h/a.jsonl.zst.tmp"),
    ] {
        assert_eq!(name_of(Utf8Path::new(given)), name);
    }
}

#[test]
fn links_lead_to_the_name() {
    let home = Home::new();
    let compressed = home.compressed(&packed(b"x\n"));
    let link = home.path.join("a.jsonl.zst");
    std::os::unix::fs::symlink(&compressed, &link).unwrap();
    for path in [compressed, home.plain(), link, home.path.join("a.jsonl")] {
        assert_eq!(canonical(&path), home.plain(), "{path}");
        assert_eq!(RolloutFile::open(&path).unwrap().plain_len().unwrap(), 2, "{path}");
    }
    let missing = home.path.join("b.jsonl");
    assert_eq!(canonical(&missing), missing);
    assert_eq!(RolloutFile::open(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_threads_file_is_found_in_either_form_and_once() {
    let home = Home::new();
    let day = home.path.join("sessions/2026/01/31");
    fs::create_dir_all(&day).unwrap();
    let plain = day.join(NAME);
    let text = br#"{"type":"session_meta","payload":{"id":"01990000-0000-7000-8000-00000000000a"}}"#;
    fs::write(format!("{plain}.zst"), packed(text)).unwrap();
    fs::write(day.join("rollout-compress-x1.tmp"), b"half of it").unwrap();
    for _ in 0..2 {
        let newest = newest_rollouts(&home.path, None).unwrap();
        assert_eq!(newest.into_values().collect::<Vec<_>>(), std::slice::from_ref(&plain));
        let meta = read_session_meta(&plain).unwrap();
        assert_eq!(meta.thread_id.as_str(), "01990000-0000-7000-8000-00000000000a");
        fs::write(&plain, text).unwrap();
    }
}

#[test]
fn a_compressed_file_has_the_same_bytes_at_every_offset() {
    let home = Home::new();
    // Longer than what is kept of it, in two frames with something to skip between them.
    let (first, second) = (lines(7 << 20), lines(1 << 20));
    let skipped = [&0x184D_2A50_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
    home.compressed(&[packed(&first), skipped, packed(&second)].concat());
    let plain = [first, second].concat();
    let file = RolloutFile::open(home.plain()).unwrap();
    assert_eq!(file.stamp().form, Form::Compressed);
    let mut buffer = [0; 4096];
    // Forwards, a little back, far back, over the seam.
    for offset in [0, 5 << 20, (5 << 20) - 1024, 100, (7 << 20) - 100, (7 << 20) + 50] {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = file.read_at(&mut buffer[filled..], (offset + filled) as u64).unwrap();
            assert!(read > 0);
            filled += read;
        }
        assert!(buffer == plain[offset..offset + buffer.len()], "at {offset}");
    }
    assert_eq!(file.plain_len().unwrap(), plain.len() as u64);
    assert_eq!(file.read_at(&mut buffer, plain.len() as u64).unwrap(), 0);
    assert!(file.reaches(plain.len() as u64).unwrap() && !file.reaches(plain.len() as u64 + 1).unwrap());
    file.rest();
    let (mut scanner, mut count) = (LineScanner::new(0), 0);
    while let Some(Line::Complete { offset, bytes }) = scanner.next_line(&file).unwrap() {
        assert!(plain[usize::try_from(offset).unwrap()..].starts_with(bytes));
        count += 1;
    }
    assert_eq!(count, plain.iter().filter(|byte| **byte == b'\n').count());
}

#[test]
fn what_asks_for_too_much_memory_is_refused() {
    let home = Home::new();
    // A frame's header: magic number, no flags, and the exponent of its window (RFC 8878, section 3.1.1.1.2).
    for (exponent, is_refused) in [(13, false), (14, true), (30, true)] {
        let empty_last_block = [1, 0, 0];
        let frame = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0, exponent << 3], &empty_last_block].concat();
        home.compressed(&frame);
        let read = RolloutFile::open(home.plain()).unwrap().read_at(&mut [0], 0);
        match read {
            Ok(read) => assert!(read == 0 && !is_refused, "{exponent}"),
            Err(error) => {
                assert!(is_refused && error.to_string().contains("bytes of memory"), "{exponent}: {error}");
            }
        }
    }
}

#[test]
fn a_few_bytes_that_stand_for_many_take_little_memory() {
    let home = Home::new();
    // Blocks of one repeated byte, 128 KiB each in 4 bytes: 256 MiB.
    let mut frame = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0, 7 << 3]].concat();
    let block = |is_last: u32| {
        let header = is_last | 1 << 1 | (128 * 1024) << 3;
        [header.to_le_bytes()[0], header.to_le_bytes()[1], header.to_le_bytes()[2], b'x']
    };
    for _ in 1..2048 {
        frame.extend(block(0));
    }
    frame.extend(block(1));
    home.compressed(&frame);
    let file = RolloutFile::open(home.plain()).unwrap();
    let mut scanner = LineScanner::with_limits(0, 64 * 1024, 1 << 20);
    assert!(!scanner.has_line(&file).unwrap());
    assert!(scanner.held() < 4 << 20);
    let Bytes::Compressed(unpacked) = &file.bytes else { panic!("it is compressed") };
    assert!(unpacked.borrow().held() <= 5 << 20, "{} bytes", unpacked.borrow().held());
    assert_eq!(file.plain_len().unwrap(), 1 << 28);
    file.rest();
    assert_eq!(unpacked.borrow().held(), 0);
}

#[test]
fn a_damaged_file_is_an_error_and_never_an_end() {
    let home = Home::new();
    let whole = packed(&lines(1 << 20));
    for (what, bytes) in [
        ("cut in its header", whole[..3].to_vec()),
        ("cut in a block", whole[..whole.len() / 2].to_vec()),
        ("cut before its checksum", whole[..whole.len() - 2].to_vec()),
        ("plain text", b"{\"type\":\"session_meta\"}\n".to_vec()),
        ("garbage behind it", [&whole[..], b"garbage"].concat()),
        ("another checksum", [&whole[..whole.len() - 1], &[whole[whole.len() - 1] ^ 1]].concat()),
    ] {
        home.compressed(&bytes);
        let file = RolloutFile::open(home.plain()).unwrap();
        // Asked again, it is the same error.
        for _ in 0..2 {
            let error = file.plain_len().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
            assert!(error.to_string().contains("cannot be decompressed"), "{what}: {error}");
        }
    }
}
