//! The threats of RFC 9124 section 4.2, each as an attack on a device (docs/requirements/threats.md).

use bootloader::layout::{Area, Slot};
use bootloader::state::Status;
use device_harness::device::{Boot, Device, download, record};
use device_harness::factory::{DEVICE, Factory, VENDOR, description, image};
use device_harness::part::RAM;
use suit_manifest::author::{UpdateDescription, create, sever_text};
use suit_manifest::{Envelope, ErrorKind, Reason};
use trust::author::{
    CredentialRequest, ProvisioningRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential,
    sign1_detached_chained,
};
use trust::{Role, TrustStore, UnixTime};
use update_protocol::profile::Object;
use update_protocol::uds::server::{Download, Handler as _};

type Board = Device<8, 4096>;

const OLD_LEN: usize = 6000;
const NEW_LEN: usize = 9000;

/// Runs release `sequence`, confirmed.
fn running(sequence: u64) -> (Board, Factory, Vec<u8>) {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    let image = board.image(OLD_LEN, sequence as u8);
    board.update(&factory.envelope(sequence, &image), &image);
    (board, factory, image)
}

/// The reason for which an object is refused, and nothing is written.
fn refused(board: &mut Board, object: Object, bytes: &[u8]) -> Option<Reason> {
    let before = board.nor.medium().operations();
    let reason = board.send(object, bytes).expect_err("taken").reason();
    assert_eq!(board.nor.medium().operations(), before, "something was written");
    reason
}

fn refused_envelope(board: &mut Board, envelope: &[u8]) -> Option<Reason> {
    refused(board, Object::Envelope, envelope)
}

/// The reason for which an image is refused after its envelope was taken; it is forgotten.
fn refused_image(board: &mut Board, envelope: &[u8], image: &[u8]) -> Option<Reason> {
    let reason = board.install(envelope, image).expect_err("taken").reason();
    assert_eq!((board.state().status, board.state().spare), (Status::Idle, None));
    reason
}

/// It boots, and runs this.
fn runs(board: &mut Board, image: &[u8]) -> bool {
    matches!(board.boot(), Boot::Run(_)) && board.running(image.len()) == image
}

/// Where the image that is installed lies in the flash, behind its head.
fn spare_image(board: &Board) -> usize {
    (board.layout.region(Area::Slot(Slot::B)).start + board.layout.head_len()) as usize
}

/// An envelope as a wrapper of less than 256 bytes leaves it: the digest that is signed, and all after the wrapper.
fn parts(unsigned: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!((&unsigned[..2], unsigned[3], unsigned[4]), (&[0xd8, 0x6b][..], 2, 0x58));
    let (wrapper, rest) = unsigned[6..].split_at(usize::from(unsigned[5]));
    assert_eq!(wrapper[..3], [0x81, 0x58, 0x24], "a digest and nothing else");
    (&wrapper[3..], rest)
}

/// Signed with a key and its credential by a program that checks nothing.
fn signed_blindly(unsigned: &[u8], key: &SoftwareKey, credential: &[u8]) -> Vec<u8> {
    let (digest, rest) = parts(unsigned);
    let sign1 = sign1_detached_chained(digest, key, credential).unwrap();
    let [.., high, low] = (sign1.len() as u64).to_be_bytes();
    let wrapper = [&[0x82, 0x58, 0x24], digest, &[0x59, high, low], &sign1].concat();
    let [.., high, low] = (wrapper.len() as u64).to_be_bytes();
    [&unsigned[..4], &[0x59, high, low], &wrapper, rest].concat()
}

/// The only place of `pattern`.
fn place(bytes: &[u8], pattern: &[u8]) -> usize {
    let mut found = bytes.windows(pattern.len()).enumerate().filter(|(_, window)| *window == pattern);
    let place = found.next().expect("the pattern").0;
    assert_eq!(found.next(), None, "the pattern is there twice");
    place
}

