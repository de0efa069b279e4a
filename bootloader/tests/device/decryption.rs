//! Images that only their device can read: installing, resuming, and what is refused.

use bootloader::layout::{Area, Slot};
use bootloader::state::Status;
use device_harness::device::{Boot, Device, Programming, download, install, record, refused_untouched};
use device_harness::factory::{Factory, description, device_key, encrypted, provisioning_block_with};
use device_harness::part::{Deciphering, in_place};
use device_harness::succession::{Dynasty, chain};
use flash_model::Nor;
use suit_manifest::Reason;
use suit_manifest::author::{SlotImage, UpdateDescription};
use trust::aes::Key128;
use trust::author::DerivedKey;
use trust::cbor::Span;
use trust::encryption::ContentAlgorithm::{self, A128Ctr, A128Gcm};
use trust::encryption::EncryptionInfo;
use update_protocol::profile::{ImageState, Object};
use update_protocol::uds::server::{Download, Handler as _, Operation};

type Board = Device<8, 4096, Deciphering>;

/// Address of an image that is sent from its beginning.
const IMAGE: u32 = 0x1000_0000;

fn board() -> (Board, Factory, [DerivedKey; 1]) {
    let (factory, key) = (Factory::new(1), [device_key("A-0001")]);
    let mut board = Board::new(4);
    board.provision_with(&factory, &key);
    (board, factory, key)
}

/// The bytes of the slot that an install goes to.
fn spare(board: &Board) -> Vec<u8> {
    let region = board.layout.region(Area::Slot(board.state().spare_slot(&board.layout)));
    board.nor.medium().bytes()[region.start as usize..(region.start + region.len) as usize].to_vec()
}

#[test]
fn an_encrypted_image_is_installed_tried_and_confirmed() {
    let (mut board, factory, key) = board();
    let others = [device_key("A-0002"), key[0].clone(), device_key("A-0003")];
    for (sequence, algorithm, len) in
        [(1, A128Gcm, 9000), (2, A128Ctr, 5001), (3, A128Gcm, 12_288), (4, A128Gcm, 8), (5, A128Ctr, 4096)]
    {
        let image = board.image(len.max(12), sequence as u8);
        let (envelope, ciphertext) = factory.encrypted(sequence, &image, algorithm, &others);
        board.install(&envelope, &ciphertext).unwrap();
        assert_eq!(board.state().status, Status::Pending);
        assert_eq!(board.state().spare.unwrap().size as usize, image.len());
        assert!(matches!(board.boot(), Boot::Run(_)));
        board.application().confirm().unwrap();
        assert_eq!((board.state().status, board.state().floor), (Status::Idle, sequence));
        assert_eq!(board.running(image.len()), image);
        assert!(matches!(board.boot(), Boot::Run(_)));
    }
    // And one that is not encrypted, as ever.
    let image = board.image(7000, 9);
    board.update(&factory.envelope(6, &image), &image);
    assert_eq!(board.running(image.len()), image);
}

/// The plaintext is in the slot, and nothing that depends on a key is anywhere else.
#[test]
fn sym13_flash_holds_no_content_key_and_no_ciphertext() {
    let (mut board, factory, key) = board();
    let image = board.image(9000, 3);
    let (update, ciphertext) = encrypted(&description(1, &image), &image, A128Gcm, &key);
    board.install(&factory.envelope_of(&update), &ciphertext).unwrap();
    let bytes = board.nor.medium().bytes().to_vec();
    let info = update.encryption.unwrap().info;
    let info = EncryptionInfo::read(Span { bytes: &info, base: 0 }).unwrap();
    let own = Key128::new(key[0].bytes[..].try_into().unwrap());
    let content_key = info.content_key(&key[0].kid.0, &own).unwrap();
    assert!(!bytes.windows(16).any(|window| window == content_key.as_bytes()), "the content key is in flash");
    for part in ciphertext.chunks_exact(16) {
        assert!(!bytes.windows(16).any(|window| window == part), "ciphertext is in flash");
    }
    // The key of the device itself is in its provisioning block, once in each half.
    let held = bytes.windows(16).filter(|window| *window == &key[0].bytes[..]).count();
    assert_eq!(held, 2);
}

