//! Packed segments: the same bytes come back, or none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::config::scenario::Compression;
use crate::limits;

const ALL: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];
const BLOCK: usize = BLOCK_BYTES as usize;
const SMALL: usize = BLOCK_BYTES_MIN as usize;

/// A file in memory that counts how often it is read.
#[derive(Default)]
struct Memory {
    bytes: Mutex<Vec<u8>>,
    reads: AtomicU64,
}

impl Memory {
    fn new(bytes: &[u8]) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new(bytes.to_vec()), reads: AtomicU64::new(0) })
    }

    fn content(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl ReadAt for Memory {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.lock().unwrap().as_slice().read_at(buf, offset)
    }
}

impl DirFile for Memory {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut file, at) = (self.bytes.lock().unwrap(), usize::try_from(offset).unwrap());
        let end = file.len().max(at + bytes.len());
        file.resize(end, 0);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.set_bytes(bytes)
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(usize::try_from(bytes).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self) {}

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that shrink: counters between zeros, as in records.
fn records(bytes: usize) -> Vec<u8> {
    (0u64..).flat_map(|number| (number / 3).to_be_bytes()).take(bytes).collect()
}

/// Bytes that don't shrink.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn packed_in(raw: &[u8], compression: Compression, block_bytes: usize) -> Arc<Memory> {
    let out = Memory::new(b"");
    let block_bytes = u32::try_from(block_bytes).unwrap();
    let bytes = pack_blocks(&*Memory::new(raw), codec(compression), &*out, block_bytes).unwrap();
    assert_eq!(bytes, out.bytes().unwrap());
    out
}

fn read(packed: &Packed, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buf = vec![0xAA; bytes];
    let there = packed.read_at(&mut buf, offset)?;
    buf.truncate(there);
    Ok(buf)
}

fn image(file: Arc<Memory>) -> Vec<u8> {
    let packed = Packed::open(file).unwrap();
    read(&packed, 0, usize::try_from(packed.bytes().unwrap()).unwrap() + 1).unwrap()
}

fn open_error(bytes: &[u8]) -> PackedError {
    Packed::open(Memory::new(bytes)).err().expect("the file must be refused")
}

fn damage(error: &io::Error) -> &PackedError {
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.get_ref().unwrap().downcast_ref().unwrap()
}

/// One block that shrinks, one that does not, and a short one.
fn small_image() -> Vec<u8> {
    [records(SMALL), noise(200)].concat()
}

/// Changes a field of a header and makes its checksum fit.
fn forged(mut file: Vec<u8>, at: usize, field: &[u8]) -> Vec<u8> {
    file[at..at + field.len()].copy_from_slice(field);
    let crc = crc(&file[0..44]);
    file[44..48].copy_from_slice(&crc.to_be_bytes());
    file
}

#[test]
fn every_image_comes_back_whatever_it_was_packed_with() {
    let images = [
        vec![],
        vec![7],
        records(BLOCK),
        records(3 * BLOCK + 1000),
        noise(2 * BLOCK + 1),
        [records(BLOCK + 5000), vec![0; 2 * BLOCK]].concat(),
        [noise(BLOCK), records(BLOCK), noise(9)].concat(),
    ];
    for raw in images {
        for compression in ALL {
            let file = Memory::new(b"what was there before, and is longer than nothing");
            let packed_bytes = pack(&*Memory::new(&raw), codec(compression), &*file).unwrap();
            assert_eq!(packed_bytes, file.bytes().unwrap());
            let used = Packed::open(file.clone()).unwrap().codec().name();
            assert_eq!(used, codec(compression).name());
            assert!(image(file) == raw, "{compression:?}, {} bytes", raw.len());
        }
    }
}

#[test]
fn records_shrink_and_noise_hardly_grows() {
    let overhead = |blocks| HEADER_BYTES + blocks * (FRAME_BYTES + OFFSET_BYTES) + CRC_BYTES;
    let packed_bytes = |raw: &[u8], compression| packed_in(raw, compression, BLOCK).content().len();
    let raw = records(2 * BLOCK);
    assert_eq!(packed_bytes(&raw, Compression::None), raw.len() + overhead(2));
    assert!(packed_bytes(&raw, Compression::Lz4) < raw.len() / 2);
    assert!(packed_bytes(&raw, Compression::Zstd) < raw.len() / 2);
    let raw = noise(2 * BLOCK);
    for compression in ALL {
        assert_eq!(packed_bytes(&raw, compression), raw.len() + overhead(2));
    }
}