#[test]
fn threat_4_2_1_an_older_genuine_release_is_refused_by_host_and_device() {
    let (mut board, factory, new) = running(5);
    let old = board.image(NEW_LEN, 4);
    let envelope = factory.envelope(4, &old);
    let anchors = [factory.anchor()];
    let genuine = Envelope::parse(&envelope).unwrap().authenticate(&TrustStore::new(&anchors)).unwrap();
    let by_host = genuine.manifest().check_sequence(board.state().floor).unwrap_err();
    assert_eq!(by_host.kind, ErrorKind::SequenceRollback);
    assert_eq!(refused_envelope(&mut board, &envelope), Some(Reason::SequenceRollback));
    // Nor while a newer one waits, is on trial, or has come back.
    let newer = board.image(NEW_LEN, 6);
    board.install(&factory.envelope(6, &newer), &newer).unwrap();
    assert_eq!(refused_envelope(&mut board, &envelope), Some(Reason::SequenceRollback));
    assert!(runs(&mut board, &newer));
    assert_eq!(board.state().status, Status::Trial { boots: 1 });
    assert!(runs(&mut board, &new), "the trial was not confirmed");
    assert_eq!(refused_envelope(&mut board, &envelope), Some(Reason::SequenceRollback));
}

#[test]
fn threat_4_2_2_a_device_from_the_shelf_is_told_first_what_is_too_old() {
    let (mut board, factory, _) = running(1);
    let (bad, good) = (board.image(NEW_LEN, 2), board.image(NEW_LEN, 3));
    // Nobody has told it: the release with the known hole is newer than its own, and it takes it.
    let mut alone = board.twin();
    alone.send(Object::Envelope, &factory.envelope(2, &bad)).unwrap();
    // A host sends the list of the root first.
    let list = factory.revocation_list_of(1, &[], &[3]);
    board.send(Object::RevocationList, &list).unwrap();
    assert_eq!(refused_envelope(&mut board, &factory.envelope(2, &bad)), Some(Reason::SequenceBelowMinimum));
    // It is what an image that waits already is judged by, too.
    alone.install(&factory.envelope(2, &bad), &bad).unwrap();
    alone.send(Object::RevocationList, &list).unwrap();
    assert!(matches!(alone.boot(), Boot::Run(_)));
    assert_eq!(alone.state().revert_reason, Reason::SequenceBelowMinimum.code());
    board.update(&factory.envelope(3, &good), &good);
    assert!(runs(&mut board, &good));
}

#[test]
fn threat_4_2_3_an_image_for_another_device_is_refused_before_anything_is_written() {
    let (mut board, _, old) = running(1);
    let new = board.image(NEW_LEN, 2);
    let own = description(2, &new);
    // One key that may sign for every class of the vendor, and one that the device trusts for another vendor.
    let key = SoftwareKey::from_seed(&[0x33; 32]).unwrap();
    let credential = |vendor| {
        let request = CredentialRequest {
            iss: "root".into(),
            sub: "release".into(),
            key: key.public_key(),
            role: Role::Release,
            scope: ScopeRequest { vendor, classes: vec![], serials: vec![], actions: None },
            issued_at: UnixTime(1_700_000_000),
            not_before: None,
            expires: None,
            cti: [0x33; 16],
            generation: 0,
            sequence_ceiling: None,
        };
        issue_credential(&request, &SoftwareKey::from_seed(&[1; 32]).unwrap()).unwrap()
    };
    let envelope = |update: &UpdateDescription| {
        let unsigned = sever_text(&create(update).unwrap()).unwrap();
        signed_blindly(&unsigned, &key, &credential(update.vendor))
    };
    for (update, reason) in [
        (UpdateDescription { class: [9; 16], ..own.clone() }, Reason::ClassMismatch),
        (UpdateDescription { vendor: [9; 16], ..own.clone() }, Reason::VendorMismatch),
        (UpdateDescription { device: Some([9; 16]), ..own.clone() }, Reason::DeviceMismatch),
    ] {
        assert_eq!(refused_envelope(&mut board, &envelope(&update)), Some(reason));
    }
    assert!(runs(&mut board, &old));
    let mine = UpdateDescription { device: Some(DEVICE), ..own };
    board.update(&envelope(&mine), &new);
    assert!(runs(&mut board, &new));
}

