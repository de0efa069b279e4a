//! The functions of `anchorage_table.h`. Their contracts are there.

use core::ffi::c_void;
use core::mem::{align_of, size_of};

use bootloader::application::{Found, Table, TableError};
use bootloader::flash::Flash;
use bootloader::layout::Layout;
use bootloader::mailbox::MAILBOX_LEN;
use update_protocol::profile::STATE_RECORD_LEN;

use crate::board::{CFlash, CLayout, Callbacks};
use crate::calls::mailbox_at;
use crate::pointer::{Open, is_writable, shared};
use crate::values::CResult;

/// Bytes that the header reserves for a table.
pub const TABLE_LEN: usize = 512;
/// `anchorage_table`: memory of the caller, opened by [`anchorage_table_open`].
pub type OpenTable = Open<Table<Callbacks>, 0x414E_4354>;

const _: () = assert!(size_of::<OpenTable>() <= TABLE_LEN, "the header reserves too little");
const _: () = assert!(align_of::<OpenTable>() <= 8, "the header aligns too little");

/// `anchorage_table_found`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CFound {
    /// Its sequence number.
    pub sequence: u64,
    /// Address of its first byte.
    pub address: u32,
    /// Its bytes.
    pub length: u32,
    /// It is on trial.
    pub is_on_trial: bool,
}

/// Reads the journal of the table.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_table_open(
    place: *mut OpenTable,
    layout: *const CLayout,
    flash: *const CFlash,
    mailbox: *const c_void,
) -> CResult {
    // SAFETY: the header asks for pointers to these.
    let (layout, flash) = unsafe { (shared(layout), shared(flash)) };
    let words = mailbox_at(mailbox.cast_mut());
    let (true, Some(layout), Some(flash), Some(words)) = (is_writable(place), layout, flash, words) else {
        return CResult::Pointer;
    };
    // SAFETY: memory of the caller, and of any content.
    unsafe { OpenTable::close(place) };
    let Some(driver) = flash.driver(layout.word) else { return CResult::Pointer };
    let layout = layout.check().filter(Layout::is_data);
    let Some(flash) = layout.and_then(|layout| Flash::new(driver, layout).ok()) else {
        return CResult::Layout;
    };
    let mut mailbox = [0; MAILBOX_LEN];
    for (index, word) in mailbox.as_chunks_mut().0.iter_mut().enumerate() {
        // SAFETY: within the mailbox, which nobody writes to meanwhile.
        *word = unsafe { words.add(index).read_volatile() }.to_ne_bytes();
    }
    // SAFETY: as above.
    unsafe { OpenTable::open(place, Table::open(flash, &mailbox)) };
    CResult::Ok
}

/// The table that the loader verified.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_table_find(place: *mut OpenTable, found: *mut CFound) -> CResult {
    // SAFETY: the header's promise.
    let table = match unsafe { OpenTable::at(place) } {
        Ok(table) => table,
        Err(result) => return result,
    };
    if !is_writable(found) {
        return CResult::Pointer;
    }
    let Some(Found { address, len, sequence, is_on_trial }) = table.found() else { return CResult::NoTable };
    // SAFETY: checked, and memory of the caller.
    unsafe { found.write(CFound { sequence, address, length: len, is_on_trial }) };
    CResult::Ok
}

/// Reads bytes of it.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_table_read(
    place: *mut OpenTable,
    offset: u32,
    bytes: *mut c_void,
    length: u32,
) -> CResult {
    // SAFETY: the header's promise.
    let table = match unsafe { OpenTable::at(place) } {
        Ok(table) => table,
        Err(result) => return result,
    };
    let (true, Ok(len)) = (is_writable(bytes.cast::<u8>()), usize::try_from(length)) else {
        return CResult::Pointer;
    };
    // SAFETY: not null, `length` bytes of the caller, initialised: a header promise.
    let bytes = unsafe { core::slice::from_raw_parts_mut(bytes.cast::<u8>(), len) };
    match table.read(offset, bytes) {
        Ok(()) => CResult::Ok,
        Err(TableError::None) => CResult::NoTable,
        Err(TableError::Outside) => CResult::Outside,
        Err(TableError::Unreadable) => CResult::Flash,
    }
}

/// Ends the trial of the table.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_table_confirm(place: *mut OpenTable) -> CResult {
    // SAFETY: the header's promise.
    let table = match unsafe { OpenTable::at(place) } {
        Ok(table) => table,
        Err(result) => return result,
    };
    table.confirm().into()
}

/// The state record of the table, the content of data identifier `FD04`.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anchorage_table_state_record(
    place: *mut OpenTable,
    max_request_length: u16,
    record: *mut [u8; STATE_RECORD_LEN],
) -> CResult {
    // SAFETY: the header's promise.
    match unsafe { OpenTable::at(place) } {
        Ok(table) if is_writable(record) => {
            // SAFETY: checked, and memory of the caller.
            unsafe { record.write(table.state_record(max_request_length)) }
        }
        Ok(_) => return CResult::Pointer,
        Err(result) => return result,
    }
    CResult::Ok
}
