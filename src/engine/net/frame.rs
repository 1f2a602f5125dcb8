//! Frames: where one message ends and the next begins.
//!
//! ```text
//! byte  0  1 | 2    | 3     | 4  5  6  7     | 8 ...
//!    version | type | flags | payload length | payload          all big-endian
//! ```
//!
//! A header is judged as soon as it is there, before anything waits for or makes room for its
//! payload. Flags are zero in this version. Type 255 is the error frame on every link.

use super::wire::{DecodeError, Reader, Wire};

/// The version of the protocol.
pub const VERSION: u16 = 5;
/// The length of a header.
pub const HEADER_BYTES: usize = 8;
/// The type of the frame that tells a peer why it is dropped.
pub const ERROR_KIND: u8 = 255;

/// One frame in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message's number.
    pub kind: u8,
    /// The message's fields.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Returns the length of the whole frame.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

/// A header that can't be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The peer speaks another version.
    #[error("protocol version {found} is not {VERSION}")]
    Version {
        /// The peer's version.
        found: u16,
    },
    /// The payload is longer than this link allows.
    #[error("a payload of {found} bytes is over the {most} of this link")]
    TooLong {
        /// The payload's length.
        found: u32,
        /// The link's bound.
        most: u32,
    },
    /// A flag is set that this version does not know.
    #[error("flags {found:#04x} are not known")]
    Flags {
        /// The flags.
        found: u8,
    },
}

/// Appends a frame whose payload is what `put_payload` appends.
#[inline]
pub fn encode(out: &mut Vec<u8>, kind: u8, put_payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let [high, low] = VERSION.to_be_bytes();
    out.extend_from_slice(&[high, low, kind, 0, 0, 0, 0, 0]);
    put_payload(out);
    let payload = out.len() - start - HEADER_BYTES;
    let len = u32::try_from(payload).expect("senders bound their payloads far below 4 GiB");
    out[start + 4..start + 8].copy_from_slice(&len.to_be_bytes());
}

/// Returns the frame at the beginning of `buf`; `None` if it is not whole yet.
///
/// # Errors
/// [`FrameError`] if the header can't be accepted, however little of the payload is there.
#[inline]
pub fn decode(buf: &[u8], payload_max: u32) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((&[v0, v1, kind, flags, l0, l1, l2, l3], rest)) =
        buf.split_first_chunk::<HEADER_BYTES>()
    else {
        return Ok(None);
    };
    let version = u16::from_be_bytes([v0, v1]);
    if version != VERSION {
        return Err(FrameError::Version { found: version });
    }
    if flags != 0 {
        return Err(FrameError::Flags { found: flags });
    }
    let len = u32::from_be_bytes([l0, l1, l2, l3]);
    if len > payload_max {
        return Err(FrameError::TooLong { found: len, most: payload_max });
    }
    Ok(rest.get(..len as usize).map(|payload| Frame { kind, payload }))
}

wire_enum! {
    /// Why a peer is dropped.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ErrorCode {
        /// It speaks another version.
        Version = 1,
        /// A frame of it is too long.
        Oversized = 2,
        /// A frame of it is not what its type says.
        Malformed = 3,
        /// It does not know the secret.
        BadToken = 4,
        /// It did not say hello first, or in time.
        HelloExpected = 5,
        /// Too many peers are there.
        TooManyPeers = 6,
    }
}

/// Appends the frame that tells a peer why it is dropped. Its layout is the same in all versions.
pub fn encode_error(out: &mut Vec<u8>, code: ErrorCode, text: &str) {
    encode(out, ERROR_KIND, |out| {
        code.put(out);
        text.put(out);
    });
}

/// Reads the payload of an error frame.
///
/// # Errors
/// [`DecodeError`] if it is not one.
pub fn decode_error(payload: &[u8]) -> Result<(ErrorCode, &str), DecodeError> {
    let mut reader = Reader::new(payload);
    let error = (ErrorCode::take(&mut reader)?, Wire::take(&mut reader)?);
    reader.end()?;
    Ok(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_or_not_there() {
        let mut buf = Vec::new();
        encode(&mut buf, 7, |out| out.extend_from_slice(b"letter"));
        for cut in 0..buf.len() {
            assert_eq!(decode(&buf[..cut], 100), Ok(None), "cut at {cut}");
        }
        buf.push(9);
        let frame = decode(&buf, 100).unwrap().unwrap();
        assert_eq!((frame.kind, frame.payload, frame.bytes()), (7, &b"letter"[..], 14));
    }

    #[test]
    fn a_bad_header_is_refused_without_its_payload() {
        let check = |header: [u8; 8], error| assert_eq!(decode(&header, 64), Err(error));
        let [high, low] = VERSION.to_be_bytes();
        check([0, 1, 1, 0, 0, 0, 0, 0], FrameError::Version { found: 1 });
        check([high, low, 1, 4, 0, 0, 0, 0], FrameError::Flags { found: 4 });
        check([high, low, 1, 0, 0, 0, 0, 65], FrameError::TooLong { found: 65, most: 64 });
        let most = FrameError::TooLong { found: u32::MAX, most: 64 };
        check([high, low, 1, 0, 255, 255, 255, 255], most);
    }

    #[test]
    fn an_error_frame_says_why() {
        let mut buf = Vec::new();
        encode_error(&mut buf, ErrorCode::BadToken, "who are you");
        let frame = decode(&buf, 100).unwrap().unwrap();
        assert_eq!(frame.kind, ERROR_KIND);
        assert_eq!(decode_error(frame.payload), Ok((ErrorCode::BadToken, "who are you")));
        assert!(decode_error(b"").is_err());
    }
}