#[test]
fn threat_4_2_4_a_signed_payload_that_is_no_firmware_is_refused() {
    let (mut board, factory, old) = running(1);
    let elf = [&b"\x7fELF\x01\x01\x01\0"[..], &[0; NEW_LEN]].concat();
    let hex = b":020000040800F2\r\n".repeat(300);
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0][..], &[0x5a; NEW_LEN]].concat();
    for payload in [elf, hex, gzip, vec![0; NEW_LEN], vec![0xff; NEW_LEN]] {
        let envelope = factory.envelope(2, &payload);
        assert_eq!(refused_image(&mut board, &envelope, &payload), Some(Reason::VectorTableInvalid));
        assert!(runs(&mut board, &old));
    }
}

#[test]
fn threat_4_2_5_an_image_for_another_place_is_refused_before_anything_is_written() {
    let (mut board, factory, old) = running(1);
    let new = board.image(NEW_LEN, 2);
    // The manifest names the loader.
    let mut unsigned = sever_text(&create(&description(2, &new)).unwrap()).unwrap();
    let component = place(&unsigned, b"\x43app");
    unsigned[component..component + 4].copy_from_slice(b"\x43ldr");
    let (digest, rest) = parts(&unsigned);
    let (position, own) = (place(&unsigned, digest) + 4, trust::sha256(&rest[1..]));
    unsigned[position..position + 32].copy_from_slice(&own);
    let envelope = factory.sign(&unsigned).expect("well-formed");
    assert_eq!(refused_envelope(&mut board, &envelope), Some(Reason::ComponentUnsupported));
    // The image was linked for the loader's place, or for slot B.
    for address in [0x2100_0000, board.layout.image_address() + 5 * 4096] {
        let elsewhere = image(NEW_LEN, 2, address, RAM.start + RAM.len);
        let envelope = factory.envelope(2, &elsewhere);
        assert_eq!(refused_image(&mut board, &envelope, &elsewhere), Some(Reason::VectorTableInvalid));
    }
    assert!(runs(&mut board, &old));
    board.update(&factory.envelope(2, &new), &new);
}

#[test]
fn threat_4_2_6_a_redirected_payload_is_refused_and_its_signed_address_cannot_change() {
    let (mut board, factory, old) = running(1);
    let (new, theirs) = (board.image(NEW_LEN, 2), board.image(NEW_LEN, 0x66));
    let uri = "https://maker.example/new.bin".to_owned();
    let envelope = factory.envelope_of(&UpdateDescription { uri: uri.clone(), ..description(2, &new) });
    let mut redirected = envelope.clone();
    let at = place(&envelope, b"maker.example");
    redirected[at..at + 13].copy_from_slice(b"thief.example");
    assert_eq!(refused_envelope(&mut board, &redirected), Some(Reason::ManifestDigestMismatch));
    // A name server of the attacker's, or the proxy: the right address gives other bytes.
    assert_eq!(refused_image(&mut board, &envelope, &theirs), Some(Reason::ImageDigestMismatch));
    assert!(runs(&mut board, &old));
    board.update(&envelope, &new);
    assert!(runs(&mut board, &new));
}

#[test]
fn threat_4_2_7_whatever_is_changed_on_the_way_is_refused_and_the_genuine_update_goes_on() {
    let (mut board, factory, old) = running(1);
    let new = board.image(NEW_LEN, 2);
    let envelope = factory.envelope(2, &new);
    let list = factory.revocation_list(1, &[]);
    let changed = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        bytes
    };
    for (object, genuine) in [(Object::Envelope, &envelope), (Object::RevocationList, &list)] {
        for at in (0..genuine.len()).step_by(11) {
            refused(&mut board, object, &changed(genuine, at));
            refused(&mut board, object, &genuine[..at]);
        }
    }
    for at in [0, 4, 8, 707, 4096, NEW_LEN - 1] {
        let reason = board.install(&envelope, &changed(&new, at)).unwrap_err().reason();
        assert!(matches!(reason, Some(Reason::ImageDigestMismatch | Reason::VectorTableInvalid)), "{at}");
        assert!(runs(&mut board, &old), "{at}");
    }
    board.send(Object::RevocationList, &list).unwrap();
    board.update(&envelope, &new);
    assert!(runs(&mut board, &new));
}

