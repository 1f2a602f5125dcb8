//! The ways to pack a block.
//!
//! A block stands for itself: it is packed without knowing the others and needs none of them to
//! be read. A codec's number is part of the format and keeps its meaning forever.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::config::scenario::Compression;

/// One way to pack a block.
pub trait Codec: Send + Sync {
    /// Returns the codec's number in a packed segment.
    fn code(&self) -> u8;

    /// Returns the codec's name in a scenario.
    fn name(&self) -> &'static str;

    /// Appends the packed form of a block to `out`. If it would not be shorter than the block,
    /// it may append nothing.
    fn compress(&self, block: &[u8], out: &mut Vec<u8>);

    /// Fills `raw`, which has the length of the block, from its packed form. Takes no memory
    /// that depends on `packed`.
    ///
    /// # Errors
    /// [`NotPacked`] if the bytes are not the packed form of a block of that length; then `raw`
    /// holds anything.
    fn decompress(&self, packed: &[u8], raw: &mut [u8]) -> Result<(), NotPacked>;
}

/// Bytes that a codec can't have written for a block of the wanted length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no packed block of {raw_bytes} bytes")]
pub struct NotPacked {
    /// The block's length.
    pub raw_bytes: usize,
}

/// All codecs, one for each [`Compression`].
static CODECS: [&dyn Codec; 3] = [&Plain, &Lz4, &Zstd];

/// Returns the codec that a scenario asks for.
pub fn codec(compression: Compression) -> &'static dyn Codec {
    match compression {
        Compression::None => &Plain,
        Compression::Lz4 => &Lz4,
        Compression::Zstd => &Zstd,
    }
}

/// Returns the codec with a number; `None` if this version does not know it.
pub fn codec_by_code(code: u8) -> Option<&'static dyn Codec> {
    CODECS.into_iter().find(|codec| codec.code() == code)
}

/// Blocks as they are: only checksums are added.
struct Plain;

impl Codec for Plain {
    fn code(&self) -> u8 {
        0
    }

    fn name(&self) -> &'static str {
        "none"
    }

    fn compress(&self, _block: &[u8], _out: &mut Vec<u8>) {}

    fn decompress(&self, _packed: &[u8], raw: &mut [u8]) -> Result<(), NotPacked> {
        Err(NotPacked { raw_bytes: raw.len() })
    }
}

/// The LZ4 block format, without a length in front.
struct Lz4;

impl Codec for Lz4 {
    fn code(&self) -> u8 {
        1
    }

    fn name(&self) -> &'static str {
        "lz4"
    }

    fn compress(&self, block: &[u8], out: &mut Vec<u8>) {
        let bytes_max = lz4_flex::block::get_maximum_output_size(block.len());
        append(out, bytes_max, |room| lz4_flex::block::compress_into(block, room).ok());
    }

    fn decompress(&self, packed: &[u8], raw: &mut [u8]) -> Result<(), NotPacked> {
        match lz4_flex::block::decompress_into(packed, raw) {
            Ok(bytes) if bytes == raw.len() => Ok(()),
            _ => Err(NotPacked { raw_bytes: raw.len() }),
        }
    }
}

/// A Zstandard frame at the fastest of its ordinary levels: on our records the next ones make
/// blocks no smaller.
struct Zstd;

const ZSTD_LEVEL: i32 = 1;

// A new context for each block would make packing a tenth slower and reading a third, so each
// thread keeps its own. There is none if there was no memory for it.
thread_local! {
    static ZSTD_COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(ZSTD_LEVEL).ok());
    static ZSTD_DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::new().ok());
}

impl Codec for Zstd {
    fn code(&self) -> u8 {
        2
    }

    fn name(&self) -> &'static str {
        "zstd"
    }

    fn compress(&self, block: &[u8], out: &mut Vec<u8>) {
        // What needs more room would not be shorter.
        let bytes_max = block.len().saturating_sub(1);
        ZSTD_COMPRESSOR.with_borrow_mut(|compressor| {
            append(out, bytes_max, |room| compressor.as_mut()?.compress_to_buffer(block, room).ok())
        });
    }

    fn decompress(&self, packed: &[u8], raw: &mut [u8]) -> Result<(), NotPacked> {
        let bytes = ZSTD_DECOMPRESSOR.with_borrow_mut(|decompressor| {
            decompressor.as_mut()?.decompress_to_buffer(packed, raw).ok()
        });
        if bytes == Some(raw.len()) { Ok(()) } else { Err(NotPacked { raw_bytes: raw.len() }) }
    }
}

/// Appends what `fill` writes into room for `bytes_max`, nothing if it can't.
fn append(out: &mut Vec<u8>, bytes_max: usize, fill: impl FnOnce(&mut [u8]) -> Option<usize>) {
    let start = out.len();
    out.resize(start + bytes_max, 0);
    let bytes = fill(&mut out[start..]).unwrap_or(0);
    out.truncate(start + bytes);
}
