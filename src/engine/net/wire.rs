//! How fields travel: big-endian, fixed widths, one after the other.
//!
//! `wire_struct!`, `wire_enum!` and `messages!` declare what is sent; encoding and decoding
//! follow from the declaration, field by field in order, so the two can't disagree. Nothing is
//! allocated before its length has been checked against the bytes that are there.

use std::time::Duration;

use crate::clock::{Time, nanos};
use crate::ids::{Epoch, LoadId, Lsn, RunId, ServiceId, TicketId, UserId, UserProcessId, WorkerId};

/// A payload that is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload ends inside a field.
    #[error("the payload ends inside a field")]
    Truncated,
    /// A number stands for nothing.
    #[error("{found} is no {of}")]
    InvalidValue {
        /// The field's type.
        of: &'static str,
        /// What stood there.
        found: u64,
    },
    /// Text is not UTF-8.
    #[error("a text is not UTF-8")]
    InvalidUtf8,
    /// Bytes follow the last field.
    #[error("{0} bytes follow the last field")]
    TrailingBytes(usize),
    /// No message has this number.
    #[error("message type {0} is unknown here")]
    UnknownKind(u8),
}

/// What is left of a payload.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning of a payload.
    pub fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// Takes this many bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    #[inline]
    pub fn take_bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Takes an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer bytes.
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// Ends the payload.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] if bytes are left.
    #[inline]
    pub fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes(self.0.len())) }
    }

    /// Takes a length that stands before bytes or elements of at least one byte each.
    fn take_len(&mut self) -> Result<usize, DecodeError> {
        let len = u32::take(self)? as usize;
        if len > self.0.len() { Err(DecodeError::Truncated) } else { Ok(len) }
    }
}

/// A field that can travel.
pub trait Wire<'a>: Sized {
    /// Appends the field.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads the field.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not such a field.
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// One of the messages of a direction of a pair of roles.
pub trait Message<'a>: Sized {
    /// Returns the message's number.
    fn kind(&self) -> u8;

    /// Appends the message's fields.
    fn put_payload(&self, out: &mut Vec<u8>);

    /// Reads a message.
    ///
    /// # Errors
    /// [`DecodeError`] if the number is unknown or the payload does not fit it.
    fn decode(kind: u8, payload: &'a [u8]) -> Result<Self, DecodeError>;
}

macro_rules! wire_integers {
    ($($int:ty),*) => {$(
        impl<'a> Wire<'a> for $int {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            #[inline]
            fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                reader.take_array().map(Self::from_be_bytes)
            }
        }
    )*};
}

wire_integers!(u8, u16, u32, u64, u128);

macro_rules! wire_newtypes {
    ($($name:ident),*) => {$(
        impl<'a> Wire<'a> for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            #[inline]
            fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                Wire::take(reader).map(Self)
            }
        }
    )*};
}

wire_newtypes!(
    TicketId,
    WorkerId,
    UserProcessId,
    LoadId,
    ServiceId,
    Epoch,
    RunId,
    Lsn,
    UserId,
    Time
);

impl<'a> Wire<'a> for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match u8::take(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeError::InvalidValue { of: "bool", found: found.into() }),
        }
    }
}

impl<'a> Wire<'a> for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_bits().put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        u64::take(reader).map(Self::from_bits)
    }
}

impl<'a> Wire<'a> for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        nanos(*self).put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        u64::take(reader).map(Self::from_nanos)
    }
}

impl<'a> Wire<'a> for [u8; 16] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.take_array()
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        out.extend_from_slice(self);
    }

    #[inline]
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let len = reader.take_len()?;
        reader.take_bytes(len)
    }
}

impl<'a> Wire<'a> for &'a str {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_bytes().put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        std::str::from_utf8(Wire::take(reader)?).map_err(|_| DecodeError::InvalidUtf8)
    }
}

impl<'a> Wire<'a> for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        <&str>::take(reader).map(Self::from)
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if bool::take(reader)? { T::take(reader).map(Some) } else { Ok(None) }
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        for value in self {
            value.put(out);
        }
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let len = reader.take_len()?;
        (0..len).map(|_| T::take(reader)).collect()
    }
}

impl<'a, A: Wire<'a>, B: Wire<'a>> Wire<'a> for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok((A::take(reader)?, B::take(reader)?))
    }
}

