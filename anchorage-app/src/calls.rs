//! The functions of `anchorage_app.h`. Their contracts are there.

use core::ffi::c_void;
use core::mem::{align_of, size_of};

use bootloader::application::Device;
use bootloader::flash::Flash;
use bootloader::mailbox::{ALIVE, ALIVE_OFFSET, MAILBOX_LEN, REQUEST_LEN, Request};
use update_protocol::profile::STATE_RECORD_LEN;

use crate::board::{CFlash, CLayout, Callbacks};
use crate::pointer::{Open, is_writable, shared};
use crate::values::{CIdentity, CResult, CState};

/// Bytes that the header reserves for an application.
pub const APP_LEN: usize = 512;
/// `anchorage_app`: memory of the caller, opened by [`anchorage_app_open`].
pub type App = Open<Device<Callbacks>, 0x414E_4341>;

const _: () = assert!(size_of::<App>() <= APP_LEN, "the header reserves too little");
const _: () = assert!(align_of::<App>() <= 8, "the header aligns too little");

/// Reads the journal.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_app_open(
    app: *mut App,
    layout: *const CLayout,
    flash: *const CFlash,
) -> CResult {
    // SAFETY: the header asks for pointers to these.
    let (layout, flash) = unsafe { (shared(layout), shared(flash)) };
    let (true, Some(layout), Some(flash)) = (is_writable(app), layout, flash) else {
        return CResult::Pointer;
    };
    // SAFETY: memory of the caller, and of any content.
    unsafe { App::close(app) };
    let Some(driver) = flash.driver(layout.word) else { return CResult::Pointer };
    let Some(flash) = layout.check().and_then(|layout| Flash::new(driver, layout).ok()) else {
        return CResult::Layout;
    };
    // SAFETY: as above.
    unsafe { App::open(app, Device::open(flash)) };
    CResult::Ok
}

/// Ends the trial.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_app_confirm(app: *mut App) -> CResult {
    // SAFETY: the header's promise.
    let device = match unsafe { App::at(app) } {
        Ok(device) => device,
        Err(result) => return result,
    };
    device.confirm().into()
}

/// The state of the image that runs.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_app_state(app: *mut App, state: *mut CState) -> CResult {
    // SAFETY: the header's promise.
    match unsafe { App::at(app) } {
        // SAFETY: checked, and memory of the caller.
        Ok(device) if is_writable(state) => unsafe { state.write(CState::of(&device.running())) },
        Ok(_) => return CResult::Pointer,
        Err(result) => return result,
    }
    CResult::Ok
}

/// The identity of the device.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_app_identity(app: *mut App, identity: *mut CIdentity) -> CResult {
    // SAFETY: the header's promise.
    let device = match unsafe { App::at(app) } {
        Ok(device) => device,
        Err(result) => return result,
    };
    if !is_writable(identity) {
        return CResult::Pointer;
    }
    let found = device.identity();
    // SAFETY: checked, and memory of the caller, of any content before the write.
    let identity = unsafe {
        identity.write(CIdentity::EMPTY);
        &mut *identity
    };
    identity.fill(found.as_ref());
    if found.is_some() { CResult::Ok } else { CResult::NotProvisioned }
}

/// The state record, the content of data identifier `FD00`.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_app_state_record(
    app: *mut App,
    max_request_length: u16,
    record: *mut [u8; STATE_RECORD_LEN],
) -> CResult {
    // SAFETY: the header's promise.
    match unsafe { App::at(app) } {
        Ok(device) if is_writable(record) => {
            // SAFETY: checked, and memory of the caller.
            unsafe { record.write(device.state_record(max_request_length)) }
        }
        Ok(_) => return CResult::Pointer,
        Err(result) => return result,
    }
    CResult::Ok
}

/// Says that the application is alive.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_app_alive(mailbox: *mut c_void) -> CResult {
    let Some(place) = mailbox_at(mailbox) else { return CResult::Pointer };
    // SAFETY: within the mailbox, a multiple of 4. One store: a reset leaves all of it or nothing.
    unsafe { place.add(ALIVE_OFFSET / WORD).write_volatile(u32::from_ne_bytes(ALIVE)) };
    CResult::Ok
}

/// Asks the loader to stay in the programming session after the next reset.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_app_request_loader(mailbox: *mut c_void) -> CResult {
    let Some(place) = mailbox_at(mailbox) else { return CResult::Pointer };
    let request = Request::ProgrammingSession { answer: true }.encode();
    let (words, _) = request.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        // SAFETY: within the mailbox, a multiple of 4. Volatile: the reset that follows reads it, no code does.
        unsafe { place.add(index).write_volatile(u32::from_ne_bytes(*word)) };
    }
    CResult::Ok
}

const WORD: usize = size_of::<u32>();
const _: () = assert!(REQUEST_LEN <= ALIVE_OFFSET && ALIVE_OFFSET + WORD == MAILBOX_LEN);
const _: () = assert!(REQUEST_LEN.is_multiple_of(WORD) && ALIVE_OFFSET.is_multiple_of(WORD));

/// The mailbox as words, if the pointer may be one to it.
pub(crate) fn mailbox_at(mailbox: *mut c_void) -> Option<*mut u32> {
    let words = mailbox.cast::<u32>();
    is_writable(words).then_some(words)
}
