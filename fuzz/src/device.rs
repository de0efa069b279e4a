//! The loader over the flash model. Whatever comes over the bus, or lies in flash, the device runs one of the images that
//! its maker signed, or none.

use std::cell::RefCell;

use bootloader::layout::{Area, Slot};
use device_harness::device::{Boot, Device};
use device_harness::factory::{Factory, provisioning_block};
use update_protocol::isotp::{Config, Link, Target};
use update_protocol::profile::{Object, device_addressing, tester_addressing};
use update_protocol::uds::server::Server;

use crate::input::Input;

type Bench = Device<8, 512>;

const IMAGE_PAGES: u32 = 2;
const IMAGE_LEN: usize = 700;
const NODE: u8 = 0x10;
/// What a message and its answer take at most, both ways, in frames.
const MAX_FRAMES: usize = 4096;
const MAX_REQUEST_LEN: usize = 4095;

/// A provisioned device that runs release 2, and knows release 1 as the one before. Release 3 is in the seeds.
struct Updated {
    device: Bench,
    images: [Vec<u8>; 3],
}

fn with_updated<R>(run: impl FnOnce(&Updated) -> R) -> R {
    thread_local! {
        static UPDATED: RefCell<Option<Updated>> = const { RefCell::new(None) };
    }
    UPDATED.with(|updated| {
        let mut updated = updated.borrow_mut();
        run(updated.get_or_insert_with(|| {
            let mut device = Bench::new(IMAGE_PAGES);
            let factory = Factory::new(1);
            device.provision(&factory);
            let images = [1, 2, 3].map(|fill| device.image(IMAGE_LEN, fill));
            for (sequence, image) in (1..=2).zip(&images) {
                device.update(&factory.envelope(sequence, image), image);
            }
            device.send(Object::RevocationList, &factory.revocation_list(3, &[])).unwrap();
            Updated { device, images }
        }))
    })
}

fn runs_an_image_of(device: &mut Bench, images: &[Vec<u8>]) {
    let first = matches!(device.boot(), Boot::Run(_));
    if first {
        let running = device.running(IMAGE_LEN);
        assert!(images.contains(&running), "the device runs an image that nobody signed");
    }
}

/// Requests, each behind its length, to a device that runs release 2.
pub(crate) fn session(data: &[u8]) -> bool {
    with_updated(|updated| {
        let mut device = updated.device.twin();
        let floor = device.state().floor;
        let served = exchange(&mut device, data);
        assert!(device.state().floor >= floor && device.state().provisioned);
        runs_an_image_of(&mut device, &updated.images);
        served
    })
}

/// Sends every request over ISO-TP to the session, and holds the answer against the form that UDS gives it. Returns
/// whether each request was served.
fn exchange(device: &mut Bench, data: &[u8]) -> bool {
    let mut handler = device.program();
    let mut server = bootloader::session::server(None);
    let mut buffers = [const { [0; MAX_REQUEST_LEN] }; 4];
    let [device_in, device_out, tester_in, tester_out] = &mut buffers;
    let config = Config::classic();
    let mut loader = Link::new(device_addressing(NODE), config, &mut device_in[..], &mut device_out[..]);
    let mut tester = Link::new(tester_addressing(NODE), config, &mut tester_in[..], &mut tester_out[..]);
    let mut input = Input(data);
    let mut now_us = 0;
    let mut served = !data.is_empty();
    while let Some(len) = input.number() {
        let request = input.bytes(usize::from(len) % (MAX_REQUEST_LEN + 1));
        let Some(service) = request.first() else { continue };
        if tester.send(request, now_us).is_err() {
            continue;
        }
        let mut answered = false;
        for _ in 0..MAX_FRAMES {
            now_us += 1000;
            while let Some(frame) = tester.poll_transmit(now_us) {
                loader.on_frame(&frame, now_us);
            }
            if poll(&mut server, &mut loader, &mut handler, now_us) {
                return served;
            }
            while let Some(frame) = loader.poll_transmit(now_us) {
                tester.on_frame(&frame, now_us);
            }
            if let Some(answer) = tester.received(Target::Physical) {
                let pending = answer == [0x7F, *service, 0x78];
                let positive = answer.first() == Some(&(service | 0x40));
                let negative = answer.len() == 3 && answer.starts_with(&[0x7F, *service]);
                assert!(positive || negative, "{answer:02x?} answers service {service:02x}");
                tester.release(Target::Physical);
                if !pending {
                    answered = positive;
                    break;
                }
            } else if !tester.is_sending() && !loader.is_receiving() && !loader.is_sending() {
                break;
            }
        }
        served &= answered;
    }
    served
}

