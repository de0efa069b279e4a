//! Whatever comes from the bus: refused with a reason, nothing written, no panic.

use bootloader::provisioning::ProvisioningBlock;
use device_harness::device::{Device, Programming, download};
use device_harness::factory::{Factory, provisioning_block};
use flash_model::Nor;
use update_protocol::profile::Object;
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Answer, Download, Handler as _};

type Board = Device<8, 4096>;

fn board() -> (Board, Factory) {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    (board, factory)
}

/// xorshift64*: the same bytes every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn refused(
    nor: &Nor<8, 4096>,
    session: &mut Programming<'_, 8, 4096>,
    object: Object,
    bytes: &[u8],
    what: &str,
) {
    let before = nor.medium().operations();
    let failure = download(nor, session, object, bytes).expect_err(what);
    assert!(failure.reason().is_some(), "{what}: refused without a reason");
    assert_eq!(nor.medium().operations(), before, "{what}: something was written");
}

#[test]
fn every_bit_flip_of_an_envelope_is_refused_and_nothing_is_written() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    for bit in 0..envelope.len() * 8 {
        let mut flipped = envelope.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&nor, &mut session, Object::Envelope, &flipped, &format!("bit {bit}"));
    }
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
}

#[test]
fn t04_every_truncation_and_extension_of_an_envelope_is_refused() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    for len in 1..envelope.len() {
        refused(&nor, &mut session, Object::Envelope, &envelope[..len], &format!("{len} bytes"));
    }
    let mut longer = envelope.clone();
    longer.push(0xFF);
    refused(&nor, &mut session, Object::Envelope, &longer, "a byte more");
    refused(&nor, &mut session, Object::Envelope, &[0xD8; 4097], "longer than the limit");
}

#[test]
fn t01_envelope_members_that_nothing_authenticates_are_refused() {
    let (mut board, factory) = board();
    let image = board.image(64, 1);
    let envelope = factory.envelope(1, &image);
    // Tag 107, then a map of three members.
    assert_eq!(envelope[..3], [0xD8, 0x6B, 0xA3]);
    let nor = board.nor.clone();
    let mut session = board.program();
    for (what, member) in [
        ("an integrated payload", &b"\x66#image\x43abc"[..]),
        ("an unknown member", &b"\x18\x63\x43abc"[..]),
        ("a severed member without a digest", &b"\x18\x20\x43abc"[..]),
    ] {
        let mut extended = envelope.clone();
        extended[2] += 1;
        extended.extend(member);
        refused(&nor, &mut session, Object::Envelope, &extended, what);
    }
}

#[test]
fn t03_a_tampered_severed_member_is_refused() {
    let (mut board, factory) = board();
    let image = board.image(64, 1);
    let mut envelope = factory.envelope(77, &image);
    // The version stands in the severed text, and in nothing else.
    let at = envelope.windows(6).position(|window| window == b"77.0.0").unwrap();
    envelope[at] = b'9';
    let nor = board.nor.clone();
    let mut session = board.program();
    let failure = download(&nor, &mut session, Object::Envelope, &envelope).unwrap_err();
    assert_eq!(failure.reason(), Some(suit_manifest::Reason::MemberDigestMismatch));
}

#[test]
fn every_bit_flip_of_a_revocation_list_is_refused_and_nothing_is_written() {
    let (mut board, factory) = board();
    let list = factory.revocation_list(1, &[factory.release_kid()]);
    let nor = board.nor.clone();
    let mut session = board.program();
    for bit in 0..list.len() * 8 {
        let mut flipped = list.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&nor, &mut session, Object::RevocationList, &flipped, &format!("bit {bit}"));
    }
}

