//! Reading the raw image of a segment through its packed form.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::codec::{self, Codec};
use super::{
    CRC_BYTES, FRAME_BYTES, HEADER_BYTES, Header, Image, OFFSET_BYTES, PackedError, unframe,
};
use crate::limits;
use crate::storage::dir::ReadAt;
use crate::storage::format::{crc, u32_at, u64_at};

/// A packed segment that reads like the raw one.
///
/// Reads that cover a whole block unpack it straight into the caller's buffer; shorter ones go
/// by way of the blocks that were used last. So reading from the beginning to the end unpacks
/// every block once, whatever the length of the reads, and a read of a few bytes one block. Many
/// threads may read at once; none waits while another unpacks.
///
/// Damage is an [`io::Error`] of kind [`io::ErrorKind::InvalidData`] around a [`PackedError`].
/// What the system says about the file is passed on as it is.
pub struct Packed {
    file: Arc<dyn ReadAt>,
    codec: &'static dyn Codec,
    image: Image,
    salt: u32,
    /// Where each block begins in the file, and where the last one ends.
    offsets: Vec<u64>,
    recent: Mutex<Recent>,
}

impl Packed {
    /// Makes sure that a file is a whole packed segment, as far as its header and index tell.
    ///
    /// # Errors
    /// [`PackedError`] says what is wrong with it.
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, PackedError> {
        let mut head = [0; HEADER_BYTES];
        let there = file.read_at(&mut head, 0).map_err(failed(0))?;
        let header = Header::decode(&head[..there])?;
        let code = header.codec;
        let codec = codec::codec_by_code(code).ok_or(PackedError::Codec { code })?;
        let offsets = read_index(&*file, &header)?;
        let recent = Mutex::default();
        Ok(Self { file, codec, image: header.image, salt: header.salt, offsets, recent })
    }

    /// Returns what it was packed with.
    pub fn codec(&self) -> &'static dyn Codec {
        self.codec
    }

    /// Returns a block, from memory if it was used lately.
    fn block(&self, number: u32) -> io::Result<Arc<Vec<u8>>> {
        if let Some(block) = self.recent().find(number) {
            return Ok(block);
        }
        let mut raw = vec![0; self.image.raw_bytes_of(number)];
        self.unpack(number, &mut raw)?;
        let block = Arc::new(raw);
        self.recent().keep(number, Arc::clone(&block));
        Ok(block)
    }

    /// Fills `raw`, which has the block's length, from the file.
    fn unpack(&self, number: u32, raw: &mut [u8]) -> io::Result<()> {
        let (from, to) = (self.offsets[number as usize], self.offsets[number as usize + 1]);
        let bytes = usize::try_from(to - from).expect("open has bounded the lengths of blocks");
        let mut framed = vec![0; bytes];
        let there = self.file.read_at(&mut framed, from)?;
        unframe(self.codec, number, self.salt, &framed[..there], raw).ok_or_else(|| {
            let damage = PackedError::Block { number, offset: from };
            io::Error::new(io::ErrorKind::InvalidData, damage)
        })
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAt for Packed {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.image.bytes)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            let at = offset.saturating_add(filled as u64);
            let Some((number, within)) = self.image.place_of(at) else {
                break;
            };
            let (rest, raw_bytes) = (&mut buf[filled..], self.image.raw_bytes_of(number));
            let count = rest.len().min(raw_bytes - within);
            if count == raw_bytes {
                self.unpack(number, &mut rest[..count])?;
            } else {
                let block = self.block(number)?;
                rest[..count].copy_from_slice(&block[within..within + count]);
            }
            filled += count;
        }
        Ok(filled)
    }
}

/// The blocks that were used last, the latest of them at the end.
#[derive(Default)]
struct Recent(Vec<(u32, Arc<Vec<u8>>)>);

impl Recent {
    fn find(&mut self, number: u32) -> Option<Arc<Vec<u8>>> {
        let at = self.0.iter().position(|(kept, _)| *kept == number)?;
        self.0[at..].rotate_left(1);
        self.0.last().map(|(_, block)| Arc::clone(block))
    }

    fn keep(&mut self, number: u32, block: Arc<Vec<u8>>) {
        // Another thread may have unpacked it at the same time.
        if self.find(number).is_some() {
            return;
        }
        if self.0.len() == limits::UNPACKED_BLOCKS_KEPT {
            self.0.remove(0);
        }
        self.0.push((number, block));
    }
}

/// Reads where the blocks begin and end. What it allocates is bounded by what a [`Header`] may
/// say, and is really in the file.
fn read_index(file: &dyn ReadAt, header: &Header) -> Result<Vec<u64>, PackedError> {
    let offset = header.index;
    let blocks = header.image.blocks();
    let bytes = blocks as usize * OFFSET_BYTES + CRC_BYTES;
    let wanted = offset.saturating_add(bytes as u64);
    let found = file.bytes().map_err(failed(offset))?;
    if found != wanted {
        return Err(PackedError::Length { found, wanted });
    }
    let mut index = vec![0; bytes];
    let there = file.read_at(&mut index, offset).map_err(failed(offset))?;
    let (places, sum) = index.split_at(bytes - CRC_BYTES);
    let is_whole = there == bytes && crc(places) ^ header.salt == u32_at(sum, 0);
    let places = places.chunks_exact(OFFSET_BYTES).map(|place| u64_at(place, 0));
    let offsets: Vec<u64> = places.chain([offset]).collect();
    if is_whole && is_row(&offsets, header.image) {
        Ok(offsets)
    } else {
        Err(PackedError::Index { offset })
    }
}

/// Returns whether blocks lie one behind the other, none longer than it can be.
fn is_row(offsets: &[u64], image: Image) -> bool {
    let longest = (FRAME_BYTES + image.block_bytes as usize) as u64;
    let fits = |pair: &[u64]| {
        pair[1].checked_sub(pair[0]).is_some_and(|bytes| (1..=longest).contains(&bytes))
    };
    offsets.first() == Some(&(HEADER_BYTES as u64)) && offsets.windows(2).all(fits)
}

fn failed(offset: u64) -> impl FnOnce(io::Error) -> PackedError {
    move |source| PackedError::Io { offset, source }
}
