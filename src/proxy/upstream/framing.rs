//! Where an answer's body ends (RFC 9112 §6 and §7), without any input or output: bytes in, pieces of the body out.
//!
//! Stricter than the standard asks: a size is digits alone, lines of the chunked coding end in CR LF, and extensions and
//! trailers, which are read and dropped, have a limit. What breaks the framing is an error and never the end of a body.

use bytes::{Buf as _, Bytes, BytesMut};

/// The most bytes that the extensions of all chunks of one body may have together.
const EXTENSIONS: usize = 16 << 10;
/// The most bytes of trailers.
const TRAILERS: usize = 16 << 10;

/// What is still to come of one body.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// Everything up to the end of the connection.
    UntilClose,
}

/// What the bytes at hand give.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next piece of the body; never empty.
    Piece(Bytes),
    /// Nothing yet.
    More,
    /// The body is complete; what is left in the buffer belongs to no answer.
    End,
}

/// Why a body is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::proxy) enum FramingError {
    /// The connection ended first.
    #[error("the connection ended before the body did")]
    Truncated,
    /// A chunk's size is not hexadecimal digits, or too large.
    #[error("the size of a chunk is no number")]
    Size,
    /// A line of the chunked coding does not end as it has to.
    #[error("a line between chunks is broken")]
    Line,
    /// Too many bytes beside the body.
    #[error("the chunk extensions or trailers are too long")]
    TooLong,
}

/// A body in chunks (RFC 9112 §7.1).
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    /// Bytes of extensions so far.
    extensions: usize,
    /// Bytes of trailers so far.
    trailers: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In front of a size, or in it: its value, once it has a digit.
    Size(Option<u64>),
    /// White space behind a size.
    Padding(u64),
    /// In the extensions of a chunk of this size.
    Extension(u64),
    /// In front of the LF of a line that announces so many bytes.
    SizeEnd(u64),
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// In front of the CR, and of the LF, behind a chunk.
    DataCr,
    DataLf,
    /// At the start of a line of the trailers.
    TrailerStart,
    /// In such a line.
    Trailer,
    /// In front of its LF.
    TrailerEnd,
    /// In front of the last LF of all.
    LastLf,
    Done,
}

impl Framing {
    /// A body in chunks.
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunks { state: State::Size(None), extensions: 0, trailers: 0 })
    }

    /// The body's length, while nothing of it has been taken.
    pub(super) const fn length(&self) -> Option<u64> {
        match self {
            Self::Length(length) => Some(*length),
            _ => None,
        }
    }

    /// Takes what comes next out of `buffer`.
    ///
    /// # Errors
    /// [`FramingError`] when the bytes are no body; nothing may be read from the connection after that.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Step, FramingError> {
        match self {
            Self::Length(0) => Ok(Step::End),
            Self::Length(left) => Ok(take(left, buffer)),
            Self::Chunked(chunks) => chunks.next(buffer),
            Self::UntilClose if buffer.is_empty() => Ok(Step::More),
            Self::UntilClose => Ok(Step::Piece(buffer.split().freeze())),
        }
    }

    /// What the end of the connection means: the end of a body that nothing else ends.
    ///
    /// # Errors
    /// [`FramingError::Truncated`] for every other.
    pub(super) const fn closed(&self) -> Result<(), FramingError> {
        match self {
            Self::UntilClose => Ok(()),
            _ => Err(FramingError::Truncated),
        }
    }
}

/// At most `left` bytes of the buffer.
fn take(left: &mut u64, buffer: &mut BytesMut) -> Step {
    if buffer.is_empty() {
        return Step::More;
    }
    let count = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    *left -= count as u64;
    Step::Piece(buffer.split_to(count).freeze())
}

impl Chunks {
    fn next(&mut self, buffer: &mut BytesMut) -> Result<Step, FramingError> {
        loop {
            if let State::Done = self.state {
                return Ok(Step::End);
            }
            if let State::Data(left) = &mut self.state {
                let step = take(left, buffer);
                if *left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(step);
            }
            let Some(&byte) = buffer.first() else { return Ok(Step::More) };
            buffer.advance(1);
            self.state = self.after(byte)?;
        }
    }

    /// The state after one byte that is not the body's.
    fn after(&mut self, byte: u8) -> Result<State, FramingError> {
        Ok(match (self.state, byte) {
            (State::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => State::Size(Some(grown(size, byte)?)),
            // Some servers pad the size (BWS, RFC 9112 §7.1.1).
            (State::Size(Some(size)) | State::Padding(size), b' ' | b'\t') => State::Padding(self.padded(size)?),
            (State::Size(Some(size)) | State::Padding(size), b';') => State::Extension(self.padded(size)?),
            (State::Size(Some(size)) | State::Padding(size) | State::Extension(size), b'\r') => State::SizeEnd(size),
            (State::Size(_) | State::Padding(_), _) => return Err(FramingError::Size),
            (State::Extension(_), b'\n' | 0) => return Err(FramingError::Line),
            (State::Extension(size), _) => State::Extension(self.padded(size)?),
            (State::SizeEnd(0), b'\n') => State::TrailerStart,
            (State::SizeEnd(size), b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(None),
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::TrailerStart | State::Trailer, byte) if byte != b'\n' && byte != 0 => self.trailer()?,
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => State::Done,
            _ => return Err(FramingError::Line),
        })
    }

    /// One more byte beside the size of a chunk.
    fn padded(&mut self, size: u64) -> Result<u64, FramingError> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS { Err(FramingError::TooLong) } else { Ok(size) }
    }

    fn trailer(&mut self) -> Result<State, FramingError> {
        self.trailers += 1;
        if self.trailers > TRAILERS { Err(FramingError::TooLong) } else { Ok(State::Trailer) }
    }
}

/// A size with one more digit.
fn grown(size: Option<u64>, digit: u8) -> Result<u64, FramingError> {
    let digit = char::from(digit).to_digit(16).ok_or(FramingError::Size)?;
    let shifted = size.unwrap_or_default().checked_mul(16).ok_or(FramingError::Size)?;
    Ok(shifted + u64::from(digit))
}

#[cfg(test)]
mod tests;
