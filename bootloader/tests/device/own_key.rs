//! A device that believes its own key, and nobody else: nothing public is on it.

use bootloader::state::Status;
use device_harness::device::{Boot, Device, Failure, anchor_report, refused_untouched};
use device_harness::factory::{
    Factory, authenticated, authentication_key, description, device_key, encrypted, provisioning_block_with,
};
use device_harness::part::{Deciphering, Symmetric};
use suit_manifest::Reason;
use trust::author::DerivedKey;
use trust::encryption::ContentAlgorithm::A128Gcm;
use trust::fault;
use update_protocol::profile::Object;
use update_protocol::profile::anchors::AnchorReport;
use update_protocol::uds::Nrc;

type Board = Device<8, 4096, Symmetric>;

fn keys(serial: &str) -> [DerivedKey; 2] {
    [device_key(serial), authentication_key(serial)]
}

fn board() -> (Board, [DerivedKey; 2]) {
    let mut board = Board::new(4);
    let keys = keys("A-0001");
    board.provision_alone(&keys);
    (board, keys)
}

/// An encrypted release for the device with these keys.
fn release(sequence: u64, image: &[u8], [update, own]: &[DerivedKey; 2]) -> (Vec<u8>, Vec<u8>) {
    let (description, ciphertext) =
        encrypted(&description(sequence, image), image, A128Gcm, std::slice::from_ref(update));
    (authenticated(&description, own), ciphertext)
}

#[test]
fn a_device_lives_without_a_public_key() {
    let (mut board, keys) = board();
    for sequence in 1..=3 {
        let image = board.image(9000, sequence as u8);
        let (envelope, ciphertext) = release(sequence, &image, &keys);
        board.install(&envelope, &ciphertext).unwrap();
        assert_eq!(board.state().status, Status::Pending);
        assert!(matches!(board.boot(), Boot::Run(_)));
        board.application().confirm().unwrap();
        assert_eq!((board.state().status, board.state().floor), (Status::Idle, sequence));
        assert_eq!(board.running(image.len()), image);
    }
    // An image that is not encrypted, and one that does not confirm itself.
    let plain = board.image(7000, 9);
    board.update(&authenticated(&description(4, &plain), &keys[1]), &plain);
    let image = board.image(5000, 10);
    let (envelope, ciphertext) = release(5, &image, &keys);
    board.install(&envelope, &ciphertext).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(plain.len()), plain, "the old one is back");
    assert_eq!(board.state().floor, 4);
    // Its number did not rise.
    let (envelope, ciphertext) = release(3, &image, &keys);
    refused_untouched(&mut board, &envelope, &ciphertext, Reason::SequenceRollback);
}

/// docs/attacks.md, SYM42: a stolen device gives away what is its own.
#[test]
fn sym42_what_is_for_another_device_is_refused_before_an_erase() {
    let (mut board, own) = board();
    let stolen = keys("A-0002");
    let image = board.image(6000, 2);
    // Made with the keys of the stolen one, and with some of them under the names of this device's.
    let (envelope, ciphertext) = release(1, &image, &stolen);
    refused_untouched(&mut board, &envelope, &ciphertext, Reason::DeviceKeyUnknown);
    let mut renamed = stolen.clone();
    renamed[1].kid = own[1].kid;
    let (envelope, ciphertext) = release(1, &image, &renamed);
    refused_untouched(&mut board, &envelope, &ciphertext, Reason::MacInvalid);
    let mixed = [stolen[0].clone(), own[1].clone()];
    let (envelope, ciphertext) = release(1, &image, &mixed);
    refused_untouched(&mut board, &envelope, &ciphertext, Reason::DeviceKeyUnknown);
    let (envelope, ciphertext) = release(1, &image, &own);
    board.update(&envelope, &ciphertext);
}

/// docs/attacks.md, SYM41.
#[test]
fn sym41_each_kind_of_device_takes_its_own_kind_of_release() {
    let (mut board, own) = board();
    let image = board.image(6000, 2);
    let factory = Factory::new(1);
    let signed = factory.envelope(1, &image);
    refused_untouched(&mut board, &signed, &image, Reason::CoseUnsupported);

    // A device with anchors that has such a key too.
    let mut hybrid = Device::<8, 4096, Deciphering>::new(4);
    hybrid.provision_with(&factory, &own);
    let envelope = authenticated(&description(1, &image), &own[1]);
    let refused = hybrid.install(&envelope, &image).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CoseUnsupported));
    hybrid.update(&signed, &image);
}