#[test]
fn threat_4_2_8_an_image_that_is_replaced_after_its_verification_does_not_run() {
    let (mut board, factory, old) = running(1);
    let (new, theirs) = (board.image(NEW_LEN, 2), board.image(NEW_LEN, 0x66));
    board.install(&factory.envelope(2, &new), &new).unwrap();
    assert_eq!(board.state().status, Status::Pending);
    // Before the slots are exchanged: the whole image, or one byte of it.
    for theirs in [theirs.clone(), [&new[..NEW_LEN - 1], &[!new[NEW_LEN - 1]]].concat()] {
        let mut board = board.twin();
        let at = spare_image(&board);
        board.nor.medium_mut().tamper(at, &theirs);
        assert!(runs(&mut board, &old));
        assert_eq!(board.state().revert_reason, Reason::ImageDigestMismatch.code());
    }
    // After it was confirmed: nothing boots rather than that.
    assert!(runs(&mut board, &new));
    board.application().confirm().unwrap();
    let slot = board.layout.region(Area::Slot(board.active_slot())).start + board.layout.head_len();
    board.nor.medium_mut().tamper(slot as usize, &theirs);
    assert!(matches!(board.boot(), Boot::Stay(Some(_))));
}

#[test]
fn threat_4_2_9_an_image_that_its_maker_did_not_sign_is_refused() {
    let (mut board, factory, old) = running(1);
    let theirs = board.image(NEW_LEN, 0x66);
    let stranger = Factory::new(2);
    assert_eq!(refused_envelope(&mut board, &stranger.envelope(2, &theirs)), Some(Reason::AnchorUnknown));
    let unsigned = create(&description(2, &theirs)).unwrap();
    assert_eq!(refused_envelope(&mut board, &unsigned), Some(Reason::SignatureMissing));
    // A genuine signature with another manifest, and a genuine credential with another signature.
    let genuine = factory.envelope(2, &board.image(NEW_LEN, 2));
    let forged = [&genuine[..genuine.len() - parts_len(&genuine)], parts(&unsigned).1].concat();
    assert_eq!(refused_envelope(&mut board, &forged), Some(Reason::ManifestDigestMismatch));
    let mut forged = genuine.clone();
    let end = genuine.len() - parts_len(&genuine) - 1;
    forged[end] ^= 1;
    assert_eq!(refused_envelope(&mut board, &forged), Some(Reason::SignatureInvalid));
    // And a genuine manifest with another image.
    assert_eq!(refused_image(&mut board, &genuine, &theirs), Some(Reason::ImageDigestMismatch));
    assert!(runs(&mut board, &old));
}

/// Bytes after the wrapper of a signed envelope.
fn parts_len(signed: &[u8]) -> usize {
    assert_eq!((signed[3], signed[4]), (2, 0x59));
    signed.len() - 7 - usize::from(u16::from_be_bytes([signed[5], signed[6]]))
}

#[test]
fn threat_4_2_10_the_image_before_does_not_change_the_one_after() {
    let factory = Factory::new(1);
    let mut empty = Board::new(4);
    empty.provision(&factory);
    let new = empty.image(NEW_LEN, 9);
    let envelope = factory.envelope(9, &new);
    let mut slots = Vec::new();
    for before in [None, Some(64), Some(OLD_LEN), Some(4 * 4096)] {
        let mut board = empty.twin();
        if let Some(len) = before {
            let image = board.image(len, 1);
            board.update(&factory.envelope(1, &image), &image);
        }
        board.update(&envelope, &new);
        assert!(runs(&mut board, &new), "{before:?}");
        slots.push(board.running(4 * 4096));
    }
    assert!(slots.windows(2).all(|pair| pair[0] == pair[1]), "the slot depends on what was there before");
}