/// Envelope and ciphertext are all that travels.
#[test]
fn threat_4_2_12_what_travels_tells_nothing_of_the_image() {
    let (mut board, factory, key) = board();
    let image = board.image(9000, 3);
    for algorithm in [A128Gcm, A128Ctr] {
        let (envelope, ciphertext) = factory.encrypted(1, &image, algorithm, &key);
        let travels = [envelope, ciphertext].concat();
        let parts: std::collections::HashSet<&[u8]> = image.windows(8).collect();
        assert!(!travels.windows(8).any(|window| parts.contains(window)), "plaintext travels");
        assert!(!travels.windows(16).any(|window| window == &key[0].bytes[..]), "the key travels");
    }
    let (envelope, ciphertext) = factory.encrypted(1, &image, A128Gcm, &key);
    board.update(&envelope, &ciphertext);
    assert_eq!(board.running(image.len()), image);
}

/// A host resumes after a reset: at every border, and in the middle of one session.
#[test]
fn t09_an_interrupted_encrypted_install_resumes() {
    for algorithm in [A128Gcm, A128Ctr] {
        let (mut board, factory, key) = board();
        let image = board.image(15_000, 7);
        let (envelope, ciphertext) = factory.encrypted(1, &image, algorithm, &key);
        let nor = board.nor.clone();
        for (sent, offset) in [(3000, 0), (4500, 4096), (9000, 8192), (14_999, 12_288)] {
            let mut session = board.program();
            download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
            let from = record(&session).resume_offset;
            open(&mut session, from, ciphertext.len()).unwrap();
            session.write_object(0, &ciphertext[from as usize..sent]).unwrap();
            // Twice in one session: the host was lost and comes again.
            session.close_object();
            let from = record(&session).resume_offset;
            open(&mut session, from, ciphertext.len()).unwrap();
            session.write_object(0, &ciphertext[from as usize..sent]).unwrap();
            drop(session);
            let Status::Installing { offset: committed } = board.state().status else { panic!("no install") };
            assert_eq!(committed, offset);
        }
        let session = board.program();
        let resume = Operation::Open(Download { address: IMAGE + 8192, size: 1 });
        assert!(session.is_slow(resume), "what is in flash is encrypted again");
        drop(session);
        board.install(&envelope, &ciphertext).unwrap();
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.running(image.len()), image);
    }
}

fn open(
    session: &mut Programming<'_, 8, 4096, Deciphering>,
    offset: u32,
    len: usize,
) -> Result<(), update_protocol::uds::Nrc> {
    session.open_object(Download { address: IMAGE + offset, size: len as u32 - offset })
}

/// What was written is damaged before the install goes on: the tag is over what was, the digest too.
#[test]
fn sym14_what_changes_in_the_slot_before_it_goes_on_is_found() {
    for algorithm in [A128Gcm, A128Ctr] {
        let (mut board, factory, key) = board();
        let image = board.image(15_000, 7);
        let (envelope, ciphertext) = factory.encrypted(1, &image, algorithm, &key);
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        open(&mut session, 0, ciphertext.len()).unwrap();
        session.write_object(0, &ciphertext[..9000]).unwrap();
        drop(session);
        let at =
            board.layout.region(Area::Slot(Slot::B)).start as usize + board.layout.head_len() as usize + 100;
        let byte = nor.medium().bytes()[at] ^ 1;
        nor.medium_mut().tamper(at, &[byte]);
        let refused = board.install(&envelope, &ciphertext).unwrap_err();
        let expected = if algorithm == A128Gcm { Reason::ContentTag } else { Reason::ImageDigestMismatch };
        assert_eq!(refused.reason(), Some(expected));
        assert_eq!(board.state().status, Status::Idle, "there is nothing to resume");
    }
}

/// Nobody else's device reads it, and it writes nothing.
#[test]
fn sym15_an_image_for_other_devices_is_refused_before_an_erase() {
    let (mut board, factory, key) = board();
    let image = board.image(5000, 1);
    let first = factory.envelope(1, &image);
    board.update(&first, &image);
    let next = board.image(6000, 2);
    let stranger = [device_key("A-0002")];
    // Under the name of its key, with another key.
    let mut impostor = stranger.clone();
    impostor[0].kid = key[0].kid;
    for (keys, reason) in [(&stranger, Reason::DeviceKeyUnknown), (&impostor, Reason::KeyUnwrap)] {
        let (envelope, ciphertext) = factory.encrypted(2, &next, A128Gcm, keys);
        refused_untouched(&mut board, &envelope, &ciphertext, reason);
        // Nor does an image come after it.
        let nor = board.nor.clone();
        let before = nor.medium().operations();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap_err();
        for len in [ciphertext.len(), next.len()] {
            assert!(open(&mut session, 0, len).is_err());
            assert_eq!(record(&session).reason, Reason::NoEnvelope.code());
        }
        assert_eq!(nor.medium().operations(), before);
    }
    // A device that has no key at all.
    let mut bare = Board::new(4);
    bare.provision(&factory);
    let (envelope, ciphertext) = factory.encrypted(2, &next, A128Gcm, &key);
    refused_untouched(&mut bare, &envelope, &ciphertext, Reason::DeviceKeyUnknown);
    assert!(matches!(board.boot(), Boot::Run(_)));
}