/// docs/attacks.md, SYM43.
#[test]
fn sym43_a_block_with_anchors_or_without_its_key_is_refused() {
    let factory = Factory::new(1);
    let (update, own) = (device_key("A-0001"), authentication_key("A-0001"));
    let mut board = Board::new(4);
    for (anchors, keys, reason) in [
        (vec![factory.anchor()], vec![update.clone(), own.clone()], Reason::ProvisioningAnchors),
        (vec![], vec![update.clone()], Reason::ProvisioningMalformed),
    ] {
        let block = provisioning_block_with(&anchors, None, &keys);
        let before = board.nor.medium().operations();
        let refused = board.send(Object::ProvisioningBlock, &block).unwrap_err();
        assert_eq!(refused.reason(), Some(reason));
        assert_eq!(board.nor.medium().operations(), before, "it writes nothing");
        assert!(!board.state().provisioned);
    }
    board.provision_alone(&[update.clone(), own.clone()]);
    // The other kinds of devices have no use of such a block.
    let block = provisioning_block_with(&[], None, &[update, own]);
    let refused = Device::<8, 4096>::new(4).send(Object::ProvisioningBlock, &block).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ProvisioningDeviceKeys));
    let refused = Device::<8, 4096, Deciphering>::new(4).send(Object::ProvisioningBlock, &block).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ProvisioningMalformed));
}

/// Nobody could have signed a list or a chain: such a device says that it has no such objects, and reports no anchors.
#[test]
fn there_are_no_lists_and_no_successions() {
    let (mut board, _) = board();
    let list = Factory::new(1).revocation_list(1, &[]);
    for object in [Object::RevocationList, Object::SuccessionChain] {
        let refused = board.send(object, &list).unwrap_err();
        assert!(matches!(refused, Failure::Refused(Nrc::REQUEST_OUT_OF_RANGE, Some(Reason::ObjectUnknown))));
    }
    let mut session = board.program();
    let report = anchor_report(&mut session);
    let report = AnchorReport::decode(&report).unwrap();
    assert_eq!((report.anchors().count(), report.domains().count()), (0, 0));
}

/// docs/attacks.md, SYM44: with a programmer, an image that nobody authenticated.
#[test]
fn sym44_a_skipped_check_of_a_mac_boots_and_installs_nothing() {
    let (mut board, keys) = board();
    let image = board.image(6000, 1);
    let (envelope, ciphertext) = release(1, &image, &keys);
    board.update(&envelope, &ciphertext);
    // The tag of the MAC ends the authentication wrapper.
    let mac = trust::author::mac0(&[0x82; 36], &keys[1].kid.0, &[0; 32]).unwrap();
    let at = envelope.windows(12).position(|window| window == &mac[4..16]).unwrap() + mac.len() - 4 - 32;
    for offset in [at, at + 31] {
        let mut board = board.twin();
        let mut forged = envelope.clone();
        forged[offset] ^= 1;
        let start = board.layout.region(bootloader::layout::Area::Slot(bootloader::layout::Slot::A)).start;
        board.nor.medium_mut().tamper(start as usize, &forged);
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::MacInvalid)), "{offset}");

        fault::skip_signatures(true);
        let glitched = board.boot();
        let sent = board.install(&forged, &ciphertext);
        fault::skip_signatures(false);
        assert_eq!(glitched, Boot::Stay(Some(Reason::FlashFailed)), "{offset}");
        assert_eq!(sent.unwrap_err().reason(), Some(Reason::FlashFailed), "{offset}");
    }
}

/// docs/attacks.md, SYM45: the block decays. Without its key the device believes nobody, and keeps what it has.
#[test]
fn sym45_without_its_key_a_device_believes_nobody() {
    let (mut board, keys) = board();
    let image = board.image(6000, 1);
    let (envelope, ciphertext) = release(1, &image, &keys);
    board.update(&envelope, &ciphertext);
    for half in [bootloader::layout::Half::First, bootloader::layout::Half::Second] {
        let start = board.layout.region(bootloader::layout::Area::Stored(half)).start as usize;
        board.nor.medium_mut().tamper(start + 60, &[0; 8]);
    }
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::ProvisioningMalformed)));
    let (envelope, ciphertext) = release(2, &image, &keys);
    let refused = board.install(&envelope, &ciphertext).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ProvisioningMalformed));
}