#[test]
fn threat_4_2_11_a_key_approves_nothing_beyond_its_scope() {
    const OTHER_CLASS: [u8; 16] = [0x33; 16];
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    // A device of another class of the same maker.
    let request = ProvisioningRequest {
        serial: "A-0001",
        vendor: VENDOR,
        class: OTHER_CLASS,
        device: DEVICE,
        node_address: 0x21,
        anchors: &[factory.anchor()],
        sequence_floor: 0,
    };
    board.send(Object::ProvisioningBlock, &request.encode().unwrap()).unwrap();
    let image = board.image(NEW_LEN, 2);
    let update = UpdateDescription { class: OTHER_CLASS, ..description(2, &image) };
    let unsigned = sever_text(&create(&update).unwrap()).unwrap();
    // Our tool does not sign it; the key itself does, and the device looks at the scope.
    assert!(factory.sign(&unsigned).is_none());
    let key = SoftwareKey::from_seed(&[1 ^ 0x80; 32]).unwrap();
    let envelope = signed_blindly(&unsigned, &key, factory.credential());
    assert_eq!(refused_envelope(&mut board, &envelope), Some(Reason::ScopeClass));
    // The same key within its scope, and so far the approval of nobody else is asked for.
    let (mut own, _, _) = running(1);
    own.send(Object::Envelope, &factory.envelope(2, &image)).unwrap();
}

#[test]
fn threat_4_2_13_parts_of_two_signed_releases_do_not_go_together() {
    let (mut board, factory, old) = running(1);
    let (second, third) = (board.image(NEW_LEN, 2), board.image(NEW_LEN, 3));
    let (one, other) = (factory.envelope(2, &second), factory.envelope(3, &third));
    let head = |envelope: &[u8]| envelope[..envelope.len() - parts_len(envelope)].to_vec();
    let tail = |envelope: &[u8]| envelope[envelope.len() - parts_len(envelope)..].to_vec();
    // The authority of one for the commands of the other.
    let mixed = [head(&one), tail(&other)].concat();
    assert_eq!(refused_envelope(&mut board, &mixed), Some(Reason::ManifestDigestMismatch));
    // The text of one in the other: it says another version.
    let mut mixed = other.clone();
    let version = place(&other, b"3.0.0");
    mixed[version] = b'2';
    assert_eq!(refused_envelope(&mut board, &mixed), Some(Reason::MemberDigestMismatch));
    // The image of one under the manifest of the other.
    assert_eq!(refused_image(&mut board, &other, &second), Some(Reason::ImageDigestMismatch));
    // A second envelope sets nothing of the first one: it takes its place.
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &one).unwrap();
    download(&nor, &mut session, Object::Envelope, &other).unwrap();
    let image = download(&nor, &mut session, Object::Image { offset: 0 }, &second);
    assert_eq!(image.unwrap_err().reason(), Some(Reason::ImageDigestMismatch));
    drop(session);
    assert!(runs(&mut board, &old));
}

#[test]
fn threat_4_2_15_nothing_after_the_image_is_taken_or_stays() {
    let (mut board, factory, _) = running(1);
    let new = board.image(NEW_LEN, 2);
    let envelope = factory.envelope(2, &new);
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    let longer = Download { address: 0x1000_0000, size: NEW_LEN as u32 + 8 };
    session.open_object(longer).unwrap_err();
    session.open_object(Download { size: NEW_LEN as u32, ..longer }).unwrap();
    let before = nor.medium().operations();
    session.write_object(0, &[&new[..], b"payload!"].concat()).unwrap_err();
    assert_eq!(record(&session).reason, Reason::ImageOverrun.code());
    assert_eq!(nor.medium().operations(), before, "something was written");
    drop(session);
    board.install(&envelope, &new).unwrap();
    // Code that somebody wrote behind it all the same.
    let end = NEW_LEN.next_multiple_of(4096);
    let behind = spare_image(&board) + end;
    board.nor.medium_mut().tamper(behind, &vec![0x5a; 4 * 4096 - end]);
    assert!(runs(&mut board, &new));
    assert!(board.running(4 * 4096)[end..].iter().all(|byte| *byte == 0xff), "it is there and could run");
}