#[test]
fn mutated_and_random_objects_are_refused_and_nothing_is_written() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    let seeds = [
        (Object::Envelope, factory.envelope(1, &image)),
        (Object::RevocationList, factory.revocation_list(1, &[factory.release_kid()])),
    ];
    let nor = board.nor.clone();
    let mut session = board.program();
    let mut random = Random(0x0123_4567_89AB_CDEF);
    for round in 0..1500 {
        for (object, seed) in &seeds {
            let mut bytes = seed.clone();
            match round % 3 {
                0 => {
                    let len = 1 + random.below(900);
                    bytes = random.bytes(len);
                }
                1 => {
                    let (from, len) = (random.below(bytes.len()), 1 + random.below(8));
                    let end = (from + len).min(bytes.len());
                    let noise = random.bytes(end - from);
                    bytes[from..end].copy_from_slice(&noise);
                }
                _ => {
                    let at = random.below(bytes.len());
                    if random.next() & 1 == 0 {
                        bytes.remove(at);
                    } else {
                        bytes.insert(at, random.next() as u8);
                    }
                }
            }
            if bytes != *seed {
                refused(&nor, &mut session, *object, &bytes, &format!("round {round}"));
            }
        }
    }
}

#[test]
fn hostile_provisioning_blocks_do_not_panic_and_are_not_written_when_refused() {
    let good = provisioning_block(&[Factory::new(1).anchor(), Factory::new(2).anchor()], Some(1 << 40));
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = ProvisioningBlock::parse(&flipped);
    }
    for len in 0..good.len() {
        assert!(ProvisioningBlock::parse(&good[..len]).is_err(), "{len} bytes");
    }
    let mut board = Board::new(4);
    let nor = board.nor.clone();
    let mut session = board.program();
    let mut random = Random(99);
    for round in 0..1000 {
        let len = 1 + random.below(1024);
        let bytes = random.bytes(len);
        refused(&nor, &mut session, Object::ProvisioningBlock, &bytes, &format!("round {round}"));
    }
}

#[test]
fn downloads_of_any_address_and_size_do_not_panic_or_write() {
    let (mut board, _) = board();
    let nor = board.nor.clone();
    let before = nor.medium().operations();
    let mut session = board.program();
    let mut random = Random(7);
    let edges =
        [0, 1, 0x0FFF_FFFF, 0x1000_0000, 0x1FFF_FFFF, 0x2000_0000, 0x2000_0001, 0x3000_0000, u32::MAX];
    for round in 0..2000 {
        let address = if round % 2 == 0 { edges[random.below(edges.len())] } else { random.next() as u32 };
        let size = [1, 4096, 4097, 1024, 1025, u32::MAX, random.next() as u32][random.below(7)];
        if session.open_object(Download { address, size }).is_ok() {
            let _ = session.write_object(0, &[0xFF; 16]);
            let _ = session.write_object(random.next() as u32, &[0xFF; 16]);
            session.close_object();
        }
        assert_eq!(session.finish_object(), Err(Nrc::REQUEST_SEQUENCE_ERROR));
    }
    assert_eq!(nor.medium().operations(), before);
}

#[test]
fn unknown_identifiers_and_routines_are_out_of_range() {
    let (mut board, _) = board();
    let mut session = board.program();
    let mut buffer = [0; 128];
    let served: Vec<u16> = (0..=u16::MAX)
        .filter(|&identifier| {
            let mut answer = Answer::new(&mut buffer);
            match session.read_identifier(identifier, &mut answer) {
                Ok(()) => true,
                Err(nrc) => {
                    assert_eq!(nrc, Nrc::REQUEST_OUT_OF_RANGE);
                    false
                }
            }
        })
        .collect();
    assert_eq!(served, [0xF180, 0xF18C, 0xFD00, 0xFD01, 0xFD02]);
    for routine in (0..=u16::MAX).filter(|routine| ![0xF001, 0xFF01].contains(routine)) {
        let mut answer = Answer::new(&mut buffer);
        assert_eq!(session.run_routine(routine, &[], &mut answer), Err(Nrc::REQUEST_OUT_OF_RANGE));
    }
}
