use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn line(frame: &Frame) -> String {
    String::from_utf8(encode(frame, &mut [0; MAX_LINE_LEN]).to_vec()).unwrap()
}

fn decode(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    bytes.iter().filter_map(|&byte| decoder.push(byte)).collect()
}

#[test]
fn lines_are_these_bytes() {
    let data = [0xDE, 0xAD, 0xBE, 0xEF, 0x00, 0x11, 0x22, 0x33];
    for (frame, expected) in [
        (Frame::new(Id::Standard(0x123), &data), "t1238DEADBEEF00112233\r"),
        (Frame::new(Id::Standard(7), &[]), "t0070\r"),
        (Frame::new(Id::Extended(0x18DA_10F1), &[0x02, 0x3E, 0x00]), "T18DA10F13023E00\r"),
        (Frame::new_remote(Id::Standard(0x123), 4), "r1234\r"),
        (Frame::new_remote(Id::Extended(0x123), 8), "R000001238\r"),
        (Frame::new_fd(Id::Standard(0x7FF), &[1; 12], false), "d7FF9010101010101010101010101\r"),
        (Frame::new_fd(Id::Extended(1), &[1], false), "D00000001101\r"),
        (Frame::new_fd(Id::Standard(1), &[1], true), "b001101\r"),
        (Frame::new_fd(Id::Extended(1), &[2, 3], true), "B0000000120203\r"),
    ] {
        let frame = frame.unwrap();
        assert_eq!(line(&frame), expected);
        assert_eq!(decode(expected.as_bytes()), [frame]);
    }
    let longest = Frame::new_fd(Id::Extended(0x1FFF_FFFF), &[0xFF; 64], true).unwrap();
    assert_eq!(line(&longest).len(), MAX_LINE_LEN);
    assert_eq!(decode(line(&longest).as_bytes()), [longest]);
}

#[test]
fn commands_acknowledgements_and_noise_are_stepped_over() {
    let frame = Frame::new(Id::Standard(0x123), &[0xAB]).unwrap();
    for before in
        ["", "\r", "z\r", "Z\r", "\x07", "S8\rO\r", "V1013\rNABCD\r", "F00\r", "\r\r\x07\r", "t12\r", "x\r"]
    {
        let text = std::format!("{before}t1231AB\r");
        assert_eq!(decode(text.as_bytes()), [frame], "{before:?}");
    }
    assert_eq!(decode(b"t1231ab\r"), [frame], "small digits");
    assert_eq!(decode(b"t1231AB0F0F\r"), [frame], "a timestamp");
    assert_eq!(decode(b"\nt1231AB\r\n"), [frame], "line feeds");
}

#[test]
fn attack_lines_that_are_no_frames() {
    for text in [
        "t",
        "t123",
        "t8001AB",      // 11 bits
        "T200000001AB", // 29 bits
        "t1239AB",      // classic DLC above 8
        "t123900112233445566778899AABB",
        "t1232AB",   // fewer bytes than the DLC says
        "t1231ABCD", // more bytes, no timestamp
        "t1231A",
        "t1231AG",
        "t12G1AB",
        "t123GAB",
        "r1239",
        "r12341122334455667788",
        "q1231AB",
    ] {
        assert_eq!(decode(std::format!("{text}\r").as_bytes()), [], "{text}");
    }
    // A refusal in the middle of a line ends it.
    assert_eq!(decode(b"t1231A\x07t1231AB\r").len(), 1);
}

#[test]
fn attack_endless_line_holds_nothing_and_ends_at_its_end() {
    let mut bytes = std::vec![b't'; 100_000];
    bytes.extend_from_slice(b"\rt1231AB\r");
    assert_eq!(decode(&bytes).len(), 1);
    // The end of a line is never a frame of its own, wherever it begins.
    for junk in 1..600 {
        let line = [&std::vec![b'x'; junk][..], b"t1231AB\r"].concat();
        assert_eq!(decode(&line).len(), 0, "after {junk} bytes");
    }
    // The longest frame with a timestamp is one; with any digit more it is none.
    let longest = Frame::new_fd(Id::Extended(0x1FFF_FFFF), &[0xFF; 64], true).unwrap();
    for (digits, frames) in [(4, 1), (5, 0), (6, 0), (100, 0)] {
        let text = line(&longest).replace('\r', &std::format!("{}\r", "0".repeat(digits)));
        assert_eq!(decode(text.as_bytes()).len(), frames, "{digits} digits");
    }
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        decode(&bytes);
    }

    #[test]
    fn any_frame_comes_back(id in 0_u32..0x2000_0000, extended: bool, kind in 0..4, dlc in 0_u8..16, byte: u8) {
        let id = if extended { Id::Extended(id) } else { Id::Standard((id & 0x7FF) as u16) };
        let len = len_of_dlc(dlc).unwrap();
        let data = std::vec![byte; len];
        let frame = match kind {
            0 => Frame::new(id, &data[..len.min(8)]),
            1 => Frame::new_remote(id, len.min(8)),
            2 => Frame::new_fd(id, &data, false),
            _ => Frame::new_fd(id, &data, true),
        }.unwrap();
        prop_assert_eq!(decode(line(&frame).as_bytes()), [frame]);
    }
}