/// The image that a device without the use of keys gets.
#[test]
fn suit40_a_loader_that_does_not_decrypt_takes_no_encrypted_image() {
    let (factory, key) = (Factory::new(1), [device_key("A-0001")]);
    let mut board = Device::<8, 4096>::new(4);
    board.provision(&factory);
    let image = board.image(5000, 1);
    let (envelope, ciphertext) = factory.encrypted(1, &image, A128Gcm, &key);
    let before = board.nor.medium().operations();
    let nor = board.nor.clone();
    let refused = install(&nor, &mut board.program(), &envelope, &ciphertext).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ComponentUnsupported));
    assert_eq!(board.nor.medium().operations(), before, "it writes nothing");
}

/// A bit of the ciphertext or of its tag; what follows; what is missing.
#[test]
fn sym16_a_changed_ciphertext_is_not_installed() {
    for (algorithm, tag) in [(A128Gcm, 16), (A128Ctr, 0)] {
        for at in [0usize, 4095, 4096, 8999, 9000, 9015] {
            let (mut board, factory, key) = board();
            let image = board.image(9000, 3);
            let (envelope, mut ciphertext) = factory.encrypted(1, &image, algorithm, &key);
            assert_eq!(ciphertext.len(), image.len() + tag);
            let Some(byte) = ciphertext.get_mut(at) else { continue };
            *byte ^= 0x20;
            let refused = board.install(&envelope, &ciphertext).unwrap_err();
            let expected = if tag == 0 { Reason::ImageDigestMismatch } else { Reason::ContentTag };
            assert_eq!(refused.reason(), Some(expected), "byte {at}");
            assert_eq!(board.state().status, Status::Idle);
            assert!(matches!(board.boot(), Boot::Stay(Some(Reason::NothingBootable))));
        }
    }
}

/// The tag holds over what came, the manifest says otherwise; the manifest is right, the tag is not.
#[test]
fn sym17_digest_and_tag_of_a_ciphertext_both_decide() {
    let (mut board, factory, key) = board();
    let image = board.image(9000, 3);
    let (update, ciphertext) = encrypted(&description(1, &image), &image, A128Gcm, &key);
    let with = |change: &dyn Fn(&mut UpdateDescription)| {
        let mut other = update.clone();
        change(&mut other);
        factory.envelope_of(&other)
    };
    let digest_of = |bytes: &[u8]| trust::sha256(bytes);
    let wrong = with(&|update| update.encryption.as_mut().unwrap().digest[7] ^= 1);
    let refused = board.install(&wrong, &ciphertext).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ImageDigestMismatch));
    let mut untagged = ciphertext.clone();
    *untagged.last_mut().unwrap() ^= 1;
    let wrong = with(&|update| update.encryption.as_mut().unwrap().digest = digest_of(&untagged));
    let refused = board.install(&wrong, &untagged).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ContentTag));
    // And the digest of the plaintext, which is the last word.
    let wrong = with(&|update| update.image_digest[3] ^= 1);
    let refused = board.install(&wrong, &ciphertext).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ImageDigestMismatch));
    board.install(&factory.envelope_of(&update), &ciphertext).unwrap();
}

/// No byte more than the ciphertext, and none less.
#[test]
fn sym18_as_many_bytes_come_as_the_ciphertext_has() {
    for algorithm in [A128Gcm, A128Ctr] {
        let (mut board, factory, key) = board();
        let image = board.image(9000, 3);
        let (envelope, ciphertext) = factory.encrypted(1, &image, algorithm, &key);
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        // Another length than that of image and tag.
        for len in [8999, 9000, 9015, 9016, 9017].into_iter().filter(|len| *len != ciphertext.len()) {
            assert!(open(&mut session, 0, len).is_err(), "{len} bytes");
            assert_eq!(record(&session).reason, Reason::ObjectUnknown.code());
        }
        let sent = ciphertext.len() - 6;
        open(&mut session, 0, ciphertext.len()).unwrap();
        session.write_object(0, &ciphertext[..sent]).unwrap();
        let behind = [&ciphertext[sent..], &[0]].concat();
        assert!(session.write_object(sent as u32, &behind).is_err());
        assert_eq!(record(&session).reason, Reason::ImageOverrun.code());
        // Without all of it, or of its tag, it is not whole.
        session.close_object();
        let from = record(&session).resume_offset;
        open(&mut session, from, ciphertext.len()).unwrap();
        session.write_object(0, &ciphertext[from as usize..sent]).unwrap();
        assert!(session.finish_object().is_err());
        assert_eq!(record(&session).reason, Reason::ImageIncomplete.code());
        drop(session);
        board.install(&envelope, &ciphertext).unwrap();
    }
}

