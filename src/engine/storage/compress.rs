//! Sealed segments in packed form: fewer bytes on the disk, the same bytes for whoever reads.
//!
//! A segment that takes no more batches is written once more, in packed blocks, away from the
//! path of appending: a batch is bound by the latency of its sync and has nothing to gain from
//! being smaller, and single records are too short to shrink. [`pack`] writes such a file,
//! [`Packed`] reads the raw image through it. Who does this when, and under which name, is the
//! affair of others.
//!
//! All numbers are big-endian.
//!
//! ```text
//! header, 48 bytes
//!    0   8  magic "PO-LOGZ\n"
//!    8   2  version of the packed format
//!   10   1  codec: 0 none, 1 lz4 block, 2 zstd frame
//!   11   1  zero
//!   12   4  raw length of every block but the last, a power of two
//!   16   8  raw length of the whole segment
//!   24   4  count of the blocks
//!   28   4  salt: CRC-32C of the first raw block, 0 if there is none
//!   32   8  offset of the index
//!   40   4  zero
//!   44   4  CRC-32C of bytes 0..44
//!
//! block: 12 bytes, then what is packed
//!    0   4  CRC-32C of bytes 4.., xor the salt
//!    4   4  number of the block, from 0
//!    8   4  length of what is packed; the top bit says that it is the raw block itself
//!   12      packed bytes
//!
//! index, behind the last block and up to the end of the file
//!    0   8  offset of each block in the file
//!        4  CRC-32C of the offsets, xor the salt
//! ```
//!
//! The file is written in one pass, and its header last: a file whose packing did not come to
//! its end begins with zeros. The index says where the file ends, so one that was cut is refused
//! too. The number in a block makes misplaced blocks fail; the salt, which depends on the
//! segment's own random one, those of another segment. The magic, the version and the header's
//! CRC stay where they are in all versions, so that a newer one can be told from damage.

use std::io;

use super::dir::{DirFile, ReadAt};
use super::format::{crc, u32_at, u64_at};

mod codec;
mod packed;
#[cfg(test)]
mod tests;

pub use codec::{Codec, NotPacked, codec, codec_by_code};
pub use packed::Packed;

/// The packed format's version.
pub const VERSION: u16 = 1;
/// The raw length of the blocks that are written: what one read of a few bytes pays for.
pub const BLOCK_BYTES: u32 = 64 * 1024;
/// The shortest blocks that are read...
pub const BLOCK_BYTES_MIN: u32 = 4 * 1024;
/// ...and the longest.
pub const BLOCK_BYTES_MAX: u32 = 1024 * 1024;
/// The longest segment that can be packed: four times what a scenario may ask for.
pub const RAW_BYTES_MAX: u64 = 1 << 32;

const HEADER_BYTES: usize = 48;
const FRAME_BYTES: usize = 12;
const OFFSET_BYTES: usize = 8;
const CRC_BYTES: usize = 4;
const MAGIC: [u8; 8] = *b"PO-LOGZ\n";
const STORED: u32 = 1 << 31;

const _: () = assert!(BLOCK_BYTES_MIN <= BLOCK_BYTES && BLOCK_BYTES <= BLOCK_BYTES_MAX);
const _: () = assert!(BLOCK_BYTES.is_power_of_two() && BLOCK_BYTES_MAX < STORED);
const _: () = assert!(RAW_BYTES_MAX / (BLOCK_BYTES_MIN as u64) < u32::MAX as u64);