#[test]
fn codecs_are_found_by_what_they_are_called() {
    for (compression, code, name) in [
        (Compression::None, 0, "none"),
        (Compression::Lz4, 1, "lz4"),
        (Compression::Zstd, 2, "zstd"),
    ] {
        assert_eq!((codec(compression).code(), codec(compression).name()), (code, name));
        assert_eq!(codec_by_code(code).unwrap().name(), name);
    }
    assert!((3..=255).all(|code| codec_by_code(code).is_none()));
}

#[test]
fn reading_on_and_on_unpacks_each_block_once() {
    let raw = records(5 * BLOCK + 77);
    for step in [1000, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK] {
        let file = packed_in(&raw, Compression::Lz4, BLOCK);
        let packed = Packed::open(file.clone()).unwrap();
        let opening = file.reads.load(Ordering::Relaxed);
        let mut found = Vec::new();
        while found.len() < raw.len() {
            found.extend(read(&packed, found.len() as u64, step).unwrap());
        }
        assert!(found == raw, "step {step}");
        let blocks = file.reads.load(Ordering::Relaxed) - opening;
        assert_eq!(blocks, 6, "step {step}");
    }
}

#[test]
fn the_blocks_that_were_used_last_are_kept() {
    let kept = limits::UNPACKED_BLOCKS_KEPT as u64;
    let file = packed_in(&records(10 * SMALL), Compression::Zstd, SMALL);
    let packed = Packed::open(file.clone()).unwrap();
    let reads = |block: u64| {
        let before = file.reads.load(Ordering::Relaxed);
        read(&packed, block * SMALL as u64 + 5, 10).unwrap();
        file.reads.load(Ordering::Relaxed) - before
    };
    assert!((0..kept).all(|block| reads(block) == 1));
    assert_eq!(reads(0), 0, "used again, so it is not the oldest");
    assert_eq!(reads(kept), 1, "takes the place of block 1");
    assert_eq!((reads(0), reads(1)), (0, 1));
}

#[test]
fn nothing_is_read_behind_the_end() {
    let raw = records(SMALL + 10);
    let packed = Packed::open(packed_in(&raw, Compression::Lz4, SMALL)).unwrap();
    let end = raw.len() as u64;
    assert_eq!(read(&packed, end - 3, 10).unwrap(), raw[raw.len() - 3..]);
    for offset in [end, end + 1, 1 << 32, 1 << 48, u64::MAX - 3, u64::MAX] {
        assert_eq!(read(&packed, offset, 10).unwrap(), b"", "offset {offset}");
    }
    assert_eq!(read(&packed, 0, 0).unwrap(), b"");
}

#[test]
fn any_flipped_bit_is_refused_at_opening_or_at_its_block() {
    let raw = small_image();
    for compression in ALL {
        let file = packed_in(&raw, compression, SMALL).content();
        let places = block_places(&file);
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let packed = Packed::open(Memory::new(&flipped));
            let hit = places.iter().rposition(|&place| place <= bit / 8);
            let Some(hit) = hit.filter(|&hit| hit + 1 < places.len()) else {
                assert!(packed.is_err(), "{compression:?}, bit {bit}");
                continue;
            };
            let packed = packed.unwrap();
            for number in 0..places.len() - 1 {
                let from = number * SMALL;
                let wanted = &raw[from..raw.len().min(from + SMALL)];
                match read(&packed, from as u64, wanted.len()) {
                    Ok(found) => assert!(found == wanted && number != hit, "bit {bit}"),
                    Err(error) => {
                        let PackedError::Block { number: named, offset } = *damage(&error) else {
                            panic!("{error}");
                        };
                        assert_eq!((named as usize, offset), (hit, places[hit] as u64));
                        assert_eq!(number, hit, "bit {bit}");
                    }
                }
            }
        }
    }
}

/// Returns where the blocks of a packed file and its index begin.
fn block_places(file: &[u8]) -> Vec<usize> {
    let index = u64_at(file, 32);
    let offsets = file[usize::try_from(index).unwrap()..].chunks_exact(OFFSET_BYTES);
    let count = u32_at(file, 24) as usize;
    let places = offsets.take(count).map(|place| u64_at(place, 0)).chain([index]);
    places.map(|place| usize::try_from(place).unwrap()).collect()
}

#[test]
fn a_file_that_was_cut_or_grew_is_refused() {
    for compression in ALL {
        let file = packed_in(&small_image(), compression, SMALL).content();
        for bytes in 0..file.len() {
            let error = open_error(&file[..bytes]);
            match error {
                PackedError::Unfinished => assert!(bytes < HEADER_BYTES),
                PackedError::Length { found, wanted } => {
                    assert_eq!((found, wanted), (bytes as u64, file.len() as u64));
                }
                _ => panic!("{bytes} bytes: {error}"),
            }
        }
        assert!(matches!(open_error(&[&file[..], b"x"].concat()), PackedError::Length { .. }));
    }
}