/// Whether the device leaves the session.
fn poll<H: update_protocol::uds::server::Handler>(
    server: &mut Server,
    link: &mut Link<&mut [u8], &mut [u8]>,
    handler: &mut H,
    now_us: u64,
) -> bool {
    server.poll(link, handler, now_us).is_some()
}

/// Pieces of flash before the slots that read otherwise: each behind its offset and length.
pub(crate) fn journal(data: &[u8]) -> bool {
    with_updated(|updated| {
        let mut device = updated.device.twin();
        let records_len = usize::try_from(device.layout.region(Area::Slot(Slot::A)).start).unwrap();
        let mut input = Input(data);
        let mut changed = false;
        while let (Some(offset), Some(len)) = (input.number(), input.byte()) {
            let offset = usize::from(offset) % records_len;
            let piece = input.bytes(usize::from(len).min(records_len - offset));
            device.nor.medium_mut().tamper(offset, piece);
            changed |= !piece.is_empty();
        }
        runs_an_image_of(&mut device, &updated.images);
        runs_an_image_of(&mut device, &updated.images);
        changed
    })
}

/// The bytes are a provisioning block for a device from the factory: it is taken whole, once, or not at all.
pub(crate) fn provisioning(data: &[u8]) -> bool {
    let mut device = Bench::new(IMAGE_PAGES);
    let taken = device.send(Object::ProvisioningBlock, data).is_ok();
    assert_eq!(device.state().provisioned, taken);
    assert_eq!(device.loader().identity().is_some(), taken);
    if taken {
        assert!(device.send(Object::ProvisioningBlock, data).is_err(), "provisioned twice");
    }
    taken
}

/// Requests as [`session`] takes them.
fn requests(requests: &[&[u8]]) -> Vec<u8> {
    let framed =
        |request: &&[u8]| [&u16::try_from(request.len()).unwrap().to_be_bytes()[..], request].concat();
    requests.iter().flat_map(framed).collect()
}

/// A look at the device, and an install up to the first block of the image.
pub(crate) fn session_seeds() -> Vec<Vec<u8>> {
    with_updated(|updated| {
        let factory = Factory::new(1);
        let image = &updated.images[2];
        let envelope = factory.envelope(3, image);
        let size = |len: usize| u32::try_from(len).unwrap().to_be_bytes();
        let download =
            |address: u32, len: usize| [&[0x34, 0x00, 0x44][..], &address.to_be_bytes(), &size(len)].concat();
        let block = |content: &[u8]| [&[0x36, 0x01][..], content].concat();
        let look = requests(&[
            &[0x22, 0xF1, 0x80, 0xF1, 0x8C, 0xFD, 0x00, 0xFD, 0x01, 0xFD, 0x02],
            &[0x3E, 0x00],
            &[0x10, 0x02],
            &[0x31, 0x01, 0xF0, 0x01],
            &[0x31, 0x01, 0xFF, 0x01],
            &[0x10, 0x01],
        ]);
        let install = requests(&[
            &[0x10, 0x02],
            &download(0, envelope.len()),
            &block(&envelope),
            &[0x37],
            &download(0x1000_0000, image.len()),
            &block(image),
            &[0x37],
            &[0x11, 0x01],
        ]);
        let list = factory.revocation_list(4, &[factory.release_kid()]);
        let revocation =
            requests(&[&[0x10, 0x02], &download(0x2000_0000, list.len()), &block(&list), &[0x37]]);
        vec![look, install, revocation]
    })
}

/// A byte of the newest record, half a page.
pub(crate) fn journal_seeds() -> Vec<Vec<u8>> {
    vec![vec![0x08, 0x40, 1, 0], [&[0x08, 0x00, 0xFF][..], &[0xFF; 255]].concat()]
}

pub(crate) fn provisioning_seeds() -> Vec<Vec<u8>> {
    let anchors = [Factory::new(1).anchor(), Factory::new(2).anchor()];
    vec![provisioning_block(&anchors[..1], None), provisioning_block(&anchors, Some(1 << 40))]
}
