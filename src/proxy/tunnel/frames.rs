//! Where frames begin and end in a stream of WebSocket bytes (RFC 6455 §5.2): headers are read, nothing is changed.

/// The longest header: two bytes, eight of length, four of mask.
const LONGEST: usize = 14;

const MASKED: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CLOSE: u8 = 0x8;
/// Opcodes from here on are control frames (§5.5).
const FIRST_CONTROL: u8 = 0x8;

/// The frames of one direction, however the bytes are split.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; LONGEST],
    /// How much of the next header is here.
    known: usize,
    /// How much of the current frame is still to come.
    left: u64,
    opcode: u8,
    closed: bool,
}

impl Frames {
    /// Counts `bytes`; whether any of them belong to a data frame, a part of a fragmented message included.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut data = false;
        while !bytes.is_empty() {
            let counted = self.pass_frame(bytes);
            data |= self.opcode < FIRST_CONTROL && self.known == 0;
            bytes = &bytes[counted..];
        }
        data
    }

    /// Counts `bytes` up to the end of the current frame at most; how many that were. At least one, if there are any.
    pub(super) fn pass_frame(&mut self, bytes: &[u8]) -> usize {
        let mut counted = 0;
        while self.left == 0 {
            let Some(byte) = bytes.get(counted) else { return counted };
            counted += 1;
            self.header[self.known] = *byte;
            self.known += 1;
            if self.known == self.header_length() {
                self.begin();
                if self.left == 0 {
                    return counted;
                }
            }
        }
        let rest = (bytes.len() - counted) as u64;
        let passed = self.left.min(rest);
        self.left -= passed;
        counted + usize::try_from(passed).expect("it is no more than there are bytes")
    }

    /// Whether a frame may be put in here. It may stand between the fragments of a message if it is a control frame (§5.4).
    pub(super) const fn at_boundary(&self) -> bool {
        self.known == 0 && self.left == 0
    }

    /// Whether a Close frame has begun: nothing may follow it (§5.5.1).
    pub(super) const fn closed(&self) -> bool {
        self.closed
    }

    /// How long the header is, as far as its first bytes tell.
    fn header_length(&self) -> usize {
        if self.known < 2 {
            return 2;
        }
        2 + self.length_bytes() + if self.header[1] & MASKED == 0 { 0 } else { 4 }
    }

    const fn length_bytes(&self) -> usize {
        match self.header[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    /// The header is whole: the frame begins.
    fn begin(&mut self) {
        let extended = &self.header[2..2 + self.length_bytes()];
        self.left = match extended {
            [] => u64::from(self.header[1] & !MASKED),
            bytes => bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        self.opcode = self.header[0] & OPCODE;
        self.closed |= self.opcode == CLOSE;
        self.known = 0;
    }
}

/// An unmasked Close frame, as a server sends it (§5.5.1). The reason is cut to what a control frame can hold.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let length = u8::try_from(2 + reason.len()).expect("a control frame holds 125 bytes at most");
    [&[0x80 | CLOSE, length][..], &code.to_be_bytes(), reason].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One frame; `form` is the length's: 0, 2 or 8 further bytes, more than needed allowed.
    fn frame(first: u8, masked: bool, form: usize, payload: &[u8]) -> Vec<u8> {
        let mask = if masked { MASKED } else { 0 };
        let mut frame = vec![first];
        match (form, payload.len()) {
            (0, length @ 0..126) => frame.push(mask | length as u8),
            (0 | 2, length) => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            (_, length) => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.extend_from_slice(payload);
        frame
    }

    fn any_frame() -> impl Strategy<Value = (u8, Vec<u8>)> {
        let first = prop::sample::select(vec![0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x89, 0x8a, 0x88, 0xc1]);
        let form = prop::sample::select(vec![0, 2, 8]);
        let payload = prop::collection::vec(any::<u8>(), 0..400);
        (first, any::<bool>(), form, payload)
            .prop_map(|(first, masked, form, payload)| (first, frame(first, masked, form, &payload)))
    }

    proptest! {
        #[test]
        fn boundaries_are_found_however_the_bytes_are_split(
            frames in prop::collection::vec(any_frame(), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let stream: Vec<u8> = frames.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            let mut ends = vec![0];
            for (_, bytes) in &frames {
                ends.push(ends.last().unwrap() + bytes.len());
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut whole = Frames::default();
            let mut stepped = (Frames::default(), 0);
            for pair in cuts.windows(2) {
                let mut piece = &stream[pair[0]..pair[1]];
                whole.pass(piece);
                prop_assert_eq!(whole.at_boundary(), ends.contains(&pair[1]));
                while !piece.is_empty() {
                    let counted = stepped.0.pass_frame(piece);
                    prop_assert!(counted > 0);
                    let next = ends.iter().find(|end| **end > stepped.1).unwrap();
                    stepped.1 += counted;
                    prop_assert!(stepped.1 <= *next, "it never counts past the end of a frame");
                    prop_assert_eq!(stepped.0.at_boundary(), stepped.1 == *next);
                    piece = &piece[counted..];
                }
            }
            let closes = frames.iter().any(|(first, _)| first & 0x0f == 8);
            prop_assert_eq!((whole.closed(), stepped.0.closed()), (closes, closes));
        }

        #[test]
        fn only_data_frames_are_activity(frames in prop::collection::vec(any_frame(), 1..6)) {
            let mut counter = Frames::default();
            for (first, bytes) in &frames {
                prop_assert_eq!(counter.pass(bytes), first & 0x08 == 0);
            }
        }
    }

    #[test]
    fn a_length_that_no_stream_reaches_is_no_boundary() {
        let mut frames = Frames::default();
        frames.pass(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]);
        frames.pass(&[0; 70_000]);
        assert!(!frames.at_boundary());
    }

    #[test]
    fn a_piece_in_the_middle_of_data_is_activity_and_one_of_a_ping_is_none() {
        let mut frames = Frames::default();
        assert!(!frames.pass(&[0x82]), "half a header says nothing yet");
        assert!(frames.pass(&[0x83, 1, 2, 3, 4]));
        assert!(frames.pass(&[9, 9]));
        assert!(frames.pass(&[9]), "the last of it");
        assert!(!frames.pass(&[0x89, 0x82, 1, 2, 3, 4, 5]));
        assert!(!frames.pass(&[6]));
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        assert_eq!(close(4401, "idle"), [0x88, 6, 0x11, 0x31, b'i', b'd', b'l', b'e']);
        assert_eq!(close(1001, &"x".repeat(200)).len(), 2 + 125);
    }
}