#[test]
fn a_file_whose_packing_did_not_end_is_refused() {
    let file = packed_in(&small_image(), Compression::Lz4, SMALL).content();
    for bytes in HEADER_BYTES..=file.len() {
        let mut torn = file[..bytes].to_vec();
        torn[..HEADER_BYTES].fill(0);
        assert!(matches!(open_error(&torn), PackedError::Unfinished), "{bytes} bytes");
    }
    // The disk may have kept the header and lost anything before it.
    for hole in (HEADER_BYTES..file.len()).step_by(7) {
        let mut torn = file.clone();
        torn[hole..].fill(0);
        let is_refused = match Packed::open(Memory::new(&torn)) {
            Ok(packed) => read(&packed, 0, 2 * SMALL).is_err(),
            Err(_) => true,
        };
        assert!(is_refused, "zeros from byte {hole} on");
    }
}

#[test]
fn what_a_newer_version_wrote_is_told_from_damage() {
    let file = packed_in(&small_image(), Compression::Lz4, SMALL).content();
    let newer = forged(file.clone(), 8, &2u16.to_be_bytes());
    assert!(matches!(open_error(&newer), PackedError::Version { found: 2 }));
    let unknown = forged(file.clone(), 10, &[9]);
    assert!(matches!(open_error(&unknown), PackedError::Codec { code: 9 }));
    assert!(matches!(open_error(b"PO-LOG\r\n".repeat(9).as_slice()), PackedError::Header));
}

#[test]
fn impossible_numbers_are_refused_before_memory_is_taken_for_them() {
    let file = packed_in(&small_image(), Compression::Lz4, SMALL).content();
    let check = |at, field: &[u8]| {
        let error = open_error(&forged(file.clone(), at, field));
        assert!(matches!(error, PackedError::Header), "byte {at}: {error}");
    };
    for block_bytes in [0, 1, 2048, 4097, 2 * BLOCK_BYTES_MAX, u32::MAX] {
        check(12, &block_bytes.to_be_bytes());
    }
    for raw_bytes in [0, 1, RAW_BYTES_MAX, RAW_BYTES_MAX + 1, u64::MAX] {
        check(16, &raw_bytes.to_be_bytes());
    }
    for blocks in [0, 1, 3, u32::MAX] {
        check(24, &blocks.to_be_bytes());
    }
    // Numbers that fit one another, but not the file.
    let blocks = u32::try_from(RAW_BYTES_MAX / SMALL as u64).unwrap();
    let numbers = [&RAW_BYTES_MAX.to_be_bytes()[..], &blocks.to_be_bytes()].concat();
    let huge = open_error(&forged(file.clone(), 16, &numbers));
    assert!(matches!(huge, PackedError::Length { .. }), "{huge}");
    for index in [0, HEADER_BYTES as u64, u64::MAX] {
        let error = open_error(&forged(file.clone(), 32, &index.to_be_bytes()));
        assert!(matches!(error, PackedError::Length { .. }), "{error}");
    }
}

#[test]
fn an_index_that_leads_elsewhere_is_refused_even_if_its_checksum_fits() {
    let file = packed_in(&small_image(), Compression::Lz4, SMALL).content();
    let at = *block_places(&file).last().unwrap();
    for (place, offset) in [(0, 0), (0, 49), (1, 48), (1, 40), (1, u64::MAX), (1, at as u64)] {
        let mut forged = file.clone();
        let from = at + place * OFFSET_BYTES;
        forged[from..from + OFFSET_BYTES].copy_from_slice(&u64::to_be_bytes(offset));
        let sum = forged.len() - CRC_BYTES;
        let crc = crc(&forged[at..sum]) ^ u32_at(&file, 28);
        forged[sum..].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(open_error(&forged), PackedError::Index { .. }), "{place}: {offset}");
    }
}

#[test]
fn a_block_of_another_place_or_segment_is_refused() {
    let raw = noise(2 * SMALL);
    let file = packed_in(&raw, Compression::Zstd, SMALL).content();
    let [first, second, end] = block_places(&file)[..] else { panic!("two blocks") };
    let swapped = [&file[..first], &file[second..end], &file[first..second], &file[end..]].concat();
    let packed = Packed::open(Memory::new(&swapped)).unwrap();
    assert!(read(&packed, 0, SMALL).is_err() && read(&packed, SMALL as u64, SMALL).is_err());

    let other: Vec<u8> = raw.iter().map(|byte| !byte).collect();
    let other = packed_in(&other, Compression::Zstd, SMALL).content();
    let mixed = [&file[..second], &other[second..end], &file[end..]].concat();
    let packed = Packed::open(Memory::new(&mixed)).unwrap();
    assert_eq!(read(&packed, 0, SMALL).unwrap(), raw[..SMALL]);
    assert!(read(&packed, SMALL as u64, SMALL).is_err());
}