/// Why a packed segment, or a part of it, can't be read.
#[derive(Debug, thiserror::Error)]
pub enum PackedError {
    /// The system refused.
    #[error("cannot read the packed segment at byte {offset}: {source}")]
    Io {
        /// Where in the file.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// It has no header: its packing did not come to its end.
    #[error("the packed segment was never finished")]
    Unfinished,
    /// The header is not what was written.
    #[error("the packed segment's head is not what was written")]
    Header,
    /// It was written by a version that this one does not know.
    #[error("the packed segment has format version {found}, this program knows {VERSION}")]
    Version {
        /// Its version.
        found: u16,
    },
    /// It was packed in a way that this version does not know.
    #[error("the packed segment is packed with codec {code}, which this program does not know")]
    Codec {
        /// The codec's number.
        code: u8,
    },
    /// The file was cut, or something was added to it.
    #[error("the packed segment has {found} bytes instead of {wanted}")]
    Length {
        /// The file's length.
        found: u64,
        /// The length that it was written with.
        wanted: u64,
    },
    /// The index is not what was written.
    #[error("the packed segment's index at byte {offset} is not what was written")]
    Index {
        /// Where it begins in the file.
        offset: u64,
    },
    /// A block is not what was written.
    #[error("block {number} of the packed segment, at byte {offset}, is not what was written")]
    Block {
        /// The block's number, from 0.
        number: u32,
        /// Where it begins in the file.
        offset: u64,
    },
    /// The segment is longer than any that can be packed.
    #[error("a segment of {bytes} bytes can't be packed, only one of up to {RAW_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
}

/// Writes the packed form of a sealed segment into `out`, which loses what it held before, and
/// returns the file's length. Holds one block of the segment at a time. The caller syncs and
/// renames, and reads the result back before it lets go of the source.
///
/// # Errors
/// What the system says; [`io::ErrorKind::UnexpectedEof`] if the source gets shorter meanwhile,
/// [`io::ErrorKind::InvalidInput`] with [`PackedError::TooLong`] if it is longer than
/// [`RAW_BYTES_MAX`]. An `out` that was left unfinished is refused by [`Packed::open`].
pub fn pack(source: &dyn ReadAt, codec: &dyn Codec, out: &dyn DirFile) -> io::Result<u64> {
    pack_blocks(source, codec, out, BLOCK_BYTES)
}

fn pack_blocks(
    source: &dyn ReadAt,
    codec: &dyn Codec,
    out: &dyn DirFile,
    block_bytes: u32,
) -> io::Result<u64> {
    out.set_bytes(0)?;
    let bytes = source.bytes()?;
    if bytes > RAW_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, PackedError::TooLong { bytes }));
    }
    let image = Image { bytes, block_bytes };
    let mut header = Header { codec: codec.code(), image, salt: 0, index: HEADER_BYTES as u64 };
    let mut raw = vec![0; block_bytes as usize];
    let (mut framed, mut index) = (Vec::new(), Vec::new());
    for number in 0..image.blocks() {
        let raw = &mut raw[..image.raw_bytes_of(number)];
        read_exact(source, raw, image.offset_of(number))?;
        if number == 0 {
            header.salt = crc(raw);
        }
        frame(codec, number, header.salt, raw, &mut framed);
        out.write_at(&framed, header.index)?;
        index.extend_from_slice(&header.index.to_be_bytes());
        header.index += framed.len() as u64;
    }
    let index_crc = crc(&index) ^ header.salt;
    index.extend_from_slice(&index_crc.to_be_bytes());
    out.write_at(&index, header.index)?;
    out.write_at(&header.encode(), 0)?;
    Ok(header.index + index.len() as u64)
}

fn read_exact(source: &dyn ReadAt, buf: &mut [u8], offset: u64) -> io::Result<()> {
    if source.read_at(buf, offset)? == buf.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The raw image of a segment, cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    /// At most [`RAW_BYTES_MAX`].
    bytes: u64,
    /// From [`BLOCK_BYTES_MIN`] to [`BLOCK_BYTES_MAX`].
    block_bytes: u32,
}

impl Image {
    /// Returns how many blocks there are.
    fn blocks(self) -> u32 {
        let blocks = self.bytes.div_ceil(u64::from(self.block_bytes));
        u32::try_from(blocks).expect("both lengths are bounded")
    }

    /// Returns where a block begins in the image.
    fn offset_of(self, number: u32) -> u64 {
        u64::from(number) * u64::from(self.block_bytes)
    }

    /// Returns the raw length of a block: only the last one is shorter.
    fn raw_bytes_of(self, number: u32) -> usize {
        let rest = self.bytes.saturating_sub(self.offset_of(number));
        let block = self.block_bytes as usize;
        usize::try_from(rest).map_or(block, |rest| rest.min(block))
    }