/// A wrong plaintext of a part that runs images where they lie: its vectors are seen before anything is erased.
#[test]
fn boot82_an_encrypted_image_for_the_other_slot_is_refused_before_an_erase() {
    let key = [device_key("A-0001")];
    let factory = Factory::new(1);
    let layout = in_place(4096, 4);
    let mut board = Board::over(Nor::new(layout.flash_len()), layout);
    board.provision_with(&factory, &key);
    let first = board.image(9000, 1);
    board.update(&factory.envelope(1, &first), &first);
    let [right, wrong] = [Slot::B, Slot::A].map(|slot| board.image_for(slot, 9000, 2));
    let (envelope, ciphertext) = factory.encrypted(2, &wrong, A128Gcm, &key);
    refused_untouched(&mut board, &envelope, &ciphertext, Reason::ImageNotForSlot);
    let (envelope, ciphertext) = factory.encrypted(2, &right, A128Gcm, &key);
    board.update(&envelope, &ciphertext);
    assert_eq!((board.active_slot(), board.running(9000)), (Slot::B, right));
}

/// A release with a ciphertext for each slot.
#[test]
fn each_slot_has_a_ciphertext_of_its_own() {
    let key = [device_key("A-0001")];
    let factory = Factory::new(1);
    let layout = in_place(4096, 4);
    for slot in [Slot::A, Slot::B] {
        let mut board = Board::over(Nor::new(layout.flash_len()), layout);
        board.provision_with(&factory, &key);
        if slot == Slot::B {
            let first = board.image(9000, 1);
            board.update(&factory.envelope(1, &first), &first);
        }
        let [one, two] = [Slot::A, Slot::B].map(|slot| board.image_for(slot, 8000, 2));
        let (update, for_a) = encrypted(&description(2, &one), &one, A128Gcm, &key);
        let (second, for_b) = encrypted(&description(2, &two), &two, A128Gcm, &key);
        let second = SlotImage {
            digest: second.image_digest,
            size: second.image_size,
            uri: second.uri,
            encryption: second.encryption,
        };
        let envelope = factory.envelope_of(&UpdateDescription { second_slot: Some(second), ..update });
        let (image, ciphertext) = if slot == Slot::A { (one, for_a) } else { (two, for_b) };
        board.update(&envelope, &ciphertext);
        assert_eq!((board.active_slot(), board.running(8000)), (slot, image));
    }
}

/// The block is read again for other reasons than a content key.
#[test]
fn a_device_with_keys_takes_successions_and_lists() {
    let (dynasty, next, key) = (Dynasty::new(1), Factory::new(2), [device_key("A-0001")]);
    let mut board = Board::new(4);
    let block = provisioning_block_with(&dynasty.anchors(), None, &key);
    board.send(Object::ProvisioningBlock, &block).unwrap();
    let image = board.image(9000, 3);
    let (envelope, ciphertext) = dynasty.first().encrypted(1, &image, A128Gcm, &key);
    board.update(&envelope, &ciphertext);
    board.send(Object::RevocationList, &dynasty.first().revocation_list(1, &[])).unwrap();
    let record = dynasty.by_root(dynasty.first(), &next, (0, 1));
    board.send(Object::SuccessionChain, &chain(&[record], &next.revocation_list(1, &[]))).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    let image = board.image(8000, 4);
    let (envelope, ciphertext) = next.encrypted(2, &image, A128Gcm, &key);
    board.update(&envelope, &ciphertext);
    assert_eq!(board.running(image.len()), image);
}

/// A pending image is known again, and a tester that asks to abandon finds nothing left of it.
#[test]
fn a_pending_encrypted_image_is_not_sent_again() {
    let (mut board, factory, key) = board();
    let image = board.image(9000, 3);
    let (envelope, ciphertext) = factory.encrypted(1, &image, A128Gcm, &key);
    board.install(&envelope, &ciphertext).unwrap();
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    assert_eq!(record(&session).image, ImageState::Pending);
    drop(session);
    // Encrypted anew it is another release: another manifest.
    let (again, ciphertext) = factory.encrypted(1, &image, ContentAlgorithm::A128Gcm, &key);
    assert_ne!(again, envelope);
    board.install(&again, &ciphertext).unwrap();
    assert!(spare(&board).windows(64).any(|window| window == &image[..64]));
}