#[test]
fn a_file_that_changes_while_it_is_open_is_refused() {
    let raw = records(3 * SMALL);
    let file = packed_in(&raw, Compression::Lz4, SMALL);
    let packed = Packed::open(file.clone()).unwrap();
    file.set_bytes(HEADER_BYTES as u64 + 20).unwrap();
    for offset in [0, 2 * SMALL as u64] {
        let error = read(&packed, offset, 10).unwrap_err();
        assert!(matches!(damage(&error), PackedError::Block { .. }));
    }
}

#[test]
fn what_can_not_be_packed_is_named() {
    struct Endless(u64);
    impl ReadAt for Endless {
        fn bytes(&self) -> io::Result<u64> {
            Ok(self.0)
        }
        fn read_at(&self, _buf: &mut [u8], _offset: u64) -> io::Result<usize> {
            Ok(0)
        }
    }
    let out = Memory::new(b"");
    let pack = |bytes| pack(&Endless(bytes), codec(Compression::Lz4), &*out).unwrap_err();
    let error = pack(RAW_BYTES_MAX + 1);
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(pack(10).kind(), io::ErrorKind::UnexpectedEof);
    assert!(matches!(open_error(&out.content()), PackedError::Unfinished));
}

/// Files of version 1 as they were written when it was new: sixty bytes of an image, twice.
#[test]
fn files_of_earlier_days_are_read() {
    let raw = records(60).repeat(2);
    for (compression, written) in ALL.into_iter().zip(VERSION_1) {
        let bytes = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        let file: Vec<u8> = written.as_bytes().chunks(2).map(|pair| bytes(pair).unwrap()).collect();
        assert_eq!(image(Memory::new(&file)), raw, "{compression:?}");
    }
}

const VERSION_1: [&str; 3] = [
    "504f2d4c4f475a0a0001000000010000000000000000007800000001d3f083d700000000000000b4\
     00000000e38c9fa6410e6cd400000000800000780000000000000000000000000000000000000000\
     00000000000000000000000100000000000000010000000000000001000000000000000200000000\
     00000000000000000000000000000000000000000000000000000000000000010000000000000001\
     000000000000000100000000000000020000000000000000000000306f3b78ec",
    "504f2d4c4f475a0a0001010000010000000000000000007800000001d3f083d7000000000000005d\
     0000000022557aef16701bc700000000000000211f0001000b13011f000c0800130218000f020009\
     0c34000310006000020000000000000000000000306f3b78ec",
    "504f2d4c4f475a0a0001020000010000000000000000007800000001d3f083d70000000000000065\
     00000000f0a53989bc529c3c000000000000002928b52ffd2078050100a800000100010001000200\
     010001000100020000000008500200630c6e8ce10e00000000000000306f3b78ec",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn reads_anywhere_equal_the_raw_bytes(
        parts in prop::collection::vec((any::<bool>(), 0..3 * SMALL), 0..6),
        reads in prop::collection::vec((0u64..60_000, 0usize..20_000), 1..20),
        which in 0usize..3,
    ) {
        let part = |&(shrinks, bytes): &(bool, usize)| {
            if shrinks { records(bytes) } else { noise(bytes) }
        };
        let raw: Vec<u8> = parts.iter().flat_map(part).collect();
        let packed = Packed::open(packed_in(&raw, ALL[which], SMALL)).unwrap();
        for (offset, bytes) in reads {
            let mut wanted = vec![0xAA; bytes];
            let there = raw.as_slice().read_at(&mut wanted, offset).unwrap();
            wanted.truncate(there);
            prop_assert!(read(&packed, offset, bytes).unwrap() == wanted);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Packed::open(Memory::new(&bytes)).is_err());
    }

    /// Whoever makes the checksums fit may still write anything else.
    #[test]
    fn arbitrary_packed_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        cut in 0usize..600,
        raw_bytes in 0usize..10_000,
    ) {
        let mut raw = vec![0; raw_bytes];
        for compression in ALL {
            let codec = codec(compression);
            let _ = codec.decompress(&bytes, &mut raw);
            let mut changed = Vec::new();
            codec.compress(&records(3000), &mut changed);
            let changed_bytes = changed.len();
            for (byte, change) in changed.iter_mut().skip(cut).zip(bytes.iter().take(3)) {
                *byte ^= change;
            }
            let _ = codec.decompress(&changed, &mut raw);
            let _ = codec.decompress(&changed[..cut.min(changed_bytes)], &mut raw);
        }
    }
}