    /// Returns which block holds a byte of the image, and where in it; `None` behind the end.
    fn place_of(self, offset: u64) -> Option<(u32, usize)> {
        let block = u64::from(self.block_bytes);
        let number = u32::try_from(offset / block).ok()?;
        let within = usize::try_from(offset % block).ok()?;
        (offset < self.bytes).then_some((number, within))
    }
}

/// What a packed segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    codec: u8,
    image: Image,
    salt: u32,
    index: u64,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        head[0..8].copy_from_slice(&MAGIC);
        head[8..10].copy_from_slice(&VERSION.to_be_bytes());
        head[10] = self.codec;
        head[12..16].copy_from_slice(&self.image.block_bytes.to_be_bytes());
        head[16..24].copy_from_slice(&self.image.bytes.to_be_bytes());
        head[24..28].copy_from_slice(&self.image.blocks().to_be_bytes());
        head[28..32].copy_from_slice(&self.salt.to_be_bytes());
        head[32..40].copy_from_slice(&self.index.to_be_bytes());
        let crc = crc(&head[0..44]);
        head[44..48].copy_from_slice(&crc.to_be_bytes());
        head
    }

    /// Reads the header at the beginning of a file that may be shorter than one.
    fn decode(bytes: &[u8]) -> Result<Self, PackedError> {
        let head: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(PackedError::Unfinished)?;
        if head.iter().all(|&byte| byte == 0) {
            return Err(PackedError::Unfinished);
        }
        if head[0..8] != MAGIC || crc(&head[0..44]) != u32_at(head, 44) {
            return Err(PackedError::Header);
        }
        let found = u16::from_be_bytes([head[8], head[9]]);
        if found != VERSION {
            return Err(PackedError::Version { found });
        }
        let image = Image { bytes: u64_at(head, 16), block_bytes: u32_at(head, 12) };
        let is_possible = image.bytes <= RAW_BYTES_MAX
            && image.block_bytes.is_power_of_two()
            && (BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&image.block_bytes);
        if !is_possible || image.blocks() != u32_at(head, 24) {
            return Err(PackedError::Header);
        }
        Ok(Self { codec: head[10], image, salt: u32_at(head, 28), index: u64_at(head, 32) })
    }
}

/// Replaces what is in `framed` by a block as it stands in the file.
fn frame(codec: &dyn Codec, number: u32, salt: u32, raw: &[u8], framed: &mut Vec<u8>) {
    framed.clear();
    framed.resize(FRAME_BYTES, 0);
    codec.compress(raw, framed);
    let mut stored = 0;
    if !(1..raw.len()).contains(&(framed.len() - FRAME_BYTES)) {
        framed.truncate(FRAME_BYTES);
        framed.extend_from_slice(raw);
        stored = STORED;
    }
    let packed_bytes = u32::try_from(framed.len() - FRAME_BYTES).expect("blocks are bounded");
    framed[4..8].copy_from_slice(&number.to_be_bytes());
    framed[8..12].copy_from_slice(&(packed_bytes | stored).to_be_bytes());
    let crc = crc(&framed[4..]) ^ salt;
    framed[0..4].copy_from_slice(&crc.to_be_bytes());
}

/// Fills `raw` from a block as it stands in the file; `None` if it is not what was written.
fn unframe(codec: &dyn Codec, number: u32, salt: u32, framed: &[u8], raw: &mut [u8]) -> Option<()> {
    let packed = framed.get(FRAME_BYTES..)?;
    let length = u32_at(framed, 8);
    let is_whole = crc(&framed[4..]) ^ salt == u32_at(framed, 0)
        && u32_at(framed, 4) == number
        && (length & !STORED) as usize == packed.len();
    if !is_whole {
        return None;
    }
    if length & STORED == 0 {
        return codec.decompress(packed, raw).ok();
    }
    (packed.len() == raw.len()).then(|| raw.copy_from_slice(packed))
}