/// Frames are bounded far below what 32 bits hold.
#[inline]
fn put_len(len: usize, out: &mut Vec<u8>) {
    u32::try_from(len).unwrap_or(u32::MAX).put(out);
}

/// Declares a struct whose fields travel in the order in which they stand.
macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident $(<$life:lifetime>)? {
        $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        pub struct $name $(<$life>)? {
            $($(#[$field_meta])* pub $field: $type,)*
        }
        wire_struct!(@impl $name $(<$life>)? { $($field),* });
    };
    (@impl $name:ident <$life:lifetime> { $($field:ident),* }) => {
        impl<$life> $crate::net::wire::Wire<$life> for $name<$life> {
            wire_struct!(@body $life { $($field),* });
        }
    };
    (@impl $name:ident { $($field:ident),* }) => {
        impl<'wire> $crate::net::wire::Wire<'wire> for $name {
            wire_struct!(@body 'wire { $($field),* });
        }
    };
    (@body $life:lifetime { $($field:ident),* }) => {
        #[inline]
        fn put(&self, out: &mut Vec<u8>) {
            $($crate::net::wire::Wire::put(&self.$field, out);)*
        }
        #[inline]
        fn take(
            reader: &mut $crate::net::wire::Reader<$life>,
        ) -> Result<Self, $crate::net::wire::DecodeError> {
            Ok(Self { $($field: $crate::net::wire::Wire::take(reader)?,)* })
        }
    };
}

/// Declares an enum without fields that travels as one byte.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $number:literal,)*
    }) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$variant_meta])* $variant = $number,)*
        }
        impl<'wire> $crate::net::wire::Wire<'wire> for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => $number,)* });
            }
            fn take(
                reader: &mut $crate::net::wire::Reader<'wire>,
            ) -> Result<Self, $crate::net::wire::DecodeError> {
                match <u8 as $crate::net::wire::Wire>::take(reader)? {
                    $($number => Ok(Self::$variant),)*
                    found => Err($crate::net::wire::DecodeError::InvalidValue {
                        of: stringify!($name),
                        found: found.into(),
                    }),
                }
            }
        }
    };
}

/// Declares the messages of one direction of a pair of roles, each with its number.
macro_rules! messages {
    ($(#[$meta:meta])* pub enum $name:ident $(<$life:lifetime>)? {
        $($(#[$variant_meta:meta])* $kind:literal => $variant:ident($payload:ty),)*
    }) => {
        $(#[$meta])*
        #[allow(clippy::large_enum_variant, reason = "a message lives for the time of a call")]
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name $(<$life>)? {
            $($(#[$variant_meta])* $variant($payload),)*
        }
        messages!(@impl $name $(<$life>)? { $($kind => $variant),* });
    };
    (@impl $name:ident <$life:lifetime> { $($kind:literal => $variant:ident),* }) => {
        impl<$life> $crate::net::wire::Message<$life> for $name<$life> {
            messages!(@body $life { $($kind => $variant),* });
        }
    };
    (@impl $name:ident { $($kind:literal => $variant:ident),* }) => {
        impl<'wire> $crate::net::wire::Message<'wire> for $name {
            messages!(@body 'wire { $($kind => $variant),* });
        }
    };
    (@body $life:lifetime { $($kind:literal => $variant:ident),* }) => {
        #[inline]
        fn kind(&self) -> u8 {
            match self { $(Self::$variant(_) => $kind,)* }
        }
        #[inline]
        fn put_payload(&self, out: &mut Vec<u8>) {
            match self { $(Self::$variant(payload) => $crate::net::wire::Wire::put(payload, out),)* }
        }
        #[inline]
        #[deny(unreachable_patterns)]
        fn decode(
            kind: u8,
            payload: &$life [u8],
        ) -> Result<Self, $crate::net::wire::DecodeError> {
            let mut reader = $crate::net::wire::Reader::new(payload);
            let message = match kind {
                $($kind => Self::$variant($crate::net::wire::Wire::take(&mut reader)?),)*
                unknown => return Err($crate::net::wire::DecodeError::UnknownKind(unknown)),
            };
            reader.end()?;
            Ok(message)
        }
    };
}