#[test]
fn threat_4_2_16_a_stolen_release_key_is_taken_back_and_its_successor_goes_on() {
    let (mut board, factory, old) = running(1);
    let (stolen, next) = (factory.with_new_release_key(7), factory.with_new_release_key(8));
    let (theirs, new) = (board.image(NEW_LEN, 0x66), board.image(NEW_LEN, 2));
    // Until the list has come the thief is the maker.
    let mut reached = board.twin();
    reached.install(&stolen.envelope(2, &theirs), &theirs).unwrap();
    let list = factory.revocation_list(1, &[stolen.release_kid()]);
    board.send(Object::RevocationList, &list).unwrap();
    assert_eq!(refused_envelope(&mut board, &stolen.envelope(2, &theirs)), Some(Reason::KeyRevoked));
    // Nor does what waits already run.
    reached.send(Object::RevocationList, &list).unwrap();
    assert!(runs(&mut reached, &old));
    assert_eq!(reached.state().revert_reason, Reason::KeyRevoked.code());
    // No key but the root's makes a list that lets it in again.
    let empty = factory.revocation_list(2, &[]);
    assert_eq!(refused(&mut board, Object::RevocationList, &empty), Some(Reason::RevocationDropsEntry));
    for board in [&mut board, &mut reached] {
        board.update(&next.envelope(2, &new), &new);
        assert!(runs(board, &new));
    }
}

#[test]
fn threat_4_2_17_a_manifest_that_changed_before_it_was_signed_is_not_signed() {
    let (mut board, factory, old) = running(1);
    let new = board.image(NEW_LEN, 2);
    let unsigned = create(&description(2, &new)).unwrap();
    assert!(factory.sign(&unsigned).is_some());
    let manifest = unsigned.len() - parts(&unsigned).1.len();
    for at in manifest..unsigned.len() {
        let mut changed = unsigned.clone();
        changed[at] ^= 1;
        assert!(factory.sign(&changed).is_none(), "byte {at}");
    }
    // The image that changed after its manifest was made is not the one that was signed.
    let envelope = factory.sign(&unsigned).unwrap();
    let theirs = board.image(NEW_LEN, 0x66);
    assert_eq!(refused_image(&mut board, &envelope, &theirs), Some(Reason::ImageDigestMismatch));
    assert!(runs(&mut board, &old));
}

#[test]
fn threat_4_2_18_a_manifest_that_changes_after_its_check_installs_and_boots_nothing() {
    let (mut board, factory, old) = running(1);
    let (new, theirs) = (board.image(NEW_LEN, 2), board.image(NEW_LEN, 0x66));
    let envelope = factory.envelope(2, &new);
    board.install(&envelope, &new).unwrap();
    let head = board.layout.region(Area::Slot(Slot::B)).start as usize;
    assert!(board.nor.medium().bytes()[head..].starts_with(&envelope));
    // One byte of it, between the check and the exchange of the slots.
    for at in (0..envelope.len()).step_by(37) {
        let mut board = board.twin();
        board.nor.medium_mut().tamper(head + at, &[envelope[at] ^ 1]);
        assert!(runs(&mut board, &old), "byte {at}");
    }
    // The whole of it, for another genuine release with its image, which this device was not asked to take.
    let other = factory.envelope(2, &theirs);
    let mut swapped = board.twin();
    let at = spare_image(&swapped);
    swapped.nor.medium_mut().tamper(head, &other);
    swapped.nor.medium_mut().tamper(at, &theirs);
    assert!(runs(&mut swapped, &old));
    // And while the image comes.
    let mut board = board.twin();
    assert!(runs(&mut board, &new));
    board.application().confirm().unwrap();
    let third = board.image(NEW_LEN, 3);
    let envelope = factory.envelope(3, &third);
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    session.open_object(Download { address: 0x1000_0000, size: NEW_LEN as u32 }).unwrap();
    session.write_object(0, &third[..5000]).unwrap();
    let head = head_of(&nor, &envelope);
    nor.medium_mut().tamper(head, &factory.envelope(3, &theirs));
    let finished = session.write_object(5000, &third[5000..]).and_then(|()| session.finish_object());
    drop(session);
    assert_eq!((finished.is_ok(), board.state().status), (false, Status::Idle));
    assert!(runs(&mut board, &new));
}

/// Where the head that was written lies.
fn head_of(nor: &flash_model::Nor<8, 4096>, envelope: &[u8]) -> usize {
    let medium = nor.medium();
    (0..medium.bytes().len()).step_by(4096).find(|&at| medium.bytes()[at..].starts_with(envelope)).unwrap()
}
